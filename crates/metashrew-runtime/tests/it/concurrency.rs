//! Many callers at once: nobody gets another's answer, nobody waits for the dead.

use std::num::NonZeroUsize;
use std::time::Duration;

use metashrew_runtime::ViewError;
use metashrew_store::BlockId;
use metashrew_testing::guests;

use crate::{Bench, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_instance_serves_calls_one_at_a_time_on_one_memory() {
    let bench = Bench::with(&guests::chained(), |views| {
        views.instances = NonZeroUsize::MIN;
    });
    bench.index_to(0, 1);
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let runtime = bench.runtime.clone();
            tokio::spawn(async move {
                let answer = runtime.view("counter", b"", &BlockId::Latest).await;
                u32::from_le_bytes(answer.unwrap().bytes[..].try_into().unwrap())
            })
        })
        .collect();
    let mut counts = Vec::new();
    for call in calls {
        counts.push(call.await.unwrap());
    }
    counts.sort_unstable();
    assert_eq!(counts, (1..=200).collect::<Vec<u32>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_and_a_dropped_call_makes_room() {
    let bench = Bench::with(&guests::chained(), |views| {
        views.instances = NonZeroUsize::MIN;
        views.queue = 1;
        views.timeout = Duration::from_mins(10);
    });
    bench.index_to(0, 1);
    let call = |name: &'static str| {
        let runtime = bench.runtime.clone();
        tokio::spawn(async move { runtime.view(name, b"", &BlockId::Latest).await })
    };
    let endless = call("spin");
    until(|| bench.runtime.view_stats().busy == 1).await;
    let queued = call("counter");
    until(|| bench.runtime.view_stats().waiting == 1).await;
    assert!(matches!(
        call("counter").await.unwrap(),
        Err(ViewError::Busy { queue: 1 })
    ));

    endless.abort();
    assert!(endless.await.unwrap_err().is_cancelled());
    assert_eq!(queued.await.unwrap().unwrap().bytes, 1u32.to_le_bytes()[..]);
    let stats = bench.runtime.view_stats();
    assert_eq!(
        (stats.busy, stats.waiting, stats.dropped.cancelled),
        (0, 0, 1)
    );
}

#[tokio::test(flavor = "current_thread")]
async fn an_endless_view_gives_way_to_other_tasks_of_its_thread() {
    let bench = Bench::with(&guests::chained(), |views| {
        views.instances = NonZeroUsize::new(2).unwrap();
        views.timeout = Duration::from_millis(200);
    });
    bench.index_to(0, 1);
    let runtime = bench.runtime.clone();
    let endless = tokio::spawn(async move { runtime.view("spin", b"", &BlockId::Latest).await });
    until(|| bench.runtime.view_stats().busy == 1).await;
    let mut answered = 0;
    while !endless.is_finished() {
        let answer = bench.runtime.view("echo", b"hello", &BlockId::Latest).await;
        assert_eq!(answer.unwrap().bytes, b"hello"[..]);
        answered += 1;
        tokio::task::yield_now().await;
    }
    assert!(
        answered > 1,
        "only {answered} answers beside the endless view"
    );
    assert!(matches!(
        endless.await.unwrap(),
        Err(ViewError::Timeout { .. })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn stateful_views_go_off_and_on_under_load() {
    let bench = Bench::new(&guests::chained());
    bench.index_to(3, 1);
    let expected = bench.view("get", b"acc", &BlockId::Height(2));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (runtime, expected) = (bench.runtime.clone(), expected.clone());
            tokio::spawn(async move {
                for _ in 0..300 {
                    let answer = runtime
                        .view("cached_get", b"acc", &BlockId::Height(2))
                        .await;
                    assert_eq!(answer.unwrap().bytes, expected);
                }
            })
        })
        .collect();
    while callers.iter().any(|caller| !caller.is_finished()) {
        bench.runtime.disable_stateful_views();
        tokio::task::yield_now().await;
        bench.runtime.enable_stateful_views().await.unwrap();
        tokio::task::yield_now().await;
    }
    for caller in callers {
        caller.await.unwrap();
    }
    bench.runtime.disable_stateful_views();
    let stats = bench.runtime.view_stats();
    assert_eq!((stats.idle, stats.busy, stats.memory), (0, 0, 0));
}
