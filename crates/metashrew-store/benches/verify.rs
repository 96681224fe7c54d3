//! How many versions a second a verification goes through, and in how much memory.
//! `cargo bench --bench verify -- BLOCKS MEMORY_MIB` takes other numbers of blocks (of
//! 14,000 keys each) and another bound; `--keep DIR` keeps the database there.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a benchmark measures time and prints it"
)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use metashrew_store::{
    BlockHash, BlockRef, Durability, Height, Store, StoreOptions, VerifyOptions, VerifyPhase,
    WriteSet,
};
use parking_lot::Mutex;

const BLOCKS: Height = 400;
const KEYS_A_BLOCK: u64 = 14_000;
const LEN: usize = 32;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|word| word != "--bench");
    let mut numbers = Vec::new();
    let mut kept = None;
    while let Some(word) = arguments.next() {
        match word.as_str() {
            "--keep" => kept = arguments.next().map(PathBuf::from),
            word => numbers.extend(word.parse::<u32>()),
        }
    }
    let blocks = numbers.first().copied().unwrap_or(BLOCKS);
    let memory_bytes = u64::from(numbers.get(1).copied().unwrap_or(256)) << 20;
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let path = kept.as_deref().unwrap_or(temporary.path());
    fill(path, blocks);

    let store = Store::open_read_only(path, StoreOptions::default()).expect("the database");
    let options = VerifyOptions {
        memory_bytes,
        temporary: None,
    };
    let phases = Mutex::new(Vec::<(VerifyPhase, f64)>::new());
    // What the filling took is forgotten.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let report = store
        .verify_with(&options, |phase, _| {
            let mut phases = phases.lock();
            if phases.last().is_none_or(|(last, _)| *last != phase) {
                phases.push((phase, start.elapsed().as_secs_f64()));
            }
        })
        .expect("a good database");
    let seconds = start.elapsed().as_secs_f64();
    for (phase, at) in phases.into_inner() {
        println!("{phase:?} began at {at:.1} s");
    }
    println!(
        "{} versions of {} keys in {seconds:.1} s: {:.2} million a second, {:.1} CPU s, at most {} MB resident, {} MB on disk",
        report.versions,
        report.keys,
        report.versions as f64 / seconds / 1e6,
        cpu_seconds() - cpu,
        peak_bytes() / 1_000_000,
        store.disk_bytes().unwrap_or_default() / 1_000_000
    );
}

/// Commits blocks of which half the keys are new, and the other half old ones drawn
/// uniformly, up to `blocks`.
fn fill(path: &Path, blocks: Height) {
    let options = StoreOptions {
        durability: Durability::Buffered,
        ..StoreOptions::default()
    };
    let store = Store::open(path, options).expect("a database");
    let mut noise = fastrand::Rng::with_seed(1);
    loop {
        let tip = store.snapshot().tip().copied();
        let height = tip.map_or(0, |tip| tip.height + 1);
        if height >= blocks {
            return;
        }
        let half = KEYS_A_BLOCK / 2;
        let below = u64::from(height) * half;
        let mut writes = WriteSet::default();
        for new in below..below + half {
            for number in [new, noise.u64(0..below + half)] {
                let mut key = [0; LEN];
                fastrand::Rng::with_seed(number).fill(&mut key);
                let mut value = [0; LEN];
                noise.fill(&mut value);
                let entry = (Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value));
                writes.insert(entry.0, entry.1).expect("short entries");
            }
        }
        let mut hash = [7; 32];
        for (target, source) in hash.iter_mut().zip(height.to_be_bytes()) {
            *target = source;
        }
        let parent = tip.map_or(BlockHash::from_bytes([0; 32]), |tip| tip.hash);
        let block = BlockRef::new(height, BlockHash::from_bytes(hash), parent);
        store.commit(&block, &writes).expect("the next block");
    }
}

/// What this process has used of the processors, in seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

/// The most memory this process had resident since the peak was reset, in bytes.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = peak.and_then(|peak| peak.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
}
