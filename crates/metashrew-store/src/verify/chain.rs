//! Reading the block records and the lists of keys, and what the chain says of itself.

use std::ops::{Bound, RangeInclusive};

use bytes::Bytes;
use rayon::prelude::*;

use super::Meter;
use super::blocks::{BlockRow, BlockTable, ListHasher};
use super::check_tip;
use super::last_blocks::{check_links, wrong_count};
use super::temporary::Temporary;
use crate::backend::{Scan, Space, View};
use crate::base::Base;
use crate::block::Height;
use crate::chain::below;
use crate::error::{ReadError, VerifyError};
use crate::keys::{StoredBlock, corrupt};
use crate::touched::decode_chunk;

/// A thread reads the records and lists of this many heights at a time.
const HEIGHTS_AT_A_TIME: usize = 256;

/// How many keys tell where to share out the key space, about.
const SAMPLES: u64 = 4096;

/// Of a long key this many bytes are enough to tell where the key space is parted.
const SAMPLE_LEN: usize = 64;

/// The threads' shares of the key space, for each of them: some take longer than others.
const SHARES_A_THREAD: usize = 8;

/// The blocks of a database.
pub(super) struct Chain {
    pub(super) base: Base,
    pub(super) first: Height,
    tip: Height,
    /// How many keys each of them wrote.
    pub(super) keys: Vec<u32>,
    /// How many versions there have to be.
    pub(super) versions: u64,
    pub(super) table: BlockTable,
}

impl Chain {
    pub(super) fn heights(&self) -> RangeInclusive<Height> {
        self.first..=self.tip
    }

    /// The number of keys each of these heights wrote.
    pub(super) fn keys_of(&self, heights: &RangeInclusive<Height>) -> &[u32] {
        let first = (heights.start() - self.first) as usize;
        let last = (heights.end() - self.first) as usize;
        self.keys.get(first..=last).unwrap_or_default()
    }

    /// The heights in shares, each with the bounds of its keys in a space that begins with
    /// a height: all shares together cover all of the space.
    fn shares(&self) -> Vec<Share> {
        let mut shares = Vec::new();
        for first in self.heights().step_by(HEIGHTS_AT_A_TIME) {
            let reach = Height::try_from(HEIGHTS_AT_A_TIME - 1).unwrap_or(Height::MAX);
            let last = first.saturating_add(reach).min(self.tip);
            shares.push(Share {
                heights: first..=last,
                start: (first > self.first).then(|| first.to_be_bytes()),
                end: (last < self.tip).then(|| (last + 1).to_be_bytes()),
            });
        }
        shares
    }
}

struct Share {
    heights: RangeInclusive<Height>,
    start: Option<[u8; 4]>,
    end: Option<[u8; 4]>,
}

impl Share {
    fn scan(&self, view: &dyn View, space: Space) -> Scan {
        let start = self.start.as_ref();
        let end = self.end.as_ref();
        view.scan(
            space,
            start.map_or(Bound::Unbounded, |start| Bound::Included(&start[..])),
            end.map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..])),
        )
    }
}

/// Reads the records, and makes sure that they are a chain from the base to the tip.
pub(super) fn read_records(
    view: &dyn View,
    base: Base,
    tip: &StoredBlock,
    temporary: &Temporary,
) -> Result<Chain, VerifyError> {
    let last = tip.record.height;
    let first = base
        .first()
        .filter(|first| *first <= last)
        .ok_or_else(|| corrupt("the base is not below the tip"))?;
    let mut chain = Chain {
        base,
        first,
        tip: last,
        keys: Vec::new(),
        versions: 0,
        table: BlockTable::new(temporary, first)?,
    };
    let keys = chain
        .shares()
        .into_par_iter()
        .map(|share| {
            let rows = records(view, &base, tip, &share)?;
            chain.table.write(*share.heights.start(), &rows)?;
            Ok(rows.iter().map(|row| row.keys).collect())
        })
        .collect::<Result<Vec<Vec<u32>>, VerifyError>>()?;
    chain.keys = keys.concat();
    chain.versions = chain.keys.iter().copied().map(u64::from).sum();
    check_hashes(view, chain.keys.len() as u64)?;
    Ok(chain)
}

fn records(
    view: &dyn View,
    base: &Base,
    tip: &StoredBlock,
    share: &Share,
) -> Result<Vec<BlockRow>, ReadError> {
    let mut below = below(view, base, *share.heights.start())?;
    let mut rows = Vec::with_capacity(HEIGHTS_AT_A_TIME);
    let mut expected = share.heights.clone();
    for entry in share.scan(view, Space::HeightToBlock) {
        let (key, bytes) = entry?;
        let next = expected
            .next()
            .ok_or_else(|| corrupt("there are block records outside of the chain"))?;
        if key.as_ref() != next.to_be_bytes() {
            return Err(missing(next));
        }
        let block = StoredBlock::decode(&bytes)?;
        if block.record.height != next {
            return Err(corrupt(format!(
                "the record of block {next} says it is block {}",
                block.record.height
            )));
        }
        check_links(view, &block, &below)?;
        if next == tip.record.height {
            check_tip(&block, tip)?;
        }
        below = Base::from(&block);
        rows.push(BlockRow::of(&block));
    }
    match expected.next() {
        Some(height) => Err(missing(height)),
        None => Ok(rows),
    }
}

/// In its place there may be one that belongs nowhere.
fn missing(height: Height) -> ReadError {
    corrupt(format!(
        "the record of block {height} is missing, or there are others outside of the chain"
    ))
}

/// Every block's hash leads to it: then an equal number leaves no room for another.
fn check_hashes(view: &dyn View, blocks: u64) -> Result<(), ReadError> {
    let mut hashes = 0;
    for entry in view.scan(Space::HashToHeight, Bound::Unbounded, Bound::Unbounded) {
        entry?;
        hashes += 1;
    }
    if hashes == blocks {
        Ok(())
    } else {
        Err(corrupt(format!(
            "the chain has {blocks} blocks, but {hashes} hashes are stored"
        )))
    }
}

/// Reads the lists of keys into digests, and picks keys at which to part the key space
/// into shares of about as many versions each.
pub(super) fn read_lists(
    view: &dyn View,
    chain: &Chain,
    meter: &Meter<'_>,
) -> Result<Vec<Bytes>, VerifyError> {
    let stride = (chain.versions / SAMPLES).max(1);
    let samples = chain
        .shares()
        .into_par_iter()
        .map(|share| {
            let mut lists = Lists {
                rows: chain.table.read(&share.heights)?,
                first: *share.heights.start(),
                stride,
                seen: 0,
                samples: Vec::new(),
            };
            lists.read(share.scan(view, Space::HeightToKeys))?;
            chain.table.write(lists.first, &lists.rows)?;
            meter.add(lists.seen);
            Ok(lists.samples)
        })
        .collect::<Result<Vec<Vec<Bytes>>, VerifyError>>()?;
    Ok(splits(samples.concat()))
}

fn splits(mut samples: Vec<Bytes>) -> Vec<Bytes> {
    samples.sort_unstable();
    let shares = SHARES_A_THREAD * rayon::current_num_threads();
    let mut splits: Vec<_> = (1..shares)
        .filter_map(|number| samples.get(samples.len() * number / shares).cloned())
        .collect();
    splits.dedup();
    splits
}

/// The lists of a few blocks.
struct Lists {
    rows: Vec<BlockRow>,
    /// The height of the first row.
    first: Height,
    /// One key out of so many is a sample.
    stride: u64,
    seen: u64,
    samples: Vec<Bytes>,
}

impl Lists {
    fn read(&mut self, chunks: Scan) -> Result<(), ReadError> {
        let mut height = self.first;
        let mut hasher = ListHasher::default();
        for entry in chunks {
            let (key, chunk) = entry?;
            let of = height_of_chunk(&key)?;
            let stray = || corrupt(format!("a list of keys of block {of} is not of the chain"));
            if of < height {
                return Err(stray());
            }
            while height < of {
                self.finish(height, std::mem::take(&mut hasher))?;
                height = height.checked_add(1).ok_or_else(stray)?;
            }
            let (stride, seen, samples) = (self.stride, &mut self.seen, &mut self.samples);
            decode_chunk(&chunk, of, |key, previous| {
                hasher.push(key, previous.map_or(0, |previous| of - previous));
                if *seen % stride == 0 {
                    let sample = key.get(..SAMPLE_LEN).unwrap_or(key);
                    samples.push(Bytes::copy_from_slice(sample));
                }
                *seen += 1;
            })
            .ok_or_else(|| corrupt(format!("the list of keys of block {of} is malformed")))?;
        }
        let last = self.first + Height::try_from(self.rows.len().saturating_sub(1)).unwrap_or(0);
        while height < last {
            self.finish(height, std::mem::take(&mut hasher))?;
            height += 1;
        }
        self.finish(height, hasher)
    }

    fn finish(&mut self, height: Height, hasher: ListHasher) -> Result<(), ReadError> {
        let row = self
            .rows
            .get_mut((height - self.first) as usize)
            .ok_or_else(|| corrupt("there are lists of keys above the chain"))?;
        if hasher.keys != u64::from(row.keys) {
            return Err(wrong_count(height, row.keys, hasher.keys));
        }
        row.list = hasher.finish();
        Ok(())
    }
}

fn height_of_chunk(key: &[u8]) -> Result<Height, ReadError> {
    match <[u8; 8]>::try_from(key) {
        Ok([a, b, c, d, ..]) => Ok(Height::from_be_bytes([a, b, c, d])),
        Err(_) => Err(corrupt("a list of keys has a key of the wrong length")),
    }
}
