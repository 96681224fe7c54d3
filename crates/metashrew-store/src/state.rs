//! What a guest reads: a snapshot at a height, under blocks not committed yet.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use crate::backend::{Scan, Space, wait};
use crate::block::Height;
use crate::error::ReadError;
use crate::history;
use crate::keys::{MAX_KEY_LEN, decode_version, prefix_end};
use crate::snapshot::Snapshot;
use crate::write_set::{Version, WriteSet};

/// The state after one block. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct State {
    snapshot: Snapshot,
    /// The height the snapshot is read at; none is the empty state.
    base: Option<Height>,
    /// Uncommitted blocks, the newest last.
    layers: Vec<(Height, Arc<WriteSet>)>,
}

impl State {
    pub(crate) fn new(snapshot: Snapshot, base: Option<Height>) -> Self {
        Self {
            snapshot,
            base,
            layers: Vec::new(),
        }
    }

    /// This state with the writes of one more block, at `height`, on top.
    #[must_use]
    pub fn with_block(&self, height: Height, writes: Arc<WriteSet>) -> Self {
        let mut layers = Vec::with_capacity(self.layers.len() + 1);
        layers.extend(self.layers.iter().cloned());
        layers.push((height, writes));
        Self {
            snapshot: self.snapshot.clone(),
            base: self.base,
            layers,
        }
    }

    /// The height of the block whose state this is; none if nothing is indexed.
    pub fn height(&self) -> Option<Height> {
        self.layers.last().map_or(self.base, |layer| Some(layer.0))
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
    pub fn get(&self, key: &[u8]) -> Result<Option<Version>, ReadError> {
        wait(self.read(key))
    }

    /// As [`State::get`], to be awaited. Where what is read is at hand, it is ready when it
    /// is first polled, and nothing is allocated for that.
    pub async fn read(&self, key: &[u8]) -> Result<Option<Version>, ReadError> {
        if key.len() > MAX_KEY_LEN {
            return Ok(None);
        }
        for (height, writes) in self.layers.iter().rev() {
            if let Some(value) = writes.get(key) {
                return Ok(Some(Version {
                    height: *height,
                    value: value.clone(),
                }));
            }
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
        let mut layered = BTreeMap::new();
        for (height, writes) in &self.layers {
            for (key, value) in writes.sorted() {
                if key.starts_with(prefix) {
                    let version = Version {
                        height: *height,
                        value: value.clone(),
                    };
                    layered.insert(key.clone(), version);
                }
            }
        }
        PrefixScan {
            snapshot: self.snapshot.clone(),
            base: self.base.unwrap_or_default(),
            scan,
            stored: None,
            layered: layered.into_iter().peekable(),
        }
    }
}

/// The entries of [`State::scan_prefix`].
pub struct PrefixScan {
    snapshot: Snapshot,
    base: Height,
    scan: Option<Scan>,
    /// The stored entry that is next, where it is known.
    stored: Option<(Bytes, Version)>,
    layered: std::iter::Peekable<std::collections::btree_map::IntoIter<Bytes, Version>>,
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
        match (&self.stored, self.layered.peek()) {
            (Some((stored, _)), Some((layered, _))) if stored < layered => {}
            (_, None) => {}
            (Some((stored, _)), Some((layered, _))) => {
                if stored == layered {
                    self.stored = None;
                }
                return self.layered.next().map(Ok);
            }
            (None, Some(_)) => return self.layered.next().map(Ok),
        }
        self.stored.take().map(Ok)
    }
}
