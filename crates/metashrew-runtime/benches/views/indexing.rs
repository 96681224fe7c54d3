//! What views cost the indexing beside them, and what indexing costs views: against
//! a thread that does nothing but count, which takes as much of the machine.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use metashrew_runtime::ViewCall;

use crate::subject::{CALLS, Disk, HEIGHT, Subject};

const BLOCKS: u32 = 150;
const RUNS: usize = 3;

pub(crate) fn table() {
    println!("\n| beside indexing | ms a block | of nothing | of a counting thread | calls/s |");
    println!("|---|---:|---:|---:|---:|");
    let nothing = median(|_, _| {});
    let counting = median(|_, done| {
        while !done.load(Ordering::Relaxed) {
            black_box(0);
        }
    });
    row("nothing", nothing, nothing.0, counting.0);
    row("a counting thread", counting, nothing.0, counting.0);
    for (name, input) in CALLS {
        let views = median(|subject, done| {
            while !done.load(Ordering::Relaxed) {
                let answer = subject.runtime.call_sync(ViewCall::new(name, input));
                black_box(answer).expect("it answers");
                subject.calls.fetch_add(1, Ordering::Relaxed);
            }
        });
        row(
            &format!("`{name}` by one thread"),
            views,
            nothing.0,
            counting.0,
        );
    }
}

fn row(name: &str, (block, calls): (Duration, f64), nothing: Duration, counting: Duration) {
    let of = |other: Duration| block.as_secs_f64() / other.as_secs_f64();
    println!(
        "| {name} | {:.2} | {:.2} | {:.2} | {calls:.0} |",
        block.as_secs_f64() * 1e3,
        of(nothing),
        of(counting),
    );
}

/// What runs beside the indexing.
pub(crate) struct Beside<'a> {
    runtime: &'a metashrew_runtime::MetashrewRuntime,
    calls: AtomicU64,
}

fn median(beside: impl Fn(&Beside<'_>, &AtomicBool) + Sync) -> (Duration, f64) {
    let mut runs: Vec<_> = (0..RUNS)
        .map(|_| run(&Disk::new().subject, &beside))
        .collect();
    runs.sort_by_key(|run| run.0);
    runs[RUNS / 2]
}

/// The time of a block, and the calls a second meanwhile.
fn run(subject: &Subject, beside: &(impl Fn(&Beside<'_>, &AtomicBool) + Sync)) -> (Duration, f64) {
    let done = AtomicBool::new(false);
    let other = Beside {
        runtime: &subject.runtime,
        calls: AtomicU64::new(0),
    };
    std::thread::scope(|scope| {
        scope.spawn(|| beside(&other, &done));
        let begun = Instant::now();
        for height in HEIGHT + 1..=HEIGHT + BLOCKS {
            subject.index(height);
        }
        let elapsed = begun.elapsed();
        done.store(true, Ordering::Relaxed);
        let calls = other.calls.load(Ordering::Relaxed) as f64 / elapsed.as_secs_f64();
        (elapsed / BLOCKS, calls)
    })
}
