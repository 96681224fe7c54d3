//! What a verification has to know of every block, in a temporary file.

use std::ops::RangeInclusive;

use sha2::{Digest, Sha256};

use super::temporary::{Temporary, TemporaryFile};
use crate::block::{BlockHash, Height, HistoryRoot};
use crate::error::VerifyError;
use crate::keys::StoredBlock;

/// What the versions of a block are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockRow {
    pub(super) hash: BlockHash,
    pub(super) history_root: HistoryRoot,
    pub(super) keys: u32,
    /// The digest of its list of keys.
    pub(super) list: [u8; 32],
}

const ROW_LEN: usize = 32 + 32 + 4 + 32;

impl BlockRow {
    /// The row of a block whose list was not read yet.
    pub(super) fn of(block: &StoredBlock) -> Self {
        Self {
            hash: block.record.hash,
            history_root: block.record.history_root,
            keys: block.keys,
            list: [0; 32],
        }
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.hash.as_bytes());
        bytes.extend_from_slice(self.history_root.as_bytes());
        bytes.extend_from_slice(&self.keys.to_be_bytes());
        bytes.extend_from_slice(&self.list);
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (hash, rest) = bytes.split_first_chunk::<32>()?;
        let (history_root, rest) = rest.split_first_chunk::<32>()?;
        let (keys, rest) = rest.split_first_chunk::<4>()?;
        Some(Self {
            hash: BlockHash::from_bytes(*hash),
            history_root: HistoryRoot::from_bytes(*history_root),
            keys: u32::from_be_bytes(*keys),
            list: *rest.first_chunk()?,
        })
    }
}

/// The rows of all blocks, by height.
#[derive(Debug)]
pub(super) struct BlockTable {
    file: TemporaryFile,
    first: Height,
}

impl BlockTable {
    pub(super) fn new(temporary: &Temporary, first: Height) -> Result<Self, VerifyError> {
        let file = temporary.file()?;
        Ok(Self { file, first })
    }

    /// Sets the rows from `height` on.
    pub(super) fn write(&self, height: Height, rows: &[BlockRow]) -> Result<(), VerifyError> {
        let mut bytes = Vec::with_capacity(rows.len() * ROW_LEN);
        for row in rows {
            row.encode(&mut bytes);
        }
        self.file.write_at(self.offset(height), &bytes)
    }

    /// The rows of these heights, which have been set.
    pub(super) fn read(
        &self,
        heights: &RangeInclusive<Height>,
    ) -> Result<Vec<BlockRow>, VerifyError> {
        let count = (heights.end() - heights.start()) as usize + 1;
        let mut bytes = vec![0; count * ROW_LEN];
        self.file
            .read_at(self.offset(*heights.start()), &mut bytes)?;
        Ok(bytes
            .chunks_exact(ROW_LEN)
            .filter_map(BlockRow::decode)
            .collect())
    }

    fn offset(&self, height: Height) -> u64 {
        u64::from(height - self.first) * ROW_LEN as u64
    }
}

/// The digest of the list of keys of one block.
#[derive(Debug, Default)]
pub(super) struct ListHasher {
    sha256: Sha256,
    pub(super) keys: u64,
}

impl ListHasher {
    /// Adds a key, and how far below the block its version before lies; 0 for none.
    pub(super) fn push(&mut self, key: &[u8], distance: Height) {
        let len = u32::try_from(key.len()).unwrap_or(u32::MAX);
        let mut lengths = [0; 8];
        let (left, right) = lengths.split_at_mut(4);
        left.copy_from_slice(&len.to_be_bytes());
        right.copy_from_slice(&distance.to_be_bytes());
        self.sha256.update(lengths);
        self.sha256.update(key);
        self.keys += 1;
    }

    pub(super) fn finish(self) -> [u8; 32] {
        self.sha256.finalize().into()
    }
}
