//! A block with what it read and what came of it, to be run again anywhere.

use std::sync::Arc;

use bytes::Bytes;
use metashrew_store::{BlockHash, BlockRef, GuestId, HistoryRoot, State, WriteSet};

use super::guard::{Guard, NotRecorded};
use super::read_set::ReadSet;
use super::recorder::{ReadCounts, Recorder};
use crate::error::{BlockError, GuestFault, HostFault};
use crate::observe::Observer;
use crate::runtime::MetashrewRuntime;

/// A block, all that the guest read in it, and what came of it.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The block's height, hash and parent.
    pub block: BlockRef,
    /// The history root of the block below.
    pub below: HistoryRoot,
    /// The block, as the guest was given it.
    pub bytes: Bytes,
    /// The guest that ran.
    pub guest: GuestId,
    /// Its module, if that is packed too.
    pub module: Option<Bytes>,
    /// What it read.
    pub reads: Arc<ReadSet>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a block.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// What it wrote.
    Wrote(WriteSet),
    /// The guest failed: the text of its fault, with its backtrace.
    Failed(String),
}

/// A block of a bundle that could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The guest failed.
    #[error(transparent)]
    Guest(#[from] GuestFault),
    /// The guest read what the bundle does not have.
    #[error("the guest reads what the bundle does not have")]
    NotRecorded(#[from] NotRecorded),
    /// The machine failed.
    #[error(transparent)]
    Host(HostFault),
}

impl From<BlockError> for ReplayError {
    fn from(error: BlockError) -> Self {
        match error {
            BlockError::Guest(fault) => Self::Guest(fault),
            BlockError::Host(HostFault::Observer(refusal)) => {
                match refusal.downcast::<NotRecorded>() {
                    Ok(missing) => Self::NotRecorded(*missing),
                    Err(refusal) => Self::Host(HostFault::Observer(refusal)),
                }
            }
            BlockError::Host(fault) => Self::Host(fault),
        }
    }
}

impl Bundle {
    /// Runs the guest of `runtime` over `block`, whose bytes are `bytes`, on `state`, the one
    /// below it, whose history root is `below`; records what it reads. Without the guest's
    /// module: that is for the caller to add.
    ///
    /// # Errors
    /// If the machine fails, or the guest reads more than
    /// [`MAX_READ_SET_BYTES`](super::MAX_READ_SET_BYTES). That the guest fails is an
    /// [`Outcome`].
    pub fn make(
        runtime: &MetashrewRuntime,
        state: State,
        below: HistoryRoot,
        block: BlockRef,
        bytes: Bytes,
    ) -> Result<(Self, ReadCounts), HostFault> {
        let recorder = Recorder::default();
        let (recorder, result) =
            runtime.observe_block(state, block.height, bytes.clone(), recorder);
        let outcome = match result {
            Ok(writes) => Outcome::Wrote(writes),
            Err(BlockError::Guest(fault)) => Outcome::Failed(fault.to_string()),
            Err(BlockError::Host(fault)) => return Err(fault),
        };
        let (reads, counts) = recorder.into_parts();
        let bundle = Self {
            block,
            below,
            bytes,
            guest: runtime.guest_id().clone(),
            module: None,
            reads: Arc::new(reads),
            outcome,
        };
        Ok((bundle, counts))
    }

    /// Runs the guest of `runtime` over the block, on what was recorded; `observer` watches,
    /// and is given back. The store of `runtime` is not looked at.
    ///
    /// # Errors
    /// If the guest fails, or reads what was not recorded.
    pub fn run<O: Observer>(
        &self,
        runtime: &MetashrewRuntime,
        observer: O,
    ) -> (O, Result<WriteSet, ReplayError>) {
        let guard = Guard {
            reads: Arc::clone(&self.reads),
            inner: observer,
            walk: None,
        };
        let (state, height) = (self.reads.state(), self.block.height);
        let (guard, result) = runtime.observe_block(state, height, self.bytes.clone(), guard);
        (guard.inner, result.map_err(ReplayError::from))
    }

    /// The history root of the block, were these its writes.
    pub fn history_root(&self, writes: &WriteSet) -> HistoryRoot {
        writes.history_root(&self.block, &self.below)
    }

    /// The parts of a bundle's block that are packed.
    pub(super) fn block_ref(height: u32, hash: [u8; 32], parent: [u8; 32]) -> BlockRef {
        BlockRef::new(
            height,
            BlockHash::from_bytes(hash),
            BlockHash::from_bytes(parent),
        )
    }
}
