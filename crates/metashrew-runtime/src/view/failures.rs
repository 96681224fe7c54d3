//! Says which views fail: at once, and then ever more rarely.

use std::sync::atomic::{AtomicU64, Ordering};

use super::call::Basis;
use crate::error::ViewError;

/// How often each of the guest's views has failed.
pub(super) struct Failures(Vec<AtomicU64>);

impl Failures {
    /// For a guest with so many views.
    pub(super) fn of(views: usize) -> Self {
        Self((0..views).map(|_| AtomicU64::new(0)).collect())
    }

    /// Counts the failure of a view by its number, and logs the 1st, 2nd, 4th, 8th…
    /// What the caller alone did wrong does not count.
    pub(super) fn tell(&self, index: usize, view: &str, at: Basis<'_>, error: &ViewError) {
        let Some(count) = self.0.get(index).filter(|_| is_of_view(error)) else {
            return;
        };
        let failures = count.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if failures.is_power_of_two() {
            let block = at.describe();
            tracing::warn!(view, block, failures, "a view fails: {error}");
        }
    }
}

fn is_of_view(error: &ViewError) -> bool {
    matches!(
        error,
        ViewError::Guest(_)
            | ViewError::Host(_)
            | ViewError::Timeout { .. }
            | ViewError::MemoryLimit { .. }
            | ViewError::OutputTooLong { .. }
    )
}
