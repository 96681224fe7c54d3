//! What a fresh instance costs one caller and two, and what memory kept across blocks saves.
//! Both count the time of the processor, so that they can be told on a machine that does
//! other things, too; ratios are those of runs that alternate.
#![allow(
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench reads the clock and prints"
)]

use std::hint::black_box;
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cpu_time::ThreadTime;
use metashrew_runtime::{MetashrewRuntime, Route, RuntimeOptions, ViewCall};
use metashrew_store::{BlockHash, BlockRef, Store};
use metashrew_testing::guests;

/// As in the command: what is measured is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RUNS: usize = 7;
const RUN: Duration = Duration::from_millis(700);
const BLOCKS: u32 = 400;

fn main() {
    println!(
        "| fresh call | callers | calls/s | µs of processor a call | calls/s of one caller's |"
    );
    println!("|---|---:|---:|---:|---:|");
    // A guest that grows its memory at its first allocation, as Rust's do, and one that does not.
    fresh("trivial", &runtime(&kept("workload")));
    fresh("counter", &runtime(&guests::chained()));
    println!("\n| blocks of `ledger` | µs of processor a block | reads a block |");
    println!("|---|---:|---:|");
    across_blocks();
}

fn kept(guest: &str) -> Vec<u8> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/wasm");
    std::fs::read(directory.join(format!("{guest}.wasm"))).expect("the guest is in the repository")
}

fn runtime(wasm: &[u8]) -> MetashrewRuntime {
    let store = Store::in_memory();
    let runtime = MetashrewRuntime::with_options(wasm, store.clone(), RuntimeOptions::default())
        .expect("the guest loads");
    let writes = runtime.process_block(0, &block(0)).expect("it indexes");
    store.commit(&block_ref(0), &writes).expect("it connects");
    runtime
}

/// Calls, the time they took, and that of the processor.
type Run = (u64, Duration, Duration);

fn fresh(view: &str, runtime: &MetashrewRuntime) {
    let mut runs: [Vec<Run>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..RUNS {
        for (callers, runs) in (1..).zip(&mut runs) {
            runs.push(by_threads(view, runtime, callers));
        }
    }
    let rate = |run: &Run| run.0 as f64 / run.1.as_secs_f64();
    let one = median(runs[0].iter().map(rate));
    for (callers, runs) in (1..).zip(&runs) {
        let processor = median(runs.iter().map(|run| run.2.as_secs_f64() / run.0 as f64));
        let rate = median(runs.iter().map(rate));
        let (micros, ratio) = (processor * 1e6, rate / one);
        println!("| `{view}` | {callers} | {rate:.0} | {micros:.2} | {ratio:.2} |");
    }
}

fn by_threads(view: &str, runtime: &MetashrewRuntime, callers: usize) -> Run {
    let start = Barrier::new(callers);
    let call = ViewCall {
        route: Route::Fresh,
        ..ViewCall::new(view, b"")
    };
    let caller = || {
        start.wait();
        let (begun, processor, mut calls) = (Instant::now(), ThreadTime::now(), 0);
        while begun.elapsed() < RUN {
            black_box(runtime.call_sync(call)).expect("it answers");
            calls += 1;
        }
        (calls, begun.elapsed(), processor.elapsed())
    };
    let all: Vec<Run> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..callers).map(|_| scope.spawn(caller)).collect();
        let runs = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        runs.map(|run| run.expect("no panic")).collect()
    });
    all.iter().fold(Run::default(), |sum, run| {
        (sum.0 + run.0, sum.1.max(run.1), sum.2 + run.2)
    })
}

fn across_blocks() {
    let wasm = kept("ledger");
    let (mut kept, mut fresh) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        kept.push(chain(&wasm, true));
        fresh.push(chain(&wasm, false));
    }
    for (name, runs) in [("memory kept", &kept), ("fresh instances", &fresh)] {
        let micros = median(runs.iter().map(|run| run.0.as_secs_f64() * 1e6));
        println!("| {name} | {micros:.1} | {:.1} |", runs[0].1);
    }
}

/// The time of the processor and the reads of a block, without its commit.
fn chain(wasm: &[u8], keeps: bool) -> (Duration, f64) {
    let runtime = runtime(wasm);
    let mut runner = runtime.block_runner();
    let mut time = Duration::ZERO;
    for height in 1..=BLOCKS {
        if !keeps {
            runner = runtime.block_runner();
        }
        let state = runtime.store().snapshot().latest();
        let (block, bytes) = (block_ref(height), Bytes::from(block(height)));
        let begun = ThreadTime::now();
        let writes = runner.process(state, &block, bytes).expect("it indexes");
        time += begun.elapsed();
        runtime
            .store()
            .commit(&block, &writes)
            .expect("it connects");
    }
    let reads = runtime.block_reads().count as f64 / f64::from(BLOCKS);
    (time / BLOCKS, reads)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn block(height: u32) -> Vec<u8> {
    height.to_le_bytes().repeat(25)
}

fn block_ref(height: u32) -> BlockRef {
    let hash = |number: u32| {
        let mut bytes = [7; 32];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        BlockHash::from_bytes(bytes)
    };
    BlockRef::new(height, hash(height + 1), hash(height))
}
