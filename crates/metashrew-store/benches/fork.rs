//! Forking a database at several heights, by dropping blocks and by writing anew what is kept:
//! seconds, and the bytes that the fork has to itself. A third of the keys that a block writes
//! are old ones. `cargo bench --bench fork -- KEYS… [dir=PATH]` takes other sizes, and another place
//! than the system's temporary directory.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark measures time and prints it"
)]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

use metashrew_store::{
    BlockHash, BlockRef, Durability, ForkOptions, ForkWay, Store, StoreOptions, WriteSet,
};
use metashrew_testing::rng::noise;

/// As in the command: what is measured is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZES: [u64; 1] = [10_000_000];
const KEYS_PER_BLOCK: u64 = 20_000;
/// Of a thousand blocks, how many are kept.
const KEPT: [u64; 6] = [1_000, 999, 900, 500, 200, 10];
const LEN: usize = 32;

/// Commits blocks until there are so many keys; returns the height of the last one.
fn fill(path: &Path, keys: u64) -> u32 {
    let options = StoreOptions {
        durability: Durability::Buffered,
        ..StoreOptions::default()
    };
    let store = Store::open(path, options).expect("a new database");
    let (mut new, mut height) = (0, 0);
    let mut parent = BlockHash::from_bytes([0; 32]);
    loop {
        let mut writes = WriteSet::default();
        for turn in 0..KEYS_PER_BLOCK {
            let number = if turn % 3 == 0 && new > 0 {
                (u64::from(height) * KEYS_PER_BLOCK + turn).wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    % new
            } else {
                new += 1;
                new
            };
            let value = noise(!(u64::from(height) << 32 | number), LEN);
            writes
                .insert(noise(number, LEN), value)
                .expect("short entries");
        }
        let hash = BlockHash::from_bytes(
            *noise(1 << 60 | u64::from(height), LEN)
                .first_chunk()
                .expect("32 bytes"),
        );
        let block = BlockRef::new(height, hash, parent);
        store.commit(&block, &writes).expect("the next block");
        if new >= keys {
            store.close().expect("room on the disk");
            return height;
        }
        (parent, height) = (hash, height + 1);
    }
}

/// What the files below a directory occupy: all, and those that have no other name.
fn occupied(directory: &Path) -> (u64, u64) {
    let (mut all, mut own) = (0, 0);
    for entry in fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        let metadata = entry.metadata().expect("a file");
        if metadata.is_dir() {
            let below = occupied(&entry.path());
            (all, own) = (all + below.0, own + below.1);
        } else {
            let bytes = metadata.blocks() * 512;
            all += bytes;
            own += if metadata.nlink() == 1 { bytes } else { 0 };
        }
    }
    (all, own)
}

fn main() {
    let mut sizes = Vec::new();
    let mut place = std::env::temp_dir();
    for argument in std::env::args().skip(1) {
        if let Some(path) = argument.strip_prefix("dir=") {
            place = path.into();
        }
        sizes.extend(argument.parse::<u64>());
    }
    if sizes.is_empty() {
        sizes.extend(SIZES);
    }
    println!(
        "| keys | blocks | database MB | kept | by | s | the fork's own MB | versions rewritten |"
    );
    println!("|---:|---:|---:|---:|---|---:|---:|---:|");
    for keys in sizes {
        let directory = tempfile::tempdir_in(&place).expect("a temporary directory");
        let (from, to) = (directory.path().join("a"), directory.path().join("b"));
        let last = fill(&from, keys);
        let megabytes = |bytes: u64| bytes / 1_000_000;
        let total = megabytes(occupied(&from).0);
        for kept in KEPT {
            let at = u32::try_from(u64::from(last) * kept / 1_000).expect("below the last");
            for way in [ForkWay::Drop, ForkWay::Rewrite] {
                if kept == 1_000 && way == ForkWay::Rewrite {
                    continue;
                }
                let options = ForkOptions {
                    at: Some(at),
                    way: Some(way),
                    ..ForkOptions::default()
                };
                let start = Instant::now();
                let forked = Store::fork(&from, &to, &options, |_| ()).expect("a fork");
                let seconds = start.elapsed().as_secs_f64();
                let own = megabytes(occupied(&to).1);
                let rewritten = forked.rewritten.unwrap_or_default();
                println!(
                    "| {keys} | {} | {total} | {at} | {way:?} | {seconds:.2} | {own} | {rewritten} |",
                    last + 1
                );
                fs::remove_dir_all(&to).expect("the fork");
            }
        }
    }
}
