//! How much memory a large state takes, beside what the settings give: while it is written,
//! when it is opened, and once it was read; and what those reads cost.
//!
//! `cargo bench -p metashrew-store --bench resident -- [NAME=VALUE]...` writes a state of
//! hashed keys into a database, and reads it in a new process.
//!
//! - `keys=10000000`: how many keys the state has, each of 32 bytes with a value of 50.
//! - `cache=twentieth`: the caches together, of the logical bytes, or a number of bytes.
//! - `reads=300000`: how many present keys are read, and then as many absent ones.
//! - `db=PATH`: a database that is there or is made there and stays (default: a temporary
//!   one).
#![allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "a benchmark tells what it measured, and a panic ends it"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use metashrew_store::{BlockHash, BlockRef, Height, Store, StoreOptions, WriteSet};

/// As in the command: what is measured is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEYS_PER_BLOCK: u64 = 100_000;
const KEY_LEN: u64 = 32;
const VALUE_LEN: u64 = 50;
/// Fewer runs than this no compaction is due for.
const SETTLED_RUNS: u64 = 4;

struct Arguments(BTreeMap<String, String>);

impl Arguments {
    fn number(&self, name: &str, default: u64) -> u64 {
        let value = self.0.get(name);
        value.map_or(default, |value| value.parse().expect("a number"))
    }

    fn keys(&self) -> u64 {
        self.number("keys", 10_000_000)
    }

    fn cache(&self) -> u64 {
        match self.0.get("cache").map_or("twentieth", String::as_str) {
            "twentieth" => self.keys() * (KEY_LEN + VALUE_LEN) / 20,
            bytes => bytes.parse().expect("a number of bytes"),
        }
    }

    fn options(&self) -> StoreOptions {
        StoreOptions::default().with_cache(self.cache())
    }
}

/// `N` bytes that no compression makes smaller.
fn noise<const N: usize>(seed: u64) -> [u8; N] {
    let mut state = seed.wrapping_mul(0x1234_5678_9abc_def1);
    let mut bytes = [0; N];
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        chunk.copy_from_slice(&mixed.to_be_bytes()[..chunk.len()]);
    }
    bytes
}

fn key(number: u64) -> [u8; KEY_LEN as usize] {
    noise(number)
}

fn block(height: Height) -> BlockRef {
    let hash = |height: Height| {
        let mut bytes = [7; 32];
        bytes[..4].copy_from_slice(&height.to_be_bytes());
        BlockHash::from_bytes(bytes)
    };
    BlockRef::new(height, hash(height), hash(height.wrapping_sub(1)))
}

fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.expect("the figure").split_whitespace().nth(1);
    kib.expect("a number").parse::<u64>().expect("a number") << 10
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn tell(what: &str, store: &Store) {
    let engine = store.engine_health().expect("it is on disk");
    println!(
        "{what}: {:.0} MB resident, peak {:.0}; {:.0} recent writes, {:.0} values read, {:.1} open tables \
         ({:.0} on disk, {} new runs)",
        mb(memory("RssAnon")),
        mb(memory("VmHWM")),
        mb(engine.resident_bytes),
        mb(store.cache_stats().bytes),
        mb(engine.table_memory_bytes),
        mb(engine.table_bytes),
        engine.new_runs,
    );
}

fn write(arguments: &Arguments, path: &Path) {
    let store = Store::open(path, arguments.options()).expect("a database");
    let begun = Instant::now();
    for height in 0..arguments.keys() / KEYS_PER_BLOCK {
        let mut writes = WriteSet::default();
        for number in height * KEYS_PER_BLOCK..(height + 1) * KEYS_PER_BLOCK {
            let value: [u8; VALUE_LEN as usize] = noise(!number);
            writes.insert(key(number), value).expect("a short entry");
        }
        let height = Height::try_from(height).expect("few blocks");
        store
            .commit(&block(height), &writes)
            .expect("the next block");
    }
    // Or how many runs a read asks would be a matter of luck.
    while store.engine_health().expect("it is on disk").new_runs >= SETTLED_RUNS {
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("written in {:.0} s", begun.elapsed().as_secs_f64());
    tell("written", &store);
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanoseconds = stat.split_whitespace().next().expect("a number");
    nanoseconds.parse::<f64>().expect("a number") / 1e9
}

fn read(arguments: &Arguments, path: &Path) {
    let begun = Instant::now();
    let store = Store::open(path, arguments.options()).expect("a database");
    println!("opened in {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
    tell("opened", &store);
    let state = store.snapshot().latest();
    let reads = arguments.number("reads", 300_000);
    for (name, from) in [("present", 0), ("absent", arguments.keys())] {
        // Once for the caches, and once for the figures.
        for (name, seed) in [(format!("{name}, cold"), 0), (name.to_owned(), reads)] {
            let (cpu, time) = (cpu_seconds(), Instant::now());
            for number in seed..seed + reads {
                let at = from + u64::from_be_bytes(noise(number)) % arguments.keys();
                let found = state.get(&key(at)).expect("a read");
                assert_eq!(found.is_some(), from == 0, "key {at}");
            }
            println!(
                "{name}: {:.2} us of CPU, {:.2} us a read",
                (cpu_seconds() - cpu) / reads as f64 * 1e6,
                time.elapsed().as_secs_f64() / reads as f64 * 1e6
            );
            tell(&name, &store);
        }
    }
}

fn main() {
    let pairs = std::env::args().filter_map(|argument| {
        let (name, value) = argument.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    let arguments = Arguments(pairs.collect());
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let path = match arguments.0.get("db") {
        Some(path) => PathBuf::from(path),
        None => temporary.path().join("db"),
    };
    match arguments.0.get("role").map(String::as_str) {
        Some("write") => write(&arguments, &path),
        Some("read") => read(&arguments, &path),
        _ => {
            println!("caches of {:.0} MB", mb(arguments.cache()));
            let itself = std::env::current_exe().expect("this program");
            let has_it = path.exists();
            for role in ["write", "read"].into_iter().skip(usize::from(has_it)) {
                let mut command = Command::new(&itself);
                command.args(
                    arguments
                        .0
                        .iter()
                        .map(|(name, value)| format!("{name}={value}")),
                );
                command.arg(format!("db={}", path.display()));
                let status = command.arg(format!("role={role}")).status();
                assert!(status.expect("it runs").success(), "{role}");
            }
        }
    }
}
