//! Sessions: one memory of one's own, for as long as it lives, and told when it is gone.

use std::num::NonZeroUsize;
use std::time::Duration;

use metashrew_runtime::{Route, SessionLoss, ViewAnswer, ViewAt, ViewCall, ViewError};
use metashrew_store::{BlockId, ResolveError};
use metashrew_testing::guests;

use crate::{Bench, assert_adds_up, ledger, stage, until};

fn call<'a>(session: &'a str, function: &'a str) -> ViewCall<'a> {
    ViewCall {
        route: Route::Session(session),
        ..ViewCall::new(function, b"")
    }
}

fn ask(bench: &Bench, session: &str) -> Result<ViewAnswer, ViewError> {
    bench.runtime.call_sync(call(session, "counter"))
}

/// What the session's memory has counted, which is the number of its calls.
fn count(bench: &Bench, session: &str) -> u64 {
    let answer = ask(bench, session).unwrap();
    let count = u32::from_le_bytes(answer.bytes[..].try_into().unwrap());
    assert_eq!(answer.session_call, Some(count.into()));
    count.into()
}

/// The session is told once that it is lost, and starts anew.
fn assert_lost(bench: &Bench, session: &str, reason: SessionLoss) {
    match ask(bench, session) {
        Err(ViewError::SessionLost {
            session: name,
            reason: told,
        }) => assert_eq!((name.as_str(), told), (session, reason)),
        other => panic!("{reason:?} was due, not {other:?}"),
    }
    assert_eq!(count(bench, session), 1, "after {reason:?}");
    assert_eq!(count(bench, session), 2, "after {reason:?}");
}

fn bench_with_session(wasm: &[u8]) -> Bench {
    let bench = Bench::with(wasm, |views| {
        views.timeout = Duration::from_hours(1);
    });
    bench.index_to(3, 1);
    assert_eq!([1, 2, 3], [(); 3].map(|()| count(&bench, "s")));
    bench
}

#[test]
fn nobody_else_sees_a_sessions_memory() {
    let bench = bench_with_session(&guests::chained());
    assert_eq!(count(&bench, "other"), 1);
    assert_eq!(bench.count(&BlockId::Latest), 1);
    assert_eq!(bench.count(&BlockId::Latest), 2);
    assert_eq!([count(&bench, "s"), count(&bench, "other")], [4, 2]);
    let answer = bench.runtime.view_sync("counter", b"", &BlockId::Latest);
    assert_eq!(answer.unwrap().session_call, None);
    let stats = bench.runtime.view_stats();
    assert_adds_up(&stats);
    assert_eq!((stats.sessions, stats.idle), (2, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_run_beside_each_other() {
    let bench = Bench::with(&guests::chained(), |views| {
        views.instances = NonZeroUsize::new(3).unwrap();
        views.timeout = Duration::from_hours(1);
    });
    bench.index_to(0, 1);
    let callers: Vec<_> = (0..32)
        .map(|caller| {
            let runtime = bench.runtime.clone();
            tokio::spawn(async move {
                let name = format!("session {}", caller % 16);
                let mut last = 0;
                for _ in 0..200 {
                    let answer = runtime.call(call(&name, "counter")).await.unwrap();
                    let count = u32::from_le_bytes(answer.bytes[..].try_into().unwrap());
                    assert_eq!(answer.session_call, Some(count.into()));
                    assert!(count > last, "two callers of a session share its memory");
                    last = count;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    for session in 0..16 {
        assert_eq!(count(&bench, &format!("session {session}")), 401);
    }
    assert_adds_up(&bench.runtime.view_stats());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_of_a_session_run_in_their_order_and_leave_other_places_free() {
    let (store, gate) = stage::store();
    let bench = Bench::over(&guests::chained(), store, |views| {
        views.instances = NonZeroUsize::new(2).unwrap();
        views.queue = 10;
        views.timeout = Duration::from_hours(1);
    });
    bench.index_to(0, 1);
    let runtime = bench.runtime.clone();
    let holder = tokio::task::spawn_blocking(move || {
        runtime.call_sync(ViewCall {
            input: stage::GATE,
            ..call("s", "get")
        })
    });
    until(|| bench.runtime.view_stats().busy == 1).await;
    let mut calls = Vec::new();
    for _ in 0..10 {
        let runtime = bench.runtime.clone();
        calls.push(tokio::spawn(async move {
            runtime.call(call("s", "counter")).await
        }));
        until(|| bench.runtime.view_stats().waiting == calls.len()).await;
    }
    assert!(matches!(
        ask(&bench, "s"),
        Err(ViewError::Busy { queue: 10 })
    ));
    assert_eq!(count(&bench, "another"), 1);
    // One that gives up is left out.
    let given_up = calls.remove(4);
    given_up.abort();
    assert!(given_up.await.unwrap_err().is_cancelled());
    until(|| bench.runtime.view_stats().waiting == 9).await;
    gate.open();
    assert_eq!(holder.await.unwrap().unwrap().session_call, Some(1));
    for (call, expected) in calls.into_iter().zip(1u32..) {
        let answer = call.await.unwrap().unwrap();
        assert_eq!(answer.bytes, expected.to_le_bytes()[..]);
        assert_eq!(answer.session_call, Some(u64::from(expected) + 1));
    }
    assert_adds_up(&bench.runtime.view_stats());
}

#[test]
fn a_fault_ends_a_session() {
    let bench = bench_with_session(&guests::chained());
    let error = bench.runtime.call_sync(call("s", "trap")).unwrap_err();
    assert!(matches!(error, ViewError::Guest(_)), "{error}");
    assert_lost(&bench, "s", SessionLoss::Fault);
    assert_eq!(bench.runtime.view_stats().calls.retried, 0);
}

#[tokio::test]
async fn a_call_that_is_dropped_ends_a_session_if_it_had_begun() {
    let bench = bench_with_session(&guests::chained());
    let runtime = bench.runtime.clone();
    let endless = tokio::spawn(async move { runtime.call(call("s", "spin")).await });
    until(|| bench.runtime.view_stats().busy == 1).await;
    let runtime = bench.runtime.clone();
    let waiting = tokio::spawn(async move { runtime.call(call("s", "counter")).await });
    until(|| bench.runtime.view_stats().waiting == 1).await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    endless.abort();
    assert!(endless.await.unwrap_err().is_cancelled());
    assert_lost(&bench, "s", SessionLoss::Cancelled);
    assert_adds_up(&bench.runtime.view_stats());
}

#[test]
fn a_session_whose_memory_others_needed_is_lost() {
    let bench = Bench::with(&guests::chained(), |views| {
        views.memory_budget = 16 << 20;
        views.instances = NonZeroUsize::MIN;
    });
    bench.index_to(0, 1);
    assert_eq!([1, 2], [(); 2].map(|()| count(&bench, "s")));
    for session in 0..12 {
        // Each keeps a little more than a MiB.
        let name = format!("session {session}");
        bench.runtime.call_sync(call(&name, "leak")).unwrap();
    }
    assert!(bench.runtime.view_stats().dropped.evicted == 0);
    for session in 12..16 {
        let name = format!("session {session}");
        bench.runtime.call_sync(call(&name, "leak")).unwrap();
    }
    assert!(bench.runtime.view_stats().dropped.evicted > 0);
    assert_lost(&bench, "s", SessionLoss::Memory);

    // And one that takes too much itself.
    let mut calls = 0;
    let failed = loop {
        match bench.runtime.call_sync(call("s", "leak")) {
            Ok(_) => calls += 1,
            Err(error) => break error,
        }
        assert!(calls < 16, "there is no room for so many");
    };
    assert!(
        matches!(failed, ViewError::MemoryLimit { .. }),
        "{failed:?}"
    );
    assert_lost(&bench, "s", SessionLoss::Fault);
    assert_adds_up(&bench.runtime.view_stats());
}

#[test]
fn a_reorg_ends_a_session_even_of_a_block_that_stays() {
    let bench = bench_with_session(&guests::chained());
    bench.store.rollback(Some(2)).unwrap();
    assert_lost(&bench, "s", SessionLoss::Reorg);
    assert_eq!(bench.runtime.view_stats().dropped.reorg, 1);
}

#[test]
fn a_new_block_ends_a_session_of_a_guest_that_does_not_keep_blocks_apart() {
    let bench = bench_with_session(&guests::chained());
    bench.index(4, 1);
    assert_lost(&bench, "s", SessionLoss::Block);
    let elsewhere = ViewCall {
        at: BlockId::Height(1).into(),
        ..call("s", "counter")
    };
    assert!(matches!(
        bench.runtime.call_sync(elsewhere),
        Err(ViewError::SessionLost {
            reason: SessionLoss::Block,
            ..
        })
    ));
    assert_eq!(
        bench.runtime.call_sync(elsewhere).unwrap().session_call,
        Some(1)
    );
    assert_adds_up(&bench.runtime.view_stats());
}

#[test]
fn a_session_of_a_guest_that_keeps_blocks_apart_outlives_them() {
    let bench = Bench::new(&ledger());
    for height in 0..5 {
        bench.index(height, 1);
        for at in [BlockId::Latest, BlockId::Height(0)] {
            let answer = bench.runtime.call_sync(ViewCall {
                at: at.into(),
                ..call("s", "sum")
            });
            let expected = bench.runtime.call_sync(ViewCall {
                at: at.into(),
                route: Route::Fresh,
                ..call("s", "sum")
            });
            assert_eq!(answer.unwrap().bytes, expected.unwrap().bytes);
        }
    }
    let answer = bench.runtime.call_sync(call("s", "sum")).unwrap();
    assert_eq!(answer.session_call, Some(11));
    bench.store.rollback(Some(2)).unwrap();
    assert!(matches!(
        bench.runtime.call_sync(call("s", "sum")),
        Err(ViewError::SessionLost {
            reason: SessionLoss::Reorg,
            ..
        })
    ));
}

#[test]
fn without_stateful_views_there_are_no_sessions() {
    let bench = bench_with_session(&guests::chained());
    bench.runtime.disable_stateful_views();
    for _ in 0..2 {
        assert!(matches!(
            ask(&bench, "s"),
            Err(ViewError::SessionUnavailable)
        ));
    }
    bench.runtime.enable_stateful_views_sync().unwrap();
    assert_lost(&bench, "s", SessionLoss::Disabled);
    assert_eq!(bench.runtime.view_stats().dropped.disabled, 1);
}

#[test]
fn a_call_that_never_ran_costs_a_session_nothing() {
    let bench = bench_with_session(&guests::chained());
    let fails = |failing| bench.runtime.call_sync(failing).unwrap_err();
    assert!(matches!(
        fails(call("s", "nothing")),
        ViewError::NoSuchView { .. }
    ));
    assert!(matches!(
        fails(ViewCall {
            at: BlockId::Height(99).into(),
            ..call("s", "counter")
        }),
        ViewError::Block(ResolveError::NotIndexed { .. })
    ));
    assert!(matches!(
        fails(ViewCall {
            at: ViewAt::Pending.into(),
            ..call("s", "counter")
        }),
        ViewError::NoPending
    ));
    assert_eq!(count(&bench, "s"), 4);
}

#[test]
fn a_sessions_name_is_bounded() {
    let bench = bench_with_session(&guests::chained());
    for length in [0, 257] {
        assert!(matches!(
            ask(&bench, &"s".repeat(length)),
            Err(ViewError::SessionName { length: told, limit: 256 }) if told == length
        ));
    }
    assert_eq!(count(&bench, &"s".repeat(256)), 1);
}
