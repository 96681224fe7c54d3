//! `engines compression FILE`: what compressing tables saves and costs, on the pairs of
//! a file: the length of a key (`u32`, little-endian), of its value, and both.

use std::fs;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::{Buf, Bytes};
use lsm_tree::Cache;

use crate::cost::Since;
use crate::disk_bytes;
use crate::lsm::{Lsm, Sorted};
use crate::workload::Noise;

const READS: usize = 200_000;

pub fn run(file: &str) -> Result<()> {
    let pairs = read(file)?;
    let logical: usize = pairs
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    println!("{} pairs, {:.1} MB\n", pairs.len(), logical as f64 / 1e6);
    println!(
        "| tables | disk / logical | write CPU ns a pair | read from the page cache µs | read from the block cache µs |"
    );
    println!("|---|---:|---:|---:|---:|");
    for compressed in [false, true, false, true] {
        let directory = tempfile::tempdir_in(".")?;
        // Too small for anything to stay, then large enough for all.
        let caches = [1 << 16, 4 << 30].map(|bytes| Arc::new(Cache::with_capacity_bytes(bytes)));
        let tree = Lsm::open(directory.path(), &caches[0], compressed)?;
        let since = Since::now()?;
        tree.ingest(pairs.iter().cloned().map(Ok))?;
        let cost = since.cost()?;
        drop(tree);
        // Filters and indexes of tables stay in memory only once they are opened again.
        let tree = Lsm::open(directory.path(), &caches[0], compressed)?;
        let cold = read_some(&tree, &pairs)?;
        drop(tree);
        let tree = Lsm::open(directory.path(), &caches[1], compressed)?;
        read_some(&tree, &pairs)?;
        let warm = read_some(&tree, &pairs)?;
        println!(
            "| {} | {:.3} | {:.0} | {cold:.2} | {warm:.2} |",
            if compressed { "LZ4" } else { "as they are" },
            disk_bytes(directory.path())? as f64 / logical as f64,
            cost.cpu.as_nanos() as f64 / pairs.len() as f64,
        );
    }
    Ok(())
}

/// Microseconds of processor time a read.
fn read_some(tree: &Lsm, pairs: &Sorted) -> Result<f64> {
    let mut noise = Noise(3);
    let since = Since::now()?;
    for _ in 0..READS {
        let (key, _) = &pairs[noise.below(pairs.len())];
        tree.get(key)?.context("a pair is missing")?;
    }
    Ok(since.cost()?.own.as_secs_f64() * 1e6 / READS as f64)
}

fn read(file: &str) -> Result<Sorted> {
    let mut bytes = Bytes::from(fs::read(file)?);
    let mut pairs = Sorted::new();
    while bytes.has_remaining() {
        let (key, value) = (bytes.get_u32_le() as usize, bytes.get_u32_le() as usize);
        pairs.push((bytes.split_to(key), bytes.split_to(value)));
    }
    pairs.sort();
    Ok(pairs)
}
