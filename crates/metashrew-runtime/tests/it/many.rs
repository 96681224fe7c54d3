//! Many keys in one call are read together: how often the engine is asked, and that whoever
//! waits gives way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use metashrew_abi::many;
use metashrew_runtime::{ScoutControl, ScoutEnd, Scouted, ViewCall, ViewCheck, ViewError};
use metashrew_store::{BackendError, BlockId, MemoryBackend, State, Store, WriteSet};
use metashrew_testing::delayed::{Delayed, Gate};
use metashrew_testing::hooked::{Hook, Hooked};
use metashrew_testing::ranging::{self, Values, ranging};

use crate::{Bench, assert_adds_up, until};

type Engine = Arc<Delayed<MemoryBackend>>;

/// A bench over an engine of which no read is ready when it is asked for.
fn slow(read_cache_bytes: u64) -> (Bench, Engine) {
    let engine = Arc::new(Delayed::by_turns(MemoryBackend::default(), 1));
    let store = Store::with_backend_and_cache(engine.clone(), read_cache_bytes).unwrap();
    (over(store), engine)
}

/// A bench whose views take as long as they take, and are not run again to be checked.
fn over(store: Store) -> Bench {
    Bench::over(&ranging(), store, |views| {
        views.timeout = Duration::from_hours(1);
        views.check = ViewCheck::Off;
    })
}

/// Commits a block that writes `values`.
fn write(bench: &Bench, height: u32, values: &Values) {
    let mut writes = WriteSet::default();
    for (key, value) in values {
        writes.insert(key, value).unwrap();
    }
    bench.commit(height, 1, &writes);
}

fn keys(keys: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    // Neither their order nor each once.
    let mut keys: Vec<_> = keys.map(|key| key.to_be_bytes().to_vec()).collect();
    keys.reverse();
    keys.extend(keys.first().cloned());
    keys
}

fn values(keys: &[Vec<u8>], value: &[u8]) -> Values {
    let pairs = keys.iter().map(|key| (key.clone(), value.to_vec()));
    pairs.collect()
}

/// Asserts that a view reads `keys`, and tells how often the engine was asked.
fn asked(bench: &Bench, engine: &Engine, keys: &[Vec<u8>], at: u32, expect: &Values) -> u64 {
    let before = engine.reads();
    let request = many::encode(keys.iter().map(Vec::as_slice));
    let answer = bench.view("many", &request, &BlockId::Height(at));
    let expect = ranging::many(expect, keys.iter().map(Vec::as_slice));
    assert!(answer == expect, "{} keys at {at}", keys.len());
    engine.reads() - before
}

#[test]
fn what_is_not_in_memory_is_asked_for_at_once() {
    let all = keys(0..1_000);
    let written = values(&all, b"value");
    let (bench, engine) = slow(0);
    write(&bench, 0, &written);
    assert_eq!(asked(&bench, &engine, &all, 0, &written), 1);
    let absent = keys(5_000..5_100);
    assert_eq!(asked(&bench, &engine, &absent, 0, &written), 1);

    let (bench, engine) = slow(16 << 20);
    write(&bench, 0, &written);
    for (range, expect) in [(200..400, 1), (0..1_000, 1), (0..1_000, 0), (300..2_000, 1)] {
        let keys = keys(range.clone());
        let asked = asked(&bench, &engine, &keys, 0, &written);
        assert_eq!(asked, expect, "{range:?}");
    }
}

#[test]
fn below_the_tip_each_key_that_was_written_since_takes_a_read_of_its_own() {
    let all = keys(0..1_000);
    let (first, newer) = (values(&all, b"first"), values(&all[..10], b"newer"));
    let (bench, engine) = slow(0);
    write(&bench, 0, &first);
    write(&bench, 1, &newer);
    // And one to look up the block that is named.
    let asked = asked(&bench, &engine, &all[..1_000], 0, &first);
    assert_eq!(asked, 1 + 1 + 10);
}

#[test]
fn as_many_as_have_room_are_read_at_once() {
    // 100 KiB each, of which a MiB has room for ten: they are asked for from the last one to
    // the first, and read in their order.
    let all = keys(0..60);
    let written = values(&all, &vec![7; 100 << 10]);
    let (bench, engine) = slow(0);
    write(&bench, 0, &written);
    let asked = asked(&bench, &engine, &all, 0, &written);
    assert!((6..20).contains(&asked), "{asked}");
}

#[test]
fn what_is_read_together_counts_as_the_calls_memory_beside_the_answer() {
    const MIB: usize = 1 << 20;
    let bench = Bench::over(&ranging(), Store::in_memory(), |views| {
        views.max_instance_memory = 32 * MIB;
        views.timeout = Duration::from_hours(1);
        views.check = ViewCheck::Off;
    });
    // The value that is read, and the same in the answer.
    let leave = |keys: &[Vec<u8>]| {
        let request = many::encode(keys.iter().map(Vec::as_slice));
        let runtime = &bench.runtime;
        runtime.view_sync("leave_many", &request, &BlockId::Latest)
    };
    let key = keys(0..1);
    write(&bench, 0, &values(&key[..1], &vec![7; 12 * MIB]));
    assert!(leave(&key[..1]).unwrap().bytes.is_empty());
    let before = bench.runtime.view_stats().memory;
    leave(&key[..1]).unwrap();
    assert_eq!(bench.runtime.view_stats().memory, before);
    write(&bench, 1, &values(&key[..1], &vec![7; 20 * MIB]));
    let refused = leave(&key[..1]);
    assert!(
        matches!(refused, Err(ViewError::MemoryLimit { .. })),
        "{refused:?}"
    );
    // Many small ones have room: some are read at a time.
    let all = keys(1..60_000);
    write(&bench, 2, &values(&all, &[7; 100]));
    leave(&all).unwrap();
    assert_adds_up(&bench.runtime.view_stats());
}

/// A block in which the guest reads three keys at once, and no range.
fn block() -> Vec<u8> {
    let mut block = vec![0; 84];
    block[36..56].copy_from_slice(b"k1234567890123456\0\0\0");
    block
}

#[test]
fn a_block_reads_its_keys_at_once_over_blocks_that_are_not_committed() {
    let (bench, engine) = slow(0);
    write(&bench, 0, &Values::new());
    let process = |state: State, height| {
        let before = (engine.reads(), bench.runtime.block_reads().count);
        let block = Bytes::from(block());
        let writes = bench
            .runtime
            .process_block_on(state, height, block)
            .unwrap();
        let after = (engine.reads(), bench.runtime.block_reads().count);
        (writes, after.0 - before.0, after.1 - before.1)
    };
    let state = bench.store.snapshot().latest();
    let (writes, asked, read) = process(state.clone(), 1);
    assert_eq!((asked, read), (1, 3));
    // The block before wrote all three.
    let (_, asked, read) = process(state.with_block(1, Arc::new(writes)), 2);
    assert_eq!((asked, read), (0, 3));
}

struct Latest(Store);

impl ScoutControl for Latest {
    fn state(&self) -> State {
        self.0.snapshot().latest()
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

#[test]
fn a_scout_reads_its_keys_at_once() {
    let (bench, engine) = slow(0);
    write(&bench, 0, &Values::new());
    let before = engine.reads();
    let control: Arc<dyn ScoutControl> = Arc::new(Latest(bench.store.clone()));
    let scouted = bench.runtime.scout(1, Bytes::from(block()), &control);
    let done = Scouted {
        end: ScoutEnd::Done,
        reads: 3,
    };
    assert_eq!((scouted, engine.reads() - before), (done, 1));
}

#[tokio::test(flavor = "current_thread")]
async fn many_keys_wait_for_a_slow_engine_beside_others_and_within_their_time() {
    let gate = Arc::new(Gate::default());
    let engine = Delayed::behind(MemoryBackend::default(), Arc::clone(&gate));
    let store = Store::with_backend(Arc::new(engine)).unwrap();
    let bench = over(store);
    let all = keys(0..100);
    write(&bench, 0, &values(&all, b"value"));
    let request = many::encode(all.iter().map(Vec::as_slice));
    let expect = bench.view("many", &request, &BlockId::Latest);
    gate.close();
    let (runtime, asked) = (bench.runtime.clone(), request.clone());
    let waiting = async move { runtime.view("many", &asked, &BlockId::Latest).await };
    let waiting = tokio::spawn(waiting);
    until(|| gate.waiting() == 1).await;
    // The only thread there is has time for others: one whose time is over before the gate opens.
    let call = ViewCall {
        timeout: Some(Duration::from_millis(10)),
        ..ViewCall::new("many", &request)
    };
    let late = bench.runtime.call(call).await;
    assert!(matches!(late, Err(ViewError::Timeout { .. })), "{late:?}");
    assert_eq!(gate.waiting(), 1);
    gate.open();
    assert_eq!(waiting.await.unwrap().unwrap().bytes, expect);
}

/// Counts the keys that are read.
#[derive(Debug, Default)]
struct Reads(AtomicU64);

impl Hook for Reads {
    fn before_get(&self, _: &[u8]) -> Result<(), BackendError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        // As a disk does it, so that they take far more than a tick together.
        std::thread::sleep(Duration::from_micros(1));
        Ok(())
    }
}

#[tokio::test(flavor = "current_thread")]
async fn reads_that_are_ready_give_way_too_and_end_when_nobody_waits_for_them() {
    let reads = Arc::new(Reads::default());
    let engine = Hooked::new(Arc::clone(&reads));
    let store = Store::with_backend(Arc::new(engine)).unwrap();
    let bench = over(store);
    write(&bench, 0, &Values::new());
    let count = || reads.0.load(Ordering::Relaxed);
    let before = count();
    let runtime = bench.runtime.clone();
    let asked: Vec<_> = (0..65_536_u32).map(u32::to_be_bytes).collect();
    let request = many::encode(asked.iter().map(<[u8; 4]>::as_slice));
    let view = async move { runtime.view("many", &request, &BlockId::Latest).await };
    let view = tokio::spawn(view);
    // Had it the thread for itself, this would not go on before it is through.
    until(|| count() > before).await;
    assert!(!view.is_finished());
    view.abort();
    assert!(view.await.unwrap_err().is_cancelled());
    assert!(count() < before + asked.len() as u64);
    assert_adds_up(&bench.runtime.view_stats());
}
