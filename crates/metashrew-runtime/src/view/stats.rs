//! What the view engine counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of the view engine since the runtime was made, and its state now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ViewStats {
    /// Calls that were answered.
    pub answered: u64,
    /// Calls that failed, those refused as busy included.
    pub failed: u64,
    /// Calls that ran on a persistent instance that had answered before.
    pub reused: u64,
    /// Instances made.
    pub created: u64,
    /// Instances dropped after a fault or a cancelled call.
    pub dropped_faulty: u64,
    /// Instances dropped because they had grown above their share of the budget.
    pub dropped_large: u64,
    /// Instances dropped because of a rollback.
    pub dropped_reorg: u64,
    /// Idle instances now.
    pub idle: usize,
    /// Calls running now.
    pub busy: usize,
    /// Calls waiting now.
    pub waiting: usize,
    /// Bytes of wasm memory that persistent instances have now.
    pub memory: usize,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) answered: Counter,
    pub(super) failed: Counter,
    pub(super) reused: Counter,
    pub(super) created: Counter,
    pub(super) dropped_faulty: Counter,
    pub(super) dropped_large: Counter,
    pub(super) dropped_reorg: Counter,
}

/// A number that only grows.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, amount: usize) {
        self.0.fetch_add(amount as u64, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
