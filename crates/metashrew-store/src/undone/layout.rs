//! How the records of undone blocks lie in [`Space::Meta`].
//!
//! Each block that is undone has a number, higher than those before. Under its hash lies its
//! record with that number, under the number its hash and its list of keys.

use std::ops::Bound;

use bytes::{BufMut, Bytes, BytesMut};

use crate::backend::{Entry, Scan, Space, View};
use crate::block::{BlockHash, Height};
use crate::error::ReadError;
use crate::keys::{corrupt, prefix_end};

/// Where the totals lie, and what the keys of all other entries begin with.
pub(crate) const TOTALS_KEY: &[u8] = b"undone";
/// Before a block's hash: its record.
pub(crate) const RECORDS: &[u8] = b"undone/block/";
/// Before a number and that of a chunk: a chunk of the list of keys, as the block had it.
pub(crate) const LISTS: &[u8] = b"undone/keys/";
/// Before a number: the hash of its block.
pub(crate) const ORDER: &[u8] = b"undone/order/";

/// What a block counts beside its list, in bytes: its entries and their keys, rounded up.
pub(crate) const RECORD_BYTES: u64 = 256;

/// What is recorded altogether.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    /// The number of the next block that is undone.
    pub(crate) next: u64,
    /// How many blocks are recorded.
    pub(crate) blocks: u64,
    /// How many bytes they count.
    pub(crate) bytes: u64,
}

impl Totals {
    pub(crate) fn of(view: &dyn View) -> Result<Self, ReadError> {
        let Some(stored) = view.get(Space::Meta, TOTALS_KEY).wait()? else {
            return Ok(Self::default());
        };
        let (numbers, []) = stored.as_chunks::<8>() else {
            return Err(Self::malformed());
        };
        let [next, blocks, bytes] = *numbers else {
            return Err(Self::malformed());
        };
        Ok(Self {
            next: u64::from_be_bytes(next),
            blocks: u64::from_be_bytes(blocks),
            bytes: u64::from_be_bytes(bytes),
        })
    }

    fn malformed() -> ReadError {
        corrupt("the totals of undone blocks have the wrong length")
    }

    pub(super) fn entry(&self) -> Entry {
        let mut bytes = BytesMut::with_capacity(24);
        bytes.put_u64(self.next);
        bytes.put_u64(self.blocks);
        bytes.put_u64(self.bytes);
        (Bytes::from_static(TOTALS_KEY), bytes.freeze())
    }
}

/// What is kept of an undone block, but for its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) number: u64,
    pub(crate) height: Height,
    pub(crate) parent: BlockHash,
    /// How many keys it wrote.
    pub(crate) keys: u32,
    /// How many chunks their list has.
    pub(crate) chunks: u32,
    /// The lengths of the chunks.
    pub(crate) list_bytes: u64,
}

impl Record {
    /// The record of the block with this hash.
    pub(crate) fn of(view: &dyn View, hash: &BlockHash) -> Result<Option<Self>, ReadError> {
        let stored = view.get(Space::Meta, &record_key(hash)).wait()?;
        stored.map(|stored| Self::decode(&stored)).transpose()
    }

    /// What it counts, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.list_bytes.saturating_add(RECORD_BYTES)
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(60);
        bytes.put_u64(self.number);
        bytes.put_u32(self.height);
        bytes.extend_from_slice(self.parent.as_bytes());
        bytes.put_u32(self.keys);
        bytes.put_u32(self.chunks);
        bytes.put_u64(self.list_bytes);
        bytes.freeze()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ReadError> {
        Self::try_decode(bytes)
            .ok_or_else(|| corrupt("the record of an undone block has the wrong length"))
    }

    fn try_decode(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk::<8>()?;
        let (height, rest) = rest.split_first_chunk::<4>()?;
        let (parent, rest) = rest.split_first_chunk::<32>()?;
        let (keys, rest) = rest.split_first_chunk::<4>()?;
        let (chunks, rest) = rest.split_first_chunk::<4>()?;
        let (list_bytes, rest) = rest.split_first_chunk::<8>()?;
        rest.is_empty().then(|| Self {
            number: u64::from_be_bytes(*number),
            height: Height::from_be_bytes(*height),
            parent: BlockHash::from_bytes(*parent),
            keys: u32::from_be_bytes(*keys),
            chunks: u32::from_be_bytes(*chunks),
            list_bytes: u64::from_be_bytes(*list_bytes),
        })
    }
}

/// Where the record of the block with this hash lies.
pub(super) fn record_key(hash: &BlockHash) -> Bytes {
    [RECORDS, hash.as_bytes()].concat().into()
}

/// Where the hash of the block of this number lies.
pub(super) fn order_key(number: u64) -> Bytes {
    [ORDER, &number.to_be_bytes()].concat().into()
}

/// Where a chunk of the list of this number lies; without one, what all of its chunks' keys
/// begin with.
pub(crate) fn list_key(number: u64, chunk: Option<u32>) -> Bytes {
    let mut key = BytesMut::from(LISTS);
    key.put_u64(number);
    if let Some(chunk) = chunk {
        key.put_u32(chunk);
    }
    key.freeze()
}

/// The entries whose keys begin with `prefix`.
pub(crate) fn scan(view: &dyn View, prefix: &[u8]) -> Scan {
    let end = prefix_end(prefix);
    let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    view.scan(Space::Meta, Bound::Included(prefix), end)
}

/// The hash and the number that an entry of [`ORDER`] holds.
pub(crate) fn decode_order((key, value): &Entry) -> Result<(u64, BlockHash), ReadError> {
    let number = key.strip_prefix(ORDER).and_then(|it| it.try_into().ok());
    let hash = value.as_ref().try_into().ok();
    let (number, hash) = number
        .zip(hash)
        .ok_or_else(|| corrupt("an entry in the order of undone blocks has the wrong length"))?;
    Ok((u64::from_be_bytes(number), BlockHash::from_bytes(hash)))
}
