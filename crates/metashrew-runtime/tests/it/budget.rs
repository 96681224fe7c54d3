//! One budget of memory for all calls: what is kept as long as it fits, and who waits when it
//! does not.

use std::num::NonZeroUsize;
use std::sync::mpsc;
use std::time::Duration;

use metashrew_runtime::{
    PendingBlock, Route, ViewAnswer, ViewAt, ViewCall, ViewError, ViewStats, Wait,
};
use metashrew_store::BlockId;
use metashrew_testing::guests;

use crate::logs::logged;
use crate::{Bench, assert_adds_up, block, until};

const MIB: usize = 1 << 20;

/// A guest that writes nothing, whose views take `mib` MiB: `at_once`, in steps of one MiB
/// (`by_steps`), or to keep them and never return (`hold`); `counter` counts its calls, and
/// `grow` too while it takes one MiB a call until it has `mib`.
fn hungry(mib: usize) -> Vec<u8> {
    let pages = mib * 16;
    guests::from_wat(&format!(
        r#"(module
             (import "env" "__flush" (func $flush (param i32)))
             (memory (export "memory") 1)
             (global $calls (mut i32) (i32.const 0))
             (func $count (result i32)
               (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
               (i32.store (i32.const 12) (i32.const 4))
               (i32.store (i32.const 16) (global.get $calls))
               (i32.const 16))
             (func (export "_start") (call $flush (i32.const 8)))
             (func (export "counter") (result i32) (call $count))
             (func (export "grow") (result i32)
               (if (i32.lt_u (memory.size) (i32.const {pages}))
                 (then (drop (memory.grow (i32.const 16)))))
               (call $count))
             (func (export "at_once") (result i32)
               (drop (memory.grow (i32.const {pages})))
               (call $count))
             (func (export "by_steps") (result i32)
               (loop $again
                 (drop (memory.grow (i32.const 16)))
                 (br_if $again (i32.lt_u (memory.size) (i32.const {pages}))))
               (call $count))
             (func (export "hold") (result i32)
               (drop (memory.grow (i32.const {pages})))
               (loop $again (br $again)) (unreachable)))"#
    ))
}

fn bench(wasm: &[u8], budget: usize) -> Bench {
    let bench = Bench::with(wasm, |views| {
        views.memory_budget = budget;
        views.max_instance_memory = budget;
        views.timeout = Duration::from_hours(1);
    });
    bench.index_to(0, 1);
    bench
}

fn fresh(function: &'static str) -> ViewCall<'static> {
    ViewCall {
        route: Route::Fresh,
        ..ViewCall::new(function, b"")
    }
}

type Task = tokio::task::JoinHandle<Result<ViewAnswer, ViewError>>;

fn spawn(bench: &Bench, call: ViewCall<'static>) -> Task {
    let runtime = bench.runtime.clone();
    tokio::spawn(async move { runtime.call(call).await })
}

fn stats(bench: &Bench) -> ViewStats {
    bench.runtime.view_stats()
}

#[test]
fn memory_is_kept_for_as_long_as_it_fits_however_many_calls_may_run() {
    let bench = Bench::with(&hungry(200), |views| {
        views.instances = NonZeroUsize::new(64).unwrap();
    });
    bench.index_to(0, 1);
    for call in 1..=10_000u32 {
        let answer = bench.view("grow", b"", &BlockId::Latest);
        assert_eq!(answer, call.to_le_bytes());
    }
    let stats = stats(&bench);
    assert_eq!((stats.calls.created, stats.idle), (1, 1));
    assert!(stats.memory >= 200 * MIB);
}

/// 16 calls at a time, each of 24 MiB of 64, beside a warm instance.
async fn sixteen(call: impl Fn(&Bench) -> Task) {
    let bench = bench(&hungry(24), 64 * MIB);
    assert_eq!(bench.count(&BlockId::Latest), 1);
    let pending = PendingBlock {
        parent: bench.store.snapshot().tip().unwrap().hash,
        block: block(1, 1).into(),
    };
    bench.runtime.set_pending(Some(pending)).unwrap();
    let calls: Vec<Task> = (0..16).map(|_| call(&bench)).collect();
    while calls.iter().any(|call| !call.is_finished()) {
        let stats = stats(&bench);
        assert!(stats.memory <= stats.memory_limit, "{stats:?}");
        tokio::task::yield_now().await;
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(
        bench.count(&BlockId::Latest),
        2,
        "the warm instance is there"
    );
    let stats = stats(&bench);
    assert_eq!(stats.errors.total(), 0);
    assert_adds_up(&stats);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fresh_calls_take_turns_with_the_memory_there_is() {
    sixteen(|bench| spawn(bench, fresh("at_once"))).await;
    sixteen(|bench| spawn(bench, fresh("by_steps"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn previews_take_turns_with_the_memory_there_is() {
    sixteen(|bench| {
        let runtime = bench.runtime.clone();
        let call = ViewCall::new("at_once", b"");
        tokio::spawn(async move { runtime.preview_call(block(1, 1), call).await })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_about_the_pending_block_take_turns_with_the_memory_there_is() {
    sixteen(|bench| {
        let call = ViewCall {
            at: ViewAt::Pending.into(),
            ..fresh("at_once")
        };
        spawn(bench, call)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_have_is_a_reason_to_try_again_with_true_numbers() {
    let bench = Bench::with(&hungry(40), |views| {
        views.memory_budget = 64 * MIB;
        views.max_instance_memory = 64 * MIB;
        views.max_wait = Duration::from_millis(20);
        views.timeout = Duration::from_hours(1);
    });
    bench.index_to(0, 1);
    assert_eq!(bench.count(&BlockId::Latest), 1);
    let holder = spawn(&bench, fresh("hold"));
    until(|| stats(&bench).memory > 40 * MIB).await;
    let limits = [None, Some(Duration::from_millis(5))];
    for (timeout, function) in limits.into_iter().zip(["at_once", "at_once"]) {
        let call = ViewCall {
            timeout,
            ..fresh(function)
        };
        let error = bench.runtime.call(call).await.unwrap_err();
        let ViewError::MemoryBusy {
            wanted,
            available,
            limit,
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!(wanted, 40 * MIB + (1 << 16));
        assert_eq!(limit, stats(&bench).memory_limit);
        assert!(
            available < wanted && available + wanted <= limit,
            "{available} are left beside {wanted} of {limit}"
        );
    }
    // The warm instance was not asked to go for that, and answers.
    assert_eq!(stats(&bench).dropped.evicted, 0);
    assert_eq!(bench.count(&BlockId::Latest), 2);
    assert_eq!(stats(&bench).errors.memory_busy, 2);
    holder.abort();
    holder.await.unwrap_err();
    // Once the other has gone it is had, at the cost of the warm one if need be.
    bench.runtime.call(fresh("at_once")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_waits_for_memory_gets_it_when_the_other_ends() {
    let bench = bench(&hungry(40), 64 * MIB);
    let holder = spawn(&bench, fresh("hold"));
    until(|| stats(&bench).memory > 40 * MIB).await;
    let waiting = spawn(&bench, fresh("by_steps"));
    let runtime = bench.runtime.clone();
    let sync = tokio::task::spawn_blocking(move || runtime.call_sync(fresh("at_once")));
    until(|| stats(&bench).waiting == 2).await;
    // They hold nothing meanwhile, and a call that needs little is answered.
    assert_eq!(stats(&bench).busy, 1);
    assert_eq!(bench.count(&BlockId::Latest), 1);
    holder.abort();
    holder.await.unwrap_err();
    waiting.await.unwrap().unwrap();
    sync.await.unwrap().unwrap();
    let stats = stats(&bench);
    assert!(stats.calls.starved >= 2, "{stats:?}");
    assert_adds_up(&stats);
}

#[test]
fn a_used_instance_that_outgrows_its_limit_makes_way_for_a_new_one() {
    let bench = bench(&hungry(100), 8 * MIB);
    for _ in 0..100 {
        bench.view("grow", b"", &BlockId::Latest);
    }
    let stats = stats(&bench);
    assert!(stats.calls.retried > 8, "{stats:?}");
    assert_eq!(stats.errors.total(), 0);
}

#[test]
fn what_the_host_holds_of_input_and_answer_counts_and_goes_with_the_call() {
    let bench = bench(&guests::chained(), 8 * MIB);
    let echo = |length| {
        bench
            .runtime
            .view_sync("echo", &vec![7; length], &BlockId::Latest)
    };
    assert_eq!(echo(MIB).unwrap().bytes.len(), MIB);
    // What is left is what the guest itself has.
    let idle = stats(&bench).memory;
    assert!(idle < 2 * MIB, "{idle} bytes are left");
    let error = echo(3 * MIB).unwrap_err();
    assert!(matches!(error, ViewError::MemoryLimit { .. }), "{error}");
}

#[test]
fn a_guest_that_is_larger_than_an_instance_may_be_is_told_at_start_and_each_time() {
    let wasm = guests::large(32_768);
    let mut bench = None;
    let text = logged(|| bench = Some(Bench::new(&wasm)));
    assert!(
        text.contains("no view can be answered: the guest begins with 2147483648 bytes"),
        "{text}"
    );
    let bench = bench.unwrap();
    bench.index_to(0, 1);
    for _ in 0..2 {
        let error = bench.runtime.view_sync("echo", b"", &BlockId::Latest);
        let error = error.unwrap_err();
        assert!(
            matches!(error, ViewError::GuestTooLarge { least, .. } if least == 2 << 30),
            "{error}"
        );
    }
    assert!(stats(&bench).start_failure.is_some());
}

#[test]
fn a_failed_start_is_shown_and_made_good_by_the_first_call_that_can() {
    let bench = Bench::new(&guests::needs_state());
    let failure = stats(&bench).start_failure.unwrap();
    assert!(failure.contains("unreachable"), "{failure}");
    assert!(!bench.runtime.is_stateful_views_enabled());
    // As blocks come: the guest cannot index without a state, so another one begins.
    let writer = Bench::over(&guests::chained(), bench.store.clone(), |_| {});
    writer.index_to(0, 1);
    assert_eq!(bench.count(&BlockId::Latest), 1);
    assert!(bench.runtime.is_stateful_views_enabled());
    assert_eq!(stats(&bench).start_failure, None);
    assert_eq!([1, 2], [(); 2].map(|()| bench.count(&BlockId::Latest)));
    // Whoever turns them off means it.
    bench.runtime.disable_stateful_views();
    assert_eq!([1, 1], [(); 2].map(|()| bench.count(&BlockId::Latest)));
}

#[test]
fn a_full_table_of_sessions_refuses_new_ones_and_forgets_none() {
    let bench = Bench::with(&guests::chained(), |views| views.sessions = 8);
    bench.index_to(0, 1);
    let ask = |name: &str| {
        let call = ViewCall {
            route: Route::Session(name),
            ..ViewCall::new("counter", b"")
        };
        bench
            .runtime
            .call_sync(call)
            .map(|answer| answer.session_call.unwrap())
    };
    assert_eq!(ask("first").unwrap(), 1);
    for number in 0..5_000 {
        let told = ask(&format!("newer {number}"));
        match told {
            Ok(call) => assert!(call == 1 && number < 7),
            Err(error) => {
                assert!(number >= 7);
                assert!(
                    matches!(error, ViewError::SessionsFull { limit: 8 }),
                    "{error}"
                );
            }
        }
    }
    assert_eq!(ask("first").unwrap(), 2);
    assert_eq!(stats(&bench).sessions, 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_for_a_permit_ends_with_the_calls_own_time() {
    let bench = Bench::with(&hungry(1), |views| {
        views.instances = NonZeroUsize::MIN;
        views.timeout = Duration::from_hours(1);
    });
    bench.index_to(0, 1);
    let holder = spawn(&bench, fresh("hold"));
    until(|| stats(&bench).busy == 1).await;
    let call = ViewCall {
        timeout: Some(Duration::from_millis(20)),
        ..ViewCall::new("counter", b"")
    };
    for late in [
        bench.runtime.call(call).await,
        bench.runtime.call_sync(call),
    ] {
        let error = late.unwrap_err();
        let ViewError::Waited { limit, wanted } = error else {
            panic!("{error}")
        };
        assert_eq!((limit.as_millis(), wanted), (20, Wait::Permit));
    }
    holder.abort();
    holder.await.unwrap_err();
    assert_eq!(stats(&bench).waiting, 0);
    bench.runtime.call(call).await.unwrap();
}

/// A guest that takes 40 MiB to run a block, and whose view `at_once` takes as many.
fn hungry_for_blocks() -> Vec<u8> {
    guests::from_wat(
        r#"(module
             (import "env" "__flush" (func $flush (param i32)))
             (memory (export "memory") 1)
             (func $take (drop (memory.grow (i32.const 640))))
             (func (export "_start") (call $take) (call $flush (i32.const 8)))
             (func (export "small") (result i32) (i32.const 16))
             (func (export "hold") (result i32)
               (call $take) (loop $again (br $again)) (unreachable))
             (func (export "at_once") (result i32) (call $take) (i32.const 16)))"#,
    )
}

fn next_block(bench: &Bench, branch: u8) -> PendingBlock {
    PendingBlock {
        parent: bench.store.snapshot().tip().unwrap().hash,
        block: block(1, branch).into(),
    }
}

/// A call that has got its bytes finds a new pending block, which needs as many: were they kept
/// for the call, the two would wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_keeps_bytes_while_it_waits_for_a_block_that_needs_them() {
    let bench = Bench::with(&hungry_for_blocks(), |views| {
        views.memory_budget = 64 * MIB;
        views.max_instance_memory = 64 * MIB;
        views.timeout = Duration::from_hours(1);
        views.max_wait = Duration::from_secs(20);
    });
    bench.index_to(0, 1);
    let about_pending = |function| ViewCall {
        at: ViewAt::Pending.into(),
        ..fresh(function)
    };
    let pending = |branch| {
        let block = next_block(&bench, branch);
        bench.runtime.set_pending(Some(block)).unwrap();
    };
    pending(1);
    bench.runtime.call(about_pending("small")).await.unwrap();
    let holder = spawn(&bench, fresh("hold"));
    until(|| stats(&bench).memory > 40 * MIB).await;
    let waiting = spawn(&bench, about_pending("at_once"));
    until(|| stats(&bench).waiting == 1).await;
    pending(2);
    holder.abort();
    holder.await.unwrap_err();
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!(answer.pending.unwrap().number, 2);
    assert_adds_up(&stats(&bench));
}

/// A call that waited for its permit finds a new pending block, which takes long: others run
/// meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_keeps_its_permit_while_it_waits_for_the_pending_block() {
    let bench = Bench::with(&hungry(1), |views| {
        views.instances = NonZeroUsize::MIN;
        views.timeout = Duration::from_hours(1);
    });
    bench.index_to(0, 1);
    let pending = ViewCall {
        at: ViewAt::Pending.into(),
        ..ViewCall::new("counter", b"")
    };
    let first = next_block(&bench, 1);
    bench.runtime.set_pending(Some(first)).unwrap();
    bench.runtime.call(pending).await.unwrap();
    let holder = spawn(&bench, fresh("hold"));
    until(|| stats(&bench).busy == 1).await;
    let waiting = spawn(&bench, pending);
    until(|| stats(&bench).waiting == 1).await;
    let next = next_block(&bench, 2);
    let (fetched, fetching) = mpsc::channel();
    let (let_go, held) = mpsc::channel();
    let fetch = move || {
        fetched.send(()).unwrap();
        held.recv().unwrap();
        Ok(next.block)
    };
    bench.runtime.offer_pending(next.parent, fetch).unwrap();
    holder.abort();
    holder.await.unwrap_err();
    tokio::task::spawn_blocking(move || fetching.recv().unwrap())
        .await
        .unwrap();
    let quick = ViewCall {
        timeout: Some(Duration::from_secs(20)),
        ..ViewCall::new("counter", b"")
    };
    bench.runtime.call(quick).await.unwrap();
    let_go.send(()).unwrap();
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!(answer.pending.unwrap().number, 2);
    assert_adds_up(&stats(&bench));
}
