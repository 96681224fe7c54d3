//! `engines large KEYS [NAME]`: engines used directly under many keys, with a cache of a
//! twentieth of the data: each in a process of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use fjall::config::{CompressionPolicy, HashRatioPolicy, PinningPolicy};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use lsm_tree::Cache;

use crate::cost::{Cost, Since, forget, resident};
use crate::disk_bytes;
use crate::lsm::Lsm;
use crate::workload::{Noise, key};

/// Writes that are loaded at a time: 128 MiB of keys and values.
const BATCH: usize = (128 << 20) / 64;
/// Writes in a batch of the engines that take blocks.
pub const BLOCK: usize = 14_000;
/// Of these, so many times a new key is written before an old one is written again.
const NEW_PER_OLD: u64 = 2;
const READS: u64 = 20_000;
/// Whoever loads waits while a tree has more runs than this that were not compacted.
const MAX_NEW_RUNS: usize = 8;

pub trait Engine {
    /// Takes writes, in the order they were made; not synced.
    fn load(&mut self, writes: Vec<(Bytes, Bytes)>) -> Result<()>;

    /// Returns when nothing is left to be done behind.
    fn settle(&mut self) -> Result<()>;

    fn has(&self, key: &[u8]) -> Result<bool>;
}

type Open = fn(&Path, u64) -> Result<Box<dyn Engine>>;

const ENGINES: &[(&str, Open)] = &[
    ("lsm-tree, ingested", |path, cache| {
        Ok(Box::new(Ingested::open(path, cache)?))
    }),
    ("fjall, batches", |path, cache| {
        Ok(Box::new(Fjall::open(path, cache)?))
    }),
    #[cfg(feature = "rocksdb")]
    ("rocksdb, batches", |path, cache| {
        Ok(Box::new(crate::rocksdb_engine::Batches::open(path, cache)?))
    }),
    #[cfg(feature = "rocksdb")]
    ("rocksdb, ingested", |path, cache| {
        Ok(Box::new(crate::rocksdb_engine::Ingested::open(
            path, cache,
        )?))
    }),
];

/// Runs all engines whose names contain `wanted`, each in a process of its own.
pub fn all(keys: u64, wanted: &str) -> Result<()> {
    println!(
        "{keys} keys of 32 bytes with values of 32, a cache of {} MB\n",
        keys * 64 / 20 / 1_000_000
    );
    println!(
        "| engine | writes/s | CPU s | CPU µs a write | written / logical | disk / logical | opening s | present, cold µs | absent, cold µs | present, warm µs (CPU) | absent, warm µs (CPU) | resident MB, peak |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for (name, _) in ENGINES.iter().filter(|(name, _)| name.contains(wanted)) {
        let own = std::env::current_exe()?;
        let status = Command::new(own)
            .args(["large-one", &keys.to_string(), name])
            .status()?;
        ensure!(status.success(), "{name} failed");
    }
    Ok(())
}

/// Measures the engine of that name.
pub fn one(keys: u64, name: &str) -> Result<()> {
    let (_, open) = ENGINES
        .iter()
        .find(|engine| engine.0 == name)
        .context("no such engine")?;
    let cache = keys * 64 / 20;
    let directory = tempfile::tempdir_in(".")?;
    let mut engine = open(directory.path(), cache)?;
    let (load, generated, writes) = load(engine.as_mut(), keys)?;
    let loaded = resident()?;
    drop(engine);
    let disk = disk_bytes(directory.path())?;
    forget(directory.path())?;
    let since = Since::now()?;
    let engine = open(directory.path(), cache)?;
    let opening = since.cost()?.wall;
    let rounds = [(0, false), (keys, false), (0, true), (keys, true)]
        .map(|(first, warm)| read(engine.as_ref(), first, keys, warm));
    let mut reads = Vec::new();
    for round in rounds {
        reads.push(round?);
    }
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / READS as f64;
    let cpu = (load.cpu.saturating_sub(generated)).as_secs_f64();
    println!(
        "| {name} | {:.0} | {cpu:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.1} | {:.1} | {:.1} ({:.1}) | {:.1} ({:.1}) | {}, {} |",
        writes as f64 / load.wall.as_secs_f64(),
        cpu * 1e6 / writes as f64,
        load.written as f64 / (writes * 64) as f64,
        disk as f64 / (keys * 64) as f64,
        opening.as_secs_f64(),
        micros(reads[0].wall),
        micros(reads[1].wall),
        micros(reads[2].wall),
        micros(reads[2].own),
        micros(reads[3].wall),
        micros(reads[3].own),
        resident()?.0 / 1_000_000,
        loaded.1 / 1_000_000,
    );
    Ok(())
}

/// Loads the keys; answers what it took, what of the processor time went into making
/// them, and the number of writes.
fn load(engine: &mut dyn Engine, keys: u64) -> Result<(Cost, Duration, u64)> {
    let mut noise = Noise(1);
    let (mut made, mut writes) = (0, 0_u64);
    let (mut wall, mut generated) = (Duration::ZERO, Duration::ZERO);
    let all = Since::now()?;
    while made < keys {
        let since = Since::now()?;
        let mut batch = Vec::with_capacity(BATCH);
        while batch.len() < BATCH && made < keys {
            let number =
                if (writes + batch.len() as u64).is_multiple_of(NEW_PER_OLD + 1) && made > 0 {
                    noise.next() % made
                } else {
                    made += 1;
                    made - 1
                };
            batch.push((key(number), noise.bytes()));
        }
        writes += batch.len() as u64;
        generated += since.cost()?.own;
        let since = Since::now()?;
        engine.load(batch)?;
        wall += since.cost()?.wall;
    }
    let since = Since::now()?;
    engine.settle()?;
    wall += since.cost()?.wall;
    let cost = Cost {
        wall,
        ..all.cost()?
    };
    Ok((cost, generated, writes))
}

/// Reads keys once, or a second time.
fn read(engine: &dyn Engine, first: u64, keys: u64, warm: bool) -> Result<Cost> {
    let mut noise = Noise(2);
    let wanted: Vec<Bytes> = (0..READS)
        .map(|_| key(first + noise.next() % keys))
        .collect();
    let present = first == 0;
    if warm {
        for key in &wanted {
            engine.has(key)?;
        }
    }
    let since = Since::now()?;
    for key in &wanted {
        ensure!(
            engine.has(key)? == present,
            "a key is missing, or came from nowhere"
        );
    }
    since.cost()
}

/// The last write of each key, in key order.
pub fn sorted(writes: Vec<(Bytes, Bytes)>) -> Vec<(Bytes, Bytes)> {
    let last: BTreeMap<_, _> = writes.into_iter().collect();
    last.into_iter().collect()
}

struct Ingested {
    tree: Lsm,
    stop: Arc<AtomicBool>,
    compacts: Option<JoinHandle<Result<()>>>,
}

impl Ingested {
    fn open(path: &Path, cache: u64) -> Result<Self> {
        let tree = Lsm::open(path, &Arc::new(Cache::with_capacity_bytes(cache)), false)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (own, stopped) = (tree.clone(), Arc::clone(&stop));
        let compacts = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if !own.compact()? {
                    thread::sleep(Duration::from_millis(20));
                }
            }
            Ok(())
        });
        Ok(Self {
            tree,
            stop,
            compacts: Some(compacts),
        })
    }
}

impl Engine for Ingested {
    fn load(&mut self, writes: Vec<(Bytes, Bytes)>) -> Result<()> {
        while self.tree.new_runs() > MAX_NEW_RUNS {
            thread::sleep(Duration::from_millis(5));
        }
        self.tree.ingest(sorted(writes).into_iter().map(Ok))
    }

    fn settle(&mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(compacts) = self.compacts.take() {
            compacts.join().expect("it does not panic")?;
        }
        while self.tree.compact()? {}
        Ok(())
    }

    fn has(&self, key: &[u8]) -> Result<bool> {
        Ok(self.tree.get(key)?.is_some())
    }
}

impl Drop for Ingested {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Fjall {
    database: Database,
    entries: Keyspace,
}

impl Fjall {
    fn open(path: &Path, cache: u64) -> Result<Self> {
        let database = Database::builder(path)
            .cache_size(cache)
            .max_journaling_size(128 << 20)
            .open()?;
        let entries = database.keyspace("entries", || {
            KeyspaceCreateOptions::default()
                .filter_block_pinning_policy(PinningPolicy::all(true))
                .index_block_pinning_policy(PinningPolicy::all(true))
                .data_block_hash_ratio_policy(HashRatioPolicy::all(1.33))
                .data_block_compression_policy(CompressionPolicy::disabled())
        })?;
        Ok(Self { database, entries })
    }
}

impl Engine for Fjall {
    fn load(&mut self, writes: Vec<(Bytes, Bytes)>) -> Result<()> {
        for block in writes.chunks(BLOCK) {
            let mut batch = self.database.batch().durability(Some(PersistMode::Buffer));
            for (key, value) in block {
                batch.insert(&self.entries, key.clone(), value.clone());
            }
            batch.commit()?;
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        self.entries.rotate_memtable_and_wait()?;
        while self.database.outstanding_flushes() + self.database.active_compactions() > 0 {
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn has(&self, key: &[u8]) -> Result<bool> {
        Ok(self.entries.get(key)?.is_some())
    }
}
