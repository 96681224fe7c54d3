//! Who is served when, and on which memory.

use std::num::NonZeroUsize;
use std::time::Duration;

use metashrew_store::BlockId;
use metashrew_testing::guests;

use crate::{Bench, assert_adds_up, stage, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_instance_serves_calls_in_the_order_they_came() {
    const CALLS: u32 = 24;
    let (store, gate) = stage::store();
    let bench = Bench::over(&guests::chained(), store, |views| {
        views.instances = NonZeroUsize::MIN;
        views.timeout = Duration::from_hours(1);
    });
    bench.index_to(0, 1);
    assert_eq!([1, 2], [(); 2].map(|()| bench.count(&BlockId::Latest)));
    let ask = |name: &'static str, input: &'static [u8], is_async: bool| {
        let runtime = bench.runtime.clone();
        if is_async {
            tokio::spawn(async move { runtime.view(name, input, &BlockId::Latest).await })
        } else {
            tokio::task::spawn_blocking(move || runtime.view_sync(name, input, &BlockId::Latest))
        }
    };
    let holder = ask("get", stage::GATE, false);
    until(|| bench.runtime.view_stats().busy == 1).await;
    let mut calls = Vec::new();
    for number in 0..CALLS {
        calls.push(ask("counter", b"", number.is_multiple_of(2)));
        until(|| bench.runtime.view_stats().waiting == calls.len()).await;
    }
    gate.open();
    assert_eq!(holder.await.unwrap().unwrap().bytes, b""[..]);
    for (call, expected) in calls.into_iter().zip(3u32..) {
        let answer = call.await.unwrap().unwrap();
        assert_eq!(answer.bytes, expected.to_le_bytes()[..]);
    }
    let stats = bench.runtime.view_stats();
    assert_adds_up(&stats);
    assert_eq!((stats.calls.created, stats.idle), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_one_after_the_other_see_one_memory_wherever_they_come_from() {
    let bench = Bench::new(&guests::chained());
    bench.index_to(0, 1);
    let mut counts = Vec::new();
    for call in 0..200 {
        let runtime = bench.runtime.clone();
        let answer = match call % 4 {
            0 => runtime.view_sync("counter", b"", &BlockId::Latest),
            1 => runtime.view("counter", b"", &BlockId::Latest).await,
            2 => tokio::spawn(async move { runtime.view("counter", b"", &BlockId::Latest).await })
                .await
                .unwrap(),
            _ => std::thread::scope(|scope| {
                let call = scope.spawn(|| runtime.view_sync("counter", b"", &BlockId::Latest));
                call.join().unwrap()
            }),
        };
        let count = answer.unwrap().bytes[..].try_into().unwrap();
        counts.push(u32::from_le_bytes(count));
    }
    assert_eq!(counts, (1..=200).collect::<Vec<u32>>());
    assert_eq!(bench.runtime.view_stats().calls.created, 1);
}
