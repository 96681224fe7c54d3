//! Batches in memory: immutable, sorted for scans and flushes, hashed for point reads.
//!
//! The bytes of a layer are its own: keys and values lie one after the other in key
//! order, so nothing that a caller gave or gets keeps a layer, or is kept by it.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::ops::{Bound, Range};
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashTable;

use super::tree_key::{ENTRY_TAG, TreeKey, is_hashed};
use super::{Batch, Operation, Space};

/// The length that stands for a deleted key.
const DELETED: u32 = u32::MAX;

/// What a key was last set to: a value, or nothing.
pub(super) type Change<'a> = Option<&'a [u8]>;

/// One batch, or several that follow each other, of which only the last change of each
/// key is left.
#[derive(Debug)]
pub(super) struct Layer {
    /// The number of the first batch.
    pub(super) first: u64,
    /// The number of the last batch.
    pub(super) last: u64,
    runs: [Arc<Run>; Space::ALL.len()],
}

/// The changes of one space, in key order.
#[derive(Debug, Default)]
pub(super) struct Run {
    bytes: Bytes,
    entries: Box<[Entry]>,
    /// Positions in `entries` by hash.
    positions: Option<HashTable<u32>>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: u64,
    start: u64,
    key_len: u32,
    value_len: u32,
}

impl Layer {
    /// The layer of batch `number`.
    pub(super) fn of_batch(number: u64, batch: &Batch) -> Self {
        let mut runs = [const { Vec::new() }; Space::ALL.len()];
        for operation in batch.operations() {
            if let Some(run) = runs.get_mut(operation.space as usize) {
                run.push(operation);
            }
        }
        let mut spaces = Space::ALL.iter();
        Self {
            first: number,
            last: number,
            runs: runs.map(|operations| {
                let space = spaces.next().expect("there is a run for every space");
                Arc::new(Run::of_operations(operations, is_hashed(*space)))
            }),
        }
    }

    /// One layer for several that follow each other, newest first.
    pub(super) fn merge(layers: &[impl AsRef<Self>]) -> Self {
        let numbers = |of: fn(&Self) -> u64| layers.iter().map(move |layer| of(layer.as_ref()));
        let mut spaces = Space::ALL.into_iter();
        Self {
            first: numbers(|layer| layer.first).min().unwrap_or_default(),
            last: numbers(|layer| layer.last).max().unwrap_or_default(),
            runs: [(); Space::ALL.len()].map(|()| {
                let space = spaces.next().expect("there is a run for every space");
                let runs: Vec<_> = layers.iter().map(|it| it.as_ref().run(space)).collect();
                Arc::new(Run::merge(&runs, is_hashed(space)))
            }),
        }
    }

    pub(super) fn run(&self, space: Space) -> &Run {
        self.runs
            .get(space as usize)
            .expect("there is a run for every space")
    }

    /// The memory that it takes, in bytes, with its part of the index.
    pub(super) fn size(&self) -> u64 {
        self.runs.iter().map(|run| run.size()).sum()
    }

    /// What of it is worth its memory once the tables hold it: the runs that are hashed.
    pub(super) fn of_hashed(&self) -> Self {
        let mut spaces = Space::ALL.into_iter();
        Self {
            first: self.first,
            last: self.last,
            runs: self.runs.each_ref().map(|run| match spaces.next() {
                Some(space) if is_hashed(space) => Arc::clone(run),
                _ => Arc::default(),
            }),
        }
    }

    /// How many batches it holds.
    pub(super) fn batches(&self) -> u64 {
        self.last - self.first + 1
    }
}

impl Run {
    fn of_operations(mut operations: Vec<&Operation>, hashed: bool) -> Self {
        operations.sort_by(|left, right| left.key.cmp(&right.key));
        let len = operations
            .iter()
            .map(|it| 1 + it.key.len() + it.value.as_ref().map_or(0, Bytes::len))
            .sum();
        let mut builder = Builder::new(len, operations.len(), hashed);
        for operation in operations {
            builder.push(&[ENTRY_TAG], &operation.key, operation.value.as_deref());
        }
        builder.finish()
    }

    /// The last change of each key in `runs`, newest first.
    fn merge(runs: &[&Self], hashed: bool) -> Self {
        let len = runs.iter().map(|run| run.bytes.len()).sum();
        let count = runs.iter().map(|run| run.entries.len()).sum();
        let mut builder = Builder::new(len, count, hashed);
        for (key, value) in Merge::new(runs) {
            builder.push(&[], key, value);
        }
        builder.finish()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The stored key and the change at a position.
    pub(super) fn get(&self, position: usize) -> Option<(&[u8], Change<'_>)> {
        let entry = self.entries.get(position)?;
        Some((self.key(entry), self.change(entry)))
    }

    /// The stored key and the change at a position, sharing the run's memory.
    pub(super) fn get_shared(&self, position: usize) -> Option<(Bytes, Option<Bytes>)> {
        let (key, value) = self.get(position)?;
        Some((
            self.bytes.slice_ref(key),
            value.map(|value| self.bytes.slice_ref(value)),
        ))
    }

    /// The hashes of the keys, if they are hashed.
    pub(super) fn hashes(&self) -> impl Iterator<Item = u64> {
        let hashed = self.positions.is_some();
        let entries = self.entries.iter().take_while(move |_| hashed);
        entries.map(|entry| entry.hash)
    }

    /// What this run says of `key`, if it does.
    pub(super) fn find(&self, key: TreeKey<'_>) -> Option<Change<'_>> {
        let position = if let Some(positions) = &self.positions {
            let is_it = |position: &u32| {
                self.entries
                    .get(*position as usize)
                    .is_some_and(|it| it.hash == key.hash && self.key(it) == key.bytes)
            };
            *positions.find(key.hash, is_it)? as usize
        } else {
            let compare = |entry: &Entry| self.key(entry).cmp(key.bytes);
            self.entries.binary_search_by(compare).ok()?
        };
        self.entries.get(position).map(|entry| self.change(entry))
    }

    /// The positions of the stored keys from `start` to `end`.
    pub(super) fn range(&self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Range<usize> {
        let before = |bound: &[u8], inclusive: bool| {
            self.entries
                .partition_point(|entry| match self.key(entry).cmp(bound) {
                    Ordering::Less => true,
                    Ordering::Equal => inclusive,
                    Ordering::Greater => false,
                })
        };
        let first = match start {
            Bound::Included(start) => before(start, false),
            Bound::Excluded(start) => before(start, true),
            Bound::Unbounded => 0,
        };
        let last = match end {
            Bound::Included(end) => before(end, true),
            Bound::Excluded(end) => before(end, false),
            Bound::Unbounded => self.entries.len(),
        };
        first..last.max(first)
    }

    fn key(&self, entry: &Entry) -> &[u8] {
        self.slice(entry.start, entry.key_len)
    }

    fn change(&self, entry: &Entry) -> Change<'_> {
        (entry.value_len != DELETED)
            .then(|| self.slice(entry.start + u64::from(entry.key_len), entry.value_len))
    }

    fn slice(&self, start: u64, len: u32) -> &[u8] {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        self.bytes
            .get(start..start.saturating_add(len as usize))
            .expect("an entry lies within its run")
    }

    fn size(&self) -> u64 {
        let index = self.positions.as_ref().map_or(0, |positions| {
            positions.allocation_size() + self.entries.len() * INDEX_ENTRY_LEN
        });
        (self.bytes.len() + size_of_val(&*self.entries) + index) as u64
    }
}

/// What an entry takes in the index over all layers, with the slots that are free.
const INDEX_ENTRY_LEN: usize = 24;

struct Builder {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    hashed: bool,
}

impl Builder {
    fn new(len: usize, count: usize, hashed: bool) -> Self {
        Self {
            bytes: Vec::with_capacity(len),
            entries: Vec::with_capacity(count),
            hashed,
        }
    }

    /// Adds the key `tag` ++ `rest`, which comes after those before.
    fn push(&mut self, tag: &[u8], rest: &[u8], value: Change<'_>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(tag);
        self.bytes.extend_from_slice(rest);
        let hash = match self.bytes.get(start..) {
            Some(key) if self.hashed => TreeKey::new(key).hash,
            _ => 0,
        };
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.entries.push(Entry {
            hash,
            start: start as u64,
            key_len: len(tag.len() + rest.len()),
            value_len: value.map_or(DELETED, |value| len(value.len())),
        });
    }

    fn finish(mut self) -> Run {
        self.bytes.shrink_to_fit();
        let entries = self.entries.into_boxed_slice();
        let hash_at = |position: &u32| {
            let entry = entries.get(*position as usize);
            entry.map_or(0, |entry| entry.hash)
        };
        let positions = self.hashed.then(|| {
            let mut positions = HashTable::with_capacity(entries.len());
            for (position, entry) in entries.iter().enumerate() {
                positions.insert_unique(entry.hash, len(position), hash_at);
            }
            positions
        });
        Run {
            bytes: self.bytes.into(),
            positions,
            entries,
        }
    }
}

/// A length or position; the store's limits keep them far below.
fn len(len: usize) -> u32 {
    u32::try_from(len).expect("no run has 2^32 entries, no key or value 2^32 bytes")
}

/// The last change of each key in several runs, in key order.
struct Merge<'a> {
    runs: &'a [&'a Run],
    /// The next key of each run that has one; of equal keys the newest run's first.
    heads: BinaryHeap<Reverse<(&'a [u8], usize, usize)>>,
}

impl<'a> Merge<'a> {
    fn new(runs: &'a [&'a Run]) -> Self {
        let mut merge = Self {
            runs,
            heads: BinaryHeap::with_capacity(runs.len()),
        };
        for run in 0..runs.len() {
            merge.push(run, 0);
        }
        merge
    }

    fn push(&mut self, run: usize, position: usize) {
        if let Some((key, _)) = self.runs.get(run).and_then(|run| run.get(position)) {
            self.heads.push(Reverse((key, run, position)));
        }
    }
}

impl<'a> Iterator for Merge<'a> {
    type Item = (&'a [u8], Change<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((key, run, position)) = self.heads.pop()?;
        self.push(run, position + 1);
        while let Some(&Reverse((other, older, at))) = self.heads.peek()
            && other == key
        {
            self.heads.pop();
            self.push(older, at + 1);
        }
        self.runs.get(run)?.get(position)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn batches() -> impl Strategy<Value = Vec<BTreeMap<Vec<u8>, Option<Vec<u8>>>>> {
        let key = prop::collection::vec(0_u8..3, 0..4);
        let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..3));
        prop::collection::vec(prop::collection::btree_map(key, value, 0..20), 1..6)
    }

    proptest! {
        #[test]
        fn layers_say_what_the_batches_did(batches in batches(), probe in prop::collection::vec(0_u8..3, 0..4)) {
            for space in [Space::KeyToNewest, Space::HeightToKeys] {
                let mut model = BTreeMap::new();
                let mut layers = Vec::new();
                for (number, changes) in (1..).zip(&batches) {
                    let mut batch = Batch::default();
                    for (key, value) in changes.iter().rev() {
                        let key = Bytes::from(key.clone());
                        match value.clone() {
                            Some(value) => batch.put(space, key, value.into()),
                            None => batch.delete(space, key),
                        }
                    }
                    model.extend(changes.clone());
                    layers.insert(0, std::sync::Arc::new(Layer::of_batch(number, &batch)));
                }
                let merged = Layer::merge(&layers);
                prop_assert_eq!((merged.first, merged.batches()), (1, batches.len() as u64));
                let run = merged.run(space);
                let all: Vec<_> = (0..run.len())
                    .map(|at| run.get(at).map(|(key, value)| (key[1..].to_vec(), value.map(<[u8]>::to_vec))).unwrap())
                    .collect();
                prop_assert_eq!(all, model.clone().into_iter().collect::<Vec<_>>());
                let found = TreeKey::with(&probe, |key| run.find(key).map(|it| it.map(<[u8]>::to_vec)));
                prop_assert_eq!(found, model.get(&probe).cloned());
                let bound = super::super::tree_key::tagged(&probe);
                let above = run.range(Bound::Excluded(&bound), Bound::Unbounded).len();
                prop_assert_eq!(above, model.range(probe.clone()..).filter(|(key, _)| **key != probe).count());
                let to = run.range(Bound::Unbounded, Bound::Included(&bound)).len();
                prop_assert_eq!(to, model.range(..=probe.clone()).count());
            }
        }
    }
}
