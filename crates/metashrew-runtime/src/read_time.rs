//! How long reads take: a sum that anybody may look at.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A sum of times, in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct ReadTime(AtomicU64);

impl ReadTime {
    /// Does something, and adds how long it took.
    pub(crate) fn add<T>(&self, read: impl FnOnce() -> T) -> T {
        let since = now();
        let value = read();
        let nanos = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(nanos, Ordering::Relaxed);
        value
    }

    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long reads take is counted; no state depends on it"
)]
fn now() -> Instant {
    Instant::now()
}
