//! The keys of an event that come next, in order, each once.
//!
//! Those of one block are read as they are needed. Those of several blocks are sorted first, and
//! only the first ones, as many as have room: each block is read by itself, one after the other.
//! So what that takes does not grow with the number of blocks.

use std::collections::BTreeSet;

use bytes::Bytes;

use metashrew_store::ReadError;

use super::keys::Walk;
use super::writes::WritesError;
use crate::budget::{BudgetExhausted, Lease};

/// Bytes that a key takes besides its own: where it is, and its place in the set.
const KEY_OVERHEAD: usize = 96;

pub(super) enum Upcoming {
    /// Of one block, with those that the walk comes to.
    OfOne(Walk),
    /// Of several blocks.
    OfSeveral(Sorted),
}

impl Upcoming {
    /// Fills `keys` up, to so many of the next ones or to all that there are.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(super) fn take(&mut self, count: usize, keys: &mut Vec<Bytes>) -> Result<(), ReadError> {
        while keys.len() < count {
            let next = match self {
                Self::OfOne(walk) => walk.next_key()?,
                Self::OfSeveral(sorted) => sorted.keys.pop_first(),
            };
            let Some(key) = next else { break };
            keys.push(key);
        }
        Ok(())
    }

    /// Whether no keys come behind these.
    pub(super) fn is_all(&self) -> bool {
        match self {
            Self::OfOne(_) => true,
            Self::OfSeveral(sorted) => sorted.missing.is_none(),
        }
    }
}

/// The first keys of several blocks.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    keys: BTreeSet<Bytes>,
    /// Bytes that they take: they are held in the lease of their event, until that is made.
    bytes: usize,
    /// There was no room for this one: it and all behind it are missing.
    missing: Option<Bytes>,
}

impl Sorted {
    /// Adds keys of one more block, each held in `lease`. All take `most` bytes, or are one key.
    ///
    /// # Errors
    /// If the database cannot be read, or there is no room for a single key.
    pub(super) fn add(
        &mut self,
        mut walk: Walk,
        lease: &Lease,
        most: usize,
    ) -> Result<(), WritesError> {
        loop {
            let mut may_go_on = Ok(false);
            walk.each(1, |key| may_go_on = self.insert(key, lease, most))?;
            if !may_go_on? {
                return Ok(());
            }
        }
    }

    /// Adds `key`; whether there may be room for one behind it. Keys behind it make room.
    fn insert(&mut self, key: &[u8], lease: &Lease, most: usize) -> Result<bool, BudgetExhausted> {
        if self
            .missing
            .as_ref()
            .is_some_and(|missing| key >= &missing[..])
        {
            return Ok(false);
        }
        if self.keys.contains(key) {
            return Ok(true);
        }
        let bytes = key.len() + KEY_OVERHEAD;
        loop {
            if self.bytes + bytes <= most || self.keys.is_empty() {
                match lease.charge(bytes) {
                    Ok(()) => break,
                    Err(none) if self.keys.is_empty() => return Err(none),
                    Err(_) => {}
                }
            }
            let Some(last) = self.keys.pop_last() else {
                break;
            };
            if &last[..] < key {
                self.keys.insert(last);
                self.missing = Some(Bytes::copy_from_slice(key));
                return Ok(false);
            }
            lease.release(last.len() + KEY_OVERHEAD);
            self.bytes -= last.len() + KEY_OVERHEAD;
            self.missing = Some(last);
        }
        self.bytes += bytes;
        self.keys.insert(Bytes::copy_from_slice(key));
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use metashrew_store::{BlockHash, BlockRef, Store, WriteSet};
    use metashrew_testing::rng::Rng;

    use super::super::keys::{Block, KeyCache};
    use super::*;
    use crate::budget::Budget;
    use crate::connections::Connection;

    const BLOCKS: u8 = 30;

    /// The keys of blocks of which none writes all.
    fn chain(rng: &mut Rng) -> (Store, BTreeSet<Vec<u8>>) {
        let (store, mut all) = (Store::in_memory(), BTreeSet::new());
        let hash = |height: u8| BlockHash::from_bytes([height; 32]);
        for height in 1..=BLOCKS {
            let mut writes = WriteSet::default();
            for _ in 0..rng.index(40) {
                let key = vec![u8::try_from(rng.index(250)).unwrap(); 1 + rng.index(30)];
                writes.insert(&key, "").unwrap();
                all.insert(key);
            }
            let block = BlockRef::new(height.into(), hash(height), hash(height - 1));
            store.commit(&block, &writes).unwrap();
        }
        (store, all)
    }

    /// The keys of all blocks behind `after`, the first of them that have room.
    fn sorted(store: &Store, after: Option<&Bytes>, lease: &Lease, most: usize) -> Sorted {
        let (snapshot, cache) = (store.snapshot(), KeyCache::new(1 << 20));
        let mut sorted = Sorted::default();
        for height in (1..=BLOCKS).rev() {
            let block = Block::Held(snapshot.block(height.into()).unwrap().unwrap());
            let walk = cache.walk(&snapshot, &block, &Bytes::new(), after);
            sorted.add(walk.unwrap(), lease, most).unwrap();
            let taken: usize = sorted.keys.iter().map(|key| key.len() + KEY_OVERHEAD).sum();
            assert_eq!(sorted.bytes, taken);
            assert!(taken <= most || sorted.keys.len() == 1, "{taken} of {most}");
        }
        sorted
    }

    /// However little there is room for, each key comes once, in order.
    fn check(seed: u64, most: usize, memory: usize) {
        let (store, all) = chain(&mut Rng::new(seed));
        let budget = Arc::new(Budget::new(memory, Duration::ZERO));
        let connection = Arc::new(Connection::new([127, 0, 0, 1].into()));
        let mut told = Vec::new();
        loop {
            let lease = budget.lease_of(&connection, 0);
            let sorted = sorted(&store, told.last(), &lease, most);
            assert_eq!(budget.used(), sorted.bytes);
            let mut upcoming = Upcoming::OfSeveral(sorted);
            let is_all = upcoming.is_all();
            upcoming.take(usize::MAX, &mut told).unwrap();
            if is_all {
                break;
            }
        }
        assert!(
            told.iter().eq(all.iter()),
            "seed {seed}, {most} of {memory}"
        );
    }

    #[test]
    fn keys_of_many_blocks_are_sorted_within_a_bound() {
        for seed in 0..20 {
            for most in [0, 300, 1_000, 5_000, 1 << 20] {
                check(seed, most, 1 << 20);
                check(seed, 1 << 20, most.max(KEY_OVERHEAD + 30));
            }
        }
    }
}
