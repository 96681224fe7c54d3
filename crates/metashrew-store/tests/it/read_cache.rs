//! The read cache under commits, rollbacks and old snapshots: it is never wrong.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use metashrew_store::{
    Backend, BackendError, Batch, BatchNumber, BlockHash, MemoryBackend, Read, Scan, Space, Store,
    View,
};
use metashrew_testing::delayed::Delayed;
use parking_lot::{Mutex, RwLock};

use crate::chain::{self, writes};
use crate::model::{Model, Writes};

/// An engine in memory that counts the keys read from it, and may fail.
#[derive(Debug, Default)]
struct Counting {
    memory: MemoryBackend,
    reads: Arc<AtomicU64>,
    /// Writes, and says that it failed.
    lies: AtomicBool,
}

#[derive(Debug)]
struct CountingView {
    view: Arc<dyn View>,
    reads: Arc<AtomicU64>,
}

impl Backend for Counting {
    fn view(&self) -> Arc<dyn View> {
        Arc::new(CountingView {
            view: self.memory.view(),
            reads: Arc::clone(&self.reads),
        })
    }

    fn write(&self, batch: Batch) -> Result<BatchNumber, BackendError> {
        let written = self.memory.write(batch)?;
        if self.lies.load(Ordering::Relaxed) {
            return Err(BackendError::new("writing a batch", "connection lost"));
        }
        Ok(written)
    }

    fn durable(&self) -> BatchNumber {
        self.memory.durable()
    }

    fn sync(&self, batch: BatchNumber) -> Read<'_, ()> {
        self.memory.sync(batch)
    }
}

impl View for CountingView {
    fn batch(&self) -> BatchNumber {
        self.view.batch()
    }

    fn get<'a>(&'a self, space: Space, key: &'a [u8]) -> Read<'a, Option<Bytes>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.view.get(space, key)
    }

    fn scan(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.view.scan(space, start, end)
    }

    fn scan_back(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.view.scan_back(space, start, end)
    }
}

const CACHE_BYTES: u64 = 4 << 20;

fn cached() -> (Arc<Counting>, Store) {
    let backend = Arc::new(Counting::default());
    let store = Store::with_backend_and_cache(backend.clone(), CACHE_BYTES).unwrap();
    (backend, store)
}

/// Asserts what `key` is at `height`, and how many reads of the engine it takes to tell.
fn check(backend: &Counting, store: &Store, at: (u32, &str), expect: Option<&str>, reads: u64) {
    let (height, key) = at;
    let before = backend.reads.load(Ordering::Relaxed);
    let version = store.snapshot().at(height).get(key.as_bytes()).unwrap();
    let found = version.map(|version| version.value);
    assert_eq!(
        found,
        expect.map(|value| Bytes::from(value.to_owned())),
        "{at:?}"
    );
    assert_eq!(
        backend.reads.load(Ordering::Relaxed) - before,
        reads,
        "{at:?}"
    );
}

#[test]
fn a_second_read_asks_nothing_of_the_engine_at_any_height() {
    let (backend, store) = cached();
    chain::commit(&store, &[("a", "1"), ("b", "1")]);
    chain::commit(&store, &[("a", "2")]);
    chain::commit(&store, &[("a", "3")]);
    for (height, key, value, reads) in [
        (102, "a", Some("3"), 1),
        (101, "a", Some("2"), 1),
        (100, "a", Some("1"), 1),
        (101, "b", Some("1"), 1),
        (100, "b", Some("1"), 0),
        (102, "b", Some("1"), 0),
        (101, "c", None, 1),
        (102, "c", None, 0),
        (99, "a", None, 0),
    ] {
        check(&backend, &store, (height, key), value, reads);
        check(&backend, &store, (height, key), value, 0);
    }
    let stats = store.cache_stats();
    assert_eq!((stats.hits, stats.misses), (11, 5));
    assert_eq!(stats.entries, 5);
    assert!(stats.bytes > 0 && stats.bytes < stats.capacity_bytes);
}

#[test]
fn commits_and_rollbacks_keep_the_cache_and_replace_what_they_change() {
    let (backend, store) = cached();
    chain::commit(&store, &[("a", "1"), ("b", "1")]);
    for (key, value) in [("a", Some("1")), ("b", Some("1")), ("c", None)] {
        check(&backend, &store, (100, key), value, 1);
    }
    chain::commit(&store, &[("a", "2"), ("c", "2")]);
    let old = store.snapshot();
    for (key, value) in [("a", Some("2")), ("b", Some("1")), ("c", Some("2"))] {
        check(&backend, &store, (101, key), value, 0);
    }
    store.rollback(Some(100)).unwrap();
    for (key, value) in [("a", Some("1")), ("b", Some("1")), ("c", None)] {
        check(&backend, &store, (100, key), value, 0);
    }
    // A snapshot of the dead block sees what it saw.
    let dead = old.latest().get(b"c").unwrap().unwrap();
    assert_eq!(dead.value, "2");
    check(&backend, &store, (100, "c"), None, 0);
}

#[test]
fn a_commit_takes_the_old_values_from_the_cache() {
    let (backend, store) = cached();
    chain::commit(&store, &[("a", "1"), ("b", "1")]);
    for (key, value) in [("a", Some("1")), ("b", Some("1")), ("c", None)] {
        check(&backend, &store, (100, key), value, 1);
    }
    let before = backend.reads.load(Ordering::Relaxed);
    chain::commit(&store, &[("a", "2"), ("b", "2"), ("c", "2")]);
    assert_eq!(backend.reads.load(Ordering::Relaxed), before);
    assert_eq!(store.verify(|_, _| ()).unwrap().versions, 5);
}

#[test]
fn a_write_in_doubt_empties_the_cache() {
    let (backend, store) = cached();
    let tip = chain::commit(&store, &[("a", "1")]);
    check(&backend, &store, (100, "a"), Some("1"), 1);
    backend.lies.store(true, Ordering::Relaxed);
    let block = chain::next(Some(&tip), 0, 0);
    store.commit(&block, &writes(&[("a", "2")])).unwrap_err();
    check(&backend, &store, (101, "a"), Some("1"), 0);
    backend.lies.store(false, Ordering::Relaxed);
    // Whoever writes next finds the block, and shows it.
    store.commit(&block, &writes(&[("a", "2")])).unwrap_err();
    check(&backend, &store, (101, "a"), Some("2"), 1);
}

#[test]
fn the_cache_keeps_within_its_bytes() {
    let backend = Arc::new(Counting::default());
    let store = Store::with_backend_and_cache(backend, 256 << 10).unwrap();
    let long = "v".repeat(1 << 10);
    let keys: Vec<String> = (0..2_000).map(|number| format!("key {number}")).collect();
    let entries: Vec<_> = keys
        .iter()
        .map(|key| (key.as_str(), long.as_str()))
        .collect();
    chain::commit(&store, &entries);
    chain::commit(&store, &[("longer than all of it", &"v".repeat(1 << 20))]);
    let latest = store.snapshot().latest();
    for key in keys
        .iter()
        .map(String::as_str)
        .chain(["longer than all of it"])
    {
        assert!(latest.get(key.as_bytes()).unwrap().is_some());
    }
    let stats = store.cache_stats();
    assert!(stats.entries > 50, "{stats:?}");
    assert!(stats.bytes <= stats.capacity_bytes, "{stats:?}");
    assert!(stats.capacity_bytes <= 257 << 10, "{stats:?}");
}

/// What every chain that was ever published holds, by the hash of its tip.
type Chains = RwLock<HashMap<Option<BlockHash>, Arc<Model>>>;

const KEYS: u8 = 24;
const FIRST: u32 = 10;

struct Rng(u64);

impl Rng {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 % u64::from(end)).unwrap()
    }
}

/// Commits and rolls back at random, and says before what will be published.
fn change(store: &Store, chains: &Chains, steps: u32, rng: &mut Rng) {
    let mut model = Model::default();
    for step in 0..steps {
        let blocks = u32::try_from(model.blocks.len()).unwrap();
        if blocks > 0 && rng.below(4) == 0 {
            let keep = rng.below(blocks + 1);
            model.blocks.truncate(keep as usize);
            // The chain below a block never changes: it is known already.
            store
                .rollback((keep > 0).then(|| FIRST + keep - 1))
                .unwrap();
            continue;
        }
        let height = FIRST + blocks;
        let mut writes = Writes::new();
        for _ in 0..rng.below(8) {
            let key = u8::try_from(rng.below(KEYS.into())).unwrap();
            writes.insert(vec![key], format!("{step} {key}").into_bytes());
        }
        let parent = model.tip().map_or(chain::hash(u32::MAX, 0), |tip| tip.hash);
        let block = metashrew_store::BlockRef::new(height, chain::hash(step, height), parent);
        model.blocks.push((block, writes.clone()));
        chains
            .write()
            .insert(Some(block.hash), Arc::new(model.clone()));
        let set = chain::writes(&writes.iter().collect::<Vec<_>>());
        store.commit(&block, &set).unwrap();
    }
}

/// Reads keys at random, at random heights, from new snapshots and from old ones,
/// until `done`; returns how many reads that were.
fn compare(store: &Store, chains: &Chains, done: &AtomicBool, rng: &mut Rng) -> u64 {
    let mut held = Vec::new();
    let mut reads = 0;
    while !done.load(Ordering::Relaxed) {
        let snapshot = store.snapshot();
        let tip = snapshot.tip().map(|tip| tip.hash);
        let model = Arc::clone(&chains.read()[&tip]);
        if held.len() < 8 {
            held.push((snapshot, model));
        } else {
            held[rng.below(8) as usize] = (snapshot, model);
        }
        for _ in 0..20 {
            let (snapshot, model) = &held[rng.below(u32::try_from(held.len()).unwrap()) as usize];
            let height = FIRST + rng.below(u32::try_from(model.blocks.len()).unwrap() + 2);
            let key = vec![u8::try_from(rng.below(KEYS.into())).unwrap()];
            let expect = model.values_at(height).get(&key).cloned();
            let found = snapshot.at(height).get(&key).unwrap();
            let found = found.map(|version| (version.height, version.value.to_vec()));
            assert_eq!(
                found,
                expect,
                "key {key:?} at {height}, tip {:?}",
                model.tip()
            );
            reads += 1;
        }
    }
    reads
}

#[test]
fn readers_of_any_snapshot_see_their_own_chain_while_it_changes() {
    for (cache_bytes, seed, slow) in [
        (CACHE_BYTES, 1, false),
        (40 << 10, 2, false),
        (CACHE_BYTES, 3, true),
    ] {
        let memory = MemoryBackend::default();
        let engine: Arc<dyn Backend> = if slow {
            Arc::new(Delayed::by_turns(memory, 1))
        } else {
            Arc::new(memory)
        };
        let store = Store::with_backend_and_cache(engine, cache_bytes).unwrap();
        let chains = Chains::default();
        chains.write().insert(None, Arc::default());
        let done = AtomicBool::new(false);
        let reads = Mutex::new(0);
        std::thread::scope(|scope| {
            for reader in 0..4 {
                let (store, chains, done, reads) = (&store, &chains, &done, &reads);
                scope.spawn(move || {
                    let mut rng = Rng(seed * 1_000 + reader + 1);
                    *reads.lock() += compare(store, chains, done, &mut rng);
                });
            }
            change(&store, &chains, 2_000, &mut Rng(seed));
            done.store(true, Ordering::Relaxed);
        });
        let stats = store.cache_stats();
        assert!(stats.hits + stats.misses <= *reads.lock());
        assert!(stats.hits > 0, "{stats:?}");
        store.verify(|_, _| ()).unwrap();
    }
}
