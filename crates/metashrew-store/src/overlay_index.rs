//! Where the newest version of a key lies among uncommitted blocks: block and entry, by
//! the hash of the key.
//!
//! One thread adds whole blocks while others read. A reader passes over what is above
//! its own state, and over what has been committed and removed since.

use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashTable;
use parking_lot::RwLock;

use crate::block::Height;
use crate::write_set::WriteSet;

/// Independent parts, so that readers seldom meet the thread that adds.
const SHARDS: usize = 16;

#[derive(Debug)]
pub(crate) struct OverlayIndex {
    first: Height,
    /// The height after the last block that is in it as a whole.
    end: AtomicU64,
    shards: [RwLock<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    newest: HashTable<Newest>,
    /// What newer entries were put in front of.
    older: Vec<Place>,
}

/// The newest entry of all keys with this hash. Keys that share one are told apart by
/// who looks.
#[derive(Debug)]
struct Newest {
    hash: u64,
    place: Place,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    height: Height,
    /// The number of the entry in its write set.
    number: u32,
    /// The next older one, as its number in `older` and 1; 0 for none.
    older: u32,
}

impl Default for OverlayIndex {
    fn default() -> Self {
        Self::starting_at(0)
    }
}

impl OverlayIndex {
    /// An empty index, to which the block at `first` is to be added first.
    pub(crate) fn starting_at(first: Height) -> Self {
        Self {
            first,
            end: AtomicU64::new(first.into()),
            shards: Default::default(),
        }
    }

    fn end(&self) -> u64 {
        // Pairs with the store in `add`: what is told to be there can be read.
        self.end.load(Ordering::Acquire)
    }

    /// Whether no block was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.end() == u64::from(self.first)
    }

    /// Whether the block at `height` is in it, or is the next to be added.
    pub(crate) fn reaches(&self, height: Height) -> bool {
        self.first <= height && u64::from(height) <= self.end()
    }

    /// Whether the block at `height` is in it.
    pub(crate) fn contains(&self, height: Height) -> bool {
        self.first <= height && u64::from(height) < self.end()
    }

    /// How many of its blocks are below `height`.
    pub(crate) fn blocks_below(&self, height: Height) -> usize {
        let end = self.end().min(height.into());
        usize::try_from(end.saturating_sub(self.first.into())).unwrap_or(usize::MAX)
    }

    /// Adds the block at `height`, which is the next one.
    pub(crate) fn add(&self, height: Height, writes: &WriteSet) {
        debug_assert_eq!(self.end(), u64::from(height), "blocks are added in order");
        for number in 0..writes.len() {
            let hash = writes.key(number).hash();
            let number = u32::try_from(number).expect("a block's writes are far below 4 GiB");
            // Held for one entry only: a reader never waits for a whole block.
            let mut shard = self.shard(hash).write();
            shard.put(hash, height, number);
        }
        self.end.store(u64::from(height) + 1, Ordering::Release);
    }

    /// Asks `look` for one entry after the other with this hash, the newest first,
    /// until it has an answer.
    pub(crate) fn find<T>(
        &self,
        hash: u64,
        look: impl Fn(Height, usize) -> Option<T>,
    ) -> Option<T> {
        let shard = self.shard(hash).read();
        let mut place = shard.newest.find(hash, |newest| newest.hash == hash)?.place;
        loop {
            let number = usize::try_from(place.number).ok()?;
            if let Some(found) = look(place.height, number) {
                return Some(found);
            }
            let older = usize::try_from(place.older).ok()?.checked_sub(1)?;
            place = *shard.older.get(older)?;
        }
    }

    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        // The tables within use the lowest and the highest bits.
        let number = usize::try_from((hash >> 32) % SHARDS as u64).unwrap_or_default();
        self.shards.get(number).expect("there are so many shards")
    }

    /// The memory it takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let of = |shard: &RwLock<Shard>| shard.read().bytes();
        self.shards.iter().map(of).sum()
    }
}

impl Shard {
    fn put(&mut self, hash: u64, height: Height, number: u32) {
        let mut place = Place {
            height,
            number,
            older: 0,
        };
        if let Some(newest) = self.newest.find_mut(hash, |newest| newest.hash == hash) {
            self.older.push(newest.place);
            place.older = u32::try_from(self.older.len()).expect("far fewer keys are uncommitted");
            newest.place = place;
            return;
        }
        let newest = Newest { hash, place };
        self.newest
            .insert_unique(hash, newest, |newest| newest.hash);
    }

    fn bytes(&self) -> usize {
        self.newest.allocation_size() + self.older.capacity() * size_of::<Place>()
    }
}
