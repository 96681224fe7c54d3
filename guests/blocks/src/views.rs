//! `block`, `tip` and `range`.

use crate::keys;
use crate::record::Record;
use guest_wire::{Hash, json};
use metashrew_core::host;
use metashrew_core::range::Range as KeyRange;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::ops::RangeInclusive;

/// Blocks in one answer of `range`: by default, and at most.
const RANGE: (u32, u32) = (100, 1_000);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockQuestion {
    height: Option<u32>,
    hash: Option<Hash>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TipQuestion {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RangeQuestion {
    from: Option<u32>,
    to: Option<u32>,
    limit: Option<u32>,
}

#[derive(Serialize)]
struct Range {
    height: u32,
    blocks: Vec<Record>,
    next: Option<u32>,
}

/// The block at a height, or with a hash.
pub(crate) fn block(_height: u32, input: &[u8]) -> Result<Vec<u8>, Infallible> {
    json::answer(input, |question: BlockQuestion| {
        let height = match (question.height, question.hash) {
            (Some(height), None) => height,
            (None, Some(hash)) => {
                read_height(&keys::height(&hash.0)).ok_or("no block has that hash here")?
            }
            _ => return Err("give one of `height` and `hash`".to_owned()),
        };
        read_block(height)
    })
}

/// The newest block.
pub(crate) fn tip(height: u32, input: &[u8]) -> Result<Vec<u8>, Infallible> {
    json::answer(input, |TipQuestion {}| read_block(height))
}

/// The blocks from one height to another, both included; `next` is the height to
/// go on from.
pub(crate) fn range(height: u32, input: &[u8]) -> Result<Vec<u8>, Infallible> {
    json::answer(input, |question: RangeQuestion| {
        let limit = question.limit.unwrap_or(RANGE.0);
        if !(1..=RANGE.1).contains(&limit) {
            return Err(format!("`limit` is {limit}; it may be 1 to {}", RANGE.1));
        }
        let first = read_height(keys::FIRST).ok_or("no block is indexed")?;
        let from = question.from.unwrap_or(0).max(first);
        let to = question.to.unwrap_or(height).min(height);
        let last = to.min(from.saturating_add(limit - 1));
        let blocks = read_blocks(from..=last)?;
        let next = (last < to).then(|| last + 1);
        Ok(Range {
            height,
            blocks,
            next,
        })
    })
}

fn read_height(key: &[u8]) -> Option<u32> {
    host::read(key)
        .first_chunk()
        .map(|bytes| u32::from_be_bytes(*bytes))
}

fn read_block(height: u32) -> Result<Record, String> {
    let record = Record::decode(height, &host::read(&keys::block(height)));
    record.ok_or_else(|| format!("no block at height {height} here"))
}

/// The blocks at some heights, none of which may be missing.
fn read_blocks(heights: RangeInclusive<u32>) -> Result<Vec<Record>, String> {
    if heights.is_empty() {
        return Ok(Vec::new());
    }
    let behind_last = [&keys::block(*heights.end())[..], &[0]].concat();
    let range = KeyRange::between(keys::block(*heights.start()), behind_last);
    let page = range.page().map_err(|error| error.to_string())?;
    let mut entries = page.entries.into_iter();
    let read = |height| {
        let entry = entries
            .next()
            .filter(|entry| entry.key == keys::block(height));
        let record = entry.and_then(|entry| Record::decode(height, &entry.value));
        record.ok_or_else(|| format!("no block at height {height} here"))
    };
    heights.map(read).collect()
}
