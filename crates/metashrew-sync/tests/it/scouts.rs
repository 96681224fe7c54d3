//! Scouts: whatever they read, and whatever becomes of them, every root is that of a run
//! without them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use metashrew_runtime::{MetashrewRuntime, ModuleCache, RuntimeOptions, ScoutEnd, ScoutOptions};
use metashrew_store::{BackendError, MemoryBackend, Store};
use metashrew_sync::{IndexEnd, IndexOptions, Indexer, Node, ScoutCount, ScoutReport, Stop};
use metashrew_testing::chain::{Chain, Shape};
use metashrew_testing::delayed::Delayed;
use metashrew_testing::guests;
use metashrew_testing::hooked::{Hook, Hooked};
use metashrew_testing::ranging::ranging;
use parking_lot::Mutex;

use crate::support::{FakeNode, close_options, expected, open, options, records};

/// Says whether the executor may go on.
type Gate = Box<dyn Fn(&Watched) -> bool + Send + Sync>;

/// Tells readers apart by their threads, and holds up the executor's first read until its
/// gate says that it may go on.
#[derive(Default)]
struct Watched {
    executor_reads: AtomicU64,
    /// The threads of the scouts that have read.
    scouts: Mutex<BTreeSet<String>>,
    gate: Mutex<Option<Gate>>,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watched")
    }
}

impl Hook for Watched {
    fn before_get(&self, _: &[u8]) -> Result<(), BackendError> {
        let name = thread::current().name().unwrap_or_default().to_owned();
        if name.starts_with("metashrew-scout") {
            self.scouts.lock().insert(name);
        } else if name == "metashrew-index" {
            self.executor_reads.fetch_add(1, Ordering::SeqCst);
            if let Some(gate) = self.gate.lock().take() {
                while !gate(self) {
                    thread::sleep(Duration::from_millis(1));
                }
            }
        }
        Ok(())
    }
}

/// An indexer over a watched engine that holds the first block, and whose gate is shut until
/// something is true of the engine and of the scouts. Without a cache the executor comes to
/// the gate for certain: no scout can have read for it.
fn watched(
    wasm: &[u8],
    chain: &Chain,
    count: usize,
    cache_bytes: u64,
    gate: impl Fn(&Watched, ScoutReport) -> bool + Send + Sync + 'static,
) -> (Indexer, Store, Arc<Watched>) {
    let engine = Arc::new(Watched::default());
    let backend = Arc::new(Hooked::new(Arc::clone(&engine)));
    let open = || Store::with_backend_and_cache(backend.clone(), cache_bytes).unwrap();
    let node: Arc<dyn Node> = FakeNode::new(chain);
    // An empty store asks its engine for nothing.
    let first = IndexOptions {
        exit_at: Some(1_000),
        scouts: ScoutCount::Exactly(0),
        ..options()
    };
    let runtime = MetashrewRuntime::new(wasm, open()).unwrap();
    let indexer = Indexer::new(runtime, Arc::clone(&node), first);
    assert_eq!(indexer.run(&Stop::new()).unwrap(), IndexEnd::Exit);
    engine.executor_reads.store(0, Ordering::SeqCst);
    let store = open();
    let options = IndexOptions {
        scouts: ScoutCount::Exactly(count),
        ..options()
    };
    let runtime = MetashrewRuntime::new(wasm, store.clone()).unwrap();
    let indexer = Indexer::new(runtime, node, options);
    if count > 0 {
        let progress = indexer.progress();
        *engine.gate.lock() = Some(Box::new(move |engine| gate(engine, progress.scouts())));
    }
    (indexer, store, engine)
}

fn chain(blocks: usize) -> Chain {
    let mut chain = Chain::new(5).start(1_000).shape(Shape::Transactions(3));
    chain.mine(blocks);
    chain
}

/// The kept module of an example guest, or where `METASHREW_GUESTS` says.
fn example(name: &str) -> Vec<u8> {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/wasm");
    let directory = std::env::var_os("METASHREW_GUESTS").map_or(kept, Into::into);
    std::fs::read(directory.join(format!("{name}.wasm"))).unwrap()
}

#[test]
fn no_root_depends_on_scouts() {
    let first = chain(60);
    let mut branch = first.fork(1_020, 5);
    branch.mine(45);
    let mut longest = first.clone();
    longest.mine(20);
    for wasm in [
        guests::chained(),
        guests::reading(100, 500),
        guests::rewriting(50),
        guests::needs_the_block_before(1_000),
        ranging(),
        example("addresses"),
    ] {
        let right = expected(&wasm, longest.blocks());
        for count in [0, 1, 8] {
            for (options, rollbacks) in [(options(), None), (close_options(), Some(2))] {
                // Reads are slow, so that scouts have the time to run.
                let engine = Delayed::blocking(MemoryBackend::default(), Duration::from_micros(20));
                let store = Store::with_backend_and_cache(Arc::new(engine), 1 << 20).unwrap();
                let node = FakeNode::new(&first);
                node.switch_after(30, &branch);
                node.switch_after(50, &longest);
                let options = IndexOptions {
                    scouts: ScoutCount::Exactly(count),
                    ..options
                };
                let runtime = MetashrewRuntime::new(&wasm, store.clone()).unwrap();
                let indexer = Indexer::new(runtime, Arc::clone(&node) as _, options);
                assert_eq!(indexer.run(&Stop::new()).unwrap(), IndexEnd::Tip);
                assert_eq!(records(&store), right, "{count} scouts");
                if let Some(rollbacks) = rollbacks {
                    assert_eq!(indexer.progress().report().rollbacks, rollbacks);
                }
                assert_eq!(indexer.progress().scouts().count, 0, "they ended");
                store.verify(|_, _| ()).unwrap();
            }
        }
    }
}

#[test]
fn blocks_find_what_scouts_read() {
    const READS: u64 = 200;
    let chain = chain(12);
    let wasm = guests::reading(200, u64::MAX);
    let right = expected(&wasm, chain.blocks());
    let reads = |count: usize| {
        // The executor is at its first read until every scout that may run has run.
        let all = move |_: &Watched, scouts: ScoutReport| {
            scouts.runs_that(ScoutEnd::Done) >= count as u64 * 2
        };
        let (indexer, store, engine) = watched(&wasm, &chain, count, 16 << 20, all);
        assert_eq!(indexer.run(&Stop::new()).unwrap(), IndexEnd::Tip);
        assert_eq!(records(&store), right);
        engine.executor_reads.load(Ordering::SeqCst)
    };
    let (none, some) = (reads(0), reads(4));
    assert!(none >= 11 * READS, "{none}");
    assert!(some <= none - 8 * READS, "{some} of {none}");
}

#[test]
fn a_trap_that_only_a_scout_meets_is_seen_by_nobody() {
    let chain = chain(40);
    let wasm = guests::needs_the_block_before(1_000);
    let trapped = |_: &Watched, scouts: ScoutReport| scouts.runs_that(ScoutEnd::Failed) >= 3;
    let (indexer, store, _) = watched(&wasm, &chain, 8, 0, trapped);
    assert_eq!(indexer.run(&Stop::new()).unwrap(), IndexEnd::Tip);
    assert_eq!(records(&store), expected(&wasm, chain.blocks()));
    let report = indexer.progress().report();
    assert_eq!((report.failures, report.machine_failures), (0, 0));
    assert!(indexer.progress().scouts().runs_that(ScoutEnd::Failed) >= 3);
}

#[test]
fn scouts_in_an_endless_loop_end_with_their_blocks() {
    let chain = chain(40);
    let wasm = guests::spins_without_the_block_before(1_000);
    // Each reads one key, and then goes round and round; but one of them may be at the block
    // whose predecessor is there.
    let spinning = |engine: &Watched, _: ScoutReport| engine.scouts.lock().len() >= 4;
    let (indexer, store, _) = watched(&wasm, &chain, 4, 0, spinning);
    assert_eq!(indexer.run(&Stop::new()).unwrap(), IndexEnd::Tip);
    assert_eq!(records(&store), expected(&wasm, chain.blocks()));
    let scouts = indexer.progress().scouts();
    assert!(scouts.runs_that(ScoutEnd::Cancelled) >= 3, "{scouts:?}");
}

#[test]
fn a_stop_waits_for_no_scout() {
    let chain = chain(40);
    let wasm = guests::spins_without_the_block_before(1_000);
    let stop = Stop::new();
    let stopping = stop.clone();
    let spinning = move |engine: &Watched, _: ScoutReport| {
        let spin = engine.scouts.lock().len() >= 4;
        if spin {
            stopping.request();
        }
        spin
    };
    let (indexer, store, _) = watched(&wasm, &chain, 4, 0, spinning);
    assert_eq!(indexer.run(&stop).unwrap(), IndexEnd::Stopped);
    // The block at hand was committed, and nobody holds on to a state any more.
    let right = expected(&wasm, chain.blocks());
    let held = records(&store);
    assert!(!held.is_empty());
    assert_eq!(held, right[..held.len()]);
    let scouts = indexer.progress().scouts();
    assert_eq!(scouts.count, 0);
    assert!(scouts.runs_that(ScoutEnd::Cancelled) >= 3, "{scouts:?}");
}

#[test]
fn a_database_can_be_opened_again_once_its_indexer_and_scouts_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    let chain = chain(30);
    for height in [1_010, 1_020] {
        let store = open(directory.path());
        let stop = Stop::new();
        let node = FakeNode::new(&chain);
        node.stop_at(height, &stop);
        let options = IndexOptions {
            scouts: ScoutCount::Exactly(8),
            ..options()
        };
        let runtime = MetashrewRuntime::new(&guests::reading(100, 50), store.clone()).unwrap();
        let indexer = Indexer::new(runtime, Arc::clone(&node) as _, options);
        indexer.run(&stop).unwrap();
        let held = records(&store);
        let right = expected(&guests::reading(100, 50), chain.blocks());
        assert_eq!(held, right[..held.len()]);
    }
}

#[test]
fn scouts_without_memory_are_no_more_than_useless() {
    let chain = chain(20);
    let store = Store::in_memory();
    let options = RuntimeOptions {
        cache: ModuleCache::Off,
        scouts: ScoutOptions {
            memory_budget: 0,
            ..ScoutOptions::default()
        },
        ..RuntimeOptions::default()
    };
    let runtime =
        MetashrewRuntime::with_options(&guests::chained(), store.clone(), options).unwrap();
    let index_options = IndexOptions {
        scouts: ScoutCount::Exactly(8),
        ..crate::support::options()
    };
    let indexer = Indexer::new(runtime, FakeNode::new(&chain) as _, index_options);
    assert_eq!(indexer.run(&Stop::new()).unwrap(), IndexEnd::Tip);
    assert_eq!(
        records(&store),
        expected(&guests::chained(), chain.blocks())
    );
    assert_eq!(indexer.progress().scouts().runs_that(ScoutEnd::Done), 0);
}
