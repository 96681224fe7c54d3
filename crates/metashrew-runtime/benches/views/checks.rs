//! What checks of answers cost a busy view: calls a second with and without, and the part of
//! its time that checks take.

use std::hint::black_box;
use std::time::{Duration, Instant};

use metashrew_runtime::{ViewCall, ViewCheck};

use crate::subject::{CALLS, Subject};

const RUN: Duration = Duration::from_secs(3);

pub(crate) fn table() {
    println!("\n| call | checks | calls/s | compared | skipped | time of checks, % |");
    println!("|---|---|---:|---:|---:|---:|");
    for (name, input) in CALLS {
        for check in [ViewCheck::Off, ViewCheck::Warn, ViewCheck::Enforce] {
            row(name, input, check);
        }
    }
}

/// One caller, on a runtime that nobody has called before: the first calls are in it.
fn row(name: &str, input: &[u8], check: ViewCheck) {
    let runtime = Subject::checked(check).runtime;
    let begun = Instant::now();
    let mut calls = 0_u64;
    while begun.elapsed() < RUN {
        black_box(runtime.call_sync(ViewCall::new(name, input))).expect("it answers");
        calls += 1;
    }
    let elapsed = begun.elapsed().as_secs_f64();
    let checks = runtime.view_stats().checks;
    println!(
        "| {name} | {check:?} | {:.0} | {} | {} | {:.2} |",
        calls as f64 / elapsed,
        checks.run,
        checks.skipped,
        100.0 * checks.time.as_secs_f64() / elapsed,
    );
}
