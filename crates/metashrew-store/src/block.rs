//! Names and records of blocks: heights, hashes, roots.

use std::fmt;
use std::str::FromStr;

use crate::chainwork::Chainwork;

/// A block's distance from the chain's genesis block, which has height 0.
pub type Height = u32;

/// A block's hash in consensus (internal) byte order.
///
/// `Display`, `Debug` and `FromStr` use the customary form: hex, bytes reversed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockHash([u8; 32]);

impl BlockHash {
    /// The hash whose bytes, in consensus order, are `bytes`.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes in consensus order.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for BlockHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut reversed = self.0;
        reversed.reverse();
        formatter.write_str(hex::Buffer::<32>::new().format(&reversed))
    }
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A text that is not a block hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a block hash: 64 hex digits expected")]
pub struct ParseHashError {
    /// The text as it was given.
    pub text: String,
}

impl FromStr for BlockHash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = hex32(text).ok_or_else(|| ParseHashError {
            text: text.to_owned(),
        })?;
        bytes.reverse();
        Ok(Self(bytes))
    }
}

/// The commitment to everything written up to and including one block.
///
/// Two stores with the same root at the same height hold the same writes: for every block
/// from the first one to this one the same hash, and for every key that it wrote the same
/// last value. A key that is set to the value it has anyway is a write, and changes the
/// root, although no reader can tell. The root says nothing of the guest: another one that
/// writes the same has the same root.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HistoryRoot([u8; 32]);

impl HistoryRoot {
    /// The root below the first block: 32 zero bytes.
    pub const EMPTY: Self = Self([0; 32]);

    /// The root whose bytes are `bytes`.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, in the order in which `Display` prints them.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for HistoryRoot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(hex::Buffer::<32>::new().format(&self.0))
    }
}

impl fmt::Debug for HistoryRoot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A block about to be committed.
///
/// The store keeps time, bits and chainwork for its callers and checks none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockRef {
    /// The block's height.
    pub height: Height,
    /// The block's own hash.
    pub hash: BlockHash,
    /// The hash of the block below it.
    pub parent: BlockHash,
    /// The time its header states, in seconds since 1970.
    pub time: u32,
    /// The target its header states, in compact form.
    pub bits: u32,
    /// The work of this block and of all below it, down to the [`Base`](crate::Base).
    pub chainwork: Chainwork,
}

impl BlockRef {
    /// A block of which no more is known: time, bits and chainwork are zero.
    pub const fn new(height: Height, hash: BlockHash, parent: BlockHash) -> Self {
        Self {
            height,
            hash,
            parent,
            time: 0,
            bits: 0,
            chainwork: Chainwork::ZERO,
        }
    }
}

/// A committed block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockRecord {
    /// The block's height.
    pub height: Height,
    /// The block's own hash.
    pub hash: BlockHash,
    /// The hash of the block below it.
    pub parent: BlockHash,
    /// The time its header states, in seconds since 1970.
    pub time: u32,
    /// The target its header states, in compact form.
    pub bits: u32,
    /// The work of this block and of all below it, down to the [`Base`](crate::Base).
    pub chainwork: Chainwork,
    /// The commitment to all writes up to and including this block's.
    pub history_root: HistoryRoot,
}

impl BlockRecord {
    /// The block without what the store derived from it.
    pub fn block_ref(&self) -> BlockRef {
        BlockRef {
            height: self.height,
            hash: self.hash,
            parent: self.parent,
            time: self.time,
            bits: self.bits,
            chainwork: self.chainwork,
        }
    }
}

/// The 32 bytes that `text` spells in exactly 64 hex digits.
pub(crate) fn hex32(text: &str) -> Option<[u8; 32]> {
    // The crate would take a `0x` before them as well.
    if text.len() != 64 {
        return None;
    }
    hex::decode_to_array(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_prints_reversed_and_parses_back() {
        let text = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
        let hash: BlockHash = text.parse().unwrap();
        assert_eq!(hash.as_bytes()[0], 0x6f);
        assert_eq!(hash.as_bytes()[31], 0);
        assert_eq!(hash.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(hash));
    }

    #[test]
    fn what_is_no_hash_is_refused_by_name() {
        for text in [
            "",
            "00",
            &"g".repeat(64),
            &"0".repeat(63),
            &"é".repeat(32),
            &format!("0x{}", "0".repeat(62)),
            &format!("0x{}", "0".repeat(64)),
        ] {
            let error = text.parse::<BlockHash>().unwrap_err();
            assert_eq!(error.text, text);
        }
    }

    #[test]
    fn a_root_prints_in_order() {
        let mut bytes = [0; 32];
        bytes[0] = 0xab;
        assert!(
            HistoryRoot::from_bytes(bytes)
                .to_string()
                .starts_with("ab00")
        );
    }
}
