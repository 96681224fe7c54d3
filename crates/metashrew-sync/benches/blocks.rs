//! What a block costs, beside its floor: the same wasm over a host of hash maps
//! and nothing else, in the fastest engine settings found.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench prints its table, and its host is for guests known to be good"
)]

#[path = "blocks/raw.rs"]
mod raw;

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use metashrew_runtime::MetashrewRuntime;
use metashrew_store::{BlockHash, BlockRef, Height, Store, StoreOptions};
use metashrew_sync::{BlockFiles, IndexOptions, Indexer, Node, Stop};
use metashrew_testing::chain::{Chain, Shape};
use metashrew_testing::floor;
use metashrew_testing::frames::frames;
use metashrew_testing::guests;

/// As in the command: what is measured is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RUNS: usize = 5;
const REGTEST: [u8; 4] = [0xfa, 0xbf, 0xb5, 0xda];

/// Blocks that are indexed one after the other into an empty database.
struct Workload {
    name: &'static str,
    first: Height,
    blocks: Vec<Bytes>,
}

/// What one run over a workload took, per block.
#[derive(Clone, Copy)]
struct Cost {
    total: Duration,
    commit: Duration,
    keys: usize,
}

/// Where the time of a block goes if nothing runs beside anything else, per block.
#[derive(Clone, Copy)]
struct Split {
    guest: Duration,
    reads: Duration,
    commit: Duration,
}

fn main() {
    // `cargo bench --bench blocks -- WORD` runs the rows that contain WORD.
    let wanted = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let wanted = |row: &str| {
        wanted
            .as_ref()
            .is_none_or(|word| row.contains(word.as_str()))
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let wasm = |name: &str| {
        std::fs::read(root.join(format!("guests/wasm/{name}.wasm"))).expect("the guest is there")
    };
    let full = [
        real(&root, 772_904, "real block 772,904"),
        real(&root, 840_243, "real block 840,243"),
        generated("generated full blocks", Shape::Full, 12),
    ];
    let small = generated(
        "generated blocks of 10 transactions",
        Shape::Transactions(10),
        300,
    );

    println!(
        "| guest | blocks | keys | floor ms | guest ms | reads ms | commit ms | on disk ms | of the floor | blocks/s |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for name in ["addresses", "blocks", "tally"] {
        for workload in &full {
            if wanted(&format!("{name} {}", workload.name)) {
                row(name, &wasm(name), workload);
            }
        }
    }
    let flush_only = guests::flush_only(raw::KEYS);
    if wanted("flush-only") {
        row("flush-only, 5,000 keys", &flush_only, &small);
        raw::compare(&flush_only, &small);
    }
}

fn real(root: &Path, height: Height, name: &'static str) -> Workload {
    let file = root.join(format!("examples/block-{height}.bin"));
    Workload {
        name,
        first: height,
        blocks: vec![std::fs::read(file).expect("the block is there").into()],
    }
}

fn generated(name: &'static str, shape: Shape, count: usize) -> Workload {
    let mut chain = Chain::new(1).start(1).shape(shape);
    let blocks = chain.mine(count + 1);
    Workload {
        name,
        first: 1,
        blocks: blocks
            .iter()
            .map(|block| Bytes::copy_from_slice(&block.bytes))
            .collect(),
    }
}

fn row(guest: &str, wasm: &[u8], workload: &Workload) {
    let linked = floor::link(wasm);
    let reads = floor::reads(&linked, workload.first, &workload.blocks);
    let (mut floors, mut costs, mut splits) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        floors.push(floor::run(&linked, workload.first, &workload.blocks));
        costs.push(on_disk(wasm, workload));
        splits.push(in_turn(wasm, workload, &reads));
    }
    floors.sort_unstable();
    costs.sort_unstable_by_key(|cost| cost.total);
    splits.sort_unstable_by_key(|split| split.guest + split.reads + split.commit);
    let (floor, cost, split) = (floors[RUNS / 2], costs[RUNS / 2], splits[RUNS / 2]);
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "| {guest} | {} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} (commit {:.1}) | {:.2} | {:.0} |",
        workload.name,
        cost.keys,
        ms(floor),
        ms(split.guest),
        ms(split.reads),
        ms(split.commit),
        ms(cost.total),
        ms(cost.commit),
        cost.total.as_secs_f64() / floor.as_secs_f64(),
        1.0 / cost.total.as_secs_f64(),
    );
}

/// One thing after the other on one thread: the guest, its reads once more and
/// alone, the commit.
fn in_turn(wasm: &[u8], workload: &Workload, reads: &[Vec<Bytes>]) -> Split {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&directory.path().join("db"), StoreOptions::default())
        .expect("a new database opens");
    let runtime = MetashrewRuntime::new(wasm, store.clone()).expect("the guest loads");
    warm_up(&runtime, workload);
    let (mut executed, mut read, mut commit) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for ((height, block), keys) in (workload.first..).zip(&workload.blocks).zip(reads) {
        let begun = Instant::now();
        let writes = runtime.process_block(height, block).expect("it indexes");
        executed += begun.elapsed();
        let state = store.snapshot().latest();
        let begun = Instant::now();
        for key in keys {
            black_box(state.get(key).expect("it can be read"));
        }
        read += begun.elapsed();
        let begun = Instant::now();
        store
            .commit(&block_ref(height), &writes)
            .expect("it commits");
        commit += begun.elapsed();
    }
    let blocks = u32::try_from(workload.blocks.len()).expect("few blocks");
    Split {
        guest: Duration::saturating_sub(executed, read) / blocks,
        reads: read / blocks,
        commit: commit / blocks,
    }
}

/// Indexes the workload as the command does, from a block file into a database on disk.
fn on_disk(wasm: &[u8], workload: &Workload) -> Cost {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("blocks.dat");
    std::fs::write(&file, frames(REGTEST, &workload.blocks)).expect("it can be written");
    let store = Store::open(&directory.path().join("db"), StoreOptions::default())
        .expect("a new database opens");
    let runtime = MetashrewRuntime::new(wasm, store).expect("the guest loads");
    warm_up(&runtime, workload);
    let node: Arc<dyn Node> =
        Arc::new(BlockFiles::open(&file, Some(workload.first)).expect("the file is read"));
    let indexer = Indexer::new(runtime, node, IndexOptions::default());
    let begun = Instant::now();
    indexer.run(&Stop::new()).expect("every block is indexed");
    let elapsed = begun.elapsed();
    let report = indexer.progress().report();
    let blocks = u32::try_from(workload.blocks.len()).expect("few blocks");
    Cost {
        total: elapsed / blocks,
        commit: report.committing / blocks,
        keys: usize::try_from(report.keys).expect("few keys") / workload.blocks.len(),
    }
}

/// A first run, thrown away: memory is mapped, code is paged in, as after the
/// first block of any index.
fn warm_up(runtime: &MetashrewRuntime, workload: &Workload) {
    let block = workload.blocks.last().expect("a workload has blocks");
    runtime
        .process_block(workload.first, block)
        .expect("the guest takes the block");
}

/// Made-up identities for blocks that only the store sees.
fn block_ref(height: Height) -> BlockRef {
    let hash = |height: Height| {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&height.to_le_bytes());
        BlockHash::from_bytes(bytes)
    };
    BlockRef::new(height, hash(height), hash(height.wrapping_sub(1)))
}

fn scratch(directory: &tempfile::TempDir, name: &str) -> PathBuf {
    directory.path().join(name)
}
