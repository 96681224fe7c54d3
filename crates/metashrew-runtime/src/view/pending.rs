//! The pending block: what the next block may hold, executed once and kept, so
//! that views can answer as if it were confirmed.

use std::sync::Arc;

use bytes::Bytes;
use metashrew_store::{BlockHash, Height, Snapshot, State, WriteSet};

/// A block that may be the next one: for instance the one that a node would mine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingBlock {
    /// The block it stands on.
    pub parent: BlockHash,
    /// The block, consensus-encoded.
    pub block: Bytes,
}

/// A pending block that the guest has executed.
pub(super) struct Pending {
    /// Grows with every pending block, and is never used again.
    pub(super) number: u64,
    pub(super) parent: BlockHash,
    pub(super) height: Height,
    pub(super) writes: Arc<WriteSet>,
}

impl Pending {
    /// The state with the block on top of the tip; none if the tip is not its parent.
    pub(super) fn on(&self, snapshot: &Snapshot) -> Option<State> {
        let tip = snapshot.tip()?;
        let fits = tip.hash == self.parent;
        fits.then(|| {
            snapshot
                .latest()
                .with_block(self.height, Arc::clone(&self.writes))
        })
    }
}
