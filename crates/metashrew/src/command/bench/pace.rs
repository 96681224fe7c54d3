//! The time to the tip, as far as these blocks tell it: at the pace measured, and with the slope
//! at which the pace fell.
//!
//! Blocks differ in size along the chain, so the cost is told by byte, and the blocks that are
//! left are sampled for their size. As the state grows, a byte costs more. The state grows with the
//! bytes of blocks, so a straight line is laid through the cost over the bytes before, if it rises by
//! more than its own error.

use metashrew_store::Height;
use metashrew_sync::{BlockTiming, Node};
use serde::Serialize;

use super::figures::{number, ratio};

/// A line is drawn through the cost of so many groups of blocks.
const GROUPS: usize = 20;

/// With fewer blocks in each, one slow block is the slope.
const LEAST_IN_A_GROUP: usize = 5;

/// The line has a slope if that is so many times its standard error: by chance in one case of
/// twenty.
const CERTAIN: f64 = 2.0;

/// So many of the blocks that are left are asked for their size: their mean is then known within
/// a tenth or so.
const SAMPLED: u32 = 16;

/// Blocks that are so many times as large as those measured cost something else: what a block
/// costs apart from its bytes weighs less.
const COMPARABLE: f64 = 4.0;

/// How long the rest of the chain takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct TimeToTip {
    pub(super) tip: Height,
    pub(super) blocks_left: u64,
    /// The mean size of the measured blocks, and of those left; of the latter none if they could
    /// not be asked for.
    pub(super) measured_block_bytes: f64,
    pub(super) left_block_bytes: Option<f64>,
    /// At the pace of the later half of the measured blocks. None if the blocks left are so much
    /// larger that these say nothing of them.
    pub(super) at_this_pace_seconds: Option<f64>,
    /// If a byte goes on becoming dearer as measured; none if no slope was measured.
    pub(super) with_slope_seconds: Option<f64>,
    /// How much dearer a byte became from the first to the last measured block, as a part; none
    /// if that cannot be told from noise.
    pub(super) slope: Option<f64>,
    /// How many times as many blocks are left as were measured.
    pub(super) extrapolated: f64,
}

impl TimeToTip {
    /// None if nothing is left. `left_block_bytes` is the mean of the blocks left, if known.
    pub(super) fn of(
        timings: &[BlockTiming],
        tip: Height,
        left_block_bytes: Option<f64>,
    ) -> Option<Self> {
        let last = timings.last()?.height;
        let blocks_left = u64::from(tip.checked_sub(last).filter(|left| *left > 0)?);
        let (left, count) = (number(blocks_left), number(timings.len() as u64));
        let measured_block_bytes = ratio(bytes(timings), count);
        let block_bytes = left_block_bytes.unwrap_or(measured_block_bytes);
        let is_comparable = block_bytes <= COMPARABLE * measured_block_bytes;
        let (_, later) = timings.split_at(timings.len() / 2);
        let cost = ratio(seconds(later), bytes(later));
        let line = Line::through(timings);
        let left_bytes = left * block_bytes;
        // The cost goes on along the line from where the later half stands, at its middle.
        let mean_distance = left_bytes.midpoint(bytes(later));
        let total = |cost: f64| left_bytes * cost;
        let sloped = line.map(|line| total(cost + line.slope * mean_distance));
        Some(Self {
            tip,
            blocks_left,
            measured_block_bytes,
            left_block_bytes,
            at_this_pace_seconds: is_comparable.then(|| total(cost)),
            with_slope_seconds: sloped.filter(|_| is_comparable),
            slope: line.map(|line| ratio(line.slope * bytes(timings), line.at_first)),
            extrapolated: ratio(left, count),
        })
    }
}

fn seconds(timings: &[BlockTiming]) -> f64 {
    let time = |timing: &BlockTiming| timing.waiting + timing.stalled + timing.executing;
    timings
        .iter()
        .map(|timing| time(timing).as_secs_f64())
        .sum()
}

fn bytes(timings: &[BlockTiming]) -> f64 {
    number(timings.iter().map(|timing| timing.bytes).sum())
}

/// The cost of a byte, in seconds, over the bytes before it.
#[derive(Debug, Clone, Copy)]
struct Line {
    at_first: f64,
    slope: f64,
}

impl Line {
    /// By least squares. None if it does not rise for certain.
    fn through(timings: &[BlockTiming]) -> Option<Self> {
        let in_a_group = timings.len() / GROUPS;
        if in_a_group < LEAST_IN_A_GROUP {
            return None;
        }
        let mut before = 0.0;
        let points: Vec<_> = timings
            .chunks_exact(in_a_group)
            .take(GROUPS)
            .map(|group| {
                let middle = before + bytes(group) / 2.0;
                before += bytes(group);
                (middle, ratio(seconds(group), bytes(group)))
            })
            .collect();
        let count = number(points.len() as u64);
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
        let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        let joint: f64 = points
            .iter()
            .map(|(x, y)| (x - mean_x) * (y - mean_y))
            .sum();
        let slope = ratio(joint, spread);
        let at_first = mean_y - slope * mean_x;
        let off: f64 = points
            .iter()
            .map(|(x, y)| (y - at_first - slope * x).powi(2))
            .sum();
        let error = ratio(off / (count - 2.0), spread).sqrt();
        (slope > 0.0 && slope > CERTAIN * error && at_first > 0.0)
            .then_some(Self { at_first, slope })
    }
}

/// The mean size of the blocks from `first` to `last`, by a few of them. None if the node does
/// not hand them out.
pub(super) fn mean_block_bytes(node: &dyn Node, first: Height, last: Height) -> Option<f64> {
    let left = last.checked_sub(first)?;
    let count = SAMPLED.min(left.saturating_add(1));
    let mut bytes = 0_u64;
    for number in 0..count {
        // Evenly, the last one among them.
        let step = u64::from(left) * u64::from(number + 1) / u64::from(count);
        let height = first.checked_add(u32::try_from(step).ok()?)?;
        let hash = node.hash_at(height).ok()??;
        bytes += node.block(&hash).ok()?.len() as u64;
    }
    Some(ratio(number(bytes), f64::from(count)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Blocks of 1,000 bytes from height 1 on, each of which takes so many microseconds.
    fn blocks(micros: impl Fn(u32) -> u64, count: u32) -> Vec<BlockTiming> {
        let timing = |height| BlockTiming {
            height,
            bytes: 1_000,
            executing: Duration::from_micros(micros(height)),
            ..BlockTiming::default()
        };
        (1..=count).map(timing).collect()
    }

    fn is_about(value: Option<f64>, expect: f64) -> bool {
        value.is_some_and(|value| (value / expect - 1.0).abs() < 0.02)
    }

    #[test]
    fn an_even_pace_goes_on() {
        // Noise without a trend.
        let even = blocks(|height| 900 + u64::from(height * 7_919 % 200), 200);
        let time = TimeToTip::of(&even, 1_200, None).unwrap();
        assert_eq!(
            (time.blocks_left, time.slope, time.with_slope_seconds),
            (1_000, None, None)
        );
        assert!(is_about(time.at_this_pace_seconds, 1.0), "{time:?}");
        assert!((time.extrapolated - 5.0).abs() < 1e-9);
        // Twice the bytes, twice the time.
        let time = TimeToTip::of(&even, 1_200, Some(2_000.0)).unwrap();
        assert!(is_about(time.at_this_pace_seconds, 2.0), "{time:?}");
    }

    #[test]
    fn a_pace_that_falls_is_told_with_its_slope() {
        let slower = blocks(|height| 1_000 + u64::from(height), 1_000);
        let time = TimeToTip::of(&slower, 2_000, None).unwrap();
        // From 1.0 to 2.0 ms a block.
        assert!(is_about(time.slope, 1.0), "{time:?}");
        assert!(is_about(time.at_this_pace_seconds, 1.75), "{time:?}");
        assert!(is_about(time.with_slope_seconds, 2.5), "{time:?}");
        // Blocks of twice the bytes have the state grow twice as fast.
        let time = TimeToTip::of(&slower, 2_000, Some(2_000.0)).unwrap();
        assert!(is_about(time.at_this_pace_seconds, 3.5), "{time:?}");
        assert!(is_about(time.with_slope_seconds, 6.0), "{time:?}");
        // A pace that rises is no reason to promise more.
        let faster = blocks(|height| 3_000 - u64::from(height), 1_000);
        assert_eq!(TimeToTip::of(&faster, 2_000, None).unwrap().slope, None);
    }

    #[test]
    fn blocks_of_another_size_say_nothing() {
        let small = blocks(|_| 100, 300);
        let time = TimeToTip::of(&small, 400, Some(1_000_000.0)).unwrap();
        assert_eq!(
            (time.at_this_pace_seconds, time.with_slope_seconds),
            (None, None)
        );
        // Few blocks have no slope, and at the tip nothing is left.
        let few = blocks(u64::from, 50);
        assert_eq!(TimeToTip::of(&few, 60, None).unwrap().slope, None);
        assert_eq!(TimeToTip::of(&few, 50, None), None);
        assert_eq!(TimeToTip::of(&few, 7, None), None);
    }
}
