//! What a guest reads: a snapshot at a height, under blocks not committed yet.

use std::ops::Bound;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::backend::{Direction, wait};
use crate::block::Height;
use crate::error::ReadError;
use crate::hashed_key::HashedKey;
use crate::keys::{MAX_KEY_LEN, prefix_end};
use crate::looked_up::LookedUp;
use crate::many_reads::ManyReads;
use crate::overlay::Layers;
use crate::snapshot::Snapshot;
use crate::state_scan::StateScan;
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
        if let Some(version) = self.uncommitted(key) {
            return Ok(Some(version));
        }
        match self.base {
            Some(height) => self.snapshot.version_at(key, height).await,
            None => Ok(None),
        }
    }

    /// Reads of many keys together: what is in memory at once, and then what the engine reads
    /// for many keys at a time. See [`ManyReads`], whose steps are to be awaited.
    pub fn read_many<'a>(&'a self, keys: &'a [HashedKey<'a>], max_bytes: usize) -> ManyReads<'a> {
        ManyReads::new(self, keys, max_bytes)
    }

    /// What is known of the newest version of `key` in this state without the engine.
    pub(crate) fn look_up(&self, key: HashedKey<'_>) -> LookedUp {
        if key.key().len() > MAX_KEY_LEN {
            return LookedUp::Version(None);
        }
        if let Some(version) = self.uncommitted(key) {
            return LookedUp::Version(Some(version));
        }
        match self.base {
            Some(height) => self.snapshot.look_up(key, height),
            None => LookedUp::Version(None),
        }
    }

    /// The height that the snapshot is read at; none is the empty state.
    pub(crate) fn base(&self) -> Option<Height> {
        self.base
    }

    /// What blocks that are not committed wrote at `key` last.
    fn uncommitted(&self, key: HashedKey<'_>) -> Option<Version> {
        let found = self.layers.get(key)?;
        Some(Version {
            height: found.height,
            value: Bytes::copy_from_slice(found.value),
        })
    }

    /// Every key that starts with `prefix`, with its newest version in this
    /// state, in key order; versions of zero length are included.
    pub fn scan_prefix(&self, prefix: &[u8]) -> StateScan {
        let end = prefix_end(prefix);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.scan(Bound::Included(prefix), end, Direction::Forward)
    }

    /// Every key from `start` to `end`, with its newest version in this state; versions of
    /// zero length are included. Nothing is collected first: see [`StateScan`].
    pub fn scan(&self, start: Bound<&[u8]>, end: Bound<&[u8]>, direction: Direction) -> StateScan {
        let range = bounded(start, end);
        StateScan::new(
            self.snapshot.clone(),
            self.base,
            self.layers.blocks(),
            range,
            direction,
        )
    }
}

/// The same range, with bounds that are no longer than keys. An engine need not take others.
fn bounded<'a>(start: Bound<&'a [u8]>, end: Bound<&'a [u8]>) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    // Of the keys there may be, those above a longer bound are those above its beginning.
    let begin = |bound: &'a [u8]| bound.get(..MAX_KEY_LEN).filter(|it| it.len() < bound.len());
    let long = |bound| match bound {
        Bound::Included(bound) | Bound::Excluded(bound) => begin(bound),
        Bound::Unbounded => None,
    };
    (
        long(start).map_or(start, Bound::Excluded),
        long(end).map_or(end, Bound::Included),
    )
}
