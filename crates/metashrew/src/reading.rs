//! The progress in one line.

use std::fmt;
use std::time::Duration;

use metashrew_store::CacheStats;
use metashrew_sync::{IndexState, IndexStatus, WaitsFor};

use crate::console;

/// A block is told of from here on, in place of the pace: most are done long before.
pub(crate) const SLOW_BLOCK: Duration = Duration::from_secs(5);

/// What is shown of the progress.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading {
    pub(crate) height: Option<u32>,
    /// The block to get to.
    target: Option<u32>,
    /// The last block of the node's chain.
    node_tip: Option<u32>,
    blocks_per_second: f64,
    megabytes_per_second: f64,
    /// None while nothing tells.
    left: Option<Duration>,
    /// Reads answered by the store's cache, of a hundred; none before the first read.
    cached: Option<u64>,
    /// In bytes.
    memory: Option<u64>,
    /// The block that the guest has been processing for long, and for how long.
    slow_block: Option<(u32, Duration)>,
    /// What it waits for.
    waits_for: Option<WaitsFor>,
}

/// The block that the guest has been at for long, and for how long.
fn slow_block(status: &IndexStatus) -> Option<(u32, Duration)> {
    let block = status.progress.running?;
    let elapsed = block.since.elapsed();
    (elapsed >= SLOW_BLOCK).then_some((block.height, elapsed))
}

impl Reading {
    /// Whether the guest has been at one block for long.
    pub(crate) fn is_slow(status: &IndexStatus) -> bool {
        slow_block(status).is_some()
    }

    pub(crate) fn of(status: &IndexStatus, cache: &CacheStats) -> Self {
        let progress = &status.progress;
        Self {
            height: progress.height,
            target: progress.target,
            node_tip: progress.node_tip.map(|tip| tip.height),
            blocks_per_second: status.blocks_per_second,
            megabytes_per_second: status.bytes_per_second / 1e6,
            left: status.left,
            cached: (cache.hits * 100).checked_div(cache.hits + cache.misses),
            memory: metashrew_server::resident_memory(),
            slow_block: slow_block(status),
            waits_for: match status.state {
                IndexState::Waiting { waits_for, .. } => Some(waits_for),
                _ => None,
            },
        }
    }

    /// Whether a block takes so long that it is told.
    pub(crate) fn is_at_a_slow_block(&self) -> bool {
        self.slow_block.is_some()
    }

    fn write_pace(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            ", {:.1} blocks/s, {:.1} MB/s",
            self.blocks_per_second, self.megabytes_per_second
        )?;
        match self.left {
            Some(left) => write!(formatter, ", {} left", console::duration(left)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<u32>| number.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let (height, target) = (number(self.height), number(self.target));
        write!(formatter, "block {height} of {target}")?;
        if self.node_tip != self.target {
            write!(formatter, " (node: {})", number(self.node_tip))?;
        }
        match self.slow_block {
            // How fast it was before tells nothing, and that it is not so now is no news.
            Some((height, elapsed)) => {
                let elapsed = console::duration(elapsed);
                write!(
                    formatter,
                    ", the guest has been at block {height} for {elapsed}"
                )?;
            }
            None => self.write_pace(formatter)?,
        }
        if let Some(cached) = self.cached {
            write!(formatter, ", {cached}% of reads cached")?;
        }
        if let Some(memory) = self.memory {
            write!(formatter, ", {} MB of memory", memory / 1_000_000)?;
        }
        match self.waits_for {
            None => Ok(()),
            Some(WaitsFor::Node) => formatter.write_str(", waiting for the node"),
            Some(WaitsFor::Machine) => formatter.write_str(", waiting for the machine"),
            Some(WaitsFor::Disk) => formatter.write_str(", waiting for room on the disk"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_prints_what_is_known() {
        let mut reading = Reading {
            height: Some(7),
            target: Some(107),
            node_tip: Some(107),
            blocks_per_second: 2.5,
            megabytes_per_second: 0.04,
            left: Some(Duration::from_secs(40)),
            cached: Some(93),
            memory: Some(123_456_789),
            slow_block: None,
            waits_for: None,
        };
        assert_eq!(
            reading.to_string(),
            "block 7 of 107, 2.5 blocks/s, 0.0 MB/s, 40s left, 93% of reads cached, 123 MB of memory"
        );
        reading.node_tip = Some(113);
        reading.cached = None;
        reading.slow_block = Some((8, Duration::from_secs(75)));
        reading.waits_for = Some(WaitsFor::Node);
        assert_eq!(
            reading.to_string(),
            "block 7 of 107 (node: 113), the guest has been at block 8 for 1m15s, 123 MB of memory, waiting for the node"
        );
        reading = Reading {
            height: None,
            target: None,
            node_tip: None,
            memory: None,
            left: None,
            slow_block: None,
            waits_for: None,
            ..reading
        };
        assert_eq!(reading.to_string(), "block ? of ?, 2.5 blocks/s, 0.0 MB/s");
    }
}
