//! Where blocks come from: anything that knows a chain and hands out its blocks.

use bytes::Bytes;
use metashrew_store::{BlockHash, Height};

use crate::bitcoind::NodeFault;
use crate::block::{BlockFault, HEADER_LEN};
use crate::failure_kind::FailureKind;
use crate::files::FilesError;
use crate::network::Network;

/// A block of a node's best chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeBlock {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
}

/// A source of blocks. Answers may change between two calls, and may be wrong:
/// the indexer believes no block that does not hash to what it asked for and
/// connect to the one before.
///
/// Calls block the caller; they come from several threads at once.
pub trait Node: Send + Sync {
    /// The last block of the best chain; none if there is no block at all.
    fn tip(&self) -> Result<Option<NodeBlock>, NodeError>;

    /// The lowest height whose block can be had; none if there is no block at all.
    fn first(&self) -> Result<Option<Height>, NodeError>;

    /// The network whose rules the blocks must keep: their proof of work, and from which
    /// height on witnesses must be committed to. None (the default) if it is none of
    /// the named ones, or nothing tells which: then no work is asked for.
    fn network(&self) -> Result<Option<Network>, NodeError> {
        Ok(None)
    }

    /// Where an index begins that is told nothing else; none if there is no block at
    /// all. By default at block 0, whether it can be had or not.
    fn default_start(&self) -> Result<Option<Height>, NodeError> {
        Ok(self.first()?.map(|_| 0))
    }

    /// The hash of the best chain's block at a height; none above the tip, and
    /// below the lowest height known.
    fn hash_at(&self, height: Height) -> Result<Option<BlockHash>, NodeError>;

    /// The hashes of the best chain from a height on, at most `count`; fewer at
    /// the tip's end. One answer may span a reorganisation: the caller checks
    /// that the blocks connect. By default asked one by one.
    fn hashes(&self, from: Height, count: usize) -> Result<Vec<BlockHash>, NodeError> {
        let mut hashes = Vec::new();
        for height in (from..=Height::MAX).take(count) {
            match self.hash_at(height)? {
                Some(hash) => hashes.push(hash),
                None => break,
            }
        }
        Ok(hashes)
    }

    /// The headers of the best chain from a height on, at most `count`; fewer at the
    /// tip's end. The caller checks all of it. By default the beginnings of the
    /// blocks.
    fn headers(&self, from: Height, count: usize) -> Result<Vec<[u8; HEADER_LEN]>, NodeError> {
        let mut headers = Vec::new();
        for hash in self.hashes(from, count)? {
            let block = self.block(&hash)?;
            let header = block.first_chunk().ok_or_else(|| NodeError::BadAnswer {
                what: format!("block {hash} has {} bytes", block.len()),
            })?;
            headers.push(*header);
        }
        Ok(headers)
    }

    /// The block of that hash, consensus-encoded.
    fn block(&self, hash: &BlockHash) -> Result<Bytes, NodeError>;

    /// The hash of the genesis block of its network, as far as it tells. By default the
    /// hash of its block 0.
    fn genesis(&self) -> Result<Option<BlockHash>, NodeError> {
        self.hash_at(0)
    }

    /// What the frames of its network's block files begin with, if that is known.
    fn magic(&self) -> Option<[u8; 4]> {
        None
    }

    /// Where the copies of a block lie, for messages, if the source is fixed: then
    /// asking again for a bad block gives the same bytes, and the indexer gives up
    /// at once. None (the default) for sources that are asked again until they give
    /// a good one.
    fn place(&self, hash: &BlockHash) -> Option<String> {
        let _ = hash;
        None
    }

    /// Offers what the source has as the block of that hash, copy after copy, until
    /// one is accepted. By default that is the one [`block`](Self::block) answers.
    fn offer(&self, hash: &BlockHash, accept: &mut Accept<'_>) -> Result<(), NodeError> {
        accept(self.block(hash)?).map_err(|fault| NodeError::BadAnswer {
            what: format!("block {hash}: {fault}"),
        })
    }
}

/// Accepts a copy of a block, or says what is wrong with it.
pub type Accept<'a> = dyn FnMut(Bytes) -> Result<(), BlockFault> + 'a;

/// What a node failed to answer, told apart by what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The node could not be reached, or did not answer as it should: ask again later.
    #[error("the node does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The node answered something that cannot be true: ask again later.
    #[error("the node's answer is wrong: {what}")]
    BadAnswer {
        /// What it answered, and what is wrong with it.
        what: String,
    },
    /// The node has fewer blocks than were indexed, or none: ask again later.
    #[error("the node is behind: {what}")]
    Behind {
        /// What it has, and what was indexed.
        what: String,
    },
    /// The node is on another branch, with no more work than the indexed one: ask
    /// again later.
    #[error("the node is on a branch with no more work than the indexed one: {what}")]
    NoMoreWork {
        /// Where the branch begins, and how it compares.
        what: String,
    },
    /// The node does not have the block: its chain may have changed meanwhile.
    #[error("the node does not have block {hash}")]
    NoBlock {
        /// The hash asked for.
        hash: BlockHash,
    },
    /// The node once had the block and has deleted it.
    #[error(
        "the node has pruned block {hash}: have it fetch the block again (`getblockfrompeer`), or use a node that keeps all blocks"
    )]
    Pruned {
        /// The hash asked for.
        hash: BlockHash,
    },
    /// The node is not one to follow: asking again does not help.
    #[error("the node cannot be used")]
    Unusable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Every copy of a block in files is damaged: asking again does not help.
    #[error("the block in {place} is damaged")]
    Damaged {
        /// Where its copies lie.
        place: String,
        /// What is wrong with the first of them.
        source: BlockFault,
    },
    /// Block files could not be read.
    #[error(transparent)]
    Files(#[from] FilesError),
}

impl NodeError {
    /// What kind of failure it is.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Unavailable(cause) => cause
                .downcast_ref::<NodeFault>()
                .map_or(FailureKind::Unreachable, NodeFault::kind),
            Self::BadAnswer { .. } => FailureKind::BadAnswer,
            Self::Behind { .. } | Self::NoMoreWork { .. } => FailureKind::Behind,
            Self::NoBlock { .. } => FailureKind::NoBlock,
            Self::Pruned { .. } => FailureKind::Pruned,
            Self::Unusable(_) => FailureKind::Unusable,
            Self::Damaged { .. } | Self::Files(_) => FailureKind::Files,
        }
    }

    /// Whether the same question may be answered later.
    pub fn is_transient(&self) -> bool {
        !matches!(
            self,
            Self::Damaged { .. } | Self::Files(_) | Self::Unusable(_)
        )
    }
}
