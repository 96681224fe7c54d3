//! What a guest reads: a snapshot at a height, under blocks not committed yet.

use std::ops::Bound;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::backend::{Scan, Space, wait};
use crate::block::Height;
use crate::error::ReadError;
use crate::hashed_key::HashedKey;
use crate::history;
use crate::keys::{MAX_KEY_LEN, decode_version, prefix_end};
use crate::layer_scan::LayerScan;
use crate::overlay::Layers;
use crate::snapshot::Snapshot;
use crate::write_set::{Version, WriteSet};

/// The state after one block. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct State {
    snapshot: Snapshot,
    /// The height the snapshot is read at; none is the empty state.
    base: Option<Height>,
    layers: Layers,
}

impl State {
    pub(crate) fn new(snapshot: Snapshot, base: Option<Height>) -> Self {
        Self::on(snapshot, base, Layers::default())
    }

    /// `layers` on top of `snapshot` at `base`.
    pub(crate) fn on(snapshot: Snapshot, base: Option<Height>, layers: Layers) -> Self {
        Self {
            snapshot,
            base,
            layers,
        }
    }

    /// This state with the writes of one more block, at `height`, on top. For many
    /// blocks on top of each other there is [`Overlay`](crate::Overlay).
    #[must_use]
    pub fn with_block(&self, height: Height, writes: Arc<WriteSet>) -> Self {
        let mut state = self.clone();
        state.layers.push(height, writes);
        state
    }

    /// The height of the block whose state this is; none if nothing is indexed.
    pub fn height(&self) -> Option<Height> {
        self.layers.top().or(self.base)
    }

    /// The snapshot that this state reads.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The newest version of `key` in this state.
    ///
    /// The value may share the memory of a larger block of the engine: copy what
    /// is to be kept for long.
    ///
    /// A key longer than [`MAX_KEY_LEN`] cannot have been written: it is absent.
    ///
    /// The thread waits for an engine that takes a while: see [`State::read`].
    pub fn get<'k>(&self, key: impl Into<HashedKey<'k>>) -> Result<Option<Version>, ReadError> {
        wait(pin!(self.read(key)))
    }

    /// As [`State::get`], to be awaited. Where what is read is at hand, it is ready when it
    /// is first polled, and nothing is allocated for that.
    pub async fn read<'k>(
        &self,
        key: impl Into<HashedKey<'k>>,
    ) -> Result<Option<Version>, ReadError> {
        let key = key.into();
        if key.key().len() > MAX_KEY_LEN {
            return Ok(None);
        }
        if let Some(found) = self.layers.get(key) {
            return Ok(Some(Version {
                height: found.height,
                value: Bytes::copy_from_slice(found.value),
            }));
        }
        match self.base {
            Some(height) => self.snapshot.version_at(key, height).await,
            None => Ok(None),
        }
    }

    /// Every key that starts with `prefix`, with its newest version in this
    /// state, in key order; versions of zero length are included.
    pub fn scan_prefix(&self, prefix: &[u8]) -> PrefixScan {
        let end = prefix_end(prefix);
        let end_bound = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let scan = self.base.map(|_| {
            self.snapshot
                .view()
                .scan(Space::KeyToNewest, Bound::Included(prefix), end_bound)
        });
        PrefixScan {
            snapshot: self.snapshot.clone(),
            base: self.base.unwrap_or_default(),
            scan,
            stored: None,
            layered: LayerScan::new(self.layers.blocks(), prefix),
        }
    }
}

/// The entries of [`State::scan_prefix`]: stored ones and those of uncommitted blocks,
/// merged as they are asked for.
pub struct PrefixScan {
    snapshot: Snapshot,
    base: Height,
    scan: Option<Scan>,
    /// The stored entry that is next, where it is known.
    stored: Option<(Bytes, Version)>,
    layered: LayerScan,
}

impl std::fmt::Debug for PrefixScan {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("PrefixScan")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl PrefixScan {
    /// Makes sure that `stored` holds the next stored entry, if there is one.
    fn fill_stored(&mut self) -> Result<(), ReadError> {
        while self.stored.is_none() {
            let Some(entry) = self.scan.as_mut().and_then(Iterator::next) else {
                self.scan = None;
                return Ok(());
            };
            let (key, record) = entry?;
            let newest = decode_version(&record)?;
            self.stored = if newest.height <= self.base {
                Some((key, newest))
            } else {
                wait(history::older(self.snapshot.view(), &key, self.base))?
                    .map(|version| (key, version))
            };
        }
        Ok(())
    }
}

impl Iterator for PrefixScan {
    type Item = Result<(Bytes, Version), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(error) = self.fill_stored() {
            self.scan = None;
            return Some(Err(error));
        }
        let Some(layered) = self.layered.peek() else {
            return self.stored.take().map(Ok);
        };
        if let Some((stored, _)) = &self.stored {
            if **stored < *layered {
                return self.stored.take().map(Ok);
            }
            if **stored == *layered {
                self.stored = None;
            }
        }
        self.layered.next().map(Ok)
    }
}
