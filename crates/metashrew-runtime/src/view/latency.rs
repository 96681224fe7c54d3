//! How long calls take: a histogram whose buckets double.

use std::time::Duration;

/// Upper bound of the first bucket, in nanoseconds.
const FIRST_NANOS: u64 = 500;

/// Buckets with an upper bound; the last one ends at 16.8 s.
const BOUNDED: usize = 26;

/// Durations of calls, counted in buckets: up to 0.5 µs, and then each up to twice
/// as long as the one before, up to 16.8 s; one more holds all that is longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LatencyHistogram {
    counts: [u64; BOUNDED + 1],
    /// All durations together.
    pub sum: Duration,
}

impl LatencyHistogram {
    pub(super) fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        // How often the first bound must be doubled to reach the duration.
        let doublings = nanos
            .div_ceil(FIRST_NANOS)
            .max(1)
            .next_power_of_two()
            .ilog2();
        let bucket = usize::try_from(doublings).unwrap_or(BOUNDED).min(BOUNDED);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(duration);
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Each bucket's upper bound (inclusive; none for the last) and how many
    /// durations fell into it and into no smaller one.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        self.counts.iter().enumerate().map(|(index, &count)| {
            let bound = (index < BOUNDED).then(|| Duration::from_nanos(FIRST_NANOS << index));
            (bound, count)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_the_first_bucket_that_reaches_them() {
        let check = |nanos: u64, bound: Option<u64>| {
            let mut histogram = LatencyHistogram::default();
            histogram.record(Duration::from_nanos(nanos));
            let filled = histogram.buckets().find(|(_, count)| *count == 1).unwrap();
            assert_eq!(filled.0, bound.map(Duration::from_nanos), "{nanos} ns");
        };
        check(0, Some(500));
        check(500, Some(500));
        check(501, Some(1_000));
        check(1_000, Some(1_000));
        check(1_001, Some(2_000));
        check(16_777_216_000, Some(16_777_216_000));
        check(16_777_216_001, None);
        check(u64::MAX, None);
    }

    #[test]
    fn histograms_add_up() {
        let mut one = LatencyHistogram::default();
        one.record(Duration::from_nanos(300));
        let mut other = one;
        other.record(Duration::from_secs(100));
        one.add(&other);
        assert_eq!(one.count(), 3);
        assert_eq!(
            one.sum,
            Duration::from_secs(100) + Duration::from_nanos(600)
        );
    }
}
