//! What a block stands on: the block below it, held or not.

use bytes::{BufMut, Bytes, BytesMut};

use crate::block::{BlockHash, BlockRecord, Height, HistoryRoot};
use crate::chainwork::Chainwork;
use crate::error::ReadError;
use crate::keys::{StoredBlock, corrupt};

/// What the block above needs to know of the block below it.
///
/// A store keeps the one below the first block it holds, so that the first block
/// is as well-founded as every other: its parent, its history root and its
/// chainwork follow from what is below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Base {
    /// Its height; none below block 0.
    pub height: Option<Height>,
    /// Its hash; zeros below block 0.
    pub hash: BlockHash,
    /// The commitment to all writes up to and including its own.
    pub history_root: HistoryRoot,
    /// The work of this block and of all below it, as far as that was counted.
    pub chainwork: Chainwork,
}

const BASE_LEN: usize = 4 + 32 + 32 + 32;

impl Base {
    /// The base of an index that begins with block `first`, whose parent is `parent`:
    /// nothing was written below, and no work was counted.
    pub(crate) fn fresh(first: Height, parent: BlockHash) -> Self {
        Self {
            height: first.checked_sub(1),
            hash: parent,
            history_root: HistoryRoot::EMPTY,
            chainwork: Chainwork::ZERO,
        }
    }

    /// The height of the block above it: the first one held. None above the highest.
    pub fn first(&self) -> Option<Height> {
        self.height.map_or(Some(0), |height| height.checked_add(1))
    }

    /// Whether nothing was written at or below it.
    pub fn is_fresh(&self) -> bool {
        self.history_root == HistoryRoot::EMPTY
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(BASE_LEN);
        bytes.put_u32(self.first().unwrap_or_default());
        bytes.extend_from_slice(self.hash.as_bytes());
        bytes.extend_from_slice(self.history_root.as_bytes());
        bytes.extend_from_slice(self.chainwork.as_be_bytes());
        bytes.freeze()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ReadError> {
        Self::try_decode(bytes).ok_or_else(|| corrupt("the base record has the wrong length"))
    }

    fn try_decode(bytes: &[u8]) -> Option<Self> {
        let (first, rest) = bytes.split_first_chunk::<4>()?;
        let (hash, rest) = rest.split_first_chunk::<32>()?;
        let (history_root, rest) = rest.split_first_chunk::<32>()?;
        let (chainwork, rest) = rest.split_first_chunk::<32>()?;
        rest.is_empty().then(|| Self {
            height: Height::from_be_bytes(*first).checked_sub(1),
            hash: BlockHash::from_bytes(*hash),
            history_root: HistoryRoot::from_bytes(*history_root),
            chainwork: Chainwork::from_be_bytes(*chainwork),
        })
    }
}

impl From<&BlockRecord> for Base {
    fn from(record: &BlockRecord) -> Self {
        Self {
            height: Some(record.height),
            hash: record.hash,
            history_root: record.history_root,
            chainwork: record.chainwork,
        }
    }
}

impl From<&StoredBlock> for Base {
    fn from(stored: &StoredBlock) -> Self {
        Self::from(&stored.record)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn below_block_0_all_is_zero() {
        let base = Base::fresh(0, BlockHash::from_bytes([0; 32]));
        assert_eq!(base.encode().as_ref(), [0; BASE_LEN]);
        assert_eq!(base.first(), Some(0));
    }

    proptest! {
        #[test]
        fn bases_survive(
            first in any::<u32>(), hash in any::<[u8; 32]>(), root in any::<[u8; 32]>(),
            work in any::<[u8; 32]>(), cut in 0..BASE_LEN,
        ) {
            let base = Base {
                height: first.checked_sub(1),
                hash: BlockHash::from_bytes(hash),
                history_root: HistoryRoot::from_bytes(root),
                chainwork: Chainwork::from_be_bytes(work),
            };
            let bytes = base.encode();
            prop_assert_eq!(base.first(), Some(first));
            prop_assert_eq!(Base::decode(&bytes).unwrap(), base);
            prop_assert!(Base::decode(&bytes[..cut]).is_err());
        }
    }
}
