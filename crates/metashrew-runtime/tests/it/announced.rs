//! A guest that asks for it is told where each call begins, once in each run, and whatever it
//! does then is part of the call.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use metashrew_runtime::{
    GuestFault, PendingBlock, Route, ScoutControl, ScoutEnd, ViewAt, ViewCall, ViewCheck, ViewError,
};
use metashrew_store::{BlockId, BlockRef, State, Store};
use metashrew_testing::announced::{
    announced, announced_across_blocks, oddly_announced, unannounced,
};

use crate::{Bench, assert_adds_up, block, hash};

fn bench_of(wasm: &[u8]) -> Bench {
    let bench = Bench::with(wasm, |views| views.timeout = Duration::from_hours(1));
    bench.index_to(1, 1);
    bench
}

fn bench() -> Bench {
    bench_of(&announced())
}

fn ask(bench: &Bench, call: ViewCall<'_>) -> Vec<u8> {
    bench.runtime.call_sync(call).unwrap().bytes.to_vec()
}

fn on<'a>(route: Route<'a>, view: &'a str) -> ViewCall<'a> {
    ViewCall {
        route,
        ..ViewCall::new(view, b"")
    }
}

#[test]
fn each_run_begins_once() {
    let bench = bench();
    let tokio = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let written = || ask(&bench, on(Route::Fresh, "written"));
    assert_eq!(written()[..2], [1, 0], "a block");
    for call in (1..10).step_by(2) {
        assert_eq!(ask(&bench, on(Route::Pooled, "told")), [0, call]);
        let answer = tokio.block_on(bench.runtime.call(on(Route::Pooled, "told")));
        assert_eq!(answer.unwrap().bytes[..], [0, call + 1]);
        assert_eq!(ask(&bench, on(Route::Fresh, "told")), [0, 1]);
        let answer = tokio.block_on(bench.runtime.call(on(Route::Fresh, "told")));
        assert_eq!(answer.unwrap().bytes[..], [0, 1]);
    }
    for call in 1..4 {
        assert_eq!(ask(&bench, on(Route::Session("s"), "told")), [0, call]);
    }
    let preview = |view| {
        let (block, at) = (block(2, 1), BlockId::Latest);
        let answer = bench.runtime.preview_sync(&block, view, b"", &at);
        answer.unwrap().bytes
    };
    assert_eq!(preview("written")[..2], [1, 0]);
    assert_eq!(preview("told")[..], [0, 1]);
    let pending = PendingBlock {
        parent: hash(1, 1),
        block: Bytes::from(block(2, 1)),
    };
    bench.runtime.set_pending(Some(pending)).unwrap();
    let about_pending = |view| ViewCall {
        at: ViewAt::Pending.into(),
        ..ViewCall::new(view, b"")
    };
    assert_eq!(ask(&bench, about_pending("written"))[..2], [1, 0]);
    assert_eq!(ask(&bench, about_pending("told")), [0, 2]);
    bench.runtime.disable_stateful_views();
    assert_eq!(ask(&bench, on(Route::Pooled, "told")), [0, 1]);
    assert_adds_up(&bench.runtime.view_stats());
}

#[test]
fn each_block_on_kept_memory_begins_once_and_knows_the_limit_of_its_caches() {
    let bench = Bench::new(&announced_across_blocks());
    let mut runner = bench.runtime.block_runner();
    for height in 0..3 {
        let below = height.max(1) - 1;
        let block_ref = BlockRef::new(height, hash(height, 1), hash(below, u8::from(height > 0)));
        let state = bench.store.snapshot().latest();
        let writes = runner.process(state, &block_ref, Bytes::from(block(height, 1)));
        bench.commit(height, 1, &writes.unwrap());
        let [seen, views, limit] = ask(&bench, on(Route::Fresh, "written"))[..] else {
            panic!("three bytes are written");
        };
        assert_eq!((u32::from(seen), views), (height + 1, 0));
        assert_eq!(u32::from(limit) * 8, 256, "MiB");
    }
}

struct Goes(Store);

impl ScoutControl for Goes {
    fn state(&self) -> State {
        self.0.snapshot().latest()
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

#[test]
fn a_scout_begins_once() {
    let bench = bench();
    let control: Arc<dyn ScoutControl> = Arc::new(Goes(bench.store.clone()));
    let scout = |bytes: Vec<u8>| bench.runtime.scout(2, Bytes::from(bytes), &control);
    let scouted = scout(block(2, 1));
    // The guest reads where a call begins, and nowhere else in a block.
    assert_eq!((scouted.end, scouted.reads), (ScoutEnd::Done, 1));
    assert_eq!(scout(b"t".to_vec()).end, ScoutEnd::Failed);
}

#[test]
fn both_runs_of_a_checked_call_begin() {
    let bench = Bench::with(&announced(), |views| views.check = ViewCheck::Enforce);
    bench.index_to(1, 1);
    for number in 0..40 {
        assert_eq!(ask(&bench, ViewCall::new("since", &[number])), [1]);
    }
    let checks = bench.runtime.view_stats().checks;
    assert!(checks.run > 10, "{checks:?}");
    assert_eq!((checks.differed, checks.skipped), (0, 0));
}

#[test]
fn what_a_guest_says_of_itself_is_no_call() {
    let bench = bench();
    assert_eq!(bench.runtime.guest_id().name.as_deref(), Some("0"));
    assert_eq!(bench.view("__meta", b"", &BlockId::Latest), b"\x22\x010");
}

#[test]
fn an_export_of_another_type_is_none() {
    for wasm in [unannounced(), oddly_announced()] {
        let bench = bench_of(&wasm);
        for _ in 0..3 {
            assert_eq!(bench.view("told", b"", &BlockId::Latest), [0, 0]);
        }
        assert_eq!(bench.view("written", b"", &BlockId::Latest)[..2], [0, 0]);
    }
}

#[test]
fn a_trap_there_is_the_calls() {
    let bench = bench();
    assert!(bench.runtime.process_block(2, b"t").is_err());
    for route in [Route::Pooled, Route::Fresh, Route::Session("s")] {
        let call = ViewCall {
            route,
            ..ViewCall::new("echo", b"t")
        };
        let error = bench.runtime.call_sync(call).unwrap_err();
        let is_trap = matches!(&error, ViewError::Guest(GuestFault::Trap { backtrace, .. })
            if !backtrace.frames().is_empty());
        assert!(is_trap, "{error:?}");
    }
    assert_eq!(bench.view("echo", b"well", &BlockId::Latest), b"well");
    let stats = bench.runtime.view_stats();
    assert_eq!(stats.errors.guest, 3);
    assert_adds_up(&stats);
}

#[test]
fn time_there_is_the_calls_and_others_go_on() {
    let bench = bench();
    let limit = Duration::from_millis(50);
    for (view, input) in [("echo", b"s"), ("fail", b"S")] {
        let call = ViewCall {
            timeout: Some(limit),
            ..ViewCall::new(view, input)
        };
        let error = bench.runtime.call_sync(call).unwrap_err();
        assert!(matches!(error, ViewError::Timeout { .. }), "{error:?}");
        // It gives way: on one thread, another call is answered meanwhile.
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        tokio.block_on(async {
            let endless = ViewCall {
                timeout: None,
                ..call
            };
            let mut endless = pin!(bench.runtime.call(endless));
            let begun = std::future::poll_fn(|task| Poll::Ready(endless.as_mut().poll(task)));
            assert!(begun.await.is_pending());
            for _ in 0..3 {
                let quick = bench.runtime.view("echo", b"quick", &BlockId::Latest);
                assert_eq!(quick.await.unwrap().bytes[..], *b"quick");
                let goes_on = std::future::poll_fn(|task| Poll::Ready(endless.as_mut().poll(task)));
                assert!(goes_on.await.is_pending());
            }
        });
    }
    assert_adds_up(&bench.runtime.view_stats());
}
