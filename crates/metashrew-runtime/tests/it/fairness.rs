//! Slow views beside quick ones, and calls whose time is over.

use std::num::NonZeroUsize;
use std::task::{Context, Waker};
use std::time::Duration;

use metashrew_runtime::{Route, ViewCall, ViewError};
use metashrew_store::BlockId;
use metashrew_testing::guests;

use crate::{Bench, assert_adds_up, until};

/// Endless views beside a quick one and beside indexing, on two workers.
async fn beside_endless_views(count: usize) {
    let bench = Bench::with(&guests::chained(), |views| {
        views.timeout = Duration::from_hours(1);
    });
    bench.index_to(0, 1);
    let endless: Vec<_> = (0..count)
        .map(|_| {
            let runtime = bench.runtime.clone();
            tokio::spawn(async move { runtime.view("spin", b"", &BlockId::Latest).await })
        })
        .collect();
    until(|| bench.runtime.view_stats().busy == count).await;
    // Had it to wait for one of them, it would wait for an hour.
    let quick = ViewCall {
        timeout: Some(Duration::from_mins(1)),
        ..ViewCall::new("echo", b"quick")
    };
    for _ in 0..3 {
        assert_eq!(bench.runtime.call(quick).await.unwrap().bytes, b"quick"[..]);
    }
    tokio::task::block_in_place(|| bench.index_to(5, 1));
    assert_eq!(bench.runtime.view_stats().busy, count);
    for call in endless {
        call.abort();
        call.await.unwrap_err();
    }
    assert_adds_up(&bench.runtime.view_stats());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_endless_views_hold_up_nobody() {
    beside_endless_views(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_endless_views_hold_up_nobody() {
    beside_endless_views(64).await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_call_that_holds_up_its_own_thread_is_refused_in_the_end() {
    let bench = Bench::with(&guests::chained(), |views| {
        views.instances = NonZeroUsize::MIN;
        views.timeout = Duration::from_hours(1);
        views.max_wait = Duration::from_millis(20);
    });
    bench.index_to(0, 1);
    let mut endless = Box::pin(bench.runtime.view("spin", b"", &BlockId::Latest));
    let mut task = Context::from_waker(Waker::noop());
    assert!(endless.as_mut().poll(&mut task).is_pending());
    let late = bench.runtime.view_sync("echo", b"", &BlockId::Latest);
    assert!(matches!(late, Err(ViewError::Waited { .. })), "{late:?}");
}

/// A guest whose view answers once on each memory, and then never ends.
fn answers_once() -> Vec<u8> {
    guests::from_wat(
        r#"(module
             (import "env" "__flush" (func $flush (param i32)))
             (memory (export "memory") 1)
             (global $used (mut i32) (i32.const 0))
             (func (export "_start") (call $flush (i32.const 8)))
             (func (export "once") (result i32)
               (loop $again (br_if $again (global.get $used)))
               (global.set $used (i32.const 1))
               (i32.const 16)))"#,
    )
}

#[test]
fn a_used_instance_that_runs_out_of_time_makes_way_for_a_new_one() {
    let bench = Bench::with(&answers_once(), |views| {
        views.timeout = Duration::from_millis(50);
    });
    bench.index_to(0, 1);
    for _ in 0..3 {
        bench.view("once", b"", &BlockId::Latest);
    }
    let stats = bench.runtime.view_stats();
    assert_eq!((stats.calls.retried, stats.errors.total()), (2, 0));
    // Its caller's own time is all it has.
    let call = ViewCall {
        timeout: Some(Duration::from_millis(10)),
        ..ViewCall::new("once", b"")
    };
    let late = bench.runtime.call_sync(call);
    assert!(matches!(late, Err(ViewError::Timeout { .. })), "{late:?}");
    // And what a session remembers is not run again elsewhere.
    let session = ViewCall {
        route: Route::Session("s"),
        ..ViewCall::new("once", b"")
    };
    bench.runtime.call_sync(session).unwrap();
    let late = bench.runtime.call_sync(session);
    assert!(matches!(late, Err(ViewError::Timeout { .. })), "{late:?}");
    assert_adds_up(&bench.runtime.view_stats());
}

#[tokio::test(flavor = "current_thread")]
async fn stateful_views_go_on_without_holding_up_the_thread() {
    let bench = Bench::with(&guests::slow_to_make(20_000_000), |views| {
        views.timeout = Duration::from_hours(1);
    });
    bench.index_to(0, 1);
    bench.runtime.disable_stateful_views();
    let runtime = bench.runtime.clone();
    let enabling = tokio::spawn(async move { runtime.enable_stateful_views().await });
    let mut turns = 0;
    while !enabling.is_finished() {
        tokio::task::yield_now().await;
        turns += 1;
    }
    enabling.await.unwrap().unwrap();
    assert!(turns > 2, "the thread had {turns} turns meanwhile");
}
