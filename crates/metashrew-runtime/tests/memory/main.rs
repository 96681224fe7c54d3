//! What the process really takes, which only a process of its own can measure: one
//! test, so that nothing else runs beside it.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails, and says where"
)]

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use metashrew_runtime::{MetashrewRuntime, ModuleCache, RuntimeOptions, ViewOptions};
use metashrew_store::{BlockHash, BlockId, BlockRef, Store};
use metashrew_testing::guests;

const MIB: usize = 1 << 20;

/// What the process may have beside the budget and what it had before the calls: the
/// stacks of its threads, and what its allocator keeps.
const BESIDE: usize = 24 * MIB;

/// Bytes of the process in memory.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// A guest over a few blocks.
fn runtime(wasm: &[u8], views: ViewOptions) -> MetashrewRuntime {
    let options = RuntimeOptions {
        cache: ModuleCache::Off,
        views,
        ..RuntimeOptions::default()
    };
    let store = Store::in_memory();
    let runtime = MetashrewRuntime::with_options(wasm, store.clone(), options).unwrap();
    for height in 0..4u8 {
        let writes = runtime.process_block(height.into(), &[height; 90]).unwrap();
        let hash = BlockHash::from_bytes([height + 1; 32]);
        let block = BlockRef::new(height.into(), hash, BlockHash::from_bytes([height; 32]));
        store.commit(&block, &writes).unwrap();
    }
    runtime
}

/// Makes `calls` calls of a view that takes a MiB each time and never frees it, and
/// none may fail. Answers the most that the process ever took, no more than `limit`.
fn leak(runtime: &MetashrewRuntime, callers: usize, calls: u32, limit: usize) -> usize {
    let (most, left) = (AtomicUsize::new(0), AtomicU32::new(calls));
    let take = |left: u32| left.checked_sub(1);
    std::thread::scope(|scope| {
        for caller in 0..callers {
            let (most, left) = (&most, &left);
            scope.spawn(move || {
                let executor = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                while let Ok(left) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
                    let at = BlockId::Height(left / 7 % 4);
                    let answer = if caller % 2 == 0 {
                        runtime.view_sync("leak", b"", &at)
                    } else {
                        executor.block_on(runtime.view("leak", b"", &at))
                    };
                    answer.unwrap();
                    if left.is_multiple_of(97) {
                        let resident = resident();
                        assert!(resident <= limit, "{resident} bytes, {limit} allowed");
                        most.fetch_max(resident, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    most.into_inner()
}

fn check(budget: usize, instances: usize, callers: usize, calls: u32) {
    let before = resident();
    let runtime = runtime(
        &guests::chained(),
        ViewOptions {
            memory_budget: budget,
            max_instance_memory: budget,
            instances: NonZeroUsize::new(instances).unwrap(),
            queue: callers,
            ..ViewOptions::default()
        },
    );
    let case = format!("{budget} bytes, {instances} instances, {callers} callers");
    let taken = leak(&runtime, callers, calls, before + budget + BESIDE) - before;
    assert!(
        taken >= budget / 4,
        "{taken} bytes are measured with {case}"
    );
    let stats = runtime.view_stats();
    assert_eq!(
        (stats.calls.answered, stats.errors.total()),
        (calls.into(), 0)
    );
    let gone = stats.dropped.evicted + stats.calls.retried;
    assert!(gone > 0, "{case}: {stats:?}");

    runtime.disable_stateful_views();
    assert_eq!(runtime.view_stats().memory, 0);
    let left = resident().saturating_sub(before);
    assert!(
        left <= budget / 16 + BESIDE,
        "{left} bytes stay with {case}"
    );
}

/// Calls that fail leave nothing in the process.
fn faults() {
    const BUDGET: usize = 64 * MIB;
    let before = resident();
    let runtime = runtime(
        &guests::chained(),
        ViewOptions {
            memory_budget: BUDGET,
            max_instance_memory: BUDGET,
            ..ViewOptions::default()
        },
    );
    for _ in 0..100 {
        for view in ["devour", "grow_4gib", "overflow", "trap", "bad_answer"] {
            runtime.view_sync(view, b"", &BlockId::Latest).unwrap_err();
        }
    }
    let stats = runtime.view_stats();
    assert_eq!((stats.memory, stats.dropped.fault), (0, 500));
    let left = resident().saturating_sub(before);
    assert!(left <= BUDGET / 16 + BESIDE, "{left} bytes stay");
}

#[test]
fn the_process_stays_within_the_budget_and_no_call_fails() {
    check(1024 * MIB, 2, 1, 100_000);
    check(64 * MIB, 2, 1, 4_000);
    check(64 * MIB, 2, 16, 4_000);
    check(64 * MIB, 16, 16, 4_000);
    faults();
}
