//! What the process really takes, which only a process of its own can measure: one
//! test, so that nothing else runs beside it.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails, and says where"
)]

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use metashrew_runtime::{
    MetashrewRuntime, ModuleCache, PendingBlock, Route, RuntimeOptions, ViewAt, ViewCall,
    ViewOptions,
};
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

/// A guest that writes nothing, whose view takes 400 MiB and touches every page of them;
/// `counter` counts its calls.
fn hungry() -> Vec<u8> {
    guests::from_wat(
        r#"(module
             (import "env" "__flush" (func $flush (param i32)))
             (memory (export "memory") 1)
             (global $calls (mut i32) (i32.const 0))
             (func $count (export "counter") (result i32)
               (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
               (i32.store (i32.const 12) (i32.const 4))
               (i32.store (i32.const 16) (global.get $calls))
               (i32.const 16))
             (func (export "_start") (call $flush (i32.const 8)))
             (func (export "take") (result i32)
               (local $page i32)
               (local.set $page (i32.shl (memory.grow (i32.const 6400)) (i32.const 16)))
               (loop $touch
                 (i32.store (local.get $page) (i32.const 1))
                 (local.set $page (i32.add (local.get $page) (i32.const 4096)))
                 (br_if $touch (i32.lt_u (local.get $page) (i32.const 419495936))))
               (call $count)))"#,
    )
}

/// 16 calls at a time of a view that takes 400 MiB of a budget of 1 GiB, each on an instance of
/// its own: fresh ones, previews, and calls about the pending block.
fn large_calls_that_are_not_kept() {
    const BUDGET: usize = 1024 * MIB;
    let before = resident();
    let runtime = runtime(
        &hungry(),
        ViewOptions {
            memory_budget: BUDGET,
            max_instance_memory: BUDGET,
            timeout: Duration::from_hours(1),
            max_wait: Duration::from_hours(1),
            ..ViewOptions::default()
        },
    );
    let count = || {
        runtime
            .view_sync("counter", b"", &BlockId::Latest)
            .unwrap()
            .bytes
    };
    assert_eq!(count()[..], 1u32.to_le_bytes());
    let tip = runtime.store().snapshot().tip().unwrap().hash;
    let pending = PendingBlock {
        parent: tip,
        block: vec![9; 90].into(),
    };
    runtime.set_pending(Some(pending)).unwrap();
    let limit = before + BUDGET + BUDGET / 100 * 15;
    let left = AtomicUsize::new(16);
    std::thread::scope(|scope| {
        for caller in 0..16 {
            let (runtime, left) = (&runtime, &left);
            scope.spawn(move || {
                let fresh = ViewCall {
                    route: Route::Fresh,
                    ..ViewCall::new("take", b"")
                };
                match caller % 3 {
                    0 => runtime.call_sync(fresh),
                    1 => runtime.preview_sync(&[4; 90], "take", b"", &BlockId::Latest),
                    _ => runtime.call_sync(ViewCall {
                        at: ViewAt::Pending.into(),
                        ..fresh
                    }),
                }
                .unwrap();
                left.fetch_sub(1, Ordering::Relaxed);
            });
        }
        while left.load(Ordering::Relaxed) > 0 {
            let resident = resident();
            assert!(resident <= limit, "{resident} bytes, {limit} allowed");
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    assert_eq!(
        count()[..],
        2u32.to_le_bytes(),
        "the warm instance is there"
    );
    assert_eq!(runtime.view_stats().errors.total(), 0);
}

/// What deep calls took of their stacks goes with their instances.
fn stacks() {
    const BUDGET: usize = 64 * MIB;
    const SESSIONS: usize = 64;
    let before = resident();
    let deep = guests::from_wat(
        r#"(module
             (import "env" "__flush" (func $flush (param i32)))
             (memory (export "memory") 1)
             (func $down (param i32) (result i32)
               (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
               (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const 1)))))
             (func (export "_start") (call $flush (i32.const 8)))
             (func (export "deep") (result i32)
               (i32.sub (call $down (i32.const 40000)) (i32.const 39984))))"#,
    );
    let runtime = runtime(
        &deep,
        ViewOptions {
            memory_budget: BUDGET,
            ..ViewOptions::default()
        },
    );
    for session in 0..SESSIONS {
        let call = ViewCall {
            route: Route::Session(&session.to_string()),
            ..ViewCall::new("deep", b"")
        };
        runtime.call_sync(call).unwrap();
    }
    assert_eq!(runtime.view_stats().idle, SESSIONS);
    let taken = resident().saturating_sub(before) / SESSIONS;
    assert!(taken >= MIB, "{taken} bytes are taken by each");
    runtime.disable_stateful_views();
    let left = resident().saturating_sub(before);
    assert!(left <= BUDGET / 16 + BESIDE, "{left} bytes stay");
}

#[test]
fn the_process_stays_within_the_budget_and_no_call_fails() {
    stacks();
    large_calls_that_are_not_kept();
    check(1024 * MIB, 2, 1, 10_000);
    check(64 * MIB, 2, 1, 4_000);
    check(64 * MIB, 2, 16, 4_000);
    check(64 * MIB, 16, 16, 4_000);
    faults();
}
