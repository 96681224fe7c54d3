//! Views over an engine whose reads take a while: they hold no thread meanwhile.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use metashrew_runtime::{ViewCall, ViewError};
use metashrew_store::{BlockId, MemoryBackend, Store};
use metashrew_testing::delayed::{Delayed, Gate};
use metashrew_testing::guests;

use crate::{Bench, until};

const VIEWS: usize = 16;

/// A bench of two blocks whose reads wait at the gate, and nothing but the engine to answer
/// them.
fn gated(timeout: Duration) -> (Bench, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let engine = Delayed::behind(MemoryBackend::default(), Arc::clone(&gate));
    let store = Store::with_backend(Arc::new(engine)).unwrap();
    let bench = Bench::over(&guests::chained(), store, |views| {
        views.instances = NonZeroUsize::new(VIEWS + 1).unwrap();
        views.timeout = timeout;
    });
    bench.index_to(2, 1);
    (bench, gate)
}

const LONG: Duration = Duration::from_mins(10);

/// Opens the gate however the test ends: a view that holds the worker would keep it for ever.
struct OpenedAtEnd(Arc<Gate>);

impl Drop for OpenedAtEnd {
    fn drop(&mut self) {
        self.0.open();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn many_views_wait_for_their_reads_at_once_on_one_worker() {
    let (bench, gate) = gated(LONG);
    let _opened = OpenedAtEnd(Arc::clone(&gate));
    let at = |block| bench.view("get", b"acc", &block);
    let expected = [at(BlockId::Latest), at(BlockId::Height(1))];
    let hash = bench.store.snapshot().block(1).unwrap().unwrap().hash;
    gate.close();
    let calls: Vec<_> = (0..VIEWS)
        .map(|number| {
            let runtime = bench.runtime.clone();
            // Half of them wait in the guest, for the state of the tip, and half for the block
            // that they name.
            let at = if number % 2 == 0 {
                BlockId::Latest
            } else {
                BlockId::Hash(hash)
            };
            tokio::spawn(async move { runtime.view("get", b"acc", &at).await })
        })
        .collect();
    until(|| gate.waiting() == VIEWS).await;
    // The only worker there is has time for others.
    let runtime = bench.runtime.clone();
    let echo = tokio::spawn(async move { runtime.view("echo", b"hello", &BlockId::Latest).await });
    assert_eq!(echo.await.unwrap().unwrap().bytes, b"hello"[..]);
    assert_eq!(gate.waiting(), VIEWS);

    gate.open();
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap().bytes, expected[number % 2]);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn previews_wait_beside_others_too() {
    let (bench, gate) = gated(LONG);
    let block = crate::block(3, 1);
    let preview = |bench: &Bench| {
        let (runtime, block) = (bench.runtime.clone(), block.clone());
        async move {
            runtime
                .preview(&block, "get", b"acc", &BlockId::Latest)
                .await
        }
    };
    let expected = preview(&bench).await.unwrap().bytes;
    gate.close();
    let waiting = tokio::spawn(preview(&bench));
    until(|| gate.waiting() == 1).await;
    let echo = bench.runtime.view("echo", b"hello", &BlockId::Latest).await;
    assert_eq!(echo.unwrap().bytes, b"hello"[..]);
    gate.open();
    assert_eq!(waiting.await.unwrap().unwrap().bytes, expected);
}

#[tokio::test(flavor = "current_thread")]
async fn a_call_whose_read_never_comes_ends_with_its_time() {
    let (bench, gate) = gated(Duration::from_millis(20));
    gate.close();
    let late = bench.runtime.view("get", b"acc", &BlockId::Latest).await;
    assert!(matches!(late, Err(ViewError::Timeout { .. })), "{late:?}");
    assert_eq!(gate.waiting(), 0);
    // The same where the caller's thread waits.
    let late = bench.runtime.view_sync("get", b"acc", &BlockId::Latest);
    assert!(matches!(late, Err(ViewError::Timeout { .. })), "{late:?}");

    gate.open();
    let call = ViewCall {
        timeout: None,
        ..ViewCall::new("echo", b"hello")
    };
    assert_eq!(bench.runtime.call(call).await.unwrap().bytes, b"hello"[..]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_dropped_call_gives_up_its_read() {
    let (bench, gate) = gated(LONG);
    gate.close();
    let runtime = bench.runtime.clone();
    let call = tokio::spawn(async move { runtime.view("get", b"acc", &BlockId::Latest).await });
    until(|| gate.waiting() == 1).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(gate.waiting(), 0);
    let stats = bench.runtime.view_stats();
    assert_eq!((stats.busy, stats.dropped.cancelled), (0, 1));
    gate.open();
    bench.view("get", b"acc", &BlockId::Latest);
}

#[test]
fn a_guest_over_an_engine_that_is_never_ready_answers_as_over_memory() {
    let slow = Delayed::by_turns(MemoryBackend::default(), 3);
    let slow = Store::with_backend(Arc::new(slow)).unwrap();
    let slow = Bench::over(&guests::chained(), slow, |_| {});
    let memory = Bench::new(&guests::chained());
    for bench in [&slow, &memory] {
        bench.index_to(5, 1);
    }
    assert_eq!(slow.store.snapshot().tip(), memory.store.snapshot().tip());
    for height in 0..=5 {
        for name in ["get", "cached_get"] {
            let at = BlockId::Height(height);
            let answer = slow.view(name, b"acc", &at);
            assert_eq!(answer, memory.view(name, b"acc", &at), "{name} at {height}");
        }
    }
}
