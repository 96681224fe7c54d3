//! Reads of many keys of one state: what is in memory first, then the engine, for many keys at
//! a time.
//!
//! What they hold is bounded in bytes. So they may end before the last key; the first one is
//! always read.

use std::fmt;

use bytes::Bytes;

use crate::error::ReadError;
use crate::hashed_key::HashedKey;
use crate::history;
use crate::looked_up::LookedUp;
use crate::state::State;
use crate::write_set::Version;

/// The newest versions of many keys of a state: see [`State::read_many`].
///
/// Whoever reads them calls [`step`](Self::step) until it is through, and may do other things
/// in between. Once the values that were read have `max_bytes`, nothing more is read. What
/// [`finish`](Self::finish) then gives are the versions of the first keys: at least one, and
/// all of them where they have not as many bytes.
///
/// Keys whose newest version is above the state's height take a read of their own each.
///
/// ```
/// use metashrew_store::{BlockHash, BlockRef, HashedKey, Store, WriteSet, wait};
///
/// let store = Store::in_memory();
/// let mut writes = WriteSet::default();
/// writes.insert(b"a", b"1")?;
/// let hash = |byte| BlockHash::from_bytes([byte; 32]);
/// store.commit(&BlockRef::new(0, hash(1), hash(0)), &writes)?;
///
/// let state = store.snapshot().latest();
/// let keys = ["b", "a"].map(|key| HashedKey::new(key.as_bytes()));
/// let mut reads = state.read_many(&keys, 1 << 20);
/// while wait(reads.step())? {}
/// let versions = reads.finish();
/// assert_eq!(versions[0], None);
/// assert_eq!(versions[1].as_ref().unwrap().value, "1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct ManyReads<'a> {
    state: &'a State,
    keys: &'a [HashedKey<'a>],
    max_bytes: usize,
    /// What is in memory of the first keys, in their order.
    found: Vec<LookedUp>,
    /// The keys of these that the engine is asked for: in key order, each once.
    asked: Vec<HashedKey<'a>>,
    /// What it answered so far.
    newest: Vec<LookedUp>,
    /// The versions of the first keys, in their order, as far as they are sure.
    versions: Vec<Option<Version>>,
    /// Bytes of the values that were found and read.
    bytes: usize,
}

impl fmt::Debug for ManyReads<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ManyReads")
            .field("keys", &self.keys.len())
            .field("versions", &self.versions.len())
            .finish_non_exhaustive()
    }
}

impl<'a> ManyReads<'a> {
    /// Bytes that it takes for each key, at most, beside the key and its value.
    pub const KEY_BYTES: usize =
        2 * size_of::<LookedUp>() + size_of::<HashedKey<'_>>() + size_of::<Option<Version>>();

    pub(crate) fn new(state: &'a State, keys: &'a [HashedKey<'a>], max_bytes: usize) -> Self {
        let mut reads = Self {
            state,
            keys,
            max_bytes,
            found: Vec::with_capacity(keys.len()),
            asked: Vec::new(),
            newest: Vec::new(),
            versions: Vec::with_capacity(keys.len()),
            bytes: 0,
        };
        for key in keys {
            if reads.is_full() && !reads.found.is_empty() {
                break;
            }
            let found = state.look_up(*key);
            match &found {
                LookedUp::Version(version) => reads.bytes += length(version.as_ref()),
                LookedUp::Newest => reads.asked.push(*key),
                LookedUp::Older => {}
            }
            reads.found.push(found);
        }
        reads.asked.sort_unstable_by_key(HashedKey::key);
        reads.asked.dedup();
        reads
    }

    /// Asks the engine once, if that is needed; false if nothing more is to be read.
    ///
    /// # Errors
    /// If the engine fails, or what it has is no version.
    pub async fn step(&mut self) -> Result<bool, ReadError> {
        let is_enough = self.is_full() && !self.newest.is_empty();
        if self.newest.len() < self.asked.len() && !is_enough {
            self.ask().await?;
            return Ok(true);
        }
        while self.versions.len() < self.found.len() {
            let Some(key) = self.keys.get(self.versions.len()).copied() else {
                break;
            };
            let known = self.take_known(key);
            if let LookedUp::Version(version) = known {
                self.versions.push(version);
                continue;
            }
            if self.is_full() && !self.versions.is_empty() {
                break;
            }
            self.read_alone(key, known).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// The versions that were read, in the order of their keys.
    pub fn finish(self) -> Vec<Option<Version>> {
        self.versions
    }

    /// How many keys were found in memory or read, and the bytes of their values. There are
    /// more than [`finish`](Self::finish) gives where it ends early: keys are not read in the
    /// order asked.
    pub fn progress(&self) -> (usize, usize) {
        let missing = self.asked.len() - self.newest.len();
        (self.found.len() - missing, self.bytes)
    }

    /// Asks the engine for the newest versions of the next keys.
    async fn ask(&mut self) -> Result<(), ReadError> {
        // Without the state's height nothing is asked for.
        let height = self.state.base().unwrap_or_default();
        let rest = self.asked.get(self.newest.len()..).unwrap_or_default();
        let keys: Vec<_> = rest.iter().map(HashedKey::key).collect();
        let snapshot = self.state.snapshot();
        let room = self.max_bytes.saturating_sub(self.bytes);
        let newest = history::newest_of_some(snapshot.view(), &keys, room).await?;
        for (key, newest) in rest.iter().zip(newest) {
            let mut found = snapshot.found_newest(*key, height, newest);
            if let LookedUp::Version(Some(version)) = &mut found {
                // It may share the memory of a larger block, of which many would be kept.
                version.value = Bytes::copy_from_slice(&version.value);
                self.bytes += version.value.len();
            }
            self.newest.push(found);
        }
        Ok(())
    }

    /// What is known of `key`, the next one.
    fn take_known(&mut self, key: HashedKey<'_>) -> LookedUp {
        match self.found.get_mut(self.versions.len()) {
            Some(LookedUp::Version(version)) => LookedUp::Version(version.take()),
            Some(LookedUp::Older) => LookedUp::Older,
            Some(LookedUp::Newest) | None => {
                let place = self.asked.binary_search_by(|it| it.key().cmp(key.key()));
                let answer = place.ok().and_then(|place| self.newest.get(place));
                answer.cloned().unwrap_or(LookedUp::Newest)
            }
        }
    }

    /// Reads the next key by itself.
    async fn read_alone(&mut self, key: HashedKey<'_>, known: LookedUp) -> Result<(), ReadError> {
        let version = match (known, self.state.base()) {
            (LookedUp::Older, Some(height)) => self.state.snapshot().older(key, height).await?,
            _ => self.state.read(key).await?,
        };
        self.bytes += length(version.as_ref());
        self.versions.push(version);
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.bytes >= self.max_bytes
    }
}

fn length(version: Option<&Version>) -> usize {
    version.map_or(0, |version| version.value.len())
}
