//! The store on disk: reads, commits beside the raw engine's, rollbacks.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use metashrew_store::{BlockHash, BlockRef, Height, State, Store, StoreOptions, WriteSet};
use metashrew_testing::rng::noise;
use tempfile::TempDir;

/// As in the command: what is measured is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEYS_PER_BLOCK: usize = 5_000;
const LEN: usize = 32;
/// Blocks of the database that is read; every second key of a block is an old one.
const READ_BLOCKS: Height = 200;
/// Keys that every block of that database overwrites.
const HOT_KEYS: u64 = 100;

/// A sequence of bytes that no compression makes smaller.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bytes(&mut self) -> Bytes {
        let mut bytes = Vec::with_capacity(LEN);
        while bytes.len() < LEN {
            bytes.extend_from_slice(&self.next().to_be_bytes());
        }
        Bytes::from(bytes)
    }
}

fn key(number: u64) -> Bytes {
    noise(number, LEN)
}

fn next_block(store: &Store) -> BlockRef {
    let tip = store.snapshot().tip().copied();
    let height = tip.map_or(0, |tip| tip.height + 1);
    let mut hash = [7; 32];
    hash[..4].copy_from_slice(&height.to_be_bytes());
    let parent = tip.map_or(BlockHash::from_bytes([0; 32]), |tip| tip.hash);
    BlockRef::new(height, BlockHash::from_bytes(hash), parent)
}

fn open() -> (TempDir, Store) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(directory.path(), StoreOptions::default()).expect("a new database");
    (directory, store)
}

fn writes(keys: impl Iterator<Item = Bytes>, noise: &mut Noise) -> WriteSet {
    let mut writes = WriteSet::default();
    for key in keys {
        writes.insert(key, noise.bytes()).expect("short entries");
    }
    writes
}

/// Some 600,000 keys, and a hundred of them overwritten in every block.
fn filled() -> (TempDir, Store) {
    let (directory, store) = open();
    let mut noise = Noise(1);
    for height in 0..u64::from(READ_BLOCKS) {
        let new = height * 3_000..(height + 1) * 3_000;
        let old = (0..1_900).map(|step| (height * 7_919 + step * 104_729) % (height * 3_000 + 1));
        let hot = 0..HOT_KEYS;
        let set = writes(hot.chain(old).chain(new).map(key), &mut noise);
        store
            .commit(&next_block(&store), &set)
            .expect("the next block");
    }
    (directory, store)
}

/// Keys of a view that asks for many, again and again.
const HOT_READS: usize = 1_000;

/// Time for two threads that read all of `keys` in `state` this many times each.
fn two_threads(state: &State, keys: &[Bytes], rounds: u64) -> Duration {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..rounds).for_each(|_| read_all(state, keys)));
        }
    });
    start.elapsed()
}

fn read_all(state: &State, keys: &[Bytes]) {
    for key in keys {
        black_box(state.get(black_box(key)).expect("a read"));
    }
}

/// Reads that meet the engine, each of another key.
fn scattered_reads(criterion: &mut Criterion, store: &Store) {
    let snapshot = store.snapshot();
    let keys = u64::from(READ_BLOCKS) * 3_000;
    let (latest, deep) = (snapshot.latest(), snapshot.at(READ_BLOCKS / 2));
    let mut noise = Noise(2);
    let mut group = criterion.benchmark_group("read, no cache");
    for (name, state, first, count) in [
        ("at the tip", &latest, 0, keys),
        ("missing", &latest, keys, keys),
        ("100 versions deep", &deep, 0, HOT_KEYS),
        ("any key, 100 blocks deep", &deep, 0, keys),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || key(first + noise.next() % count),
                |key| state.get(black_box(&key)).expect("a read").is_some(),
                BatchSize::SmallInput,
            );
        });
    }
    group.bench_function("snapshot", |bencher| {
        bencher.iter(|| store.snapshot().latest());
    });
    group.finish();
}

/// The same thousand keys over and over, as a view asks for them.
fn hot_reads(criterion: &mut Criterion, store: &Store, name: &str) {
    let snapshot = store.snapshot();
    let keys = u64::from(READ_BLOCKS) * 3_000;
    let mut noise = Noise(5);
    // Half of them exist at the lower height.
    let hot: Vec<_> = (0..HOT_READS).map(|_| key(noise.next() % keys)).collect();
    let mut group = criterion.benchmark_group(format!("1,000 hot reads, {name}"));
    group.throughput(Throughput::Elements(HOT_READS as u64));
    for (name, state) in [
        ("at the tip", snapshot.latest()),
        ("100 blocks deep", snapshot.at(READ_BLOCKS / 2)),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| read_all(&state, &hot)));
        group.bench_function(format!("{name}, on each of 2 threads"), |bencher| {
            bencher.iter_custom(|rounds| two_threads(&state, &hot, rounds));
        });
    }
    group.finish();
}

fn reads(criterion: &mut Criterion) {
    let (directory, store) = filled();
    drop(store);
    let open = |read_cache_bytes| {
        let options = StoreOptions {
            read_cache_bytes,
            ..StoreOptions::default()
        };
        Store::open(directory.path(), options).expect("the same database")
    };
    let store = open(0);
    scattered_reads(criterion, &store);
    hot_reads(criterion, &store, "no cache");
    drop(store);
    let store = open(StoreOptions::default().read_cache_bytes);
    hot_reads(criterion, &store, "cache");
}

fn commits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("commit");
    group.throughput(Throughput::Elements(KEYS_PER_BLOCK as u64));
    group.sample_size(60);

    let mut noise = Noise(3);
    for (name, remembers) in [
        ("5,000 new keys", false),
        ("5,000 new keys, read before", true),
    ] {
        let (_directory, store) = open();
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || {
                    let keys: Vec<_> = (0..KEYS_PER_BLOCK).map(|_| noise.bytes()).collect();
                    let mut writes = writes(keys.iter().cloned(), &mut noise);
                    if remembers {
                        for key in keys {
                            writes.remember(&key, None);
                        }
                    }
                    writes
                },
                |writes| {
                    store
                        .commit(&next_block(&store), &writes)
                        .expect("a commit")
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn rollbacks(criterion: &mut Criterion) {
    let (_directory, store) = filled();
    let mut noise = Noise(4);
    let keys = u64::from(READ_BLOCKS) * 3_000;
    let mut group = criterion.benchmark_group("rollback");
    group.throughput(Throughput::Elements(KEYS_PER_BLOCK as u64));
    group.sample_size(30);
    group.bench_function("one block of 5,000 keys, half of them old", |bencher| {
        bencher.iter_batched(
            || {
                let mixed: Vec<_> = (0..KEYS_PER_BLOCK as u64)
                    .map(|number| key(noise.next() % keys + number % 2 * keys))
                    .collect();
                let writes = writes(mixed.into_iter(), &mut noise);
                let block = next_block(&store);
                store.commit(&block, &writes).expect("a commit");
                block.height - 1
            },
            |keep| store.rollback(Some(keep)).expect("a rollback"),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// All that a block of 14,000 keys wrote, or its keys, with some of the values or without.
fn blocks(criterion: &mut Criterion) {
    const KEYS: u64 = 14_000;
    let (_directory, store) = filled();
    let mut noise = Noise(6);
    let keys = u64::from(READ_BLOCKS) * 3_000;
    let mixed = (0..KEYS).map(|number| key(number * 7_919 % keys + number % 2 * keys));
    let block = next_block(&store);
    let set = writes(mixed, &mut noise);
    store.commit(&block, &set).expect("a commit");
    let height = block.height;
    let mut group = criterion.benchmark_group("what a block of 14,000 keys wrote");
    for on_top in [0, 20] {
        for _ in 0..on_top {
            let old = (0..KEYS / 10).map(|number| key(number * 7_919 % keys));
            let set = writes(old, &mut noise);
            store.commit(&next_block(&store), &set).expect("a commit");
        }
        let snapshot = store.snapshot();
        group.bench_function(format!("all, {on_top} blocks on top"), |bencher| {
            bencher.iter(|| snapshot.writes_of(height).expect("a block"));
        });
        let keys_beginning_with = |prefix: &[u8]| {
            let mut keys = snapshot.keys_of(height).expect("a block");
            let mut found = Vec::new();
            while let Some(key) = keys.next_key().expect("a key") {
                if key.starts_with(prefix) {
                    found.push(Bytes::copy_from_slice(key));
                }
            }
            found
        };
        group.bench_function(format!("keys, {on_top} blocks on top"), |bencher| {
            bencher.iter(|| keys_beginning_with(b"0123456789").len());
        });
        group.bench_function(format!("1 key in 256, {on_top} blocks on top"), |bencher| {
            bencher.iter(|| {
                let keys = keys_beginning_with(&[0x80]);
                snapshot
                    .values_at(height, &keys, usize::MAX)
                    .expect("values")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, reads, commits, rollbacks, blocks);
criterion_main!(benches);
