//! The 80 bytes that a block begins with.

use bitcoin::hashes::{Hash, sha256d};
use metashrew_store::BlockHash;

use crate::wire::Wire;

/// Bytes of a block header.
pub(crate) const HEADER_LEN: usize = 80;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: i32,
    pub(crate) parent: BlockHash,
    pub(crate) merkle_root: [u8; 32],
    /// When it was made, as its miner says, in seconds since 1970.
    pub(crate) time: u32,
    /// The target, in compact form.
    pub(crate) bits: u32,
    pub(crate) hash: BlockHash,
}

impl Header {
    /// Reads the header a block begins with, if the bytes reach that far.
    pub(crate) fn read(block: &[u8]) -> Option<Self> {
        let mut wire = Wire::new(block);
        let version = wire.array().map(i32::from_le_bytes)?;
        let parent = BlockHash::from_bytes(wire.array()?);
        let merkle_root = wire.array()?;
        let time = wire.array().map(u32::from_le_bytes)?;
        let bits = wire.array().map(u32::from_le_bytes)?;
        let _nonce: [u8; 4] = wire.array()?;
        let hash = sha256d::Hash::hash(block.get(..HEADER_LEN)?);
        Some(Self {
            version,
            parent,
            merkle_root,
            time,
            bits,
            hash: BlockHash::from_bytes(hash.to_byte_array()),
        })
    }
}
