//! Blocks that a rollback took out of the chain: which they were, and what they wrote.
//!
//! Who followed the chain up to such a block can go back from it, block by block, to one that
//! is in the chain, and knows at which keys the state may differ there. A record is written by
//! the batch that undoes its block. The records are no part of the chain's state: history roots
//! know nothing of them. There are only so many, and the oldest go first. So the parent of a
//! block that is recorded is recorded as well, or in the chain, or below all blocks held.

mod layout;
mod recording;
#[cfg(test)]
mod tests;

use crate::block::{BlockHash, Height};
use crate::block_keys::BlockKeys;
use crate::error::ReadError;
use crate::snapshot::Snapshot;

pub(crate) use layout::{
    LISTS, ORDER, RECORD_BYTES, RECORDS, Record, TOTALS_KEY, Totals, decode_order, list_key, scan,
};
pub(crate) use recording::{Undoing, record};

/// How many undone blocks a store keeps records of. The oldest go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UndoneLimits {
    /// How many blocks. Default: 1,000.
    pub blocks: u64,
    /// How many bytes their lists of keys take, as they are stored: what a key shares with the
    /// one before it is left out. Each block counts 256 bytes more. Default: 256 MiB.
    pub bytes: u64,
}

impl Default for UndoneLimits {
    fn default() -> Self {
        Self {
            blocks: 1_000,
            bytes: 256 << 20,
        }
    }
}

/// A block that was in the chain once, and is not any more.
#[derive(Debug, Clone)]
pub struct UndoneBlock {
    /// The block's height.
    pub height: Height,
    /// The block's own hash.
    pub hash: BlockHash,
    /// The hash of the block below it.
    pub parent: BlockHash,
    /// How many keys it wrote.
    pub keys: u32,
    number: u64,
    /// Or a later rollback might have replaced the list meanwhile.
    snapshot: Snapshot,
}

impl UndoneBlock {
    /// The keys that it wrote, in order. Their values are gone.
    pub fn keys(&self) -> BlockKeys {
        BlockKeys::new(
            self.height,
            scan(self.snapshot.view(), &list_key(self.number, None)),
        )
    }
}

impl Snapshot {
    /// The block with this hash, if it was undone by a rollback, is not in the chain again, and
    /// is among the last ones that were undone: see [`UndoneLimits`].
    ///
    /// Its parent may have been undone as well.
    ///
    /// ```
    /// use metashrew_store::{BlockHash, BlockRef, Store, WriteSet};
    ///
    /// let store = Store::in_memory();
    /// let hash = |number| BlockHash::from_bytes([number; 32]);
    /// for number in 7..10 {
    ///     let mut writes = WriteSet::default();
    ///     writes.insert([number], "value")?;
    ///     store.commit(&BlockRef::new(number.into(), hash(number), hash(number - 1)), &writes)?;
    /// }
    /// store.rollback(Some(7))?;
    ///
    /// let snapshot = store.snapshot();
    /// let mut cursor = hash(9);
    /// while let Some(block) = snapshot.undone(&cursor)? {
    ///     let keys = block.keys().collect::<Result<Vec<_>, _>>()?;
    ///     assert_eq!(keys, [vec![u8::try_from(block.height)?]]);
    ///     cursor = block.parent;
    /// }
    /// assert_eq!(snapshot.height_of(&cursor)?, Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn undone(&self, hash: &BlockHash) -> Result<Option<UndoneBlock>, ReadError> {
        // The record of a block that is in the chain again stays, and means nothing.
        if self.height_of(hash)?.is_some() {
            return Ok(None);
        }
        let record = Record::of(self.view(), hash)?;
        Ok(record.map(|record| UndoneBlock {
            height: record.height,
            hash: *hash,
            parent: record.parent,
            keys: record.keys,
            number: record.number,
            snapshot: self.clone(),
        }))
    }
}
