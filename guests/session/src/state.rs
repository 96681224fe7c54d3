//! The state: `b` height (big-endian) holds a block's hash and its size (u32,
//! little-endian); `f` holds the first height indexed (u32, little-endian).

use metashrew_core::range::Range as KeyRange;
use metashrew_core::{get, host, read_many};
use metashrew_support::raw::{Block, ParseError};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

const FIRST: &[u8] = b"f";

/// What is kept of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) hash: [u8; 32],
    pub(crate) size: u32,
}

/// Indexes a block and flushes what it writes.
pub(crate) fn index(height: u32, block: &[u8]) -> Result<(), ParseError> {
    let block = Block::parse(block)?;
    let size = u32::try_from(block.bytes().len()).expect("a block has at most four million bytes");
    let kept = [&block.hash()[..], &size.to_le_bytes()].concat();
    let mut writes = vec![(key(height), kept)];
    if host::read(FIRST).is_empty() {
        writes.push((FIRST.to_vec(), height.to_le_bytes().to_vec()));
    }
    host::flush(writes.iter().map(|(key, value)| (key, value)));
    Ok(())
}

/// The block at a height, by way of the SDK's cache.
pub(crate) fn block(height: u32) -> Result<Kept, String> {
    decode(height, &get(Arc::new(key(height))))
}

/// The blocks at some heights, by way of the SDK's cache.
pub(crate) fn blocks(heights: RangeInclusive<u32>) -> Result<Vec<Kept>, String> {
    let keys: Vec<_> = heights
        .clone()
        .map(|height| Arc::new(key(height)))
        .collect();
    let values = read_many(&keys);
    let kept = heights
        .zip(values)
        .map(|(height, value)| decode(height, &value));
    kept.collect()
}

/// The blocks at some heights, from the host: for what is read once.
pub(crate) fn blocks_once(heights: Range<u32>) -> Result<Vec<Kept>, String> {
    let keys = KeyRange::between(key(heights.start), key(heights.end));
    let mut entries = keys.iter();
    let kept = heights.map(|height| {
        let entry = entries
            .next()
            .transpose()
            .map_err(|error| error.to_string())?;
        let entry = entry.filter(|entry| entry.key == key(height));
        decode(height, &entry.map(|entry| entry.value).unwrap_or_default())
    });
    kept.collect()
}

fn decode(height: u32, value: &[u8]) -> Result<Kept, String> {
    let kept = value.split_first_chunk().and_then(|(hash, size)| {
        let size = u32::from_le_bytes(*size.first_chunk()?);
        Some(Kept { hash: *hash, size })
    });
    kept.ok_or_else(|| format!("no block at height {height} here"))
}

/// The first height indexed.
pub(crate) fn first() -> Result<u32, String> {
    let value = get(Arc::new(FIRST.to_vec()));
    let first = value.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    first.ok_or_else(|| "no block is indexed".to_owned())
}

fn key(height: u32) -> Vec<u8> {
    [&b"b"[..], &height.to_be_bytes()].concat()
}
