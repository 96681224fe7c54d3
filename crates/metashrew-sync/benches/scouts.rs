//! Scouts over an engine that delays every cold read: blocks a second with none, some,
//! and as many as come by themselves, of the same blocks and the same guest.
#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench prints its table"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cpu_time::ProcessTime;
use metashrew_runtime::{MetashrewRuntime, RuntimeOptions, ScoutEnd, ScoutOptions};
use metashrew_store::{MemoryBackend, Store};
use metashrew_sync::{BlockFiles, IndexOptions, Indexer, Node, ScoutCount, Stop};
use metashrew_testing::chain::{Chain, Shape};
use metashrew_testing::delayed::Delayed;
use metashrew_testing::frames::frames;
use metashrew_testing::guests;

const REGTEST: [u8; 4] = [0xfa, 0xbf, 0xb5, 0xda];
const DELAY: Duration = Duration::from_micros(100);
const CACHE: u64 = 2 << 30;
/// Blocks indexed before the clock runs.
const BEGUN: u32 = 4;

fn main() {
    // `cargo bench --bench scouts -- WORD` runs the rows that contain WORD.
    let wanted = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let guests_dir = std::env::var_os("METASHREW_GUESTS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/wasm"),
        Into::into,
    );
    let addresses = std::fs::read(guests_dir.join("addresses.wasm")).expect("the guest is there");
    let reading = guests::reading(3_000, 1 << 40);
    println!("each cold read delayed by {DELAY:?} (and what the system's timer adds)\n");
    println!(
        "| guest | delay | scouts | blocks/s | of none | reads a block | read ms a block | CPU ms a block | runs done, cancelled |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    let full = blocks(Shape::Full, 30);
    let small = blocks(Shape::Transactions(10), 80);
    for (name, wasm, blocks, delay) in [
        ("addresses, full blocks", &addresses, &full, DELAY),
        ("3,000 reads, small blocks", &reading, &small, DELAY),
        ("addresses, full blocks", &addresses, &full, Duration::ZERO),
    ] {
        if wanted
            .as_ref()
            .is_some_and(|word| !name.contains(word.as_str()))
        {
            continue;
        }
        let mut baseline = None;
        for count in [
            ScoutCount::Exactly(0),
            ScoutCount::Exactly(1),
            ScoutCount::Exactly(8),
            ScoutCount::Auto,
        ] {
            let rate = row(name, wasm, blocks, delay, count, baseline);
            baseline.get_or_insert(rate);
        }
    }
}

fn blocks(shape: Shape, count: usize) -> Vec<Bytes> {
    let mut chain = Chain::new(1).start(1).shape(shape);
    let mined = chain.mine(count);
    mined
        .iter()
        .map(|block| Bytes::copy_from_slice(&block.bytes))
        .collect()
}

/// Indexes the blocks, prints what that took, and answers the blocks a second.
fn row(
    name: &str,
    wasm: &[u8],
    blocks: &[Bytes],
    delay: Duration,
    count: ScoutCount,
    baseline: Option<f64>,
) -> f64 {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("blocks.dat");
    std::fs::write(&file, frames(REGTEST, blocks)).expect("it can be written");
    let store = if delay.is_zero() {
        Store::with_backend_and_cache(Arc::new(MemoryBackend::default()), CACHE)
    } else {
        let engine = Delayed::blocking(MemoryBackend::default(), delay);
        Store::with_backend_and_cache(Arc::new(engine), CACHE)
    };
    let store = store.expect("an empty engine opens");
    let options = RuntimeOptions {
        scouts: ScoutOptions {
            memory_budget: 2 << 30,
            ..ScoutOptions::default()
        },
        ..RuntimeOptions::default()
    };
    let runtime =
        MetashrewRuntime::with_options(wasm, store.clone(), options).expect("the guest loads");
    let node: Arc<dyn Node> = Arc::new(BlockFiles::open(&file, Some(1)).expect("it is read"));
    let index = IndexOptions {
        scouts: count,
        ..IndexOptions::default()
    };
    // An empty store asks its engine for nothing.
    let first = IndexOptions {
        exit_at: Some(BEGUN),
        scouts: ScoutCount::Exactly(0),
        ..IndexOptions::default()
    };
    let stop = Stop::new();
    let first_blocks = Indexer::new(runtime.clone(), Arc::clone(&node), first).run(&stop);
    first_blocks.expect("the first blocks are indexed");
    let before = runtime.block_reads();
    let indexer = Indexer::new(runtime.clone(), node, index);
    let (begun, cpu) = (Instant::now(), ProcessTime::now());
    indexer.run(&stop).expect("every block is indexed");
    let (elapsed, cpu) = (begun.elapsed(), cpu.elapsed());
    let number = (blocks.len() - BEGUN as usize) as f64;
    let rate = number / elapsed.as_secs_f64();
    let reads = runtime.block_reads() - before;
    let scouts = indexer.progress().scouts();
    println!(
        "| {name} | {delay:?} | {} | {rate:.2} | {:.2} | {:.0} | {:.1} | {:.1} | {}, {} |",
        match count {
            ScoutCount::Auto => "auto".to_owned(),
            ScoutCount::Exactly(count) => count.to_string(),
        },
        rate / baseline.unwrap_or(rate),
        reads.count as f64 / number,
        reads.time.as_secs_f64() * 1e3 / number,
        cpu.as_secs_f64() * 1e3 / number,
        scouts.runs_that(ScoutEnd::Done),
        scouts.runs_that(ScoutEnd::Cancelled),
    );
    rate
}
