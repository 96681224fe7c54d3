//! How fast a number of counters grow, over the last seconds.

use std::collections::VecDeque;
use std::time::Duration;

/// Rates are taken over about so much time.
const WINDOW: Duration = Duration::from_secs(15);

/// Samples closer together than this are one.
const GRAIN: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(crate) struct Rates {
    /// Oldest first: time, blocks, bytes.
    samples: VecDeque<(Duration, u64, u64)>,
}

impl Rates {
    /// Remembers what the counters say at a time.
    pub(crate) fn sample(&mut self, now: Duration, blocks: u64, bytes: u64) {
        let length = self.samples.len();
        // The last one but one is old enough to do without the last one.
        let is_close = length
            .checked_sub(2)
            .and_then(|index| self.samples.get(index))
            .is_some_and(|(time, ..)| now.saturating_sub(*time) < GRAIN);
        if is_close {
            self.samples.pop_back();
        }
        self.samples.push_back((now, blocks, bytes));
        // One sample at least as old as the window stays.
        while self
            .samples
            .get(1)
            .is_some_and(|(time, ..)| now.saturating_sub(*time) >= WINDOW)
        {
            self.samples.pop_front();
        }
    }

    /// Blocks and bytes per second.
    pub(crate) fn per_second(&self) -> (f64, f64) {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return (0.0, 0.0);
        };
        let seconds = last.0.saturating_sub(first.0).as_secs_f64();
        if seconds <= 0.0 {
            return (0.0, 0.0);
        }
        #[allow(
            clippy::cast_precision_loss,
            reason = "a rate that is shown needs no more than 53 bits"
        )]
        let rate = |first: u64, last: u64| last.saturating_sub(first) as f64 / seconds;
        (rate(first.1, last.1), rate(first.2, last.2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_last_seconds() {
        let check = |samples: &[(u64, u64, u64)], blocks: f64, bytes: f64| {
            let mut rates = Rates::default();
            for (seconds, blocks, bytes) in samples {
                rates.sample(Duration::from_secs(*seconds), *blocks, *bytes);
            }
            let (blocks_read, bytes_read) = rates.per_second();
            assert!((blocks_read - blocks).abs() < 1e-9, "{samples:?}");
            assert!((bytes_read - bytes).abs() < 1e-9, "{samples:?}");
        };
        check(&[], 0.0, 0.0);
        check(&[(5, 100, 1000)], 0.0, 0.0);
        check(&[(0, 0, 0), (10, 100, 1000)], 10.0, 100.0);
        // A quick start is forgotten.
        check(
            &[(0, 0, 0), (1, 1000, 0), (11, 1010, 0), (21, 1020, 0)],
            1.0,
            0.0,
        );
    }

    #[test]
    fn samples_of_the_same_moment_are_one() {
        let mut rates = Rates::default();
        for milliseconds in 0..10_000 {
            rates.sample(Duration::from_millis(milliseconds), milliseconds, 0);
        }
        assert!(rates.samples.len() <= 102, "{}", rates.samples.len());
        let (blocks, _) = rates.per_second();
        assert!((blocks - 1000.0).abs() < 1e-9, "{blocks}");
    }
}
