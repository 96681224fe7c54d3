//! What was measured, in numbers: what `--json` prints, and what the page and the advice are
//! made of. Times are in seconds, sizes in bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use metashrew_sync::BlockTiming;
use serde::Serialize;

use super::advice::Advice;
use super::floor::Floor;
use super::measure::{End, Measured};
use super::pace::TimeToTip;
use super::process::Group;

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figures {
    pub(super) guest: Guest,
    pub(super) machine: Machine,
    pub(super) blocks: Blocks,
    pub(super) rates: Rates,
    pub(super) executing_thread: Executing,
    pub(super) reads: Reads,
    pub(super) commits: Commits,
    /// None for an engine that does not tell.
    pub(super) engine: Option<Engine>,
    pub(super) source: Source,
    pub(super) scouts: Scouts,
    /// None where the system does not tell.
    pub(super) cpu: Option<Cpu>,
    /// None where the system does not tell.
    pub(super) memory: Option<Memory>,
    /// None if the last block is the last one there is.
    pub(super) time_to_tip: Option<TimeToTip>,
    /// The weightiest first.
    pub(super) advice: Vec<Advice>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Guest {
    pub(super) file: String,
    pub(super) sha256: String,
}

/// Where the blocks are from.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin {
    /// A path, or the address of a node.
    pub(super) name: String,
    pub(super) is_node: bool,
}

/// What it ran on, and how the database was kept.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Machine {
    pub(super) cores: usize,
    pub(super) memory_bytes: Option<u64>,
    /// All caches of the database together.
    pub(super) cache_bytes: u64,
    pub(super) durability: String,
    /// Whether the database was in memory, so that no disk was measured.
    pub(super) database_in_memory: bool,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Blocks {
    pub(super) source: String,
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) count: u64,
    pub(super) bytes: u64,
    /// The block that took longest in the guest.
    pub(super) slowest: u32,
    /// Why it ended before all of them, if so: `stopped` or `full`.
    pub(super) ended_early: Option<&'static str>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Rates {
    pub(super) seconds: f64,
    pub(super) blocks_per_second: f64,
    pub(super) bytes_per_second: f64,
    /// Of the time of a block in the guest, with its reads.
    pub(super) block_p50_seconds: f64,
    pub(super) block_p99_seconds: f64,
    pub(super) block_longest_seconds: f64,
}

/// Where the time of the one thread went that runs the guest over blocks. The parts add up to
/// [`Rates::seconds`].
#[derive(Debug, Clone, Default, Serialize)]
#[expect(
    clippy::struct_field_names,
    reason = "a time says its unit, as all figures"
)]
pub(super) struct Executing {
    /// The guest's own code: measured with every read answered from memory. None without a floor.
    pub(super) guest_floor_seconds: Option<f64>,
    /// What the guest took above its floor, for reads apart; without a floor, all of it.
    pub(super) guest_beyond_seconds: f64,
    pub(super) reads_seconds: f64,
    /// For blocks.
    pub(super) waiting_seconds: f64,
    /// For commits.
    pub(super) stalled_seconds: f64,
    /// Starting, the last commit, and what is between two blocks.
    pub(super) rest_seconds: f64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Reads {
    /// Keys that blocks asked for, of each block once.
    pub(super) count: u64,
    /// Those that were not there.
    pub(super) absent: u64,
    /// Of the values found.
    pub(super) bytes: u64,
    /// Reads that the store's cache answered, and those that it did not: of blocks, of scouts and
    /// of commits. What a block reads of blocks that are not committed yet is in neither.
    pub(super) cache_hits: u64,
    pub(super) cache_misses: u64,
    /// What the cache holds, and may hold.
    pub(super) cache_used_bytes: u64,
    pub(super) cache_limit_bytes: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Commits {
    pub(super) count: u64,
    /// Keys written; each counts once a block.
    pub(super) keys: u64,
    pub(super) seconds: f64,
    pub(super) syncs: Option<u64>,
    pub(super) sync_seconds: Option<f64>,
    /// What they took in the log.
    pub(super) logged_bytes: Option<u64>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Engine {
    pub(super) flushes: u64,
    pub(super) compactions: u64,
    /// By flushes and compactions.
    pub(super) written_bytes: u64,
    pub(super) compaction_debt_bytes: u64,
    /// Blocks of tables that its cache had, and that files were read for.
    pub(super) block_cache_hits: u64,
    pub(super) block_cache_misses: u64,
    /// Reads that recent writes in memory answered.
    pub(super) resident_hits: u64,
    pub(super) stalls: u64,
    pub(super) stalled_seconds: f64,
    pub(super) database_bytes: Option<u64>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Source {
    /// Whether the blocks came from a node, not from files.
    pub(super) is_node: bool,
    pub(super) blocks: u64,
    pub(super) bytes: u64,
    /// Of all threads that fetch, together.
    pub(super) fetch_seconds: f64,
    pub(super) check_seconds: f64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Scouts {
    pub(super) most: usize,
    pub(super) reads: u64,
    pub(super) runs: BTreeMap<&'static str, u64>,
}

/// Processor time, by what threads work for: the groups add up to all.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Cpu {
    pub(super) seconds: f64,
    pub(super) groups: BTreeMap<&'static str, f64>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Memory {
    pub(super) resident_bytes: u64,
    pub(super) peak_resident_bytes: u64,
}

impl Executing {
    /// `floor` is what the guest's own code takes for all of the blocks.
    pub(super) fn of(timings: &[BlockTiming], wall: Duration, floor: Option<Duration>) -> Self {
        let sum = |of: fn(&BlockTiming) -> Duration| timings.iter().map(of).sum::<Duration>();
        let executing = sum(|timing| timing.executing);
        let (waiting, stalled) = (sum(|timing| timing.waiting), sum(|timing| timing.stalled));
        let reads = sum(|timing| timing.reads.time.min(timing.executing));
        let guest = executing.saturating_sub(reads);
        // A floor above what the guest took is the noise of the machine.
        let floor = floor.map(|floor| floor.min(guest));
        let rest = wall.saturating_sub(executing + waiting + stalled);
        Self {
            guest_floor_seconds: floor.map(|floor| floor.as_secs_f64()),
            guest_beyond_seconds: guest
                .saturating_sub(floor.unwrap_or_default())
                .as_secs_f64(),
            reads_seconds: reads.as_secs_f64(),
            waiting_seconds: waiting.as_secs_f64(),
            stalled_seconds: stalled.as_secs_f64(),
            rest_seconds: rest.as_secs_f64(),
        }
    }

    /// The parts, with what the page calls them.
    pub(super) fn parts(&self) -> Vec<(&'static str, f64)> {
        let floor = self.guest_floor_seconds;
        let beyond = match floor {
            Some(_) => "the guest, beyond its floor",
            None => "the guest",
        };
        let mut parts = Vec::from_iter(floor.map(|floor| ("the guest's own floor", floor)));
        parts.extend([
            (beyond, self.guest_beyond_seconds),
            ("reads", self.reads_seconds),
            ("waiting for blocks", self.waiting_seconds),
            ("waiting for commits", self.stalled_seconds),
            ("the rest", self.rest_seconds),
        ]);
        parts
    }

    pub(super) fn seconds(&self) -> f64 {
        self.parts().iter().map(|(_, seconds)| seconds).sum()
    }
}

impl Rates {
    fn of(measured: &Measured) -> Self {
        let mut times: Vec<_> = measured
            .timings
            .iter()
            .map(|timing| timing.executing)
            .collect();
        times.sort_unstable();
        let at = |hundredth: usize| {
            let place = times.len().saturating_sub(1) * hundredth / 100;
            times.get(place).map_or(0.0, Duration::as_secs_f64)
        };
        let seconds = measured.wall.as_secs_f64();
        let bytes = measured.timings.iter().map(|timing| timing.bytes).sum();
        Self {
            seconds,
            blocks_per_second: ratio(number(measured.timings.len() as u64), seconds),
            bytes_per_second: ratio(number(bytes), seconds),
            block_p50_seconds: at(50),
            block_p99_seconds: at(99),
            block_longest_seconds: at(100),
        }
    }
}

impl Blocks {
    fn of(measured: &Measured, source: String) -> Self {
        let timings = &measured.timings;
        let height = |timing: Option<&BlockTiming>| timing.map_or(0, |timing| timing.height);
        Self {
            source,
            first: height(timings.first()),
            last: height(timings.last()),
            count: timings.len() as u64,
            bytes: timings.iter().map(|timing| timing.bytes).sum(),
            slowest: height(timings.iter().max_by_key(|timing| timing.executing)),
            ended_early: match measured.end {
                End::Done => None,
                End::Stopped => Some("stopped"),
                End::Full => Some("full"),
            },
        }
    }
}

impl Figures {
    /// Without the time to the tip and the advice, which follow from these.
    pub(super) fn of(
        measured: &Measured,
        floor: Option<&Floor>,
        guest: Guest,
        machine: Machine,
        origin: Origin,
    ) -> Self {
        let timings = &measured.timings;
        let sum = |of: fn(&BlockTiming) -> u64| timings.iter().map(of).sum();
        let progress = &measured.progress;
        let engine = measured.engine;
        Self {
            guest,
            machine,
            blocks: Blocks::of(measured, origin.name),
            rates: Rates::of(measured),
            executing_thread: Executing::of(timings, measured.wall, floor.map(|floor| floor.time)),
            reads: Reads {
                count: sum(|timing| timing.reads.count),
                absent: sum(|timing| timing.reads.absent),
                bytes: sum(|timing| timing.reads.bytes),
                cache_hits: measured.cache.hits,
                cache_misses: measured.cache.misses,
                cache_used_bytes: measured.cache.bytes,
                cache_limit_bytes: measured.cache.capacity_bytes,
            },
            commits: Commits {
                count: progress.commits,
                keys: sum(|timing| timing.keys),
                seconds: progress.committing.as_secs_f64(),
                syncs: engine.map(|engine| engine.syncs),
                sync_seconds: engine.map(|engine| engine.sync_time.as_secs_f64()),
                logged_bytes: engine.map(|engine| engine.logged_bytes),
            },
            engine: Engine::of(measured),
            source: Source {
                is_node: origin.is_node,
                blocks: measured.fetches.blocks,
                bytes: measured.fetches.bytes,
                fetch_seconds: measured.fetches.fetching.as_secs_f64(),
                check_seconds: measured.fetches.checking.as_secs_f64(),
            },
            scouts: Scouts {
                most: measured.most_scouts,
                reads: measured.scouts.reads,
                runs: measured
                    .scouts
                    .runs
                    .map(|(end, runs)| (end.as_str(), runs))
                    .into(),
            },
            cpu: measured.cpu.as_ref().map(Cpu::of),
            memory: measured
                .memory
                .map(|(resident_bytes, peak_resident_bytes)| Memory {
                    resident_bytes,
                    peak_resident_bytes,
                }),
            time_to_tip: None,
            advice: Vec::new(),
        }
    }

    /// The part of the executing thread's time, from 0 to 1.
    pub(super) fn share(&self, seconds: f64) -> f64 {
        ratio(seconds, self.rates.seconds)
    }
}

impl Engine {
    fn of(measured: &Measured) -> Option<Self> {
        let engine = measured.engine?;
        Some(Self {
            flushes: engine.flushes,
            compactions: engine.compactions,
            written_bytes: engine.written_bytes,
            compaction_debt_bytes: engine.compaction_debt_bytes,
            block_cache_hits: engine.cache_hits,
            block_cache_misses: engine.cache_misses,
            resident_hits: engine.resident_hits,
            stalls: engine.stalls,
            stalled_seconds: engine.stalled.as_secs_f64(),
            database_bytes: measured.database_bytes,
        })
    }
}

impl Cpu {
    fn of(groups: &BTreeMap<Group, Duration>) -> Self {
        let seconds = |time: &Duration| time.as_secs_f64();
        Self {
            seconds: groups.values().map(seconds).sum(),
            groups: groups
                .iter()
                .map(|(group, time)| (group.as_str(), seconds(time)))
                .collect(),
        }
    }
}

/// A count, for shares and rates.
#[expect(clippy::cast_precision_loss, reason = "a share is told in hundredths")]
pub(super) fn number(count: u64) -> f64 {
    count as f64
}

/// Zero of nothing.
pub(super) fn ratio(part: f64, all: f64) -> f64 {
    if all > 0.0 { part / all } else { 0.0 }
}
