//! What calls stand on, looked up once: a moment of the chain, and a block of it.

use std::sync::Arc;

use metashrew_store::{BlockRecord, Height, ResolveError, Snapshot, State, WriteSet};

use super::call::ViewAt;
use super::pending::{Executed, Offer, PendingId};
use crate::error::ViewError;

/// The chain at one moment: a snapshot of the store, the pending block if there was one,
/// and the guest that answers. Calls that stand on one see the same blocks, whatever comes
/// meanwhile. Cloning it is cheap.
///
/// See [`MetashrewRuntime::chain`](crate::MetashrewRuntime::chain).
#[derive(Debug, Clone)]
pub struct Chain {
    snapshot: Snapshot,
    pending: Option<Arc<Offer>>,
    guest_sha256: [u8; 32],
}

impl Chain {
    pub(super) fn new(
        snapshot: Snapshot,
        pending: Option<Arc<Offer>>,
        guest_sha256: [u8; 32],
    ) -> Self {
        Self {
            snapshot,
            pending,
            guest_sha256,
        }
    }

    /// The snapshot of the store.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The last committed block.
    pub fn tip(&self) -> Option<&BlockRecord> {
        self.snapshot.tip()
    }

    /// SHA-256 of the module of the guest that answers.
    pub fn guest_sha256(&self) -> [u8; 32] {
        self.guest_sha256
    }

    /// What calls about the block `at` stand on. The pending block is executed if nobody
    /// has asked about it before; else its execution is waited for. Dropping the future
    /// does not end the execution.
    ///
    /// # Errors
    /// If the block cannot be answered for: [`ViewError::Block`], [`ViewError::NoPending`]
    /// or [`ViewError::PendingFailed`].
    pub async fn at(&self, at: ViewAt) -> Result<CallContext, ViewError> {
        self.clone().into_at(at).await
    }

    pub(super) async fn into_at(self, at: ViewAt) -> Result<CallContext, ViewError> {
        let tip = *self.snapshot.tip().ok_or(ResolveError::Empty)?;
        let position = |block: BlockRecord, height: Height, pending: Option<PendingId>| {
            Arc::new(Position {
                block,
                tip,
                height,
                generation: self.snapshot.generation(),
                pending,
                guest_sha256: self.guest_sha256,
            })
        };
        match at {
            ViewAt::Block(id) => {
                let block = self.snapshot.resolve(&id).await?;
                Ok(CallContext {
                    position: position(block, block.height, None),
                    pending: None,
                    state: self.snapshot.into_at(block.height),
                })
            }
            ViewAt::Pending => {
                let offer = self.pending.as_ref().ok_or(ViewError::NoPending)?;
                let executed = offer.executed(&self.snapshot).await?;
                let id = executed.id;
                Ok(CallContext {
                    position: position(tip, id.height, Some(id)),
                    state: executed.on(&self.snapshot),
                    pending: Some(executed),
                })
            }
        }
    }
}

/// What a call stands on: a block of one moment of the chain, or the pending block on top of
/// it, and the state after that. Cloning it is cheap.
///
/// See [`Chain::at`].
#[derive(Debug, Clone)]
pub struct CallContext {
    state: State,
    position: Arc<Position>,
    /// With its part of the budget.
    pending: Option<Arc<Executed>>,
}

/// What a context says beside the state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    /// The block asked about; the tip, if that is the pending one.
    pub(super) block: BlockRecord,
    pub(super) tip: BlockRecord,
    /// The height that the guest is told.
    pub(super) height: Height,
    /// That of the snapshot: it grows when blocks are undone.
    pub(super) generation: u64,
    pub(super) pending: Option<PendingId>,
    pub(super) guest_sha256: [u8; 32],
}

impl CallContext {
    /// The block asked about; with the pending block, the one that this stands on.
    pub fn block(&self) -> &BlockRecord {
        &self.position.block
    }

    /// The last committed block of the moment.
    pub fn tip(&self) -> &BlockRecord {
        &self.position.tip
    }

    /// Which pending block is on top; none if that was not asked about.
    pub fn pending(&self) -> Option<PendingId> {
        self.position.pending
    }

    /// What the pending block writes; none if that was not asked about. It is shared, and
    /// counted in the views' memory for as long as a context of the block is held.
    pub fn pending_writes(&self) -> Option<&Arc<WriteSet>> {
        self.pending.as_ref().map(|executed| executed.writes())
    }

    /// SHA-256 of the module of the guest that answers.
    pub fn guest_sha256(&self) -> [u8; 32] {
        self.position.guest_sha256
    }

    /// The snapshot that is read.
    pub fn snapshot(&self) -> &Snapshot {
        self.state.snapshot()
    }

    pub(super) fn into_parts(self) -> (State, Arc<Position>) {
        (self.state, self.position)
    }
}
