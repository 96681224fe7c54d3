//! Indexes the blocks as `metashrew start` does, and keeps all that is known of the cost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use metashrew_runtime::MetashrewRuntime;
use metashrew_store::{CacheStats, EngineHealth};
use metashrew_sync::{
    BlockTiming, IndexEnd, IndexOptions, Indexer, Node, ProgressReport, ScoutReport, Stop,
};
use parking_lot::Mutex;

use super::metered::{Fetches, Metered};
use super::process::{self, Group, Threads};
use crate::command::running::Running;

/// How often the threads are looked at in the beginning: short runs are over soon.
const FIRST_TICK: Duration = Duration::from_millis(5);

/// And later: a look takes some 0.2 ms, so well below one part in a hundred.
const TICK: Duration = Duration::from_millis(50);

/// When that is.
const BEGINNING: Duration = Duration::from_secs(1);

/// How often it is looked what the database takes.
const DISK_EVERY: Duration = Duration::from_secs(1);

/// What is measured.
pub(super) struct Subject {
    pub(super) runtime: MetashrewRuntime,
    pub(super) node: Arc<Metered>,
    pub(super) options: IndexOptions,
    /// What the database may take besides what it begins with, in bytes.
    pub(super) most_bytes: u64,
}

/// Why there are no more blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All that were wanted, or that there are, were indexed.
    Done,
    /// The user wanted an end.
    Stopped,
    /// The database is as large as it may be.
    Full,
}

/// What was found.
pub(super) struct Measured {
    pub(super) end: End,
    /// In the order of the blocks; not empty.
    pub(super) timings: Vec<BlockTiming>,
    /// From the start of the indexer to its end.
    pub(super) wall: Duration,
    pub(super) progress: ProgressReport,
    pub(super) fetches: Fetches,
    pub(super) scouts: ScoutReport,
    /// The most scouts that were seen at a time.
    pub(super) most_scouts: usize,
    /// With the counts of this run.
    pub(super) cache: CacheStats,
    /// With the counts of this run; none for an engine that does not tell.
    pub(super) engine: Option<EngineHealth>,
    pub(super) database_bytes: Option<u64>,
    /// Processor time; none where the system does not tell.
    pub(super) cpu: Option<BTreeMap<Group, Duration>>,
    /// Resident memory now, and the most there was.
    pub(super) memory: Option<(u64, u64)>,
}

/// Indexes until all blocks are done, `stop` is requested, or the database is full; `tell` hears
/// from time to time how far it is.
pub(super) fn measure(
    subject: &Subject,
    stop: &Stop,
    tell: impl Fn(&ProgressReport),
) -> Result<Measured> {
    let store = subject.runtime.store();
    let timings = Arc::<Mutex<Vec<BlockTiming>>>::default();
    let node: Arc<dyn Node> = Arc::<Metered>::clone(&subject.node);
    let kept = Arc::clone(&timings);
    let indexer = Indexer::new(subject.runtime.clone(), node, subject.options)
        .with_timings(move |timing| kept.lock().push(timing));
    let progress = indexer.progress();
    let before = Counts::of(subject);
    let (mut threads, since) = (Threads::watch(), Instant::now());
    // Ends the indexer alone: the user may want an end of what follows, too.
    let ending = Stop::new();
    let running = Running::start(indexer, ending.clone())?;
    // A fork shares what it begins with.
    let shared = store.disk_bytes().unwrap_or_default();
    let (mut most_scouts, mut is_full, mut looked) = (0, false, Instant::now());
    let (ended, wall) = loop {
        threads.look();
        most_scouts = most_scouts.max(progress.scouts().count);
        tell(&progress.report());
        if stop.is_requested() {
            ending.request();
        }
        if looked.elapsed() >= DISK_EVERY {
            looked = Instant::now();
            let taken = store.disk_bytes().unwrap_or_default();
            if taken.saturating_sub(shared) > subject.most_bytes {
                is_full = true;
                ending.request();
            }
        }
        let tick = if since.elapsed() < BEGINNING {
            FIRST_TICK
        } else {
            TICK
        };
        if let Some(ended) = running.ended(tick) {
            break (ended, since.elapsed());
        }
    };
    threads.look();
    let end = match ended? {
        IndexEnd::Exit | IndexEnd::Tip => End::Done,
        IndexEnd::Stopped if is_full => End::Full,
        IndexEnd::Stopped => End::Stopped,
    };
    let timings = std::mem::take(&mut *timings.lock());
    anyhow::ensure!(
        !timings.is_empty(),
        "there is nothing to tell: it ended before any block was committed"
    );
    let after = Counts::of(subject);
    Ok(Measured {
        end,
        timings,
        wall,
        progress: progress.report(),
        fetches: after.fetches_since(&before),
        scouts: progress.scouts(),
        most_scouts,
        cache: after.cache_since(&before),
        engine: after.engine_since(&before),
        database_bytes: store.disk_bytes(),
        cpu: threads.spent(),
        memory: process::memory(),
    })
}

/// Counters that began before the run.
struct Counts {
    fetches: Fetches,
    cache: CacheStats,
    engine: Option<EngineHealth>,
}

impl Counts {
    fn of(subject: &Subject) -> Self {
        let store = subject.runtime.store();
        Self {
            fetches: subject.node.fetches(),
            cache: store.cache_stats(),
            engine: store.engine_health(),
        }
    }

    fn fetches_since(&self, before: &Self) -> Fetches {
        let (now, before) = (self.fetches, before.fetches);
        Fetches {
            blocks: now.blocks - before.blocks,
            bytes: now.bytes - before.bytes,
            fetching: now.fetching.saturating_sub(before.fetching),
            checking: now.checking.saturating_sub(before.checking),
        }
    }

    fn cache_since(&self, before: &Self) -> CacheStats {
        CacheStats {
            hits: self.cache.hits.saturating_sub(before.cache.hits),
            misses: self.cache.misses.saturating_sub(before.cache.misses),
            ..self.cache
        }
    }

    fn engine_since(&self, before: &Self) -> Option<EngineHealth> {
        let now = self.engine?;
        let before = before.engine.unwrap_or_default();
        Some(EngineHealth {
            resident_hits: now.resident_hits.saturating_sub(before.resident_hits),
            cache_hits: now.cache_hits.saturating_sub(before.cache_hits),
            cache_misses: now.cache_misses.saturating_sub(before.cache_misses),
            stalls: now.stalls - before.stalls,
            stalled: now.stalled.saturating_sub(before.stalled),
            logged_bytes: now.logged_bytes - before.logged_bytes,
            syncs: now.syncs - before.syncs,
            sync_time: now.sync_time.saturating_sub(before.sync_time),
            flushes: now.flushes - before.flushes,
            compactions: now.compactions - before.compactions,
            written_bytes: now.written_bytes - before.written_bytes,
            failures: now.failures - before.failures,
            ..now
        })
    }
}

#[cfg(test)]
mod tests {
    use metashrew_runtime::{PreparedGuest, RuntimeOptions};
    use metashrew_store::{MemoryBackend, Store};
    use metashrew_sync::{BlockFiles, ScoutCount};
    use metashrew_testing::chain::{Chain, Shape};
    use metashrew_testing::delayed::Delayed;
    use metashrew_testing::frames::{REGTEST_MAGIC, frames};
    use metashrew_testing::guests;

    use super::*;
    use crate::command::bench::advice;
    use crate::command::bench::figures::{Figures, Guest, Machine, Origin, number};

    /// What each read of the engine takes at least.
    const DELAY: Duration = Duration::from_millis(3);

    #[test]
    fn a_store_that_is_slow_shows_in_reads_and_in_advice() {
        let mut chain = Chain::new(3).shape(Shape::Transactions(1));
        chain.mine(30);
        let file = tempfile::NamedTempFile::new().unwrap();
        let blocks = chain.blocks().iter().map(|block| block.bytes.as_slice());
        std::fs::write(file.path(), frames(REGTEST_MAGIC, blocks)).unwrap();
        let slow = Arc::new(Delayed::blocking(MemoryBackend::default(), DELAY));
        let store = Store::with_backend(slow).unwrap();
        let guest = PreparedGuest::new(&guests::chained(), RuntimeOptions::default()).unwrap();
        let subject = Subject {
            runtime: guest.over(store).unwrap(),
            node: Arc::new(Metered::new(Arc::new(
                BlockFiles::open(file.path(), None).unwrap(),
            ))),
            options: IndexOptions {
                scouts: ScoutCount::Exactly(0),
                // Each block reads what the one before it has committed.
                max_uncommitted_blocks: 1,
                ..IndexOptions::default()
            },
            most_bytes: u64::MAX,
        };
        let measured = measure(&subject, &Stop::new(), |_| {}).unwrap();
        assert_eq!((measured.end, measured.timings.len()), (End::Done, 30));
        let reads: u64 = measured
            .timings
            .iter()
            .map(|timing| timing.reads.count)
            .sum();
        assert_eq!(measured.fetches.blocks, 30);
        let (guest, machine) = (Guest::default(), Machine::default());
        let mut figures = Figures::of(&measured, None, guest, machine, Origin::default());
        assert_eq!(figures.reads.count, reads);
        assert!(figures.engine.is_none());
        let thread = &figures.executing_thread;
        assert!(
            (thread.seconds() - figures.rates.seconds).abs() < 1e-6,
            "{thread:?}"
        );
        // The first block stands on nothing: no engine is asked.
        let slow = number(reads - 1) * DELAY.as_secs_f64();
        assert!(reads > 1 && thread.reads_seconds >= slow, "{figures:?}");
        // What is said of it, if nothing else had taken any time.
        figures.rates.seconds = thread.reads_seconds;
        let told = advice::of(&figures);
        assert!(
            told.iter()
                .any(|advice| advice.text.starts_with("reads are 100%")),
            "{told:?}"
        );
    }
}
