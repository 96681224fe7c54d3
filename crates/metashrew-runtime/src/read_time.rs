//! How much was read and how long that took: sums that anybody may look at.

use std::ops::Sub;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use metashrew_store::Version;

/// What guests read while they ran over blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlockReads {
    /// Values read from the state; what a block reads again counts once, but in a range.
    pub count: u64,
    /// Those of keys that were not there; an empty value is none.
    pub absent: u64,
    /// Bytes of the values found.
    pub bytes: u64,
    /// How long these reads took.
    pub time: Duration,
}

impl Sub for BlockReads {
    type Output = Self;

    /// What was read since an earlier look.
    fn sub(self, earlier: Self) -> Self {
        Self {
            count: self.count.saturating_sub(earlier.count),
            absent: self.absent.saturating_sub(earlier.absent),
            bytes: self.bytes.saturating_sub(earlier.bytes),
            time: self.time.saturating_sub(earlier.time),
        }
    }
}

/// The sums.
#[derive(Debug, Default)]
pub(crate) struct ReadTime {
    count: AtomicU64,
    absent: AtomicU64,
    bytes: AtomicU64,
    nanos: AtomicU64,
}

impl ReadTime {
    pub(crate) fn total(&self) -> BlockReads {
        let read = |sum: &AtomicU64| sum.load(Ordering::Relaxed);
        BlockReads {
            count: read(&self.count),
            absent: read(&self.absent),
            bytes: read(&self.bytes),
            time: Duration::from_nanos(read(&self.nanos)),
        }
    }
}

/// The reads of one call. They are added to the sums when the call is over: a sum that
/// ran ahead of the block's own time could not be taken from it.
pub(crate) struct CallReads {
    sum: Arc<ReadTime>,
    count: u64,
    absent: u64,
    bytes: u64,
    nanos: u64,
}

impl CallReads {
    pub(crate) fn of(sum: &Arc<ReadTime>) -> Self {
        Self {
            sum: Arc::clone(sum),
            count: 0,
            absent: 0,
            bytes: 0,
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

    /// Awaits a read of one key, and counts it and how long it took.
    pub(crate) async fn time<E>(
        &mut self,
        read: impl Future<Output = Result<Option<Version>, E>>,
    ) -> Result<Option<Version>, E> {
        let since = Self::now();
        let found = read.await;
        self.add_time(since);
        if let Ok(found) = &found {
            self.count(found.as_ref());
        }
        found
    }

    /// Counts the value of one key, of which this was read.
    pub(crate) fn count(&mut self, found: Option<&Version>) {
        let length = found.map_or(0, |version| version.value.len());
        self.count += 1;
        self.absent += u64::from(length == 0);
        self.bytes += length as u64;
    }

    /// Counts the `count` values of a range, of `bytes` bytes, that has been read since `since`.
    pub(crate) fn add_range(&mut self, count: u64, bytes: u64, since: Instant) {
        self.add_time(since);
        self.count += count;
        self.bytes += bytes;
    }

    /// Adds the time since `since`.
    pub(crate) fn add_time(&mut self, since: Instant) {
        let nanos = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.nanos = self.nanos.saturating_add(nanos);
    }
}

impl Drop for CallReads {
    fn drop(&mut self) {
        let add = |sum: &AtomicU64, more| sum.fetch_add(more, Ordering::Relaxed);
        add(&self.sum.count, self.count);
        add(&self.sum.absent, self.absent);
        add(&self.sum.bytes, self.bytes);
        add(&self.sum.nanos, self.nanos);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use metashrew_store::{ReadError, wait};

    use super::*;

    #[test]
    fn reads_count_once_their_call_is_over() {
        let sum = Arc::new(ReadTime::default());
        let mut reads = CallReads::of(&sum);
        reads.nanos = 7;
        let mut read = |value: Option<&'static str>| {
            let version = value.map(|value| Version {
                height: 1,
                value: Bytes::from_static(value.as_bytes()),
            });
            let found = async { Ok::<_, ReadError>(version.clone()) };
            assert_eq!(wait(reads.time(found)).unwrap(), version);
        };
        for value in [Some("value"), Some(""), None] {
            read(value);
        }
        reads.add_range(2, 30, CallReads::now());
        assert_eq!(sum.total(), BlockReads::default());
        drop(reads);
        let total = sum.total();
        assert_eq!((total.count, total.absent, total.bytes), (5, 2, 35));
        assert!(total.time >= Duration::from_nanos(7));
    }
}
