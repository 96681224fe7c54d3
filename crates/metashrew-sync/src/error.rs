//! Why indexing stopped before it was done.

use metashrew_runtime::{GuestFault, HostFault};
use metashrew_store::{BlockHash, ClaimError, CommitError, Height, ReadError, RollbackError};

use crate::failure_kind::FailureKind;
use crate::node::NodeError;
use crate::progress::Writing;

/// Indexing cannot go on. Every block before the one named is committed, and
/// views at all committed heights can be served.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The guest failed on a block; it will on every machine. A better guest
    /// resumes from there.
    #[error("the guest failed on block {height} ({hash})")]
    Guest {
        /// The block's height.
        height: Height,
        /// The block's hash.
        hash: BlockHash,
        /// What it did.
        source: GuestFault,
    },
    /// The host failed on a block, at every try.
    #[error("block {height} ({hash}) could not be processed, after {tries} tries")]
    Host {
        /// The block's height.
        height: Height,
        /// The block's hash.
        hash: BlockHash,
        /// How often it was tried.
        tries: u32,
        /// What failed the last time.
        source: HostFault,
    },
    /// The node failed for good.
    #[error("blocks cannot be had")]
    Node(#[from] NodeError),
    /// The database belongs to another network, begins at another block, or was written
    /// by another guest.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// Blocks could not be committed.
    #[error("blocks {first} to {last} could not be committed")]
    Commit {
        /// The lowest of them.
        first: Height,
        /// The highest of them.
        last: Height,
        /// Why.
        source: CommitError,
    },
    /// Blocks of a dead branch could not be undone.
    #[error("the reorganisation could not be carried out")]
    Rollback(#[from] RollbackError),
    /// A commit or a rollback does not return.
    #[error("{writing} has not returned for {seconds} s")]
    Stuck {
        /// Which one.
        writing: Writing,
        /// For how long.
        seconds: u64,
    },
    /// The database could not be read.
    #[error("the database could not be read")]
    Read(#[from] ReadError),
    /// A block below the node's first one is needed.
    #[error("block {height} is needed next, and the first block of the source is {first}; {hint}")]
    Gap {
        /// The block needed.
        height: Height,
        /// The node's first block.
        first: Height,
        /// What can be done about it.
        hint: String,
    },
    /// The node's chain left the indexed one deeper than may be undone.
    #[error(
        "the source's chain differs from the indexed one in more than {horizon} blocks below block {tip}: if that is right, allow a deeper reorganisation (a larger reorg horizon), or index into a new database"
    )]
    TooDeep {
        /// The indexed tip.
        tip: Height,
        /// How many blocks may be undone.
        horizon: u32,
    },
    /// The node's chain and the indexed one have nothing in common.
    #[error(
        "the source's chain and the indexed one have no block in common from block {first} on: the database belongs to another chain, or the source does not reach down to where they part; use another database or another source"
    )]
    OtherChain {
        /// The lowest indexed block.
        first: Height,
    },
    /// The block to exit at lies below the first block that is, or would be, indexed.
    #[error("block {exit_at}, to exit at, will not be indexed: the first block is {first}")]
    ExitBelowFirst {
        /// The block to exit at.
        exit_at: Height,
        /// The first block held, or to be indexed.
        first: Height,
    },
    /// The source has no block to begin with, and will not get one.
    #[error("there is nothing to index")]
    NothingToIndex(#[source] NodeError),
    /// A thread could not be started, or died.
    #[error("the thread that {task} could not be started, or died")]
    Thread {
        /// What it does.
        task: &'static str,
        /// Why it could not be started.
        source: Option<std::io::Error>,
    },
}

impl IndexError {
    /// Whether it is about what the node has, which may be another thing later: it has
    /// lost its chain for a while, or another node answers in its place. Asking again
    /// from time to time may help; see [`Indexer::wait_for_chain`](crate::Indexer::wait_for_chain).
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::TooDeep { .. } | Self::OtherChain { .. } | Self::Gap { .. }
        )
    }

    /// Whether it is about what was asked for rather than what came up: the same
    /// source, database and options lead here at once.
    pub fn is_misconfiguration(&self) -> bool {
        match self {
            Self::Gap { .. }
            | Self::OtherChain { .. }
            | Self::ExitBelowFirst { .. }
            | Self::NothingToIndex(_)
            | Self::Claim(_) => true,
            Self::Node(error) => matches!(error.kind(), FailureKind::Unusable),
            _ => false,
        }
    }

    /// The height and hash of the block that could not be indexed, if it is about one
    /// and they are known.
    pub fn block(&self) -> (Option<Height>, Option<BlockHash>) {
        match self {
            Self::Guest { height, hash, .. } | Self::Host { height, hash, .. } => {
                (Some(*height), Some(*hash))
            }
            Self::Stuck { writing, .. } => (Some(writing.first), None),
            Self::Commit { first: height, .. } | Self::Gap { height, .. } => (Some(*height), None),
            _ => (None, None),
        }
    }
}
