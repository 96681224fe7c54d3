//! Stateful views that cannot be had, and that go off and on under load.

use metashrew_runtime::{MetashrewRuntime, Route, ViewCall, ViewError};
use metashrew_store::{BlockId, Store};
use metashrew_testing::guests;
use tokio::task::JoinHandle;

use crate::logs::logged;
use crate::{Bench, assert_adds_up};

const MIB: usize = 1 << 20;
const CALLERS: u64 = 64;
const CALLS: u64 = 200;
const WARNING: &str =
    "WARN metashrew_runtime::runtime: Failed to enable stateful views by default: ";

/// A store that the well-behaved guest has written three blocks to.
fn written() -> Store {
    let bench = Bench::new(&guests::chained());
    bench.index_to(2, 1);
    bench.store
}

/// Loads a guest over a store; the warning is due. Answers are those of fresh
/// instances, as they are where stateful views can be had.
fn assert_runs_fresh(wasm: &[u8], budget: usize, store: Store) -> Bench {
    let mut bench = None;
    let text = logged(|| {
        bench = Some(Bench::over(wasm, store.clone(), |views| {
            views.memory_budget = budget;
            views.max_instance_memory = 64 * MIB;
        }));
    });
    assert!(text.contains(WARNING), "{text}");
    let bench = bench.unwrap();
    assert!(!bench.runtime.is_stateful_views_enabled());
    let usual = Bench::over(&guests::chained(), store, |_| {});
    assert!(usual.runtime.is_stateful_views_enabled());
    for height in 0..=2 {
        let at = BlockId::Height(height);
        for view in ["get", "cached_get"] {
            let expected = usual.view(view, b"acc", &at);
            assert_eq!(bench.view(view, b"acc", &at), expected);
        }
        assert_eq!([1, 1], [(); 2].map(|()| bench.count(&at)));
    }
    let stats = bench.runtime.view_stats();
    assert_adds_up(&stats);
    assert_eq!((stats.dropped.fresh, stats.idle, stats.memory), (12, 0, 0));
    bench
}

#[test]
fn without_room_for_one_instance_calls_run_fresh() {
    for (wasm, budget) in [(guests::chained(), 1), (guests::large(512), 16 * MIB)] {
        let bench = assert_runs_fresh(&wasm, budget, written());
        assert!(matches!(
            bench.runtime.enable_stateful_views_sync(),
            Err(ViewError::MemoryLimit { .. })
        ));
        assert_eq!([1, 1], [(); 2].map(|()| bench.count(&BlockId::Latest)));
    }
}

/// Calls of one caller, by every route, half of the callers asynchronously. Sessions
/// are lost whenever stateful views go off; nothing else may fail.
async fn ask(runtime: MetashrewRuntime, caller: u64, expected: Vec<Vec<u8>>) {
    let name = format!("session {caller}");
    let mut answered = 0;
    for call in caller.. {
        if answered == CALLS {
            break;
        }
        let height = u32::try_from(call % 3).unwrap();
        let call = ViewCall {
            at: BlockId::Height(height).into(),
            route: match call % 5 {
                0 => Route::Session(&name),
                1 => Route::Fresh,
                _ => Route::Pooled,
            },
            ..ViewCall::new("cached_get", b"acc")
        };
        let answer = if caller.is_multiple_of(2) {
            runtime.call_sync(call)
        } else {
            runtime.call(call).await
        };
        match answer {
            Ok(answer) => {
                assert_eq!(answer.bytes, expected[height as usize]);
                answered += 1;
            }
            Err(ViewError::SessionLost { .. } | ViewError::SessionUnavailable)
                if matches!(call.route, Route::Session(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Turns stateful views off and on until `is_done`; off only when some instance is idle.
fn switch(runtime: &MetashrewRuntime, is_done: impl Fn() -> bool) {
    while !is_done() {
        if runtime.view_stats().idle > 0 {
            runtime.disable_stateful_views();
            std::thread::yield_now();
            runtime.enable_stateful_views_sync().unwrap();
        }
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_call_is_lost_while_stateful_views_go_off_and_on() {
    let bench = Bench::over(&guests::chained(), written(), |_| {});
    let expected: Vec<_> = (0..=2)
        .map(|height| bench.view("get", b"acc", &BlockId::Height(height)))
        .collect();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let asking = ask(bench.runtime.clone(), caller, expected.clone());
            let handle = tokio::runtime::Handle::current();
            tokio::task::spawn_blocking(move || handle.block_on(asking))
        })
        .collect();
    tokio::task::block_in_place(|| {
        switch(&bench.runtime, || {
            callers.iter().all(JoinHandle::is_finished)
        });
    });
    for caller in callers {
        caller.await.unwrap();
    }
    let stats = bench.runtime.view_stats();
    assert_eq!(stats.calls.answered, CALLERS * CALLS + 3);
    assert_eq!(stats.errors.total(), stats.errors.session);
    assert!(stats.dropped.disabled > 0, "{stats:?}");
    assert_adds_up(&stats);
    bench.runtime.disable_stateful_views();
    let stats = bench.runtime.view_stats();
    assert_eq!((stats.idle, stats.memory), (0, 0));
    assert_adds_up(&stats);
}
