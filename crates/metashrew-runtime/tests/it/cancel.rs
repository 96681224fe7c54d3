//! Futures that are dropped at any moment.

use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use metashrew_runtime::{MetashrewRuntime, Route, ViewAnswer, ViewCall, ViewError};
use metashrew_store::BlockId;
use metashrew_testing::guests;
use metashrew_testing::rng::Rng;

use crate::{Bench, assert_adds_up, until};

type Pending<'a> = Pin<Box<dyn Future<Output = Result<ViewAnswer, ViewError>> + Send + 'a>>;

/// Futures under way, each polled or dropped when chance has it.
struct Juggler<'a> {
    runtime: &'a MetashrewRuntime,
    futures: Vec<(Pending<'a>, bool)>,
    rng: Rng,
    /// Futures that were dropped after they had begun, and before they ended.
    cancelled: u64,
    answered: u64,
}

const SESSIONS: [&str; 3] = ["a", "b", "c"];

impl Juggler<'_> {
    fn step(&mut self) {
        let index = self.rng.index(self.futures.len().max(1));
        match self.rng.below(10) {
            _ if self.futures.len() < 4 => self.begin(),
            0..=2 if self.futures.len() < 24 => self.begin(),
            3 => {
                let (_, has_begun) = self.futures.swap_remove(index);
                self.cancelled += u64::from(has_begun);
            }
            _ => self.poll(index),
        }
    }

    fn begin(&mut self) {
        let runtime = self.runtime;
        if self.rng.chance(100) {
            let preview = runtime.preview_call(vec![1; 90], ViewCall::new("spin", b""));
            self.futures.push((Box::pin(preview), false));
            return;
        }
        let function = ["spin", "counter", "get"][self.rng.index(3)];
        let session = SESSIONS[self.rng.index(SESSIONS.len())];
        let call = ViewCall {
            at: BlockId::Height(u32::try_from(self.rng.below(3)).unwrap()).into(),
            route: [Route::Pooled, Route::Session(session), Route::Fresh][self.rng.index(3)],
            ..ViewCall::new(function, b"acc")
        };
        self.futures.push((Box::pin(runtime.call(call)), false));
    }

    fn poll(&mut self, index: usize) {
        let (future, has_begun) = &mut self.futures[index];
        *has_begun = true;
        let mut task = Context::from_waker(Waker::noop());
        if let std::task::Poll::Ready(answer) = future.as_mut().poll(&mut task) {
            match answer {
                Ok(_) => self.answered += 1,
                Err(error) => {
                    let is_lost = matches!(error, ViewError::SessionLost { .. });
                    assert!(is_lost, "{error}");
                }
            }
            drop(self.futures.swap_remove(index));
        }
    }
}

/// Drops 10,000 futures of views that run, wait for a place, wait for their session's
/// turn, or have their instance made.
fn drop_ten_thousand(wasm: &[u8]) {
    const THREADS: u64 = 4;
    let bench = Bench::with(wasm, |views| {
        views.instances = NonZeroUsize::new(3).unwrap();
        views.timeout = Duration::from_hours(1);
    });
    bench.index_to(2, 1);
    let (cancelled, answered) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let runtime = &bench.runtime;
                scope.spawn(move || {
                    let mut juggler = Juggler {
                        runtime,
                        futures: Vec::new(),
                        rng: Rng::new(thread),
                        cancelled: 0,
                        answered: 0,
                    };
                    while juggler.cancelled < 10_000 / THREADS {
                        juggler.step();
                    }
                    let left = juggler.futures.iter().filter(|(_, begun)| *begun).count();
                    (juggler.cancelled + left as u64, juggler.answered)
                })
            })
            .collect();
        let ends = threads.into_iter().map(|thread| thread.join().unwrap());
        ends.fold((0, 0), |all, end| (all.0 + end.0, all.1 + end.1))
    });
    let stats = bench.runtime.view_stats();
    assert_adds_up(&stats);
    assert_eq!(stats.errors.cancelled, cancelled);
    assert_eq!(stats.calls.answered, answered);
    assert!(stats.dropped.cancelled > 0, "{stats:?}");
    assert_eq!(bench.view("echo", b"well", &BlockId::Latest), b"well");
    bench.runtime.disable_stateful_views();
    let stats = bench.runtime.view_stats();
    assert_eq!((stats.idle, stats.memory), (0, 0), "{stats:?}");
    assert_adds_up(&stats);
}

#[test]
fn ten_thousand_dropped_calls_leave_nothing_behind() {
    drop_ten_thousand(&guests::chained());
}

#[test]
fn ten_thousand_calls_dropped_while_instances_are_made_leave_nothing_behind() {
    drop_ten_thousand(&guests::slow_to_make(2_000_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_call_passes_its_place_to_the_next_one() {
    let bench = Bench::with(&guests::chained(), |views| {
        views.instances = NonZeroUsize::MIN;
        views.timeout = Duration::from_hours(1);
    });
    bench.index_to(0, 1);
    let call = || {
        let runtime = bench.runtime.clone();
        tokio::spawn(async move { runtime.view("spin", b"", &BlockId::Latest).await })
    };
    let mut calls: Vec<_> = (0..50).map(|_| call()).collect();
    until(|| bench.runtime.view_stats().waiting == 49).await;
    while let Some(call) = calls.pop() {
        // Both ends of the queue: the one that runs, and the one that came last.
        let call = if calls.len() % 2 == 0 && !calls.is_empty() {
            std::mem::replace(&mut calls[0], call)
        } else {
            call
        };
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        let left = calls.len();
        until(|| {
            let stats = bench.runtime.view_stats();
            stats.busy == left.min(1) && stats.waiting == left.saturating_sub(1)
        })
        .await;
    }
    assert_eq!(bench.count(&BlockId::Latest), 1);
    assert_adds_up(&bench.runtime.view_stats());
}
