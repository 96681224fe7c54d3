//! `engines [BLOCKS] [WRITES PER BLOCK] [NAME]`: runs every candidate whose name
//! contains NAME and prints a Markdown table.
//!
//! `engines large KEYS [NAME]`, `engines history [VERSIONS] [NAME]`,
//! `engines compression FILE` and `engines values BYTES`: see the modules of these names.

mod compression;
mod cost;
mod fjall_engine;
mod history;
mod large;
mod layout;
mod lsm;
mod redb_engine;
#[cfg(feature = "rocksdb")]
mod rocksdb_engine;
mod store_engine;
mod values;
mod workload;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;

use workload::{Blocks, Noise, Write, key};

/// The block cache that every candidate gets.
pub const CACHE_BYTES: u64 = 128 << 20;
const READS: u64 = 100_000;
const DEEP_READS: u64 = 50_000;
/// The bytes of a key and a value, without anything around them.
const LOGICAL_BYTES: u64 = 64;

pub trait Candidate {
    /// Commits one block, durably, in one atomic batch.
    fn commit(&mut self, height: u32, writes: Vec<Write>) -> Result<()>;

    /// Whether the newest version of `key` was found.
    fn tip(&self, key: &[u8]) -> Result<bool>;

    /// Whether a version at or below `height` was found; none if not supported.
    fn at(&self, key: &[u8], height: u32) -> Result<Option<bool>>;
}

type Open = fn(&Path) -> Result<Box<dyn Candidate>>;

const CANDIDATES: &[(&str, Open)] = &[
    ("fjall raw, no versions", |path| {
        Ok(Box::new(fjall_engine::Raw::open(path)?))
    }),
    ("fjall A", |path| {
        Ok(Box::new(fjall_engine::LayoutA::open(path)?))
    }),
    ("fjall B, reads old values", |path| {
        Ok(Box::new(fjall_engine::LayoutB::open(path, true, true)?))
    }),
    ("fjall B, old values known", |path| {
        Ok(Box::new(fjall_engine::LayoutB::open(path, false, true)?))
    }),
    ("fjall B, old values known, no LZ4", |path| {
        Ok(Box::new(fjall_engine::LayoutB::open(path, false, false)?))
    }),
    ("redb B, reads old values", |path| {
        Ok(Box::new(redb_engine::LayoutB::open(path, true)?))
    }),
    ("redb B, old values known", |path| {
        Ok(Box::new(redb_engine::LayoutB::open(path, false)?))
    }),
    #[cfg(feature = "rocksdb")]
    ("rocksdb A", |path| {
        Ok(Box::new(rocksdb_engine::LayoutA::open(path)?))
    }),
    #[cfg(feature = "rocksdb")]
    ("rocksdb B, reads old values", |path| {
        Ok(Box::new(rocksdb_engine::LayoutB::open(path, true)?))
    }),
    #[cfg(feature = "rocksdb")]
    ("rocksdb B, old values known", |path| {
        Ok(Box::new(rocksdb_engine::LayoutB::open(path, false)?))
    }),
    ("the store, reads old values", |path| {
        Ok(Box::new(store_engine::WholeStore::open(path, true)?))
    }),
    ("the store, old values known", |path| {
        Ok(Box::new(store_engine::WholeStore::open(path, false)?))
    }),
];

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    let word = |arguments: &mut dyn Iterator<Item = String>| arguments.next().unwrap_or_default();
    match arguments
        .next_if(|word| word.parse::<u32>().is_err())
        .as_deref()
    {
        Some("large") => {
            return large::all(word(&mut arguments).parse()?, &word(&mut arguments));
        }
        Some("large-one") => {
            return large::one(word(&mut arguments).parse()?, &word(&mut arguments));
        }
        Some("history") => {
            let versions = arguments
                .next()
                .map_or(Ok(20_000_000), |text| text.parse())?;
            return history::run(versions, &word(&mut arguments));
        }
        Some("values") => return values::run(word(&mut arguments).parse()?),
        Some("compression") => return compression::run(&word(&mut arguments)),
        Some(other) => anyhow::bail!("there is nothing called `{other}`"),
        None => {}
    }
    let blocks = arguments.next().map_or(Ok(600), |text| text.parse())?;
    let writes = arguments.next().map_or(Ok(5_000), |text| text.parse())?;
    let wanted = arguments.next().unwrap_or_default();
    println!("{blocks} blocks of {writes} writes\n");
    println!(
        "| candidate | writes/s | tip µs | miss µs | half-way down µs | disk / logical | open s |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for (name, open) in CANDIDATES {
        if name.contains(&wanted) {
            let row = measure(*open, blocks, writes)?;
            println!("| {name} | {row} |");
        }
    }
    Ok(())
}

fn measure(open: Open, blocks: u32, writes_per_block: usize) -> Result<String> {
    let directory = tempfile::tempdir_in(".")?;
    let mut candidate = open(directory.path())?;
    let mut source = Blocks::new(writes_per_block);
    let mut committing = Duration::ZERO;
    let mut written = 0;
    for height in 0..blocks {
        let writes = source.next();
        written += writes.len() as u64;
        let start = Instant::now();
        candidate.commit(height, writes)?;
        committing += start.elapsed();
    }
    let keys = source.keys();
    let mut noise = Noise(2);
    let present: Vec<Bytes> = (0..READS).map(|_| key(noise.next() % keys)).collect();
    let absent: Vec<Bytes> = (0..READS)
        .map(|_| key(keys + noise.next() % keys))
        .collect();
    let early: Vec<Bytes> = (0..DEEP_READS)
        .map(|_| key(noise.next() % (keys / 2)))
        .collect();

    let tip = time(&present, |key| {
        ensure!(candidate.tip(key)?, "a value is missing");
        Ok(())
    })?;
    let miss = time(&absent, |key| {
        ensure!(!candidate.tip(key)?, "a value came from nowhere");
        Ok(())
    })?;
    let deep = time(&early, |key| {
        ensure!(
            candidate.at(key, blocks / 2)? != Some(false),
            "a value is missing"
        );
        Ok(())
    })?;
    drop(candidate);
    let disk = disk_bytes(directory.path())?;
    let start = Instant::now();
    drop(open(directory.path())?);
    let reopening = start.elapsed().as_secs_f64();
    let rate = written as f64 / committing.as_secs_f64();
    let ratio = disk as f64 / (written * LOGICAL_BYTES) as f64;
    Ok(format!(
        "{rate:.0} | {tip:.1} | {miss:.1} | {deep:.1} | {ratio:.2} | {reopening:.1}"
    ))
}

/// Microseconds a read.
fn time(keys: &[Bytes], read: impl Fn(&[u8]) -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    for key in keys {
        read(key)?;
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / keys.len() as f64)
}

/// What the files occupy; preallocated journals count with what is in them.
fn disk_bytes(path: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() {
            disk_bytes(&entry.path())?
        } else {
            occupied(&metadata)
        };
    }
    Ok(bytes)
}

#[cfg(unix)]
fn occupied(metadata: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    metadata.blocks() * 512
}

#[cfg(not(unix))]
fn occupied(metadata: &fs::Metadata) -> u64 {
    metadata.len()
}
