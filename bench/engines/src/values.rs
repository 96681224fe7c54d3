//! `engines values BYTES`: what it costs to keep large values apart from the tables, in
//! lsm-tree's own value files.
//!
//! Two trees, as in the store: the newest version of each key, and what was superseded. A
//! flush of 32 MiB goes to both as sorted tables, without a memtable, and all that is due is
//! compacted after each.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use lsm_tree::compaction::Leveled;
use lsm_tree::config::{CompressionPolicy, PinningPolicy};
use lsm_tree::{
    AbstractTree, AnyTree, Cache, CompressionType, Config, InternalValue, KvSeparationOptions,
    SequenceNumberCounter, Slice, ValueType,
};

use crate::cost::Since;
use crate::disk_bytes;
use crate::workload::{Noise, key};

const FLUSH: usize = 32 << 20;
const READS: usize = 2_000;
/// Of 32 bytes each, beside each large value.
const SMALL_PER_LARGE: u64 = 50;

/// Which values are kept apart, if any.
#[derive(Clone, Copy)]
struct Apart(Option<u32>);

struct Work {
    name: &'static str,
    /// The lengths of large values.
    lens: std::ops::Range<usize>,
    /// Of ten large values, so many are put in the place of an older one.
    rewritten: u64,
}

const WORK: [Work; 3] = [
    Work {
        name: "20 to 200 KB, each once",
        lens: 20_000..200_000,
        rewritten: 0,
    },
    Work {
        name: "20 to 200 KB, half rewritten",
        lens: 20_000..200_000,
        rewritten: 5,
    },
    Work {
        name: "4 to 16 KB, half rewritten",
        lens: 4_096..16_000,
        rewritten: 5,
    },
];

pub fn run(bytes: u64) -> Result<()> {
    println!(
        "| values | kept | CPU s a GB | written / logical | disk / live | a read, CPU µs | value files |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|");
    for work in &WORK {
        for apart in [Apart(None), Apart(Some(4 << 10))] {
            one(work, apart, bytes)?;
        }
    }
    Ok(())
}

struct Trees {
    newest: AnyTree,
    older: AnyTree,
    flushes: u64,
}

impl Trees {
    fn open(path: &Path, apart: Apart) -> Result<Self> {
        let cache = Arc::new(Cache::with_capacity_bytes(64 << 20));
        let open = |name: &str| {
            let counter = SequenceNumberCounter::default;
            let apart = apart.0.map(|bytes| {
                KvSeparationOptions::default()
                    .compression(CompressionType::None)
                    .separation_threshold(bytes)
            });
            Config::new(path.join(name), counter(), counter())
                .use_cache(Arc::clone(&cache))
                .filter_block_pinning_policy(PinningPolicy::all(true))
                .index_block_pinning_policy(PinningPolicy::all(true))
                .data_block_compression_policy(CompressionPolicy::disabled())
                .with_kv_separation(apart)
                .open()
        };
        Ok(Self {
            newest: open("newest")?,
            older: open("older")?,
            flushes: 0,
        })
    }

    fn flush(
        &mut self,
        newest: &mut BTreeMap<Bytes, Bytes>,
        older: &mut BTreeMap<Bytes, Bytes>,
    ) -> Result<()> {
        self.flushes += 1;
        for (tree, entries) in [(&self.newest, newest), (&self.older, older)] {
            if entries.is_empty() {
                continue;
            }
            let number = self.flushes;
            let items = std::mem::take(entries).into_iter().map(|(key, value)| {
                let (key, value) = (Slice::from(key), Slice::from(value));
                Ok(InternalValue::from_components(
                    key,
                    value,
                    number,
                    ValueType::Value,
                ))
            });
            let (tables, files) = tree
                .flush_to_tables(items)?
                .context("nothing was written")?;
            tree.register_tables(&tables, files.as_deref(), None, &[], u64::MAX)?;
            loop {
                let before = tree.current_version().id();
                tree.compact(Arc::new(Leveled::default()), u64::MAX)?;
                if tree.current_version().id() == before {
                    break;
                }
            }
        }
        Ok(())
    }
}

fn one(work: &Work, apart: Apart, bytes: u64) -> Result<()> {
    let directory = tempfile::tempdir_in(".")?;
    let mut trees = Trees::open(directory.path(), apart)?;
    let mut noise = Noise(1);
    // The length of each large value, and which version it is.
    let mut large: Vec<(usize, u64)> = Vec::new();
    let (mut newest, mut older) = (BTreeMap::new(), BTreeMap::new());
    let (mut logical, mut live, mut unflushed, mut small) = (0, 0, 0, 0_u64);
    // Made once: what is measured is not the making.
    let content: Bytes = (0..2 * work.lens.end / 32)
        .flat_map(|_| noise.bytes())
        .collect::<Vec<_>>()
        .into();
    let since = Since::now()?;
    let mut turn = 0;
    while logical < bytes {
        turn += 1;
        let is_rewritten = noise.next() % 10 < work.rewritten && !large.is_empty();
        let len = work.lens.start + noise.below(work.lens.len());
        let start = noise.below(content.len() - len);
        let at = if is_rewritten {
            noise.below(large.len())
        } else {
            large.push((0, 0));
            large.len() - 1
        };
        let name = key(1 << 40 | at as u64);
        let (old_len, version) = large[at];
        let mut size = len;
        if version > 0 {
            let mut old = name.to_vec();
            old.extend_from_slice(&(!version).to_be_bytes());
            older.insert(old.into(), content.slice(..old_len));
            size += old_len;
        }
        large[at] = (len, turn);
        newest.insert(name, content.slice(start..start + len));
        for _ in 0..SMALL_PER_LARGE {
            small += 1;
            newest.insert(key(small), content.slice(..32));
            size += 64;
        }
        logical += size as u64;
        live += size as u64;
        unflushed += size;
        if unflushed >= FLUSH {
            trees.flush(&mut newest, &mut older)?;
            unflushed = 0;
        }
    }
    trees.flush(&mut newest, &mut older)?;
    let cost = since.cost()?;
    // What was superseded is kept as often, so all that was written is live but once.
    let superseded: u64 =
        logical - large.iter().map(|(len, _)| *len as u64).sum::<u64>() - small * 64;
    live -= superseded / 2;
    let disk = disk_bytes(directory.path())?;
    drop(trees);
    let trees = Trees::open(directory.path(), apart)?;
    let mut noise = Noise(5);
    let reading = Since::now()?;
    for _ in 0..READS {
        let at = noise.below(large.len());
        let found = trees.newest.get(key(1 << 40 | at as u64), u64::MAX)?;
        let len = found.context("a value is missing")?.len();
        ensure!(len == large[at].0, "another value");
    }
    let reading = reading.cost()?;
    let files = |name: &str| {
        fs::read_dir(directory.path().join(name).join("blobs")).map_or(0, Iterator::count)
    };
    println!(
        "| {} | {} | {:.2} | {:.2} | {:.2} | {:.1} | {} |",
        work.name,
        apart.0.map_or("in tables".to_owned(), |bytes| format!(
            "apart from {} KiB on",
            bytes >> 10
        )),
        cost.cpu.as_secs_f64() * 1e9 / logical as f64,
        cost.handed as f64 / logical as f64,
        disk as f64 / live as f64,
        reading.own.as_secs_f64() * 1e6 / READS as f64,
        files("newest") + files("older"),
    );
    Ok(())
}
