//! How long a database takes to open after it was closed, or its process killed, in the
//! middle of indexing; and what commits cost meanwhile.
#![allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![allow(clippy::print_stdout, reason = "a benchmark tells what it measured")]

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use metashrew_store::{BlockHash, BlockRef, Chainwork, Height, Store, StoreOptions, WriteSet};

/// As in the command: what is measured is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BLOCKS: Height = 400;
const KEYS_PER_BLOCK: u64 = 14_000;
const LEN: usize = 32;

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

/// Half of a block's keys are new, the other half are old ones drawn uniformly.
fn writes(height: u64, noise: &mut Noise) -> WriteSet {
    let half = KEYS_PER_BLOCK / 2;
    let new = height * half..(height + 1) * half;
    let mut writes = WriteSet::default();
    for number in new {
        let old = noise.next() % ((height + 1) * half);
        for number in [number, old] {
            let key = Noise(number.wrapping_mul(0x1234_5678_9abc_def1)).bytes();
            writes.insert(key, noise.bytes()).expect("short entries");
        }
    }
    writes
}

fn log_bytes(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory.join("engine/log")).expect("a log");
    let files = entries.filter_map(|entry| entry.ok()?.metadata().ok());
    files.map(|metadata| metadata.len()).sum()
}

fn open(directory: &Path) -> (Store, f64) {
    let start = Instant::now();
    let store = Store::open(directory, StoreOptions::default()).expect("the database");
    (store, start.elapsed().as_secs_f64())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (store, _) = open(directory.path());
    let mut noise = Noise(1);
    let mut committing = 0.0;
    for height in 0..BLOCKS {
        let set = writes(u64::from(height), &mut noise);
        let tip = store.snapshot().tip().copied();
        let mut hash = [7; 32];
        hash[..4].copy_from_slice(&height.to_be_bytes());
        let block = BlockRef {
            height,
            hash: BlockHash::from_bytes(hash),
            parent: tip.map_or(BlockHash::from_bytes([0; 32]), |tip| tip.hash),
            time: 0,
            bits: 0,
            chainwork: Chainwork::ZERO,
        };
        let start = Instant::now();
        store.commit(&block, &set).expect("the next block");
        committing += start.elapsed().as_secs_f64();
        if height % 50 == 49 {
            println!(
                "block {}: {:.1} ms a commit, log {} MB",
                height + 1,
                committing / f64::from(height + 1) * 1e3,
                log_bytes(directory.path()) / 1_000_000
            );
        }
    }
    // As a killed process would leave it, but for what the engine's threads change meanwhile.
    let killed = tempfile::tempdir().expect("a temporary directory");
    copy(directory.path(), killed.path());
    let start = Instant::now();
    drop(store);
    println!("closing {:.2} s", start.elapsed().as_secs_f64());
    for (name, directory) in [("a clean stop", &directory), ("a kill", &killed)] {
        let before = log_bytes(directory.path());
        let (store, seconds) = open(directory.path());
        drop(store);
        println!(
            "opening after {name}, with {} MB of log: {seconds:.2} s",
            before / 1_000_000
        );
    }
}
