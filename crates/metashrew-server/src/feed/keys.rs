//! The keys that blocks wrote, in order: those of recent ones are kept in memory, packed.
//!
//! A block is named by its hash. So what is kept of one stays right when it is undone.

use std::sync::Arc;

use bytes::Bytes;
use metashrew_runtime::ViewReads;
use metashrew_store::{BlockHash, BlockKeys, BlockRecord, ReadError, Snapshot, UndoneBlock};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::cache::cache;
use super::scan::of_resolve;

/// One block's keys may take this part of the cache; those of a longer list are read again
/// whenever they are needed.
const LARGEST_PART: usize = 4;

/// Bytes that a block takes besides its keys.
const OVERHEAD: usize = 128;

/// The keys of recent blocks.
pub(super) struct KeyCache {
    blocks: Cache<BlockHash, Kept, Weigh>,
    /// Bytes that one block's keys may take.
    largest: usize,
}

/// A block whose keys are sought.
#[derive(Debug, Clone)]
pub(super) enum Block {
    /// In the chain of a snapshot.
    Held(BlockRecord),
    Undone(UndoneBlock),
}

#[derive(Debug, Clone)]
enum Kept {
    Packed(Arc<Packed>),
    /// They are too many to be kept.
    Long,
}

/// Keys in order, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    /// Where each key ends.
    ends: Vec<u32>,
}

#[derive(Debug, Clone)]
struct Weigh;

impl Weighter<BlockHash, Kept> for Weigh {
    fn weight(&self, _: &BlockHash, kept: &Kept) -> u64 {
        let bytes = match kept {
            Kept::Packed(packed) => packed.size(),
            Kept::Long => 0,
        };
        (bytes + OVERHEAD) as u64
    }
}

impl KeyCache {
    /// For so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            blocks: cache(bytes, Weigh),
            largest: bytes / LARGEST_PART,
        }
    }

    /// The keys of `block` that begin with `prefix` and come behind `after`, in order.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(super) fn walk(
        &self,
        snapshot: &Snapshot,
        block: &Block,
        prefix: &Bytes,
        after: Option<&Bytes>,
    ) -> Result<Walk, ReadError> {
        Ok(match self.get(snapshot, block)? {
            Kept::Packed(packed) => {
                let is_before =
                    |key: &[u8]| key < &prefix[..] || after.is_some_and(|after| key <= &after[..]);
                Walk::Packed {
                    next: packed.partition_point(is_before),
                    packed,
                    prefix: prefix.clone(),
                }
            }
            Kept::Long => Walk::Long {
                keys: block.keys(snapshot)?,
                prefix: prefix.clone(),
                after: after.cloned(),
            },
        })
    }

    /// All keys of `block`, in memory; none if they are too many for that.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(super) fn packed(
        &self,
        snapshot: &Snapshot,
        block: &Block,
    ) -> Result<Option<Walk>, ReadError> {
        Ok(match self.get(snapshot, block)? {
            Kept::Packed(packed) => Some(Walk::Packed {
                packed,
                next: 0,
                prefix: Bytes::new(),
            }),
            Kept::Long => None,
        })
    }

    /// Whether `block` wrote a key of `reads`, as far as it can be told at small cost.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(super) fn touch(
        &self,
        snapshot: &Snapshot,
        block: &Block,
        reads: &ViewReads,
    ) -> Result<bool, ReadError> {
        Ok(match self.get(snapshot, block)? {
            Kept::Packed(packed) => reads.touched_by(&packed.slices()),
            Kept::Long => true,
        })
    }

    fn get(&self, snapshot: &Snapshot, block: &Block) -> Result<Kept, ReadError> {
        let read = || Packed::read(block.keys(snapshot)?, self.largest);
        self.blocks.get_or_insert_with(block.hash(), read)
    }
}

impl Block {
    pub(super) fn hash(&self) -> &BlockHash {
        match self {
            Self::Held(record) => &record.hash,
            Self::Undone(undone) => &undone.hash,
        }
    }

    fn keys(&self, snapshot: &Snapshot) -> Result<BlockKeys, ReadError> {
        match self {
            Self::Held(record) => snapshot.keys_of(record.height).map_err(of_resolve),
            Self::Undone(undone) => Ok(undone.keys()),
        }
    }
}

impl Packed {
    fn read(mut keys: BlockKeys, largest: usize) -> Result<Kept, ReadError> {
        let mut packed = Self::default();
        while let Some(key) = keys.next_key()? {
            packed.bytes.extend_from_slice(key);
            let Ok(end) = u32::try_from(packed.bytes.len()) else {
                return Ok(Kept::Long);
            };
            packed.ends.push(end);
            if packed.size() > largest {
                return Ok(Kept::Long);
            }
        }
        packed.bytes.shrink_to_fit();
        packed.ends.shrink_to_fit();
        Ok(Kept::Packed(Arc::new(packed)))
    }

    fn size(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<u32>()
    }

    fn get(&self, index: usize) -> Option<&[u8]> {
        let place = |end: &u32| usize::try_from(*end).ok();
        let end = self.ends.get(index).and_then(place)?;
        let start = match index.checked_sub(1) {
            Some(before) => self.ends.get(before).and_then(place)?,
            None => 0,
        };
        self.bytes.get(start..end)
    }

    fn slices(&self) -> Vec<&[u8]> {
        let keys = 0..self.ends.len();
        keys.filter_map(|index| self.get(index)).collect()
    }

    /// The number of keys before the first one that `is_before` does not hold of.
    fn partition_point(&self, is_before: impl Fn(&[u8]) -> bool) -> usize {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle).is_some_and(&is_before) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// A walk over a block's keys.
pub(super) enum Walk {
    Packed {
        packed: Arc<Packed>,
        next: usize,
        prefix: Bytes,
    },
    Long {
        keys: BlockKeys,
        prefix: Bytes,
        after: Option<Bytes>,
    },
}

impl Walk {
    /// The next key; none at the end.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(super) fn next_key(&mut self) -> Result<Option<Bytes>, ReadError> {
        let mut found = None;
        self.each(1, |key| found = Some(Bytes::copy_from_slice(key)))?;
        Ok(found)
    }

    /// Gives `each` so many of the next keys; whether there were as many.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(super) fn each(
        &mut self,
        count: usize,
        mut each: impl FnMut(&[u8]),
    ) -> Result<bool, ReadError> {
        let mut left = count;
        match self {
            Self::Packed {
                packed,
                next,
                prefix,
            } => {
                while left > 0
                    && let Some(key) = packed.get(*next).filter(|key| key.starts_with(prefix))
                {
                    each(key);
                    (*next, left) = (*next + 1, left - 1);
                }
            }
            Self::Long {
                keys,
                prefix,
                after,
            } => {
                while left > 0
                    && let Some(key) = keys.next_key()?
                {
                    let is_after = after.as_ref().is_none_or(|after| key > &after[..]);
                    if is_after && key.starts_with(prefix) {
                        each(key);
                        left -= 1;
                    }
                }
            }
        }
        Ok(left == 0)
    }
}
