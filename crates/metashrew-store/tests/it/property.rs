//! Random histories, over every engine, against the naive model.

use std::path::PathBuf;
use std::sync::Arc;

use metashrew_store::{
    BlockRecord, BlockRef, Chainwork, Durability, Height, MemoryBackend, Snapshot, State, Store,
    StoreOptions, WriteSet,
};
use metashrew_testing::delayed::Delayed;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::chain;
use crate::model::{self, Model, Writes, check_snapshot, check_state};

#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Commit one block; `remembers` says whether it read what it overwrites.
    Commit {
        writes: Writes,
        remembers: bool,
    },
    /// Commit several blocks in one batch, each made on top of the one before.
    CommitBatch {
        blocks: Vec<Writes>,
        remembers: bool,
    },
    /// Keep this share (of 255) of the chain.
    Rollback {
        share: u8,
    },
    RollbackAll,
    /// Hold a snapshot until the end.
    Hold,
    /// Close the database and open it again.
    Reopen,
}

fn any_key() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0u8), Just(0xff), Just(b'a'), Just(1)];
    prop_oneof![
        9 => proptest::collection::vec(byte, 0..4),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

pub(crate) fn any_writes() -> impl Strategy<Value = Writes> {
    let value = prop_oneof![Just(vec![]), proptest::collection::vec(any::<u8>(), 0..8)];
    proptest::collection::btree_map(any_key(), value, 0..8)
}

pub(crate) fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any_writes(), any::<bool>())
            .prop_map(|(writes, remembers)| Step::Commit { writes, remembers }),
        2 => (proptest::collection::vec(any_writes(), 0..4), any::<bool>())
            .prop_map(|(blocks, remembers)| Step::CommitBatch { blocks, remembers }),
        2 => any::<u8>().prop_map(|share| Step::Rollback { share }),
        1 => Just(Step::RollbackAll),
        1 => Just(Step::Hold),
        1 => Just(Step::Reopen),
    ]
}

pub(crate) fn any_first_height() -> impl Strategy<Value = Height> {
    prop_oneof![Just(0), Just(1), Just(800_000), Just(u32::MAX - 200)]
}

/// A store under test beside its model.
pub(crate) struct Run {
    pub(crate) store: Option<Store>,
    /// Where it lies, unless in memory.
    pub(crate) path: Option<PathBuf>,
    /// Kept as long as the run.
    _directory: Option<TempDir>,
    pub(crate) model: Model,
    pub(crate) held: Vec<(Snapshot, Model)>,
    read_cache_bytes: u64,
    first: Height,
    /// Every rollback starts a fork with hashes of its own.
    fork: u32,
}

/// No read cache, one that forgets nearly everything, or one that forgets nothing.
fn any_read_cache() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(4 << 10), Just(4 << 20)]
}

pub(crate) fn options(read_cache_bytes: u64) -> StoreOptions {
    StoreOptions {
        durability: Durability::Buffered,
        cache_bytes: 1 << 20,
        read_cache_bytes,
        ..StoreOptions::default()
    }
}

/// The engine beneath a store under test.
pub(crate) enum Engine {
    Memory,
    /// None of its reads is ready when it is asked for.
    Slow,
    Disk,
}

impl Run {
    pub(crate) fn new(first: Height, engine: &Engine, read_cache_bytes: u64) -> Self {
        let memory = MemoryBackend::default();
        let over = |engine| Store::with_backend_and_cache(engine, read_cache_bytes).unwrap();
        let (store, directory) = match engine {
            Engine::Memory => (over(Arc::new(memory)), None),
            Engine::Slow => (over(Arc::new(Delayed::by_turns(memory, 1))), None),
            Engine::Disk => {
                let directory = tempfile::tempdir().unwrap();
                let store = Store::open(directory.path(), options(read_cache_bytes)).unwrap();
                (store, Some(directory))
            }
        };
        Self {
            store: Some(store),
            path: directory.as_ref().map(|it| it.path().to_owned()),
            _directory: directory,
            model: Model::default(),
            held: Vec::new(),
            read_cache_bytes,
            first,
            fork: 0,
        }
    }

    /// The database at `path`, somewhere in `directory`, which holds what `model` says.
    pub(crate) fn over(directory: TempDir, path: PathBuf, model: Model) -> Self {
        Self {
            store: Some(Store::open(&path, options(0)).unwrap()),
            path: Some(path),
            _directory: Some(directory),
            model,
            held: Vec::new(),
            read_cache_bytes: 0,
            first: 0,
            // Its blocks are others than those of the database it comes from.
            fork: 1_000,
        }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn next_block(&self) -> BlockRef {
        let tip = self.model.tip();
        let height = tip.map_or(self.first, |tip| tip.height + 1);
        let mut work = [0; 32];
        work[28..].copy_from_slice(&height.to_be_bytes());
        BlockRef {
            time: 1_231_006_505u32.wrapping_add(height),
            bits: 0x1d00_ffff - self.fork,
            chainwork: Chainwork::from_be_bytes(work),
            ..BlockRef::new(
                height,
                chain::hash(self.fork, height),
                tip.map_or(chain::hash(u32::MAX, 0), |tip| tip.hash),
            )
        }
    }

    pub(crate) fn commit(&mut self, blocks: Vec<Writes>, remembers: bool, at_once: bool) {
        let mut state = self.store().snapshot().latest();
        let mut batch = Vec::new();
        for writes in blocks {
            let block = self.next_block();
            let set = Arc::new(write_set(&state, &writes, remembers));
            state = state.with_block(block.height, Arc::clone(&set));
            batch.push((block, set));
            self.model.blocks.push((block, writes));
            let latest = self.model.values_at(u32::MAX);
            check_state(&state, &latest, &self.model);
            assert_eq!(state.height(), Some(block.height));
        }
        let records = if at_once {
            self.store().commit_batch(&batch).unwrap()
        } else {
            batch
                .iter()
                .map(|(block, writes)| self.store().commit(block, writes).unwrap())
                .collect()
        };
        let blocks: Vec<_> = records.iter().map(BlockRecord::block_ref).collect();
        let expect: Vec<_> = batch.iter().map(|(block, _)| *block).collect();
        assert_eq!(blocks, expect);
    }

    fn rollback(&mut self, keep: usize) {
        self.fork += 1;
        self.model.blocks.truncate(keep);
        let keep = self.model.tip().map(|tip| tip.height);
        let tip = self.store().rollback(keep).unwrap();
        assert_eq!(tip.map(|tip| tip.height), keep);
    }

    pub(crate) fn step(&mut self, step: Step) {
        match step {
            Step::Commit { writes, remembers } => self.commit(vec![writes], remembers, false),
            Step::CommitBatch { blocks, remembers } => self.commit(blocks, remembers, true),
            Step::Rollback { share } => {
                self.rollback(self.model.blocks.len() * usize::from(share) / 255);
            }
            Step::RollbackAll => self.rollback(0),
            Step::Hold => self
                .held
                .push((self.store().snapshot(), self.model.clone())),
            Step::Reopen => self.reopen(),
        }
        // What one of them reads may be in the way of the other.
        self.check_held();
        check_snapshot(&self.store().snapshot(), &self.model);
        self.check_held();
    }

    pub(crate) fn reopen(&mut self) {
        let Some(path) = &self.path else {
            return;
        };
        self.check_held();
        self.held.clear();
        self.store = None;
        self.store = Some(Store::open(path, options(self.read_cache_bytes)).unwrap());
    }

    fn check_held(&self) {
        for (snapshot, model) in &self.held {
            check_snapshot(snapshot, model);
        }
    }

    pub(crate) fn finish(mut self) {
        self.check();
        self.reopen();
        check_snapshot(&self.store().snapshot(), &self.model);
    }

    /// Checks every version and every root.
    pub(crate) fn check(&mut self) {
        self.check_held();
        self.held.clear();
        let report = self.store().verify(|_, _| ()).unwrap();
        assert_eq!(report.blocks, self.model.blocks.len() as u64);
        let versions: usize = self.model.blocks.iter().map(|block| block.1.len()).sum();
        assert_eq!(report.versions, versions as u64);
        assert_eq!(report.keys, self.model.values_at(u32::MAX).len() as u64);
        assert_eq!(
            report.tip,
            recommitted(&self.model).snapshot().tip().copied()
        );
        check_snapshot(&self.store().snapshot(), &self.model);
    }
}

fn write_set(state: &State, writes: &Writes, remembers: bool) -> WriteSet {
    let mut set = chain::writes(&writes.iter().collect::<Vec<_>>());
    if remembers {
        for key in writes.keys().step_by(2) {
            set.remember(key, state.get(key).unwrap().as_ref());
        }
    }
    set
}

/// A store that saw nothing but the model's final chain.
fn recommitted(model: &Model) -> Store {
    let store = Store::in_memory();
    for (block, writes) in &model.blocks {
        let set = chain::writes(&writes.iter().collect::<Vec<_>>());
        store.commit(block, &set).unwrap();
    }
    store
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_history_in_memory(
        first in any_first_height(),
        read_cache_bytes in any_read_cache(),
        steps in proptest::collection::vec(any_step(), 1..16),
    ) {
        let mut run = Run::new(first, &Engine::Memory, read_cache_bytes);
        for step in steps {
            run.step(step);
        }
        run.finish();
    }

    #[test]
    fn any_history_where_every_read_is_pending(
        first in any_first_height(),
        read_cache_bytes in any_read_cache(),
        steps in proptest::collection::vec(any_step(), 1..16),
    ) {
        let mut run = Run::new(first, &Engine::Slow, read_cache_bytes);
        for step in steps {
            run.step(step);
        }
        run.finish();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_history_on_disk(
        first in any_first_height(),
        read_cache_bytes in any_read_cache(),
        steps in proptest::collection::vec(any_step(), 1..16),
    ) {
        let mut run = Run::new(first, &Engine::Disk, read_cache_bytes);
        for step in steps {
            run.step(step);
        }
        run.finish();
    }

    #[test]
    fn an_overlay_reads_as_its_blocks_committed(
        committed in proptest::collection::vec(any_writes(), 0..4),
        layers in proptest::collection::vec(any_writes(), 0..4),
        back in 0usize..4,
    ) {
        let mut run = Run::new(10, &Engine::Memory, 4 << 20);
        run.commit(committed, false, false);
        run.model.blocks.truncate(run.model.blocks.len().saturating_sub(back).max(1));
        let base = run.model.tip().map_or(0, |tip| tip.height);
        let mut state = run.store().snapshot().at(base);
        let mut values = run.model.values_at(base);
        for (height, writes) in (base + 1..).zip(&layers) {
            let set = chain::writes(&writes.iter().collect::<Vec<_>>());
            state = state.with_block(height, Arc::new(set));
            model::overlay(&mut values, height, writes);
        }
        check_state(&state, &values, &run.model);
    }
}
