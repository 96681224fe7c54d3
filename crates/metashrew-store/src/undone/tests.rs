//! Undone blocks against a model that keeps a list of them, over histories of commits,
//! rollbacks in batches of any size, blocks that come back, and openings.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::{LISTS, ORDER, RECORDS, TOTALS_KEY, UndoneLimits, scan};
use crate::backend::{Backend, Durability, MemoryBackend};
use crate::{Batch, BlockHash, BlockRef, Height, Space, Store, StoreOptions, WriteSet};

type Keys = BTreeSet<Vec<u8>>;

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<Keys>),
    /// Keep this share (of 255) of the chain; so many keys are what a batch may undo.
    Rollback(u8, u64),
    RollbackAll,
    /// Commit so many of the undone blocks again that come next: the branch comes back.
    ComeBack(u8),
    Limit(u64),
    Reopen,
}

fn any_step() -> impl Strategy<Value = Step> {
    let key = proptest::collection::vec(prop_oneof![Just(0u8), Just(b'a'), Just(0xff)], 0..4);
    let keys = proptest::collection::btree_set(key, 0..6);
    prop_oneof![
        4 => proptest::collection::vec(keys, 1..4).prop_map(Step::Commit),
        4 => (any::<u8>(), 0..20u64).prop_map(|(share, keys)| Step::Rollback(share, keys)),
        1 => Just(Step::RollbackAll),
        4 => (1..5u8).prop_map(Step::ComeBack),
        1 => (0..12u64).prop_map(Step::Limit),
        1 => Just(Step::Reopen),
    ]
}

/// What there has to be.
#[derive(Default)]
struct Model {
    /// Every block that there ever was, and what it wrote.
    blocks: BTreeMap<BlockHash, (BlockRef, Keys)>,
    chain: Vec<BlockHash>,
    /// The oldest first.
    undone: Vec<BlockHash>,
}

struct Run {
    store: Option<Store>,
    directory: Option<tempfile::TempDir>,
    limits: UndoneLimits,
    model: Model,
}

impl Run {
    fn new(on_disk: bool) -> Self {
        let limits = UndoneLimits {
            blocks: 8,
            ..UndoneLimits::default()
        };
        let directory = on_disk.then(|| tempfile::tempdir().unwrap());
        let store = match &directory {
            Some(directory) => open(directory.path(), limits),
            None => Store::in_memory(),
        };
        store.set_undone_limits(limits);
        Self {
            store: Some(store),
            directory,
            limits,
            model: Model::default(),
        }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn commit(&mut self, block: BlockRef, keys: Keys) {
        let mut writes = WriteSet::default();
        for key in &keys {
            writes.insert(key, block.hash.as_bytes()).unwrap();
        }
        self.store().commit(&block, &writes).unwrap();
        self.model.chain.push(block.hash);
        self.model.blocks.insert(block.hash, (block, keys));
    }

    /// A block that there never was.
    fn commit_new(&mut self, keys: Keys) {
        let mut hash = [0xab; 32];
        hash[..8].copy_from_slice(&(self.model.blocks.len() as u64).to_be_bytes());
        let height = 5 + Height::try_from(self.model.chain.len()).unwrap();
        let block = BlockRef::new(height, BlockHash::from_bytes(hash), self.tip());
        self.commit(block, keys);
    }

    fn tip(&self) -> BlockHash {
        let none = BlockHash::from_bytes([0; 32]);
        self.model.chain.last().copied().unwrap_or(none)
    }

    fn rollback(&mut self, keep: usize, max_batch_keys: u64) {
        let gone = self.model.chain.split_off(keep);
        let height = keep
            .checked_sub(1)
            .map(|last| 5 + Height::try_from(last).unwrap());
        let store = self.store();
        store.rollback_in_batches(height, max_batch_keys).unwrap();
        let undone = &mut self.model.undone;
        let kept = usize::try_from(self.limits.blocks).unwrap();
        for block in gone.iter().rev() {
            undone.retain(|hash| hash != block);
            undone.push(*block);
            undone.drain(..undone.len().saturating_sub(kept));
        }
    }

    fn come_back(&mut self) -> bool {
        let tip = self.tip();
        let blocks = self.model.undone.iter().rev();
        let mut blocks = blocks.filter_map(|hash| self.model.blocks.get(hash));
        let is_next = |(block, _): &&(BlockRef, Keys)| block.parent == tip;
        let found = blocks.find(is_next).cloned();
        let is_there = |block: &BlockRef| self.model.chain.contains(&block.hash);
        let Some((block, keys)) = found.filter(|(block, _)| !is_there(block)) else {
            return false;
        };
        self.commit(block, keys);
        true
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Commit(blocks) => blocks.into_iter().for_each(|keys| self.commit_new(keys)),
            Step::Rollback(share, max_batch_keys) => {
                let keep = self.model.chain.len() * usize::from(share) / 255;
                self.rollback(keep, max_batch_keys);
            }
            Step::RollbackAll => self.rollback(0, u64::MAX),
            Step::ComeBack(blocks) => {
                for _ in 0..blocks {
                    if !self.come_back() {
                        break;
                    }
                }
            }
            Step::Limit(blocks) => {
                self.limits.blocks = blocks;
                self.store().set_undone_limits(self.limits);
            }
            Step::Reopen => {
                if let Some(directory) = &self.directory {
                    self.store = None;
                    self.store = Some(open(directory.path(), self.limits));
                }
            }
        }
        self.check();
    }

    fn check(&self) {
        let snapshot = self.store().snapshot();
        for (hash, (block, keys)) in &self.model.blocks {
            let is_recorded = self.model.undone.contains(hash);
            let expect = is_recorded && !self.model.chain.contains(hash);
            let Some(undone) = snapshot.undone(hash).unwrap() else {
                assert!(!expect, "{hash} is not recorded");
                continue;
            };
            assert!(expect, "{hash} is recorded");
            let found = BlockRef::new(undone.height, undone.hash, undone.parent);
            assert_eq!((found, undone.keys as usize), (*block, keys.len()));
            let found: Vec<_> = undone.keys().map(Result::unwrap).collect();
            assert!(keys.iter().eq(&found), "{keys:?} {found:?}");
            // From it there is a way back into the chain, or below it.
            let parent = snapshot.undone(&undone.parent).unwrap();
            let is_first = block.height == 5;
            let is_held = snapshot.height_of(&undone.parent).unwrap().is_some();
            assert!(
                parent.is_some() || is_held || is_first,
                "{hash} leads nowhere"
            );
        }
        self.store().verify(|_, _| ()).unwrap();
    }
}

fn open(path: &Path, undone: UndoneLimits) -> Store {
    let options = StoreOptions {
        durability: Durability::Buffered,
        cache_bytes: 1 << 20,
        read_cache_bytes: 0,
        undone,
        ..StoreOptions::default()
    };
    Store::open(path, options).unwrap()
}

fn run(on_disk: bool, steps: Vec<Step>) {
    let mut run = Run::new(on_disk);
    for step in steps {
        run.step(step);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_was_undone_is_what_the_model_says(
        steps in proptest::collection::vec(any_step(), 1..20),
    ) {
        run(false, steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_was_undone_is_what_the_model_says_on_disk(
        steps in proptest::collection::vec(any_step(), 1..20),
    ) {
        run(true, steps);
    }
}

/// A chain whose blocks write `keys` keys of 200 bytes each that share nothing.
fn long_lists(store: &Store, heights: std::ops::Range<u8>, keys: u8) {
    for height in heights {
        let mut writes = WriteSet::default();
        for key in 0..keys {
            writes.insert([[key, height]; 100].concat(), "").unwrap();
        }
        let hash = |height: u8| BlockHash::from_bytes([height; 32]);
        let block = BlockRef::new(height.into(), hash(height), hash(height - 1));
        store.commit(&block, &writes).unwrap();
    }
}

fn recorded(store: &Store) -> Vec<u8> {
    let snapshot = store.snapshot();
    let is_undone = |height: &u8| {
        let hash = BlockHash::from_bytes([*height; 32]);
        snapshot.undone(&hash).unwrap().is_some()
    };
    (0..=u8::MAX).filter(is_undone).collect()
}

#[test]
fn the_bytes_of_the_lists_are_bounded() {
    let store = Store::in_memory();
    // 100 keys take 20,400 bytes, and the record 256.
    for (bytes, expect) in [
        (u64::MAX, 2..=9),
        (4 * 20_656, 2..=5),
        (4 * 20_656 - 1, 2..=4),
        (20_656, 2..=2),
    ] {
        store.rollback(None).unwrap();
        let limits = UndoneLimits { blocks: 100, bytes };
        store.set_undone_limits(limits);
        long_lists(&store, 1..10, 100);
        store.rollback_in_batches(Some(1), 250).unwrap();
        assert_eq!(recorded(&store), expect.collect::<Vec<_>>(), "{bytes}");
        store.verify(|_, _| ()).unwrap();
    }
    // One block that is too much by itself takes all that are older along.
    long_lists(&store, 2..3, 200);
    store.rollback(Some(1)).unwrap();
    assert!(recorded(&store).is_empty());
    // Nothing at all is left behind.
    store.set_undone_limits(UndoneLimits {
        blocks: 0,
        ..UndoneLimits::default()
    });
    long_lists(&store, 2..3, 1);
    store.rollback(Some(1)).unwrap();
    let published = store.published();
    for prefix in [RECORDS, LISTS, ORDER] {
        assert_eq!(scan(published.view.as_ref(), prefix).count(), 0);
    }
}

/// Every record and every list of keys, damaged in every way that can be told.
#[test]
fn damaged_records_are_found() {
    let memory = Arc::new(MemoryBackend::default());
    let store = Store::with_backend(memory.clone()).unwrap();
    // Two chunks a list.
    long_lists(&store, 1..4, 255);
    for keys in [200, 255] {
        long_lists(&store, 4..6, keys);
        store.rollback(Some(3)).unwrap();
    }
    store.rollback(Some(2)).unwrap();
    store.verify(|_, _| ()).unwrap();
    let entries: Vec<_> = scan(memory.view().as_ref(), TOTALS_KEY)
        .map(Result::unwrap)
        .collect();
    assert_eq!(entries.len(), 1 + 3 * 2 + 3 * 2);
    let check = |what: &str, key: &Bytes, value: &Bytes, damage: &dyn Fn(&mut Batch)| {
        let mut batch = Batch::default();
        damage(&mut batch);
        let touched: Vec<_> = batch.operations().iter().map(|it| it.key.clone()).collect();
        memory.write(batch).unwrap();
        store.follow().unwrap();
        let shown = String::from_utf8_lossy(key);
        assert!(store.verify(|_, _| ()).is_err(), "{what} at {shown:?}");
        let mut batch = Batch::default();
        for touched in touched.iter().filter(|touched| *touched != key) {
            batch.delete(Space::Meta, touched.clone());
        }
        batch.put(Space::Meta, key.clone(), value.clone());
        memory.write(batch).unwrap();
        store.follow().unwrap();
        store.verify(|_, _| ()).unwrap();
    };
    for (key, value) in &entries {
        check("a lost entry", key, value, &|batch| {
            batch.delete(Space::Meta, key.clone());
        });
        check("a cut value", key, value, &|batch| {
            batch.put(Space::Meta, key.clone(), value.slice(..value.len() - 1));
        });
        check("a longer value", key, value, &|batch| {
            let longer = [value, &b"\0"[..]].concat();
            batch.put(Space::Meta, key.clone(), longer.into());
        });
        if key.as_ref() == TOTALS_KEY {
            continue;
        }
        check("another key", key, value, &|batch| {
            let mut other = key.to_vec();
            *other.last_mut().unwrap() ^= 0x80;
            batch.delete(Space::Meta, key.clone());
            batch.put(Space::Meta, other.into(), value.clone());
        });
        check("an entry too many", key, value, &|batch| {
            let mut other = key.to_vec();
            *other.last_mut().unwrap() ^= 0x80;
            batch.put(Space::Meta, other.into(), value.clone());
        });
    }
}
