//! Rolling back ten blocks of 5,000 keys, beside committing them, in a database of
//! 100 thousand keys and in one of 10 million: what a rollback costs must depend on
//! what the dropped blocks wrote only. Each is measured in two databases by turns: one that
//! records the blocks that it undoes (`StoreOptions::undone`), as is the default, and one that
//! records none. `cargo bench --bench rollback -- KEYS…` takes other sizes.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark measures time and prints it"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use metashrew_store::{
    BlockHash, BlockRef, Durability, Store, StoreOptions, UndoneLimits, WriteSet,
};
use metashrew_testing::rng::noise;
use tempfile::TempDir;

/// As in the command: what is measured is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZES: [u64; 2] = [100_000, 10_000_000];
const BLOCKS: u64 = 10;
const KEYS_PER_BLOCK: u64 = 5_000;
const ROUNDS: u64 = 11;
/// How long the engine gets to sort out what it was filled with.
const SETTLING: Duration = Duration::from_secs(20);
const FILL_BLOCK: u64 = 50_000;
const LEN: usize = 32;

fn next_block(store: &Store, fork: u8) -> BlockRef {
    let tip = store.snapshot().tip().copied();
    let height = tip.map_or(0, |tip| tip.height + 1);
    let mut hash = [fork; 32];
    for (target, source) in hash.iter_mut().zip(height.to_be_bytes()) {
        *target = source;
    }
    let parent = tip.map_or(BlockHash::from_bytes([0; 32]), |tip| tip.hash);
    BlockRef::new(height, BlockHash::from_bytes(hash), parent)
}

/// Commits `keys` keys in large blocks.
fn fill(path: &Path, keys: u64) {
    let options = StoreOptions {
        durability: Durability::Buffered,
        ..StoreOptions::default()
    };
    let store = Store::open(path, options).expect("a new database");
    let mut number = 0;
    while number < keys {
        let mut writes = WriteSet::default();
        for number in number..keys.min(number + FILL_BLOCK) {
            writes.remember(&noise(number, LEN), None);
            writes
                .insert(noise(number, LEN), noise(!number, LEN))
                .expect("short entries");
        }
        let block = next_block(&store, 0);
        store.commit(&block, &writes).expect("the next block");
        number += FILL_BLOCK;
    }
}

/// The ten blocks of one round; half of their keys are old ones.
fn blocks(keys: u64, round: u64) -> Vec<WriteSet> {
    let mut number = (round + 1) << 40;
    let mut make = || {
        let mut writes = WriteSet::default();
        for turn in 0..KEYS_PER_BLOCK {
            number += 1;
            let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % keys;
            let key = if turn % 2 == 0 { number } else { spread };
            writes
                .insert(noise(key, LEN), noise(!number, LEN))
                .expect("short entries");
        }
        writes
    };
    (0..BLOCKS).map(|_| make()).collect()
}

/// The least and the median of some times.
fn least_and_median(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    (at(0), at(times.len() / 2))
}

/// A database that was filled, and what is measured in it.
struct Measured {
    name: &'static str,
    store: Store,
    /// The last block of the filling.
    keep: Option<u32>,
    commits: Vec<f64>,
    rollbacks: Vec<f64>,
    _directory: TempDir,
}

impl Measured {
    fn new(name: &'static str, keys: u64, undone: UndoneLimits) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        fill(directory.path(), keys);
        let options = StoreOptions {
            undone,
            ..StoreOptions::default()
        };
        let store = Store::open(directory.path(), options).expect("the same database");
        Self {
            name,
            keep: store.snapshot().tip().map(|tip| tip.height),
            store,
            commits: Vec::new(),
            rollbacks: Vec::new(),
            _directory: directory,
        }
    }

    /// Commits ten blocks, and rolls them back.
    fn round(&mut self, keys: u64, round: u64) {
        let sets = blocks(keys, round);
        let fork = u8::try_from(round + 1).expect("few rounds");
        let start = Instant::now();
        for writes in &sets {
            self.store
                .commit(&next_block(&self.store, fork), writes)
                .expect("the next block");
        }
        self.commits.push(start.elapsed().as_secs_f64() * 1e3);
        let start = Instant::now();
        self.store.rollback(self.keep).expect("a rollback");
        self.rollbacks.push(start.elapsed().as_secs_f64() * 1e3);
    }
}

fn main() {
    let mut sizes: Vec<u64> = std::env::args()
        .filter_map(|text| text.parse().ok())
        .collect();
    if sizes.is_empty() {
        sizes.extend(SIZES);
    }
    let none = UndoneLimits {
        blocks: 0,
        bytes: 0,
    };
    println!(
        "| keys in the database | undone blocks | commit of 10 blocks, ms (least) | rollback of them, ms (least) | ratio |"
    );
    println!("|---:|---|---:|---:|---:|");
    for keys in sizes {
        let mut databases = [
            Measured::new("recorded", keys, UndoneLimits::default()),
            Measured::new("not recorded", keys, none),
        ];
        std::thread::sleep(SETTLING);
        for round in 0..ROUNDS {
            for database in &mut databases {
                database.round(keys, round);
            }
        }
        for Measured {
            name,
            commits,
            rollbacks,
            ..
        } in databases
        {
            let (commit_least, commit) = least_and_median(commits);
            let (rollback_least, rollback) = least_and_median(rollbacks);
            println!(
                "| {keys} | {name} | {commit:.0} ({commit_least:.0}) | {rollback:.0} ({rollback_least:.0}) | {:.2} |",
                rollback / commit
            );
        }
    }
}
