//! How an engine is doing, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How an engine on disk is doing. Counts are since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EngineHealth {
    /// Reads that recent writes answered, without a look at any table.
    pub resident_hits: u64,
    /// Blocks of tables that were found in the cache of blocks.
    pub cache_hits: u64,
    /// Blocks of tables that were read from files.
    pub cache_misses: u64,
    /// The memory that recent writes take, in bytes, whether in tables already or not.
    pub resident_bytes: u64,
    /// The part of it that is not in tables yet.
    pub dirty_bytes: u64,
    /// The log, in bytes: what is read again after a kill.
    pub log_bytes: u64,
    /// Batches that are visible and that a power cut would take.
    pub batches_not_durable: u64,
    /// The tables, in bytes.
    pub table_bytes: u64,
    /// The memory that open tables take, in bytes, beside the blocks that are cached: the top
    /// parts of their filters and indexes. Recent writes have so much less.
    pub table_memory_bytes: u64,
    /// Runs of tables, of the key space that has most, that no compaction has merged yet.
    /// Each makes reads slower.
    pub new_runs: u64,
    /// The bytes of tables that stand above the level where they belong.
    pub compaction_debt_bytes: u64,
    /// How long the oldest view that somebody holds has not been one of the last batch any
    /// more; zero if there is no such view.
    pub oldest_view: Duration,
    /// What only such views keep: tables that were merged since, and memory of recent writes.
    pub pinned_bytes: u64,
    /// Commits that had to wait for tables to be written.
    pub stalls: u64,
    /// How long they waited, together.
    pub stalled: Duration,
    /// What batches took in the log, in bytes.
    pub logged_bytes: u64,
    /// How often batches were made durable.
    pub syncs: u64,
    /// How long that took, together.
    pub sync_time: Duration,
    /// How often recent writes were written out as tables.
    pub flushes: u64,
    /// How often tables were merged or moved.
    pub compactions: u64,
    /// What flushes and compactions wrote, in bytes.
    pub written_bytes: u64,
    /// Flushes and compactions that failed, and will be tried again.
    pub failures: u64,
}

/// The counts among them.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) stalls: AtomicU64,
    stalled_micros: AtomicU64,
    pub(super) logged_bytes: AtomicU64,
    syncs: AtomicU64,
    sync_micros: AtomicU64,
    pub(super) flushes: AtomicU64,
    pub(super) compactions: AtomicU64,
    pub(super) written_bytes: AtomicU64,
    pub(super) failures: AtomicU64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, more: u64) {
        counter.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn add_stall(&self, waited: Duration) {
        Self::add(&self.stalls, 1);
        Self::add(&self.stalled_micros, micros(waited));
    }

    pub(super) fn add_sync(&self, took: Duration) {
        Self::add(&self.syncs, 1);
        Self::add(&self.sync_micros, micros(took));
    }

    pub(super) fn read_into(&self, health: &mut EngineHealth) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        health.stalls = read(&self.stalls);
        health.stalled = Duration::from_micros(read(&self.stalled_micros));
        health.logged_bytes = read(&self.logged_bytes);
        health.syncs = read(&self.syncs);
        health.sync_time = Duration::from_micros(read(&self.sync_micros));
        health.flushes = read(&self.flushes);
        health.compactions = read(&self.compactions);
        health.written_bytes = read(&self.written_bytes);
        health.failures = read(&self.failures);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
