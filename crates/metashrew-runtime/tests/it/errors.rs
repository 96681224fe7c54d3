//! Every kind of error, caused once and counted once.

use std::num::NonZeroUsize;
use std::time::Duration;

use metashrew_runtime::{Route, ViewAt, ViewCall};
use metashrew_store::BlockId;
use metashrew_testing::guests;

use crate::{Bench, assert_adds_up, stage, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_error_is_counted_as_what_it_is() {
    let (store, _) = stage::store();
    let bench = Bench::over(&guests::chained(), store, |views| {
        views.instances = NonZeroUsize::MIN;
        views.queue = 0;
        views.timeout = Duration::from_hours(1);
        views.max_input = 100;
        views.max_output = 50;
        views.max_instance_memory = 8 << 20;
    });
    bench.index_to(1, 1);
    assert_eq!(bench.count(&BlockId::Latest), 1);

    let runtime = bench.runtime.clone();
    let endless = tokio::spawn(async move { runtime.view("spin", b"", &BlockId::Latest).await });
    until(|| bench.runtime.view_stats().busy == 1).await;
    let error = bench.runtime.view_sync("echo", b"", &BlockId::Latest);
    assert!(error.unwrap_err().to_string().starts_with("busy"));
    endless.abort();
    assert!(endless.await.unwrap_err().is_cancelled());

    let about = |function, input| ViewCall::new(function, input);
    let failing = [
        ViewCall {
            at: BlockId::Height(9).into(),
            ..about("echo", b"")
        },
        about("nothing", b""),
        about("echo", &[0; 101]),
        about("echo", &[0; 51]),
        ViewCall {
            timeout: Some(Duration::from_millis(1)),
            ..about("spin", b"")
        },
        about("grow_4gib", b""),
        about("trap", b""),
        about("get", stage::BOOM),
        ViewCall {
            route: Route::Session(""),
            ..about("echo", b"")
        },
        ViewCall {
            at: ViewAt::Pending.into(),
            ..about("echo", b"")
        },
    ];
    for call in failing {
        bench.runtime.call(call).await.unwrap_err();
    }
    let stats = bench.runtime.view_stats();
    for (kind, count) in stats.errors.by_kind() {
        // There is no other call to take memory, and the guest returns no errors: see `budget.rs`
        // and `view_errors.rs`.
        let expected = u64::from(!matches!(kind, "memory_busy" | "view_error"));
        assert_eq!(count, expected, "`{kind}` of {:?}", stats.errors);
    }
    assert_eq!(stats.errors.total(), 12);

    let preview = bench
        .runtime
        .preview(&crate::block(2, 1), "height", b"", &BlockId::Latest)
        .await;
    assert_eq!(preview.unwrap().bytes, 2u32.to_le_bytes()[..]);
    let stats = bench.runtime.view_stats();
    assert_eq!((stats.calls.answered, stats.calls.previews), (2, 1));
    assert_eq!(stats.latency.count(), stats.calls.answered);
    assert_adds_up(&stats);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_may_have_less_time_than_the_engine_gives_and_never_more() {
    let bench = Bench::with(&guests::chained(), |views| {
        views.timeout = Duration::from_millis(30);
    });
    bench.index_to(0, 1);
    for (asked, limit) in [(Some(3), 3), (Some(60_000), 30), (None, 30)] {
        let call = ViewCall {
            timeout: asked.map(Duration::from_millis),
            ..ViewCall::new("spin", b"")
        };
        for error in [
            bench.runtime.call(call).await,
            bench.runtime.call_sync(call),
        ] {
            let text = error.unwrap_err().to_string();
            let expected = format!("the view ran longer than {limit} ms");
            assert!(text.starts_with(&expected), "{text}");
        }
    }
}
