//! `engines history [VERSIONS] [NAME]`: layouts for superseded versions, which never
//! change below the horizon: how much is written, and what a read at a height costs.
//!
//! - *one space*: every version at `key ++ 00 01 ++ !height` in one tree, compacted level
//!   by level.
//! - *segments*: each flush becomes a tree of its own that is not compacted, with one
//!   entry for each key, of all its versions; so the filter on keys tells whether there are
//!   any. When there are F segments of a size, they are merged into one of the next.
//!
//! A version is filed under the block that superseded it, so what was valid at a height
//! is the first that was superseded above it: reads go from the segment of the height
//! upwards.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use lsm_tree::Cache;

use crate::cost::{Cost, Since, resident};
use crate::disk_bytes;
use crate::lsm::Lsm;
use crate::workload::{Noise, key};

/// Versions that each block supersedes.
const PER_BLOCK: usize = 4_000;
/// Versions in a flush: 128 MiB of them.
const FLUSH: usize = (128 << 20) / 78;
const VALUE_LEN: usize = 40;
/// Keys that are written again and again, and how many of a thousand versions are theirs.
const HOT_KEYS: usize = 20_000;
const HOT: usize = 350;
const READS: usize = 20_000;

/// A version, and the block that superseded it.
struct Superseded {
    key: Bytes,
    height: u32,
    by: u32,
    value: Bytes,
}

trait Layout {
    /// Takes what was superseded, in the order of blocks.
    fn flush(&mut self, versions: Vec<Superseded>) -> Result<()>;

    /// The height of the version that was valid at `height`, if it was superseded later,
    /// and there was one.
    fn at(&self, key: &[u8], height: u32) -> Result<Option<u32>>;

    /// Closes all trees and opens them again: only then are the filters and indexes of
    /// ingested tables kept in memory.
    fn reopen(&mut self) -> Result<()>;

    /// How many trees there are.
    fn trees(&self) -> usize;
}

/// A layout, and how many runs or segments are merged at once.
enum Plan {
    OneSpace(u8),
    Segments(usize),
}

/// Prints a table of all layouts whose names contain `wanted`.
pub fn run(versions: usize, wanted: &str) -> Result<()> {
    println!("{versions} versions of {} bytes\n", 32 + 4 + VALUE_LEN);
    println!(
        "| layout | trees | CPU µs a version | written / logical | disk / logical | read µs, all | CPU µs | read of the oldest tenth µs | of hot keys µs | resident MB |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    let logical = (versions * (32 + 4 + VALUE_LEN)) as u64;
    let cache = Arc::new(Cache::with_capacity_bytes(logical / 20));
    for (name, plan) in [
        ("one space", Plan::OneSpace(4)),
        ("one space, 12 runs at once", Plan::OneSpace(12)),
        ("segments, never merged", Plan::Segments(usize::MAX)),
        ("segments, merged by 4", Plan::Segments(4)),
        ("segments, merged by 10", Plan::Segments(10)),
    ] {
        if !name.contains(wanted) {
            continue;
        }
        let directory = tempfile::tempdir_in(".")?;
        let mut layout: Box<dyn Layout> = match plan {
            Plan::OneSpace(runs) => {
                let tree = Lsm::open(directory.path(), &cache, false)?;
                Box::new(OneSpace(tree.compacting_runs(runs)))
            }
            Plan::Segments(fan) => Box::new(Segments::new(directory.path(), &cache, fan)),
        };
        let (cost, history) = fill(layout.as_mut(), versions)?;
        layout.reopen()?;
        let all = read(layout.as_ref(), &history, 0, history.len())?;
        let old = read(layout.as_ref(), &history, 0, history.len() / 10)?;
        let hot: Vec<_> = history
            .iter()
            .filter(|sample| sample.is_hot)
            .cloned()
            .collect();
        let hot = read(layout.as_ref(), &hot, 0, hot.len())?;
        let micros = |time: std::time::Duration| time.as_secs_f64() * 1e6 / READS as f64;
        println!(
            "| {name} | {} | {:.2} | {:.2} | {:.2} | {:.1} | {:.1} | {:.1} | {:.1} | {} |",
            layout.trees(),
            cost.cpu.saturating_sub(cost.own).as_secs_f64() * 1e6 / versions as f64,
            cost.written as f64 / logical as f64,
            disk_bytes(directory.path())? as f64 / logical as f64,
            micros(all.wall),
            micros(all.own),
            micros(old.wall),
            micros(hot.wall),
            resident()?.0 / 1_000_000,
        );
    }
    Ok(())
}

/// A version that is read later: what was valid in `height..by`.
#[derive(Clone)]
struct Sample {
    key: Bytes,
    height: u32,
    by: u32,
    is_hot: bool,
}

/// Fills the layout; the `own` part of the cost is what making the versions took. Some
/// of what was superseded is answered too, oldest first.
fn fill(layout: &mut dyn Layout, versions: usize) -> Result<(Cost, Vec<Sample>)> {
    let mut noise = Noise(1);
    let keys = versions / 4 + HOT_KEYS;
    let mut written = vec![0_u32; keys];
    let (mut waiting, mut samples) = (Vec::new(), Vec::new());
    let mut made = 0;
    let (mut cost, mut since) = (Cost::default(), Since::now()?);
    let all = Since::now()?;
    for by in 1.. {
        for _ in 0..PER_BLOCK {
            let is_hot = noise.below(1_000) < HOT;
            let number = if is_hot {
                noise.below(HOT_KEYS)
            } else {
                HOT_KEYS + noise.below(keys - HOT_KEYS)
            };
            let height = std::mem::replace(&mut written[number], by);
            if height == by {
                continue;
            }
            let key = key(number as u64);
            let value = [noise.bytes(), noise.bytes()].concat();
            if noise.below(versions) < 4 * READS {
                samples.push(Sample {
                    key: key.clone(),
                    height,
                    by,
                    is_hot,
                });
            }
            let value = Bytes::from(value).slice(..VALUE_LEN);
            waiting.push(Superseded {
                key,
                height,
                by,
                value,
            });
            made += 1;
        }
        let done = made >= versions;
        if waiting.len() >= FLUSH || done {
            cost.own += since.cost()?.own;
            layout.flush(std::mem::take(&mut waiting))?;
            since = Since::now()?;
        }
        if done {
            break;
        }
    }
    Ok((
        Cost {
            own: cost.own,
            ..all.cost()?
        },
        samples,
    ))
}

/// Reads at random heights in which versions out of `from..to` were valid.
fn read(layout: &dyn Layout, samples: &[Sample], from: usize, to: usize) -> Result<Cost> {
    let mut noise = Noise(7);
    let since = Since::now()?;
    for _ in 0..READS {
        let sample = &samples[from + noise.below(to - from)];
        let height = sample.height + noise.below((sample.by - sample.height) as usize) as u32;
        let found = layout.at(&sample.key, height)?;
        ensure!(
            found == Some(sample.height),
            "{found:?} instead of {}",
            sample.height
        );
    }
    since.cost()
}

struct OneSpace(Lsm);

fn versioned(key: &[u8], height: u32) -> Bytes {
    let mut versioned = BytesMut::with_capacity(key.len() + 6);
    versioned.put_slice(key);
    versioned.put_slice(&[0, 1]);
    versioned.put_u32(!height);
    versioned.freeze()
}

impl Layout for OneSpace {
    fn flush(&mut self, versions: Vec<Superseded>) -> Result<()> {
        let mut entries: Vec<_> = versions
            .into_iter()
            .map(|version| (versioned(&version.key, version.height), version.value))
            .collect();
        entries.sort();
        self.0.ingest(entries.into_iter().map(Ok))?;
        while self.0.compact()? {}
        Ok(())
    }

    fn at(&self, key: &[u8], height: u32) -> Result<Option<u32>> {
        let found = self.0.seek(&versioned(key, height), &versioned(key, 0))?;
        Ok(found.and_then(|(key, _)| Some(!u32::from_be_bytes(*key.last_chunk()?))))
    }

    fn reopen(&mut self) -> Result<()> {
        self.0.reopen()
    }

    fn trees(&self) -> usize {
        1
    }
}

struct Segment {
    tree: Lsm,
    /// What it holds was superseded by these blocks.
    first: u32,
    last: u32,
    /// How many times it was merged.
    merges: u32,
}

struct Segments<'a> {
    path: &'a Path,
    cache: &'a Arc<Cache>,
    fan: usize,
    made: u32,
    /// The oldest first.
    segments: Vec<Segment>,
}

impl<'a> Segments<'a> {
    fn new(path: &'a Path, cache: &'a Arc<Cache>, fan: usize) -> Self {
        Self {
            path,
            cache,
            fan,
            made: 0,
            segments: Vec::new(),
        }
    }

    fn write(&mut self, entries: impl Iterator<Item = Result<(Bytes, Bytes)>>) -> Result<Lsm> {
        self.made += 1;
        let path = self.path.join(self.made.to_string());
        let tree = Lsm::open(&path, self.cache, false)?;
        tree.ingest(entries)?;
        Ok(tree)
    }

    /// Merges the newest segments while enough of them were merged as often.
    fn merge(&mut self) -> Result<()> {
        loop {
            let Some(merges) = self.segments.last().map(|newest| newest.merges) else {
                return Ok(());
            };
            let alike = self
                .segments
                .iter()
                .rev()
                .take_while(|own| own.merges == merges)
                .count();
            if alike < self.fan {
                return Ok(());
            }
            let old = self.segments.split_off(self.segments.len() - alike);
            let trees = old.iter().map(|segment| segment.tree.entries()).collect();
            let tree = self.write(Merged::new(trees)?)?;
            let (first, last) = old
                .first()
                .zip(old.last())
                .map(|(a, b)| (a.first, b.last))
                .context("none")?;
            self.segments.push(Segment {
                tree,
                first,
                last,
                merges: merges + 1,
            });
            for segment in old {
                let path = segment.tree.path.clone();
                drop(segment);
                fs::remove_dir_all(path)?;
            }
        }
    }
}

impl Layout for Segments<'_> {
    fn flush(&mut self, versions: Vec<Superseded>) -> Result<()> {
        let (first, last) = versions
            .first()
            .zip(versions.last())
            .map(|(a, b)| (a.by, b.by))
            .context("none")?;
        let mut by_key = BTreeMap::<Bytes, BytesMut>::new();
        for version in versions {
            let entry = by_key.entry(version.key).or_default();
            entry.put_u32(version.by);
            entry.put_u32(version.height);
            entry.put_u16(u16::try_from(version.value.len())?);
            entry.put_slice(&version.value);
        }
        let tree = self.write(
            by_key
                .into_iter()
                .map(|(key, value)| Ok((key, value.freeze()))),
        )?;
        self.segments.push(Segment {
            tree,
            first,
            last,
            merges: 0,
        });
        self.merge()
    }

    fn at(&self, key: &[u8], height: u32) -> Result<Option<u32>> {
        let from = self
            .segments
            .partition_point(|segment| segment.last <= height);
        for segment in &self.segments[from..] {
            let Some(mut versions) = segment.tree.get(key)? else {
                continue;
            };
            while versions.has_remaining() {
                let (by, born) = (versions.get_u32(), versions.get_u32());
                let length = usize::from(versions.get_u16());
                versions.advance(length);
                if by > height {
                    return Ok((born <= height).then_some(born));
                }
            }
        }
        Ok(None)
    }

    fn reopen(&mut self) -> Result<()> {
        let mut segments = self.segments.iter_mut();
        segments.try_for_each(|segment| segment.tree.reopen())
    }

    fn trees(&self) -> usize {
        self.segments.len()
    }
}

type Entries = Box<dyn Iterator<Item = Result<(Bytes, Bytes)>>>;

/// The entries of several trees in key order; values of one key follow each other, in the
/// order of the trees.
struct Merged {
    sources: Vec<Entries>,
    heads: BTreeMap<(Bytes, usize), Bytes>,
}

impl Merged {
    fn new(sources: Vec<impl Iterator<Item = Result<(Bytes, Bytes)>> + 'static>) -> Result<Self> {
        let sources = sources
            .into_iter()
            .map(|source| Box::new(source) as Entries)
            .collect();
        let mut merged = Self {
            sources,
            heads: BTreeMap::new(),
        };
        for place in 0..merged.sources.len() {
            merged.advance(place)?;
        }
        Ok(merged)
    }

    fn advance(&mut self, place: usize) -> Result<()> {
        if let Some(entry) = self.sources[place].next() {
            let (key, value) = entry?;
            self.heads.insert((key, place), value);
        }
        Ok(())
    }

    fn pop(&mut self) -> Result<Option<(Bytes, Bytes)>> {
        let Some(((key, place), value)) = self.heads.pop_first() else {
            return Ok(None);
        };
        self.advance(place)?;
        Ok(Some((key, value)))
    }
}

impl Iterator for Merged {
    type Item = Result<(Bytes, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = || -> Result<Option<(Bytes, Bytes)>> {
            let Some((key, value)) = self.pop()? else {
                return Ok(None);
            };
            let mut value = value;
            while self
                .heads
                .first_key_value()
                .is_some_and(|((next, _), _)| *next == key)
            {
                let (_, more) = self.pop()?.context("it was there")?;
                value = [value, more].concat().into();
            }
            Ok(Some((key, value)))
        };
        let mut next = next;
        next().transpose()
    }
}
