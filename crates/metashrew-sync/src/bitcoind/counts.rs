//! Where blocks came from, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many blocks came from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SourceCounts {
    /// From the node's block files.
    pub files: u64,
    /// By REST.
    pub rest: u64,
    /// By JSON-RPC.
    pub rpc: u64,
}

/// They are counted here.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) files: AtomicU64,
    pub(super) rest: AtomicU64,
    pub(super) rpc: AtomicU64,
}

impl Counters {
    pub(super) fn counts(&self) -> SourceCounts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SourceCounts {
            files: count(&self.files),
            rest: count(&self.rest),
            rpc: count(&self.rpc),
        }
    }
}
