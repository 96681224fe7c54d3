//! The engine while it is open: what it holds, and what its threads and whoever writes
//! tell each other.
//!
//! A batch is appended to the log, becomes a layer, and is visible. A thread of the
//! engine writes layers out into the trees, and when every tree has them, removes the log
//! behind them. So whatever is cut short is done again from the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::content::{Content, ContentView, Hold};
use super::coordination::{self, Coordination};
use super::health::{Counters, EngineHealth};
use super::index::Index;
use super::layer::Layer;
use super::log::Log;
use super::settings::Limits;
use super::trees::{Tree, Trees};
use super::views::Views;
use super::{BackendError, Batch, ErrorKind};

/// A commit waits while a tree has so many runs that are as they were flushed: each makes
/// every read slower.
const MAX_NEW_RUNS: usize = 16;
/// Unflushed layers of one size class are merged when there are so many. It bounds what a
/// scan walks, and how often an entry is copied.
const LAYERS_TO_MERGE: usize = 8;

pub(super) struct Engine {
    pub(super) trees: Trees,
    index: Arc<Index>,
    pub(super) counters: Counters,
    limits: Limits,
    content: ArcSwap<Content>,
    /// Held while the content is replaced.
    changing: Mutex<()>,
    views: Views,
    log: Log,
    /// Of the log, for those who must not wait for it.
    log_bytes: AtomicU64,
    synced: AtomicU64,
    /// The last batch of a flush that has not ended; 0 if there is none.
    unfinished: AtomicU64,
    /// Held while a batch is written.
    writing: Mutex<()>,
    pub(super) threads: Coordination,
}

impl Engine {
    pub(super) fn new(trees: Trees, log: Log, limits: Limits, content: Content) -> Self {
        Self {
            trees,
            index: Arc::new(Index::of(&content.layers)),
            counters: Counters::default(),
            limits,
            content: ArcSwap::from_pointee(content),
            changing: Mutex::default(),
            views: Views::default(),
            log_bytes: AtomicU64::new(log.bytes()),
            synced: AtomicU64::new(log.synced()),
            unfinished: AtomicU64::default(),
            log,
            writing: Mutex::default(),
            threads: Coordination::default(),
        }
    }

    fn content(&self) -> Arc<Content> {
        self.content.load_full()
    }

    /// A view of the last batch, which holds on to `hold`.
    pub(super) fn view(&self, hold: &Arc<Hold>) -> Arc<ContentView> {
        // Or the content might be replaced before the view is known.
        let _changing = self.changing.lock();
        let (index, hold) = (Arc::clone(&self.index), Arc::clone(hold));
        let view = Arc::new(ContentView::new(self.content(), index, hold));
        self.views.add(&view);
        view
    }

    /// Replaces the content by what `change` makes of it.
    fn change(&self, change: impl FnOnce(&mut Content)) {
        let _changing = self.changing.lock();
        let before = self.content();
        let mut content = Content::clone(&before);
        change(&mut content);
        let content = Arc::new(content);
        self.content.store(Arc::clone(&content));
        self.views.follow(&before, &content);
    }

    /// Makes `batch` the next one, and returns its number. After an error it is not visible.
    pub(super) fn write(&self, batch: &Batch) -> Result<u64, BackendError> {
        self.wait_for_room()?;
        let writing = self.writing.lock();
        let number = self.content.load().number + 1;
        let layer = Arc::new(Layer::of_batch(number, batch));
        let logged = self.log.append(number, batch)?;
        Counters::add(&self.counters.logged_bytes, logged);
        self.note_log();
        self.index.add(&layer);
        self.change(|content| {
            content.number = number;
            content.layers.insert(0, layer);
        });
        drop(writing);
        self.threads.tell_of_write();
        Ok(number)
    }

    /// The last batch that survives a power cut.
    pub(super) fn durable(&self) -> u64 {
        self.synced.load(Ordering::Relaxed)
    }

    /// Makes all batches durable that are there.
    pub(super) fn sync(&self) -> Result<(), BackendError> {
        let since = coordination::now();
        self.log.sync()?;
        self.counters.add_sync(since.elapsed());
        self.note_log();
        Ok(())
    }

    /// Waits, for a bounded time, until the threads have made room for another batch.
    fn wait_for_room(&self) -> Result<(), BackendError> {
        let is_full = || self.content.load().dirty_bytes() >= self.limits.max_dirty;
        let is_behind = || self.content.load().new_runs() >= MAX_NEW_RUNS;
        let (waited, outcome) = self.threads.wait_for_room(is_full, is_behind);
        if let Some(waited) = waited {
            self.counters.add_stall(waited);
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
        // One that failed half-way is ended first: trees that have it are not written again.
        let unfinished = self.unfinished.load(Ordering::Relaxed);
        let start = content.dirty().iter().position(|it| it.last == unfinished);
        let dirty = content
            .dirty()
            .get(start.unwrap_or(0)..)
            .unwrap_or_default();
        let layer = match dirty {
            [] => return Ok(()),
            [one] => Arc::clone(one),
            several => self.replace(several),
        };
        // Or what was merged would stay in memory meanwhile.
        drop(content);
        let number = layer.last;
        self.unfinished.store(number, Ordering::Relaxed);
        for tree in self.trees.all() {
            let bytes = tree
                .write_out(layer.run(tree.space), number)
                .map_err(|error| self.failed_at(tree, "writing out recent writes", error))?;
            Counters::add(&self.counters.written_bytes, bytes);
        }
        self.change(|content| {
            content.flushed = number;
            // Looked at in here: a merge that ends meanwhile must not be undone.
            content.tables = self.trees.tables();
            for it in &mut content.layers {
                if it.last == number {
                    *it = Arc::new(it.of_hashed());
                }
            }
        });
        Counters::add(&self.counters.flushes, 1);
        self.threads.tell_of_tables();
        // It holds nothing any more that the trees do not.
        self.log.remove_through(number)?;
        self.note_log();
        Ok(())
    }

    fn note_log(&self) {
        self.log_bytes.store(self.log.bytes(), Ordering::Relaxed);
        self.synced.fetch_max(self.log.synced(), Ordering::Relaxed);
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
        let room = self.limits.for_recent_writes(content.table_memory());
        if content.resident_bytes() <= room {
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
            .map_err(|error| self.failed_at(tree, "merging tables", error))?;
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
        self.threads.tell_of_tables();
        Ok(true)
    }

    /// Ends the threads, once they have written out what there is.
    pub(super) fn stop(&self) {
        self.trees.stop_compactions();
        self.threads.stop();
    }

    /// What to say of work in `tree` that failed, after what it left was removed.
    fn failed_at(
        &self,
        tree: &Tree,
        operation: &'static str,
        error: lsm_tree::Error,
    ) -> BackendError {
        let kind = ErrorKind::of(&error);
        if kind == ErrorKind::Machine {
            if tree.is_behind_its_directory() {
                let name = tree.space.name();
                self.threads.give_up(&format!(
                    "the new tables of {name} may be in place, but {operation} failed: {error}"
                ));
            } else if let Err(error) = tree.remove_unfinished() {
                tracing::debug!(%error, space = tree.space.name(), "cannot remove unfinished tables yet");
            }
        }
        BackendError::of_kind(kind, operation, error)
    }

    /// Notes that a thread's work failed. Returns after which time to try again; what is
    /// damaged is not tried again.
    pub(super) fn failed(&self, error: &BackendError, is_flush: bool) -> Option<Duration> {
        Counters::add(&self.counters.failures, 1);
        self.threads.failed(error, is_flush)
    }

    pub(super) fn health(&self) -> EngineHealth {
        let content = self.content.load();
        let (cache_hits, cache_misses) = self.trees.cache_hits_and_misses();
        let pinned = self.views.pinned(&content);
        let mut health = EngineHealth {
            cache_hits,
            cache_misses,
            resident_bytes: content.resident_bytes(),
            dirty_bytes: content.dirty_bytes(),
            log_bytes: self.log_bytes.load(Ordering::Relaxed),
            batches_not_durable: content.number.saturating_sub(self.durable()),
            resident_hits: self.index.hits(),
            table_bytes: content.tables.iter().map(|it| it.bytes()).sum(),
            table_memory_bytes: content.table_memory(),
            new_runs: content.new_runs() as u64,
            compaction_debt_bytes: content.tables.iter().map(|it| it.debt()).sum(),
            oldest_view: pinned.oldest,
            pinned_bytes: pinned.layer_bytes + self.trees.pinned_bytes(),
            ..EngineHealth::default()
        };
        self.counters.read_into(&mut health);
        health
    }
}

#[cfg(test)]
mod tests;
