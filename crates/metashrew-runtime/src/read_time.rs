//! How much was read and how long that took: sums that anybody may look at.

use std::ops::Sub;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What guests read while they ran over blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlockReads {
    /// Values read from the state; what a block reads again counts once, but in a range.
    pub count: u64,
    /// How long these reads took.
    pub time: Duration,
}

impl Sub for BlockReads {
    type Output = Self;

    /// What was read since an earlier look.
    fn sub(self, earlier: Self) -> Self {
        Self {
            count: self.count.saturating_sub(earlier.count),
            time: self.time.saturating_sub(earlier.time),
        }
    }
}

/// The sums.
#[derive(Debug, Default)]
pub(crate) struct ReadTime {
    count: AtomicU64,
    nanos: AtomicU64,
}

impl ReadTime {
    pub(crate) fn total(&self) -> BlockReads {
        BlockReads {
            count: self.count.load(Ordering::Relaxed),
            time: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)),
        }
    }
}

/// The reads of one call. They are added to the sums when the call is over: a sum that
/// ran ahead of the block's own time could not be taken from it.
pub(crate) struct CallReads {
    sum: Arc<ReadTime>,
    count: u64,
    nanos: u64,
}

impl CallReads {
    pub(crate) fn of(sum: &Arc<ReadTime>) -> Self {
        Self {
            sum: Arc::clone(sum),
            count: 0,
            nanos: 0,
        }
    }

    /// When a read begins.
    #[expect(
        clippy::disallowed_methods,
        reason = "how long reads take is counted; no state depends on it"
    )]
    pub(crate) fn now() -> Instant {
        Instant::now()
    }

    /// Awaits a read, and counts how long it took.
    pub(crate) async fn time<T>(&mut self, read: impl Future<Output = T>) -> T {
        let since = Self::now();
        let value = read.await;
        let nanos = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.nanos = self.nanos.saturating_add(nanos);
        self.count += 1;
        value
    }

    /// Counts the `count` values of a range that has been read since `since`.
    pub(crate) fn add_range(&mut self, count: u64, since: Instant) {
        let nanos = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.nanos = self.nanos.saturating_add(nanos);
        self.count += count;
    }
}

impl Drop for CallReads {
    fn drop(&mut self) {
        self.sum.count.fetch_add(self.count, Ordering::Relaxed);
        self.sum.nanos.fetch_add(self.nanos, Ordering::Relaxed);
    }
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
        assert_eq!(sum.total(), BlockReads::default());
        drop(reads);
        assert_eq!(sum.total().count, 1);
        assert!(sum.total().time >= Duration::from_nanos(7));
    }
}
