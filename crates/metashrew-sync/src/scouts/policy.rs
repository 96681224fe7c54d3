//! When scouts are worth it: decided by what was measured, over some blocks at a time.
//!
//! They are tried where the executor spends much of its time waiting for reads and cores
//! are idle, compared with the blocks before, and sent home if blocks were not clearly
//! quicker with them: for ten seconds first, for twice as long each time. While they
//! help, blocks run without them now and then, to compare again.

use std::thread;
use std::time::Duration;

/// A window is closed after so many blocks, and so much time.
const WINDOW_BLOCKS: u32 = 4;
const WINDOW_TIME: Duration = Duration::from_millis(250);

/// Scouts are tried if the executor waits for reads at least this part of its time.
const SLOW_READS: f64 = 0.25;

/// The executor must be what is waited for, this part of the time.
const BUSY: f64 = 0.5;

/// The least part of a core that must be idle for scouts of which each mostly waits.
const IDLE: f64 = 0.25;

/// Cores that must be idle for scouts that compute all the time: one stays free.
const IDLE_CORES: f64 = 2.0;

/// A scout that mostly waits is taken to use at least this part of a core.
const LEAST_CPU: f64 = 0.05;

/// With scouts, a read and all that belongs to it must take at most this part of the time.
const HELPS: f64 = 0.9;

/// How long they are left out after they did not help: at first, and at most.
const REST: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(10));

/// How many windows they help for until it is looked again.
const WINDOWS_BETWEEN_LOOKS: u32 = 32;

/// What was measured of one block, or of several together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    /// Time since the block before was done.
    pub(super) elapsed: Duration,
    /// Time that the guest ran, with its reads.
    pub(super) executing: Duration,
    /// Processor time of that.
    pub(super) executing_cpu: Duration,
    /// Reads of the guest, and how long they took.
    pub(super) reads: u64,
    pub(super) read_time: Duration,
    /// Processor time of the whole process, over `elapsed`.
    pub(super) process_cpu: Duration,
    /// Whether the next block was there already.
    pub(super) has_more: bool,
}

/// Decides how many scouts there are.
pub(super) struct Policy {
    cores: f64,
    most: usize,
    sum: Sample,
    blocks: u32,
    /// Blocks behind which the next one waited already.
    with_more: u32,
    mode: Mode,
    /// How long they rest after the next trial that does not help.
    rest: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    /// None run, for so long at least.
    Resting(Duration),
    /// So many run, and the window at hand tells nothing yet: they have only begun.
    Starting { count: usize, without: f64 },
    /// The window at hand is compared with what a read took without them, in seconds.
    Compared {
        count: usize,
        without: f64,
        windows: u32,
    },
}

impl Policy {
    pub(super) fn new(most: usize) -> Self {
        let cores = thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Self::on(cores, most)
    }

    fn on(cores: usize, most: usize) -> Self {
        Self {
            cores: f64::from(u32::try_from(cores).unwrap_or(u32::MAX)),
            most,
            sum: Sample::default(),
            blocks: 0,
            with_more: 0,
            mode: Mode::Resting(Duration::ZERO),
            rest: REST.0,
        }
    }

    /// Takes a block into account; answers how many scouts shall run.
    pub(super) fn add(&mut self, sample: &Sample) -> usize {
        self.sum.elapsed += sample.elapsed;
        self.sum.executing += sample.executing;
        self.sum.executing_cpu += sample.executing_cpu;
        self.sum.reads += sample.reads;
        self.sum.read_time += sample.read_time;
        self.sum.process_cpu += sample.process_cpu;
        self.blocks += 1;
        self.with_more += u32::from(sample.has_more);
        if self.blocks >= WINDOW_BLOCKS && self.sum.elapsed >= WINDOW_TIME {
            self.mode = self.next();
            self.sum = Sample::default();
            self.blocks = 0;
            self.with_more = 0;
        }
        match self.mode {
            Mode::Resting(_) => 0,
            Mode::Starting { count, .. } | Mode::Compared { count, .. } => count,
        }
    }

    /// What follows from the window that is closed.
    fn next(&mut self) -> Mode {
        match self.mode {
            Mode::Resting(left) if left > self.sum.elapsed => {
                Mode::Resting(left.saturating_sub(self.sum.elapsed))
            }
            Mode::Resting(_) => match (self.wanted(), self.cost()) {
                (Some(count), Some(without)) => Mode::Starting { count, without },
                _ => Mode::Resting(Duration::ZERO),
            },
            Mode::Starting { count, without } => Mode::Compared {
                count,
                without,
                windows: 0,
            },
            Mode::Compared {
                count,
                without,
                windows,
            } => match self.cost() {
                Some(with) if with > without * HELPS => {
                    let rest = self.rest;
                    self.rest = (rest * 2).min(REST.1);
                    Mode::Resting(rest)
                }
                Some(_) if windows >= WINDOWS_BETWEEN_LOOKS => Mode::Resting(Duration::ZERO),
                _ => {
                    self.rest = REST.0;
                    Mode::Compared {
                        count,
                        without,
                        windows: windows + 1,
                    }
                }
            },
        }
    }

    /// What a read and all that belongs to it took, in seconds. Blocks differ in size, and
    /// reads grow with it.
    fn cost(&self) -> Option<f64> {
        let reads = u32::try_from(self.sum.reads).unwrap_or(u32::MAX);
        (reads > 0).then(|| self.sum.executing.as_secs_f64() / f64::from(reads))
    }

    /// How many scouts are worth trying, if any is.
    fn wanted(&self) -> Option<usize> {
        let Sample {
            elapsed,
            executing,
            executing_cpu,
            read_time,
            process_cpu,
            ..
        } = self.sum;
        let part = |time: Duration, of: Duration| time.as_secs_f64() / of.as_secs_f64().max(1e-9);
        if self.with_more * 2 < self.blocks || part(executing, elapsed) < BUSY {
            return None;
        }
        let idle = self.cores - part(process_cpu, elapsed);
        let waited = executing.saturating_sub(executing_cpu).min(read_time);
        let (idle, each) = if part(waited, executing) >= SLOW_READS && idle >= IDLE {
            (idle, part(executing_cpu, executing).max(LEAST_CPU))
        } else if part(read_time, executing) >= SLOW_READS && idle >= IDLE_CORES {
            (idle - 1.0, 1.0)
        } else {
            return None;
        };
        let fit = (1..=self.most).take_while(|count| {
            f64::from(u32::try_from(*count).unwrap_or(u32::MAX)) * each <= idle
        });
        Some(fit.count().max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block of 1,000 reads that takes so many milliseconds, of which the reads and the
    /// processor take some.
    fn block(ms: u64, reads_ms: u64, cpu_ms: u64, process_ms: u64) -> Sample {
        let ms_of = Duration::from_millis;
        Sample {
            elapsed: ms_of(ms),
            executing: ms_of(ms),
            executing_cpu: ms_of(cpu_ms),
            reads: 1_000,
            read_time: ms_of(reads_ms),
            process_cpu: ms_of(process_ms),
            has_more: true,
        }
    }

    /// How many scouts run after so many such blocks.
    fn after(policy: &mut Policy, blocks: u32, sample: &Sample) -> usize {
        (0..blocks).map(|_| policy.add(sample)).last().unwrap()
    }

    const COLD: (u64, u64, u64, u64) = (1_000, 950, 60, 150);

    fn cold() -> Sample {
        block(COLD.0, COLD.1, COLD.2, COLD.3)
    }

    #[test]
    fn two_cores_with_everything_in_memory_never_have_any() {
        let mut policy = Policy::on(2, 8);
        for process in [57, 80, 110] {
            let sample = block(57, 18, 56, process);
            assert_eq!(after(&mut policy, 1_000, &sample), 0);
        }
    }

    #[test]
    fn they_come_where_reads_are_waited_for_and_stay_while_they_help() {
        let mut policy = Policy::on(2, 8);
        assert_eq!(after(&mut policy, 3, &cold()), 0, "the window is open");
        assert_eq!(policy.add(&cold()), 8);
        // They have just begun: what these blocks take does not count.
        assert_eq!(after(&mut policy, 4, &cold()), 8);
        let warm = block(100, 10, 60, 190);
        assert_eq!(after(&mut policy, 4 * 32, &warm), 8);
        assert_eq!(after(&mut policy, 4, &warm), 0, "it is looked again");
        assert_eq!(after(&mut policy, 4, &cold()), 8);
    }

    #[test]
    fn they_go_where_they_do_not_help_and_rest_longer_each_time() {
        let mut policy = Policy::on(2, 8);
        let mut tried_at = Vec::new();
        let mut seconds = 0;
        let mut before = 0;
        while tried_at.len() < 10 {
            seconds += 1;
            let now = policy.add(&cold());
            if now > before {
                tried_at.push(seconds);
            }
            before = now;
        }
        let pauses: Vec<_> = tried_at.windows(2).map(|two| two[1] - two[0]).collect();
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert_eq!((pauses[0], pauses[8]), (20, 608));
    }

    #[test]
    fn they_do_not_come_for_an_executor_that_waits_for_blocks_or_commits() {
        let mut policy = Policy::on(8, 8);
        let late = Sample {
            elapsed: Duration::from_secs(3),
            ..cold()
        };
        assert_eq!(after(&mut policy, 40, &late), 0);
        let alone = Sample {
            has_more: false,
            ..cold()
        };
        assert_eq!(after(&mut policy, 40, &alone), 0);
    }

    #[test]
    fn many_idle_cores_take_reads_that_are_slow_for_the_processor_alone() {
        for (cores, process_ms, expect) in
            [(2, 60, 0), (4, 60, 1), (8, 60, 5), (16, 60, 8), (8, 350, 0)]
        {
            let mut policy = Policy::on(cores, 8);
            let sample = block(57, 18, 57, process_ms);
            assert_eq!(after(&mut policy, 8, &sample), expect, "{cores} cores");
        }
    }

    #[test]
    fn without_clocks_there_are_none() {
        let mut policy = Policy::on(8, 8);
        let unknown = Sample {
            reads: 10,
            read_time: Duration::from_secs(1),
            has_more: true,
            ..Sample::default()
        };
        assert_eq!(after(&mut policy, 100, &unknown), 0);
    }
}
