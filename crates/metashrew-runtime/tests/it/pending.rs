//! The pending block: answers as if it were there.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use metashrew_runtime::{
    Basis, PendingBlock, PendingError, PendingOffer, PendingState, Route, ViewAnswer, ViewAt,
    ViewCall, ViewError,
};
use metashrew_store::{BlockHash, BlockId, MemoryBackend, Store, wait};
use metashrew_testing::delayed::{Delayed, Gate};
use metashrew_testing::guests;

use crate::{Bench, assert_adds_up, block, hash, ledger, until};

fn pending(parent: BlockHash, height: u32, branch: u8) -> PendingBlock {
    PendingBlock {
        parent,
        block: Bytes::from(block(height, branch)),
    }
}

fn about_pending<'a>(function: &'a str, route: Route<'a>) -> ViewCall<'a> {
    ViewCall {
        at: ViewAt::Pending.into(),
        route,
        ..ViewCall::new(function, b"acc")
    }
}

fn ask(bench: &Bench, function: &str) -> Result<ViewAnswer, ViewError> {
    bench
        .runtime
        .call_sync(about_pending(function, Route::Pooled))
}

fn set(bench: &Bench, branch: u8) {
    let tip = *bench.store.snapshot().tip().unwrap();
    let block = pending(tip.hash, tip.height + 1, branch);
    bench.runtime.set_pending(Some(block)).unwrap();
}

fn bench_at(height: u32) -> Bench {
    let bench = Bench::with(&guests::chained(), |views| {
        views.timeout = Duration::from_hours(1);
    });
    bench.index_to(height, 1);
    bench
}

#[test]
fn pending_answers_are_those_after_the_block_is_committed() {
    for (wasm, views) in [
        (guests::chained(), &["get", "cached_get", "height"][..]),
        (ledger(), &["sum", "cached", "get"]),
    ] {
        let bench = Bench::new(&wasm);
        bench.index_to(3, 1);
        set(&bench, 1);
        let before: Vec<_> = views
            .iter()
            .map(|view| ask(&bench, view).unwrap())
            .collect();
        for answer in &before {
            assert_eq!(answer.pending, before[0].pending);
            assert_eq!(answer.pending.unwrap().height, 4);
            assert_eq!((answer.block.hash, answer.tip), (hash(3, 1), answer.block));
        }
        let earlier = bench.view(views[0], b"acc", &BlockId::Latest);
        assert_ne!(before[0].bytes, earlier);
        bench.index(4, 1);
        for (view, before) in views.iter().zip(before) {
            let after = bench.view(view, b"acc", &BlockId::Latest);
            assert_eq!(before.bytes, after, "`{view}`");
        }
    }
}

#[test]
fn a_pending_block_counts_only_on_its_parent() {
    let bench = bench_at(3);
    assert!(matches!(ask(&bench, "get"), Err(ViewError::NoPending)));
    let stale = pending(hash(2, 1), 3, 2);
    assert!(matches!(
        bench.runtime.set_pending(Some(stale)),
        Err(ViewError::NoPending)
    ));
    set(&bench, 2);
    let expected = ask(&bench, "get").unwrap();
    let chain = bench.runtime.chain();
    bench.index(4, 1);
    assert!(matches!(ask(&bench, "get"), Err(ViewError::NoPending)));
    // Who holds a moment when its parent was the tip goes on.
    let call = ViewCall {
        at: Basis::In(&chain, ViewAt::Pending),
        ..about_pending("get", Route::Pooled)
    };
    assert_eq!(bench.runtime.call_sync(call).unwrap(), expected);
    // If its parent is the tip again, it counts again.
    bench.store.rollback(Some(3)).unwrap();
    assert_eq!(ask(&bench, "get").unwrap(), expected);
    bench.runtime.set_pending(None).unwrap();
    assert!(matches!(ask(&bench, "get"), Err(ViewError::NoPending)));
    assert_adds_up(&bench.runtime.view_stats());
}

/// `cached_get` of the pending block and of the tip, by every route.
fn assert_answers(bench: &Bench, branch: u8) {
    let other = bench_at(3);
    other.index(4, branch);
    let expected = other.view("get", b"acc", &BlockId::Latest);
    for route in [Route::Pooled, Route::Fresh, Route::Pooled] {
        let call = about_pending("cached_get", route);
        let answer = bench.runtime.call_sync(call).unwrap();
        assert_eq!(answer.bytes, expected, "pending block {branch}, {route:?}");
        let tip = bench.view("cached_get", b"acc", &BlockId::Latest);
        assert_eq!(tip, other.view("get", b"acc", &BlockId::Height(3)));
    }
}

#[test]
fn an_instance_of_one_pending_block_answers_for_no_other() {
    let bench = bench_at(3);
    for branch in 2..6 {
        set(&bench, branch);
        assert_answers(&bench, branch);
    }
    let stats = bench.runtime.view_stats();
    assert_eq!(stats.dropped.pending, 3);
    assert_adds_up(&stats);
}

#[test]
fn an_instance_of_a_withdrawn_pending_block_answers_for_none_that_follows() {
    let bench = bench_at(3);
    for branch in 2..6 {
        set(&bench, branch);
        assert_answers(&bench, branch);
        bench.runtime.set_pending(None).unwrap();
        assert_eq!(
            bench.runtime.view_stats().dropped.pending,
            u64::from(branch) - 1
        );
    }
}

/// A pending block on the tip, of a branch; what the guest makes of it is counted.
fn offer(bench: &Bench, branch: u8, fetched: &Arc<AtomicUsize>) -> PendingOffer {
    let tip = *bench.store.snapshot().tip().unwrap();
    let (bytes, fetched) = (block(tip.height + 1, branch), Arc::clone(fetched));
    let fetch = move || {
        fetched.fetch_add(1, Ordering::SeqCst);
        Ok(Bytes::from(bytes))
    };
    bench.runtime.offer_pending(tip.hash, fetch).unwrap()
}

#[test]
fn a_pending_block_that_fails_is_told_to_all_who_ask_and_tried_once() {
    let bench = Bench::new(&guests::traps_at(5));
    bench.index_to(4, 1);
    let fetched = Arc::default();
    let offer = offer(&bench, 1, &fetched);
    for _ in 0..3 {
        let Err(ViewError::PendingFailed(error)) = ask(&bench, "get") else {
            panic!("an answer");
        };
        assert!(matches!(
            &*error,
            PendingError::Execution(ViewError::Guest(_))
        ));
    }
    assert_eq!(fetched.load(Ordering::SeqCst), 1);
    assert!(matches!(offer.state(), PendingState::Failed(_)));
    // What it stands on is as good as ever, and so is a pending block there.
    bench.store.rollback(Some(3)).unwrap();
    assert!(matches!(ask(&bench, "get"), Err(ViewError::NoPending)));
    set(&bench, 1);
    ask(&bench, "get").unwrap();
}

type Fetch = fn() -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>>;

#[test]
fn a_pending_block_that_cannot_be_fetched_is_told_to_all_who_ask() {
    let bench = bench_at(3);
    let parent = bench.store.snapshot().tip().unwrap().hash;
    let no_node: Fetch = || Err("no node".into());
    let panics: Fetch = || panic!("a defect");
    let is_no_node = |error: &PendingError| matches!(error, PendingError::Fetch(why) if why.to_string() == "no node");
    let is_panic = |error: &PendingError| matches!(error, PendingError::Thread);
    let check = |fetch: Fetch, is_expected: fn(&PendingError) -> bool| {
        let offer = bench.runtime.offer_pending(parent, fetch).unwrap();
        for _ in 0..2 {
            let Err(ViewError::PendingFailed(error)) = ask(&bench, "get") else {
                panic!("an answer");
            };
            assert!(is_expected(&error), "{error:?}");
        }
        assert!(matches!(offer.state(), PendingState::Failed(_)));
    };
    check(no_node, is_no_node);
    check(panics, is_panic);
}

#[test]
fn nobody_asks_and_nothing_is_fetched_or_executed() {
    let bench = bench_at(3);
    let fetched = Arc::default();
    let offers = [1, 2, 3].map(|branch| offer(&bench, branch, &fetched));
    bench.view("get", b"acc", &BlockId::Latest);
    drop(bench.runtime.chain());
    assert_eq!(fetched.load(Ordering::SeqCst), 0);
    for offer in &offers {
        assert!(matches!(offer.state(), PendingState::Unasked));
    }
    ask(&bench, "get").unwrap();
    assert_eq!(fetched.load(Ordering::SeqCst), 1);
    assert!(matches!(offers[1].state(), PendingState::Unasked));
    assert!(matches!(offers[2].state(), PendingState::Executed));
}

/// What a pending block waits for.
fn gated(bench: &Bench) -> (mpsc::Sender<()>, PendingOffer) {
    let tip = *bench.store.snapshot().tip().unwrap();
    let (open, gate) = mpsc::channel();
    let fetch = move || {
        gate.recv().unwrap();
        Ok(Bytes::from(block(tip.height + 1, 2)))
    };
    let offer = bench.runtime.offer_pending(tip.hash, fetch).unwrap();
    (open, offer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_ask_at_once_have_it_executed_once() {
    const CALLERS: usize = 64;
    let bench = bench_at(3);
    let (open, offer) = gated(&bench);
    let asked = Arc::new(AtomicUsize::new(0));
    let calls: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (runtime, asked) = (bench.runtime.clone(), Arc::clone(&asked));
            tokio::spawn(async move {
                let mut call = pin!(runtime.call(about_pending("get", Route::Pooled)));
                let first = poll_fn(|task| Poll::Ready(call.as_mut().poll(task))).await;
                assert!(first.is_pending());
                asked.fetch_add(1, Ordering::SeqCst);
                call.await.unwrap()
            })
        })
        .collect();
    // All of them wait, and hold up no worker: others are answered.
    until(|| asked.load(Ordering::SeqCst) == CALLERS).await;
    assert!(matches!(offer.state(), PendingState::Running));
    let latest = bench.runtime.view("get", b"acc", &BlockId::Latest).await;
    latest.unwrap();
    open.send(()).unwrap();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    let first = &answers[0];
    assert!(answers.iter().all(|answer| answer == first));
    assert!(first.pending.is_some());
    assert_adds_up(&bench.runtime.view_stats());
}

#[tokio::test]
async fn who_goes_away_ends_the_execution_for_nobody() {
    let bench = bench_at(3);
    let (open, offer) = gated(&bench);
    {
        let mut first = pin!(bench.runtime.call(about_pending("get", Route::Pooled)));
        let polled = poll_fn(|task| Poll::Ready(first.as_mut().poll(task))).await;
        assert!(polled.is_pending());
    }
    assert!(matches!(offer.state(), PendingState::Running));
    open.send(()).unwrap();
    let second = bench.runtime.call(about_pending("get", Route::Pooled));
    assert_eq!(second.await.unwrap().block.height, 3);
    assert!(matches!(offer.state(), PendingState::Executed));
    let stats = bench.runtime.view_stats();
    assert_eq!((stats.errors.cancelled, stats.calls.answered), (1, 1));
    assert_adds_up(&stats);
}

#[test]
fn the_same_block_is_not_executed_again_and_keeps_its_instances() {
    let bench = bench_at(3);
    set(&bench, 2);
    let first = ask(&bench, "counter").unwrap();
    set(&bench, 2);
    let second = ask(&bench, "counter").unwrap();
    assert_eq!(first.pending, second.pending);
    assert_ne!(first.bytes, second.bytes, "another instance answered");
    set(&bench, 3);
    let third = ask(&bench, "counter").unwrap();
    assert_eq!(first.bytes, third.bytes);
    let [first, third] = [first, third].map(|answer| answer.pending.unwrap());
    assert!(third.number > first.number);
    assert_ne!(third.hash, first.hash);
    // Taken away and offered again, its instances are kept as ever.
    bench.runtime.set_pending(None).unwrap();
    set(&bench, 3);
    let counts = [(); 2].map(|()| ask(&bench, "counter").unwrap().bytes);
    assert_ne!(counts[0], counts[1]);
    assert_adds_up(&bench.runtime.view_stats());
}

#[test]
fn a_moment_has_one_pending_block() {
    let bench = bench_at(3);
    set(&bench, 1);
    let chain = bench.runtime.chain();
    set(&bench, 2);
    let ask_then = || {
        let call = ViewCall {
            at: Basis::In(&chain, ViewAt::Pending),
            ..about_pending("get", Route::Pooled)
        };
        bench.runtime.call_sync(call).unwrap()
    };
    // Nobody had asked about it while it was offered.
    let before = ask_then();
    let now = ask(&bench, "get").unwrap();
    assert_ne!(before.bytes, now.bytes);
    let context = wait(chain.at(ViewAt::Pending)).unwrap();
    bench.runtime.set_pending(None).unwrap();
    bench.index(4, 1);
    assert_eq!(ask_then(), before);
    let call = ViewCall {
        at: (&context).into(),
        ..about_pending("get", Route::Fresh)
    };
    assert_eq!(bench.runtime.call_sync(call).unwrap(), before);
    assert_eq!(before.bytes, bench.view("get", b"acc", &BlockId::Latest));
}

#[test]
fn a_guest_that_takes_long_for_a_block_has_a_pending_one_within_a_limit_of_its_own() {
    let gate = Arc::new(Gate::default());
    let engine = Delayed::behind(MemoryBackend::default(), Arc::clone(&gate));
    let store = Store::with_backend(Arc::new(engine)).unwrap();
    let timeout = Duration::from_secs(2);
    let bench = Bench::over(&guests::chained(), store, |views| {
        views.timeout = timeout;
        views.pending_timeout = Duration::from_hours(1);
    });
    bench.index_to(3, 1);
    set(&bench, 1);
    gate.close();
    std::thread::scope(|scope| {
        // The block's reads wait for longer than a view may run.
        scope.spawn(|| {
            let (_never, silence) = mpsc::channel::<()>();
            assert!(silence.recv_timeout(timeout * 2).is_err());
            gate.open();
        });
        ask(&bench, "get").unwrap();
    });
}

#[test]
fn a_pending_block_that_takes_too_long_is_told_and_ends() {
    let limit = Duration::from_millis(20);
    let bench = Bench::with(&guests::spins_at(4), |views| {
        views.timeout = Duration::from_hours(1);
        views.pending_timeout = limit;
    });
    bench.index_to(3, 1);
    set(&bench, 1);
    let Err(ViewError::PendingFailed(error)) = ask(&bench, "get") else {
        panic!("an answer");
    };
    let PendingError::Execution(ViewError::Timeout { limit: told, .. }) = &*error else {
        panic!("{error}");
    };
    assert_eq!(*told, limit);
    bench.view("get", b"acc", &BlockId::Latest);
}

#[test]
fn callers_of_pending_blocks_get_one_of_those_that_were_set_meanwhile() {
    const BRANCHES: u8 = 100;
    let bench = bench_at(3);
    let expected: Vec<Vec<u8>> = (0..=BRANCHES)
        .map(|branch| {
            let preview =
                bench
                    .runtime
                    .preview_sync(&block(4, branch), "get", b"acc", &BlockId::Latest);
            preview.unwrap().bytes.to_vec()
        })
        .collect();
    set(&bench, 1);
    // The newest that is being set, and the newest that is set.
    let [setting, was_set] = [1, 1].map(std::sync::atomic::AtomicU8::new);
    let order = std::sync::atomic::Ordering::SeqCst;
    std::thread::scope(|scope| {
        for caller in 0..6 {
            let (bench, expected) = (&bench, &expected);
            let (setting, was_set) = (&setting, &was_set);
            scope.spawn(move || {
                let mut route = [Route::Pooled, Route::Fresh].into_iter().cycle();
                while was_set.load(order) < BRANCHES {
                    let oldest = was_set.load(order);
                    let chain = bench.runtime.chain();
                    let call = about_pending("cached_get", route.next().unwrap());
                    let call = ViewCall {
                        at: if caller % 2 == 0 {
                            Basis::In(&chain, ViewAt::Pending)
                        } else {
                            call.at
                        },
                        ..call
                    };
                    let answer = bench.runtime.call_sync(call).unwrap();
                    let newest = setting.load(order);
                    let possible = &expected[oldest.into()..=newest.into()];
                    assert!(
                        possible.contains(&answer.bytes.to_vec()),
                        "{oldest} to {newest}"
                    );
                }
            });
        }
        for branch in 2..=BRANCHES {
            setting.store(branch, order);
            set(&bench, branch);
            was_set.store(branch, order);
        }
    });
    assert_adds_up(&bench.runtime.view_stats());
}
