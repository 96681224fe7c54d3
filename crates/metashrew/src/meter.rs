//! How fast indexing goes: rates over the last seconds, and the time left.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use metashrew_sync::ProgressReport;

use crate::console;

/// Rates are taken over about so much time.
const WINDOW: Duration = Duration::from_secs(15);

/// Turns reports into rates.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// Oldest first: time, blocks, bytes.
    samples: VecDeque<(Duration, u64, u64)>,
}

/// What is shown of the progress.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    pub(crate) height: Option<u32>,
    pub(crate) target: Option<u32>,
    pub(crate) blocks_per_second: f64,
    pub(crate) megabytes_per_second: f64,
    /// None while nothing tells.
    pub(crate) left: Option<Duration>,
}

impl Meter {
    pub(crate) fn read(&mut self, report: &ProgressReport) -> Reading {
        self.take(report.elapsed, report.blocks, report.bytes);
        let (blocks_per_second, bytes_per_second) = self.rates();
        let left = report
            .target
            .zip(report.height)
            .map(|(target, height)| f64::from(target.saturating_sub(height)) / blocks_per_second)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Reading {
            height: report.height,
            target: report.target,
            blocks_per_second,
            megabytes_per_second: bytes_per_second / 1e6,
            left,
        }
    }

    fn take(&mut self, now: Duration, blocks: u64, bytes: u64) {
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

    fn rates(&self) -> (f64, f64) {
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

impl fmt::Display for Reading {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<u32>| number.map_or_else(|| "?".to_owned(), |n| n.to_string());
        write!(
            formatter,
            "block {} of {}, {:.1} blocks/s, {:.1} MB/s",
            number(self.height),
            number(self.target),
            self.blocks_per_second,
            self.megabytes_per_second
        )?;
        match self.left {
            Some(left) => write!(formatter, ", {} left", console::duration(left)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(samples: &[(u64, u64, u64)]) -> (f64, f64) {
        let mut meter = Meter::default();
        for (seconds, blocks, bytes) in samples {
            meter.take(Duration::from_secs(*seconds), *blocks, *bytes);
        }
        meter.rates()
    }

    #[test]
    fn rates_are_those_of_the_last_seconds() {
        let check = |samples: &[(u64, u64, u64)], blocks: f64, bytes: f64| {
            let (blocks_read, bytes_read) = reading(samples);
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
    fn a_reading_prints_what_is_known() {
        let mut reading = Reading {
            height: Some(7),
            target: Some(107),
            blocks_per_second: 2.5,
            megabytes_per_second: 0.04,
            left: Some(Duration::from_secs(40)),
        };
        assert_eq!(
            reading.to_string(),
            "block 7 of 107, 2.5 blocks/s, 0.0 MB/s, 40s left"
        );
        reading.height = None;
        reading.target = None;
        reading.left = None;
        assert_eq!(reading.to_string(), "block ? of ?, 2.5 blocks/s, 0.0 MB/s");
    }
}
