//! What ranges and many keys at once cost a view, beside the same by point reads.
#![allow(missing_docs, reason = "a bench; criterion's macros document nothing")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use metashrew_abi::many;
use metashrew_abi::range::Request;
use metashrew_runtime::{
    MetashrewRuntime, ModuleCache, RuntimeOptions, ViewCall, ViewCheck, ViewOptions,
};
use metashrew_store::{BlockHash, BlockId, BlockRef, Height, Store, StoreOptions, WriteSet};
use metashrew_testing::ranging::ranging;
use tempfile::TempDir;

/// As in the command: what is measured is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keys of the state. Values have 32 bytes.
const KEYS: u32 = 400_000;
/// Blocks that write them, each its part; as many more write every second key again.
const BLOCKS: Height = 100;

fn key(number: u32) -> [u8; 9] {
    let mut key = *b"entry----";
    key[5..].copy_from_slice(&number.to_be_bytes());
    key
}

fn hash(height: Height) -> BlockHash {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&height.to_le_bytes());
    BlockHash::from_bytes(bytes)
}

fn fill(store: &Store) {
    for height in 0..2 * BLOCKS {
        let mut writes = WriteSet::default();
        let old = height >= BLOCKS;
        for number in (height % BLOCKS..KEYS).step_by(BLOCKS as usize) {
            // Neighbours are not in the same block.
            if !old || (number / BLOCKS).is_multiple_of(2) {
                let value = [key(number).as_slice(), &height.to_be_bytes(), &[9; 19]].concat();
                writes.insert(key(number), value).expect("short entries");
            }
        }
        let block = BlockRef::new(height, hash(height + 1), hash(height));
        store.commit(&block, &writes).expect("the next block");
    }
}

/// The runtime over the database in `directory`.
fn runtime(directory: &TempDir, read_cache_bytes: u64) -> MetashrewRuntime {
    let options = StoreOptions {
        read_cache_bytes,
        ..StoreOptions::default()
    };
    let store = Store::open(directory.path(), options).expect("the database");
    let options = RuntimeOptions {
        cache: ModuleCache::Off,
        views: ViewOptions {
            check: ViewCheck::Off,
            ..ViewOptions::default()
        },
        ..RuntimeOptions::default()
    };
    MetashrewRuntime::with_options(&ranging(), store, options).expect("the guest loads")
}

fn reads(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fill(&Store::open(directory.path(), StoreOptions::default()).expect("a new database"));
    for (cache, bytes) in [
        ("no read cache", 0),
        ("read cache", StoreOptions::default().read_cache_bytes),
    ] {
        let runtime = runtime(&directory, bytes);
        for (place, at) in [
            ("tip", BlockId::Latest),
            ("deep", BlockId::Height(BLOCKS - 1)),
        ] {
            for count in [1, 100, 10_000] {
                compare(
                    criterion,
                    &runtime,
                    &format!("{cache}, {place}"),
                    &at,
                    count,
                );
            }
        }
    }
}

/// `count` keys that follow each other, read in three ways.
fn compare(
    criterion: &mut Criterion,
    runtime: &MetashrewRuntime,
    name: &str,
    at: &BlockId,
    count: u32,
) {
    let first = KEYS / 3;
    let (start, end) = (key(first), key(first + count));
    let range = Request::between(&start, &end);
    let backwards = Request {
        descending: true,
        ..range
    };
    let keys: Vec<_> = (first..first + count).map(key).collect();
    let keys = many::encode(keys.iter().map(<[u8; 9]>::as_slice));
    let mut group = criterion.benchmark_group(format!("{count} keys, {name}"));
    group.throughput(Throughput::Elements(count.into()));
    for (way, view, input) in [
        ("range", "range", &range.encode()),
        ("range, descending", "range", &backwards.encode()),
        ("read_many", "many", &keys),
        ("point reads", "points", &keys),
    ] {
        let call = ViewCall {
            at: (*at).into(),
            ..ViewCall::new(view, input)
        };
        group.bench_function(way, |bencher| {
            bencher.iter(|| black_box(runtime.call_sync(call)).expect("it answers"));
        });
    }
    group.finish();
}

fn settings() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

criterion_group! {
    name = ranges;
    config = settings();
    targets = reads
}
criterion_main!(ranges);
