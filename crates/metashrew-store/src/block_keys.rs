//! The keys that one block wrote, without their values; and the values of chosen keys.

use bytes::Bytes;

use crate::backend::{Scan, wait};
use crate::block::Height;
use crate::block_id::BlockId;
use crate::error::{ReadError, ResolveError};
use crate::history;
use crate::keys::MAX_KEY_LEN;
use crate::looked_up::LookedUp;
use crate::snapshot::Snapshot;
use crate::touched::{scan_chunks, take_key};
use crate::write_set::Version;

/// A walk over the keys that a block wrote, in key order, each once.
///
/// Only a part of the list is in memory: 32 KiB, or the longest key. Values are not read.
/// As an iterator it copies each key; [`next_key`](Self::next_key) does not.
#[derive(Debug)]
pub struct BlockKeys {
    height: Height,
    /// The parts of the list that were not begun.
    chunks: Scan,
    /// What is left of the part that was begun.
    chunk: Bytes,
    /// The last key.
    key: Vec<u8>,
    /// Whether it came to its end, or to an error: the engine is not asked again.
    has_ended: bool,
}

impl BlockKeys {
    /// The keys in `chunks`, the list of the block at `height`.
    pub(crate) fn new(height: Height, chunks: Scan) -> Self {
        Self {
            height,
            chunks,
            chunk: Bytes::new(),
            key: Vec::new(),
            has_ended: false,
        }
    }

    /// The next key; none at the end, and after an error.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn next_key(&mut self) -> Result<Option<&[u8]>, ReadError> {
        if self.has_ended {
            return Ok(None);
        }
        let advanced = self.advance();
        self.has_ended = !matches!(advanced, Ok(true));
        Ok(advanced?.then_some(self.key.as_slice()))
    }

    /// Goes to the next key; false at the end.
    fn advance(&mut self) -> Result<bool, ReadError> {
        while self.chunk.is_empty() {
            let Some(entry) = self.chunks.next() else {
                return Ok(false);
            };
            self.chunk = entry?.1;
            self.key.clear();
        }
        let mut rest = self.chunk.as_ref();
        take_key(&mut rest, self.height, &mut self.key)?;
        self.chunk = self.chunk.slice_ref(rest);
        Ok(true)
    }
}

impl Iterator for BlockKeys {
    type Item = Result<Bytes, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.next_key().transpose()?;
        Some(key.map(Bytes::copy_from_slice))
    }
}

impl Snapshot {
    /// The keys that the block at `height`, which is held, wrote. Their values are not read:
    /// see [`values_at`](Self::values_at).
    ///
    /// ```
    /// use metashrew_store::{BlockHash, BlockRef, Store, WriteSet};
    ///
    /// let store = Store::in_memory();
    /// let hash = |number| BlockHash::from_bytes([number; 32]);
    /// let mut writes = WriteSet::default();
    /// writes.insert("/fees/1", "10")?;
    /// writes.insert("/names/a", "b")?;
    /// store.commit(&BlockRef::new(7, hash(7), hash(6)), &writes)?;
    ///
    /// let snapshot = store.snapshot();
    /// let mut keys = snapshot.keys_of(7)?;
    /// let mut fees = Vec::new();
    /// while let Some(key) = keys.next_key()? {
    ///     if key.starts_with(b"/fees/") {
    ///         fees.push(key.to_vec());
    ///     }
    /// }
    /// let values = snapshot.values_at(7, &fees, usize::MAX)?;
    /// assert_eq!(values[0].as_ref().unwrap().value, "10");
    /// assert_eq!(snapshot.values_at(6, &fees, usize::MAX)?, [None]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the block is not held, or the database cannot be read.
    pub fn keys_of(&self, height: Height) -> Result<BlockKeys, ResolveError> {
        wait(self.resolve(&BlockId::Height(height)))?;
        Ok(BlockKeys::new(height, scan_chunks(self.view(), height)))
    }

    /// The newest versions of the first of `keys` at or below `height`, as [`Snapshot::at`] would
    /// read them: at least one, and no more once what was read has `max_bytes`. The keys are in key
    /// order, and each is there once.
    ///
    /// Values are not taken from the read cache, nor added to it: keys of a whole block would
    /// take the room of those that are read again.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn values_at(
        &self,
        height: Height,
        keys: &[impl AsRef<[u8]>],
        max_bytes: usize,
    ) -> Result<Vec<Option<Version>>, ReadError> {
        let keys: Vec<_> = keys.iter().map(AsRef::as_ref).collect();
        debug_assert!(keys.is_sorted_by(|left, right| left < right));
        // A longer one cannot have been written, and an engine need not take it.
        let is_possible = |key: &&[u8]| key.len() <= MAX_KEY_LEN;
        let sought: Vec<_> = keys.iter().copied().filter(is_possible).collect();
        let mut versions = Vec::with_capacity(keys.len());
        let (mut bytes, mut asked) = (0, 0);
        let mut newest = Vec::new().into_iter();
        for key in keys {
            if !is_possible(&key) {
                versions.push(None);
                continue;
            }
            if newest.len() == 0 {
                if bytes >= max_bytes && !versions.is_empty() {
                    break;
                }
                let rest = sought.get(asked..).unwrap_or_default();
                let room = max_bytes.saturating_sub(bytes);
                let read = wait(history::newest_of_some(self.view(), rest, room))?;
                asked += read.len();
                // What is above the height is let go before an older one is read.
                let read = read.into_iter().map(|it| LookedUp::newest(it, height));
                newest = read.collect::<Vec<_>>().into_iter();
                bytes += newest.as_slice().iter().map(length).sum::<usize>();
            }
            if let Some(LookedUp::Version(version)) = newest.next() {
                versions.push(version);
                continue;
            }
            let is_enough = bytes >= max_bytes;
            if is_enough && !versions.is_empty() {
                break;
            }
            if is_enough {
                newest = Vec::new().into_iter();
            }
            let older = LookedUp::Version(wait(history::older(self.view(), key, height))?);
            bytes += length(&older);
            if let LookedUp::Version(version) = older {
                versions.push(version);
            }
            if is_enough {
                break;
            }
        }
        Ok(versions)
    }
}

fn length(found: &LookedUp) -> usize {
    match found {
        LookedUp::Version(Some(version)) => version.value.len(),
        LookedUp::Version(None) | LookedUp::Newest | LookedUp::Older => 0,
    }
}
