//! Many callers at once: calls a second of all together, and how long calls take.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use metashrew_runtime::{Route, ViewCall};

use crate::subject::{CALLS, Subject};

const RUN: Duration = Duration::from_millis(1500);

/// The views of `subject`, and one of a guest that never grows its memory.
pub(crate) fn table(subject: &Subject, still: &Subject) {
    println!("\n| call | callers | calls/s | median µs | p99 µs | longest ms |");
    println!("|---|---:|---:|---:|---:|---:|");
    let calls = CALLS.map(|(name, input)| (subject, name, input));
    let calls = calls.into_iter().chain([(still, "counter", &b""[..])]);
    for (subject, name, input) in calls {
        for (mode, route) in [("warm", Route::Pooled), ("fresh", Route::Fresh)] {
            let call = ViewCall {
                route,
                ..ViewCall::new(name, input)
            };
            for callers in [1, 2, 8, 64] {
                let threads = by_threads(subject, call, callers);
                row(&format!("{name}, {mode}, threads"), callers, threads);
                let tasks = by_tasks(subject, call, callers);
                row(&format!("{name}, {mode}, tasks"), callers, tasks);
            }
        }
    }
}

/// How long each call took, and how long all of them together.
type Run = (Vec<Duration>, Duration);

fn row(name: &str, callers: usize, (mut calls, elapsed): Run) {
    calls.sort_unstable();
    let micros = |share: usize| {
        let index = (calls.len() * share / 100).min(calls.len() - 1);
        calls[index].as_secs_f64() * 1e6
    };
    println!(
        "| {name} | {callers} | {:.0} | {:.2} | {:.2} | {:.2} |",
        calls.len() as f64 / elapsed.as_secs_f64(),
        micros(50),
        micros(99),
        micros(100) / 1e3,
    );
}

fn by_threads(subject: &Subject, call: ViewCall<'_>, callers: usize) -> Run {
    let start = Barrier::new(callers);
    let begun = Instant::now();
    let calls = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..callers)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    let begun = Instant::now();
                    let mut calls = Vec::new();
                    while begun.elapsed() < RUN {
                        let since = Instant::now();
                        black_box(subject.runtime.call_sync(call)).expect("it answers");
                        calls.push(since.elapsed());
                    }
                    calls
                })
            })
            .collect();
        let calls = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        calls.flat_map(|calls| calls.expect("no panic")).collect()
    });
    (calls, begun.elapsed())
}

fn by_tasks(subject: &Subject, call: ViewCall<'static>, callers: usize) -> Run {
    let executor = tokio::runtime::Builder::new_multi_thread()
        .build()
        .expect("an executor");
    let begun = Instant::now();
    let calls = executor.block_on(async {
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let runtime = subject.runtime.clone();
                tokio::spawn(async move {
                    let begun = Instant::now();
                    let mut calls = Vec::new();
                    while begun.elapsed() < RUN {
                        let since = Instant::now();
                        black_box(runtime.call(call).await).expect("it answers");
                        calls.push(since.elapsed());
                        // Another caller's turn, as after an answer that is sent.
                        tokio::task::yield_now().await;
                    }
                    calls
                })
            })
            .collect();
        let mut calls = Vec::new();
        for task in tasks {
            calls.extend(task.await.expect("no panic"));
        }
        calls
    });
    (calls, begun.elapsed())
}
