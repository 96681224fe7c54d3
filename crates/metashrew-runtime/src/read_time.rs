//! How long reads take: a sum that anybody may look at.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A sum of times, in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct ReadTime(AtomicU64);

impl ReadTime {
    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// How long the reads of one call took. It is added to the sum when the call is over:
/// a sum that ran ahead of the block's own time could not be taken from it.
pub(crate) struct CallReads {
    sum: Arc<ReadTime>,
    nanos: u64,
}

impl CallReads {
    pub(crate) fn of(sum: &Arc<ReadTime>) -> Self {
        Self {
            sum: Arc::clone(sum),
            nanos: 0,
        }
    }

    /// Awaits something, and counts how long it took.
    pub(crate) async fn time<T>(&mut self, read: impl Future<Output = T>) -> T {
        let since = now();
        let value = read.await;
        let nanos = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.nanos = self.nanos.saturating_add(nanos);
        value
    }
}

impl Drop for CallReads {
    fn drop(&mut self) {
        self.sum.0.fetch_add(self.nanos, Ordering::Relaxed);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long reads take is counted; no state depends on it"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use metashrew_store::wait;

    use super::*;

    #[test]
    fn reads_count_once_their_call_is_over() {
        let sum = Arc::new(ReadTime::default());
        let mut reads = CallReads::of(&sum);
        reads.nanos = 7;
        assert_eq!(wait(reads.time(async { "value" })), "value");
        assert_eq!(sum.total(), Duration::ZERO);
        drop(reads);
        assert!(sum.total() >= Duration::from_nanos(7));
    }
}
