//! Views do not hold up the chain.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use metashrew_runtime::ViewError;
use metashrew_store::BlockId;
use metashrew_testing::guests;

use crate::{Bench, assert_adds_up, until};

/// Endless views on every place, half of them asynchronous, and a full queue.
async fn next_block_is_committed_beside(instances: usize) {
    const QUEUE: usize = 16;
    let bench = Arc::new(Bench::with(&guests::chained(), |views| {
        views.instances = NonZeroUsize::new(instances).unwrap();
        views.queue = QUEUE;
        views.timeout = Duration::from_hours(1);
    }));
    bench.index_to(0, 1);
    let call = || {
        let runtime = bench.runtime.clone();
        tokio::spawn(async move { runtime.view("spin", b"", &BlockId::Latest).await })
    };
    let calls: Vec<_> = (0..instances + QUEUE).map(|_| call()).collect();
    let is_full = || {
        let stats = bench.runtime.view_stats();
        (stats.busy, stats.waiting) == (instances, QUEUE)
    };
    until(is_full).await;
    assert!(matches!(
        call().await.unwrap(),
        Err(ViewError::Busy { queue: QUEUE })
    ));
    let indexing = {
        let bench = Arc::clone(&bench);
        // Not waited for if it never ends.
        let thread = std::thread::Builder::new();
        thread.spawn(move || bench.index_to(20, 1)).unwrap()
    };
    until(|| indexing.is_finished()).await;
    indexing.join().unwrap();
    assert_eq!(bench.store.snapshot().tip().unwrap().height, 20);
    assert!(is_full(), "no view ended meanwhile");

    for call in &calls {
        call.abort();
    }
    for call in calls {
        assert!(call.await.unwrap_err().is_cancelled());
    }
    let stats = bench.runtime.view_stats();
    assert_adds_up(&stats);
    assert_eq!(stats.errors.cancelled, (instances + QUEUE) as u64);
    assert_eq!(
        bench.view("height", b"", &BlockId::Latest),
        20u32.to_le_bytes()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_are_committed_while_an_endless_view_has_the_only_place() {
    next_block_is_committed_beside(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_are_committed_while_endless_views_have_every_place() {
    next_block_is_committed_beside(8).await;
}
