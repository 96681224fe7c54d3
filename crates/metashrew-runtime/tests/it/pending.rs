//! The pending block: answers as if it were there.

use std::time::Duration;

use bytes::Bytes;
use metashrew_runtime::{PendingBlock, Route, ViewAnswer, ViewAt, ViewCall, ViewError};
use metashrew_store::{BlockHash, BlockId, Snapshot};
use metashrew_testing::guests;

use crate::{Bench, assert_adds_up, block, hash, ledger};

fn pending(parent: BlockHash, height: u32, branch: u8) -> PendingBlock {
    PendingBlock {
        parent,
        block: Bytes::from(block(height, branch)),
    }
}

fn about_pending<'a>(function: &'a str, route: Route<'a>) -> ViewCall<'a> {
    ViewCall {
        at: ViewAt::Pending,
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
            assert!(answer.pending);
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
    let snapshot = bench.store.snapshot();
    bench.index(4, 1);
    assert!(matches!(ask(&bench, "get"), Err(ViewError::NoPending)));
    // Who holds a snapshot of its parent goes on.
    let call = ViewCall {
        snapshot: Some(&snapshot),
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

#[test]
fn a_pending_block_that_fails_leaves_the_earlier_one() {
    let bench = Bench::new(&guests::traps_at(5));
    bench.index_to(3, 1);
    set(&bench, 2);
    let before = ask(&bench, "get").unwrap();
    bench.index(4, 1);
    let tip = *bench.store.snapshot().tip().unwrap();
    assert!(matches!(
        bench.runtime.set_pending(Some(pending(tip.hash, 5, 1))),
        Err(ViewError::Guest(_))
    ));
    bench.store.rollback(Some(3)).unwrap();
    assert_eq!(ask(&bench, "get").unwrap(), before);
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
    let snapshot: Snapshot = bench.store.snapshot();
    set(&bench, 1);
    // The newest that is being set, and the newest that is set.
    let [setting, was_set] = [1, 1].map(std::sync::atomic::AtomicU8::new);
    let order = std::sync::atomic::Ordering::SeqCst;
    std::thread::scope(|scope| {
        for caller in 0..6 {
            let (bench, expected, snapshot) = (&bench, &expected, &snapshot);
            let (setting, was_set) = (&setting, &was_set);
            scope.spawn(move || {
                let mut route = [Route::Pooled, Route::Fresh].into_iter().cycle();
                while was_set.load(order) < BRANCHES {
                    let oldest = was_set.load(order);
                    let call = ViewCall {
                        snapshot: (caller % 2 == 0).then_some(snapshot),
                        ..about_pending("cached_get", route.next().unwrap())
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
