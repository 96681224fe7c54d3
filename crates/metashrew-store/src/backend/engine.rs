//! The engine while it is open: what it holds, and what its threads and whoever writes
//! tell each other.
//!
//! A batch is appended to the log, becomes a layer, and is visible. A thread of the
//! engine writes layers out into the trees, and when every tree has them, removes the log
//! behind them. So whatever is cut short is done again from the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};

use super::content::Content;
use super::health::{Counters, EngineHealth};
use super::index::Index;
use super::layer::Layer;
use super::log::Log;
use super::settings::Limits;
use super::trees::{Tree, Trees};
use super::{BackendError, Batch, Durability, ErrorKind};

/// A commit waits while a tree has so many runs that are as they were flushed: each makes
/// every read slower.
const MAX_NEW_RUNS: usize = 16;
/// But not longer than this: more of them do no harm but to reads.
const MAX_WAIT_FOR_RUNS: Duration = Duration::from_secs(1);
/// A commit that finds no room in memory fails after this time.
const MAX_WAIT_FOR_ROOM: Duration = Duration::from_mins(1);
/// How long a thread that failed waits before it tries again.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Unflushed layers of one size class are merged when there are so many. It bounds what a
/// scan walks, and how often an entry is copied.
const LAYERS_TO_MERGE: usize = 8;

pub(super) struct Engine {
    pub(super) trees: Trees,
    pub(super) index: Arc<Index>,
    pub(super) counters: Counters,
    limits: Limits,
    content: ArcSwap<Content>,
    /// Held while the content is replaced.
    changing: Mutex<()>,
    log: Log,
    /// Of the log, for those who must not wait for it.
    log_bytes: AtomicU64,
    synced: AtomicU64,
    /// Held while a batch is written.
    writing: Mutex<()>,
    state: Mutex<State>,
    /// Told of what there is to do for the threads.
    work: Condvar,
    /// Told when there is more room.
    room: Condvar,
}

/// What threads and writers tell each other.
#[derive(Debug, Default)]
struct State {
    stopping: bool,
    /// Raised whenever something changed that may be work.
    changes: u64,
    /// How many flushes succeeded or failed.
    attempts: u64,
    /// Why the last flush failed, until one succeeds.
    flush_failure: Option<Failure>,
    /// What is beyond repair while the engine is open.
    fatal: Option<Failure>,
}

/// A failure of a thread, for those who find out about it later.
#[derive(Debug, Clone)]
struct Failure {
    kind: ErrorKind,
    operation: &'static str,
    what: String,
}

impl Failure {
    fn error(&self) -> BackendError {
        BackendError::of_kind(self.kind, self.operation, self.what.clone())
    }
}

impl Engine {
    pub(super) fn new(trees: Trees, log: Log, limits: Limits, content: Content) -> Self {
        let index = Index::default();
        for layer in content.layers.iter().rev() {
            index.add(layer);
        }
        Self {
            trees,
            index: Arc::new(index),
            counters: Counters::default(),
            limits,
            content: ArcSwap::from_pointee(content),
            changing: Mutex::default(),
            log_bytes: AtomicU64::new(log.bytes()),
            synced: AtomicU64::new(log.synced()),
            log,
            writing: Mutex::default(),
            // So that the threads look once, whatever is left of an earlier run.
            state: Mutex::new(State {
                changes: 1,
                ..State::default()
            }),
            work: Condvar::new(),
            room: Condvar::new(),
        }
    }

    pub(super) fn content(&self) -> Arc<Content> {
        self.content.load_full()
    }

    /// Replaces the content by what `change` makes of it.
    fn change(&self, change: impl FnOnce(&mut Content)) {
        let _changing = self.changing.lock();
        let mut content = Content::clone(&self.content.load());
        change(&mut content);
        self.content.store(Arc::new(content));
    }

    /// Makes `batch` the next one, and returns its number. After an error it is not visible.
    pub(super) fn write(&self, batch: &Batch) -> Result<u64, BackendError> {
        self.wait_for_room()?;
        let writing = self.writing.lock();
        let number = self.content.load().number + 1;
        let layer = Arc::new(Layer::of_batch(number, batch));
        self.log.append(number, batch, Durability::Buffered)?;
        self.note_log();
        self.index.add(&layer);
        self.change(|content| {
            content.number = number;
            content.layers.insert(0, layer);
        });
        drop(writing);
        self.tell_of_work();
        Ok(number)
    }

    /// The last batch that survives a power cut.
    pub(super) fn durable(&self) -> u64 {
        self.synced.load(Ordering::Relaxed)
    }

    /// Makes all batches durable that are there.
    pub(super) fn sync(&self) -> Result<(), BackendError> {
        self.log.sync()?;
        self.note_log();
        Ok(())
    }

    /// Waits, for a bounded time, until the threads have made room for another batch.
    fn wait_for_room(&self) -> Result<(), BackendError> {
        let started = now();
        let mut state = self.state.lock();
        let attempts = state.attempts;
        let mut waited = false;
        let outcome = loop {
            if let Some(fatal) = &state.fatal {
                break Err(fatal.error());
            }
            let content = self.content.load();
            let is_full = content.dirty_bytes() >= self.limits.max_dirty;
            if let Some(failure) = state.flush_failure.as_ref().filter(|_| is_full) {
                // The machine may be well again: it has been tried since.
                if state.attempts > attempts {
                    break Err(failure.error());
                }
                state.changes += 1;
                self.work.notify_all();
            }
            let is_behind = content.new_runs() >= MAX_NEW_RUNS;
            let elapsed = started.elapsed();
            if !is_full && (!is_behind || elapsed >= MAX_WAIT_FOR_RUNS) {
                break Ok(());
            }
            if elapsed >= MAX_WAIT_FOR_ROOM {
                break Err(BackendError::of_kind(
                    ErrorKind::Machine,
                    "waiting for the engine to write out",
                    format!("it made no room in {MAX_WAIT_FOR_ROOM:?}: the disk is too slow"),
                ));
            }
            waited = true;
            let limit = if is_full {
                MAX_WAIT_FOR_ROOM
            } else {
                MAX_WAIT_FOR_RUNS
            };
            self.room
                .wait_for(&mut state, limit.saturating_sub(elapsed));
        };
        drop(state);
        if waited {
            self.counters.add_stall(started.elapsed());
        }
        outcome
    }

    /// One step of what the layers need: to be written out, merged or let go. Returns
    /// whether there was anything to do.
    pub(super) fn tend_layers(&self, flush_all: bool) -> Result<bool, BackendError> {
        let content = self.content();
        let dirty = content.dirty_bytes();
        if dirty >= self.limits.flush_at || (flush_all && dirty > 0) {
            self.flush()?;
            return Ok(true);
        }
        Ok(self.merge_layers(&content) || self.evict(&content))
    }

    /// Writes all layers out that are not in tables, and removes the log behind them.
    fn flush(&self) -> Result<(), BackendError> {
        let content = {
            // Nobody writes: what is in the segments before is what is flushed.
            let _writing = self.writing.lock();
            self.log.rotate()?;
            self.content()
        };
        // Or after a power cut some trees might hold what the log does not.
        self.sync()?;
        let Some(newest) = content.dirty().first() else {
            return Ok(());
        };
        let number = newest.last;
        let layer = match content.dirty() {
            [one] => Arc::clone(one),
            several => self.replace(several),
        };
        for tree in self.trees.all() {
            let bytes = tree
                .write_out(layer.run(tree.space), number)
                .map_err(|error| failed(tree, "writing out recent writes", error))?;
            Counters::add(&self.counters.written_bytes, bytes);
        }
        let tables = self.trees.tables();
        self.change(|content| {
            content.flushed = number;
            content.tables = tables;
            for it in &mut content.layers {
                if it.last == number {
                    *it = Arc::new(it.of_hashed());
                }
            }
        });
        Counters::add(&self.counters.flushes, 1);
        self.tell_of_room();
        // It holds nothing any more that the trees do not.
        self.log.remove_through(number)?;
        self.note_log();
        Ok(())
    }

    fn note_log(&self) {
        self.log_bytes.store(self.log.bytes(), Ordering::Relaxed);
        self.synced.store(self.log.synced(), Ordering::Relaxed);
    }

    /// Merges layers of one size class, if there are many.
    fn merge_layers(&self, content: &Content) -> bool {
        let class = |layer: &Layer| layer.batches().ilog(LAYERS_TO_MERGE as u64);
        let mut classes = content
            .dirty()
            .chunk_by(|left, right| class(left) == class(right));
        let Some(several) = classes.find(|layers| layers.len() >= LAYERS_TO_MERGE) else {
            return false;
        };
        // The oldest, which those of the next class follow.
        let start = several.len() - LAYERS_TO_MERGE;
        self.replace(several.get(start..).unwrap_or_default());
        true
    }

    /// Puts one layer in the place of several.
    fn replace(&self, several: &[Arc<Layer>]) -> Arc<Layer> {
        let merged = Arc::new(Layer::merge(several));
        let is_among = |it: &Layer| merged.first <= it.first && it.last <= merged.last;
        self.change(|content| {
            let at = content.layers.partition_point(|it| it.first > merged.last);
            content.layers.retain(|it| !is_among(it));
            content.layers.insert(at, Arc::clone(&merged));
        });
        merged
    }

    /// Lets go of the oldest layer, if the layers take too much and it is in tables.
    fn evict(&self, content: &Content) -> bool {
        let is_flushed = |layer: &&Arc<Layer>| layer.last <= content.flushed;
        let Some(oldest) = content.layers.last().filter(is_flushed) else {
            return false;
        };
        if content.resident_bytes() <= self.limits.resident {
            return false;
        }
        self.change(|content| {
            content.layers.pop();
        });
        self.index.remove(oldest);
        true
    }

    /// Does one compaction in a tree, if one is due there.
    pub(super) fn compact(&self, tree: &Tree) -> Result<bool, BackendError> {
        let written = tree
            .compact()
            .map_err(|error| failed(tree, "merging tables", error))?;
        let Some(bytes) = written else {
            return Ok(false);
        };
        Counters::add(&self.counters.written_bytes, bytes);
        Counters::add(&self.counters.compactions, 1);
        self.change(|content| {
            if let Some(tables) = content.tables.get_mut(tree.space as usize) {
                *tables = tree.tables();
            }
        });
        self.tell_of_room();
        Ok(true)
    }

    /// Waits until something changed since `seen`; returns what to pass next time, or
    /// none if the engine is being closed.
    pub(super) fn wait_for_work(&self, seen: u64, timeout: Option<Duration>) -> Option<u64> {
        let mut state = self.state.lock();
        while !state.stopping && state.changes == seen {
            match timeout {
                Some(timeout) => {
                    if self.work.wait_for(&mut state, timeout).timed_out() {
                        break;
                    }
                }
                None => self.work.wait(&mut state),
            }
        }
        (!state.stopping).then_some(state.changes)
    }

    pub(super) fn tell_of_work(&self) {
        self.state.lock().changes += 1;
        self.work.notify_all();
    }

    fn tell_of_room(&self) {
        self.tell_of_work();
        self.room.notify_all();
    }

    pub(super) fn stop(&self) {
        self.trees.stop_compactions();
        self.state.lock().stopping = true;
        self.work.notify_all();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.state.lock().stopping
    }

    /// Notes that a flush succeeded.
    pub(super) fn flush_succeeded(&self) {
        let mut state = self.state.lock();
        if state.flush_failure.take().is_some() {
            state.attempts += 1;
            self.room.notify_all();
        }
    }

    /// Notes that a thread's work failed. Returns after which time to try again; what is
    /// damaged is not tried again.
    pub(super) fn failed(&self, error: &BackendError, is_flush: bool) -> Option<Duration> {
        Counters::add(&self.counters.failures, 1);
        tracing::warn!(error = %chain(error), "the engine failed");
        let failure = Failure {
            kind: error.kind,
            operation: error.operation,
            what: chain(&*error.source),
        };
        let mut state = self.state.lock();
        let is_fatal = !error.is_transient();
        if is_fatal {
            state.fatal = Some(failure);
        } else if is_flush {
            state.flush_failure = Some(failure);
            state.attempts += 1;
        }
        drop(state);
        self.room.notify_all();
        (!is_fatal).then_some(RETRY_AFTER)
    }

    /// Notes that a thread ended by a panic: nothing is written out any more.
    pub(super) fn died(&self, what: &str) {
        self.state.lock().fatal = Some(Failure {
            kind: ErrorKind::Machine,
            operation: "writing to the database",
            what: format!("a thread of the engine panicked: {what}; restart the program"),
        });
        self.room.notify_all();
    }

    pub(super) fn health(&self) -> EngineHealth {
        let content = self.content.load();
        let (cache_hits, cache_misses) = self.trees.cache_hits_and_misses();
        let mut health = EngineHealth {
            cache_hits,
            cache_misses,
            resident_bytes: content.resident_bytes(),
            dirty_bytes: content.dirty_bytes(),
            log_bytes: self.log_bytes.load(Ordering::Relaxed),
            batches_not_durable: content.number.saturating_sub(self.durable()),
            resident_hits: self.index.hits(),
            table_bytes: content.tables.iter().map(|it| it.bytes()).sum(),
            new_runs: content.new_runs() as u64,
            compaction_debt_bytes: content.tables.iter().map(|it| it.debt()).sum(),
            ..EngineHealth::default()
        };
        self.counters.read_into(&mut health);
        health
    }
}

fn failed(tree: &Tree, operation: &'static str, error: lsm_tree::Error) -> BackendError {
    let kind = ErrorKind::of(&error);
    if kind == ErrorKind::Machine
        && let Err(error) = tree.remove_unfinished()
    {
        tracing::debug!(%error, space = tree.space.name(), "cannot remove unfinished tables yet");
    }
    BackendError::of_kind(kind, operation, error)
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a commit waits for room, which no state depends on"
)]
fn now() -> Instant {
    Instant::now()
}
