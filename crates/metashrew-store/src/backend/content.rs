//! What the engine holds at one moment: the layers, and below them the trees' tables.
//! It never changes and owns what it names, so a view of it stays as it was.

use std::fmt;
use std::fs::File;
use std::ops::Bound;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use lsm_tree::Slice;
use tempfile::TempDir;

use super::index::Index;
use super::layer::{Change, Layer};
use super::memory::is_empty;
use super::scan::{LayerScan, MergedScan, Source};
use super::tables::{Stored, Tables};
use super::tree_key::{ENTRY_TAG, TreeKey, is_hashed, tagged};
use super::{BackendError, BatchNumber, Direction, Read, Scan, Space, View};

/// The tables of every tree.
pub(super) type AllTables = [Arc<Tables>; Space::ALL.len()];

#[derive(Clone)]
pub(super) struct Content {
    /// The number of the last batch.
    pub(super) number: u64,
    /// The batches up to this one are in the tables.
    pub(super) flushed: u64,
    /// Without a gap up to `number`, newest first; those that are flushed stay as long
    /// as there is room.
    pub(super) layers: Vec<Arc<Layer>>,
    pub(super) tables: AllTables,
}

impl Content {
    pub(super) fn tables(&self, space: Space) -> &Arc<Tables> {
        self.tables
            .get(space as usize)
            .expect("there are tables for every space")
    }

    /// The layers that are not in the tables, newest first.
    pub(super) fn dirty(&self) -> &[Arc<Layer>] {
        let count = self.layers.partition_point(|it| it.last > self.flushed);
        self.layers.get(..count).unwrap_or_default()
    }

    pub(super) fn dirty_bytes(&self) -> u64 {
        self.dirty().iter().map(|layer| layer.size()).sum()
    }

    pub(super) fn resident_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.size()).sum()
    }

    /// The memory that tables take for as long as they are open.
    pub(super) fn table_memory(&self) -> u64 {
        self.tables.iter().map(|tables| tables.memory).sum()
    }

    /// How many runs the tree has that has most of those which no compaction merged yet.
    pub(super) fn new_runs(&self) -> usize {
        let runs = self.tables.iter().map(|tables| tables.flushed_runs);
        runs.max().unwrap_or_default()
    }

    fn find_in_layers(&self, index: &Index, space: Space, key: TreeKey<'_>) -> Option<Change<'_>> {
        if is_hashed(space) {
            match index.newest(space, key.hash) {
                // It is in none, unless one was evicted that these tables lack.
                None if index.evicted() <= self.flushed => return None,
                Some(batch) if batch <= self.number => {
                    let layer = self
                        .layers
                        .get(self.layers.partition_point(|it| it.first > batch))?;
                    // Otherwise another key with the same hash was meant.
                    if let Some(found) = layer.run(space).find(key) {
                        return Some(found);
                    }
                }
                _ => {}
            }
        }
        self.layers
            .iter()
            .find_map(|layer| layer.run(space).find(key))
    }
}

/// The content after one batch, being read.
pub(super) struct ContentView {
    number: u64,
    // Dropped in this order: the lock is let go when the tables are.
    /// Replaced by others of the same batch.
    pub(super) content: ArcSwap<Content>,
    index: Arc<Index>,
    hold: Arc<Hold>,
}

/// What whoever reads tables holds on to, to be let go after them.
#[derive(Debug)]
pub(super) struct Hold {
    /// The temporary directory that they are read in, if they are.
    pub(super) _directory: Option<TempDir>,
    pub(super) lock: Option<File>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Closing would do, unless a process that was just started has it open too: until
        // it runs its own program.
        if let Some(lock) = &self.lock {
            lock.unlock().ok();
        }
    }
}

impl ContentView {
    pub(super) fn new(content: Arc<Content>, index: Arc<Index>, hold: Arc<Hold>) -> Self {
        Self {
            number: content.number,
            content: ArcSwap::new(content),
            index,
            hold,
        }
    }

    fn find(&self, space: Space, key: TreeKey<'_>) -> Result<Option<Bytes>, BackendError> {
        let content = self.content.load();
        if let Some(change) = content.find_in_layers(&self.index, space, key) {
            self.index.count_hit(key.hash);
            return Ok(change.map(Bytes::copy_from_slice));
        }
        let found = content
            .tables(space)
            .get(key)
            .map_err(|error| BackendError::new("reading a key", error))?;
        Ok(found.and_then(Stored::value).map(Bytes::from))
    }
}

impl View for ContentView {
    fn batch(&self) -> BatchNumber {
        BatchNumber(self.number)
    }

    fn get<'a>(&'a self, space: Space, key: &'a [u8]) -> Read<'a, Option<Bytes>> {
        Read::Ready(TreeKey::with(key, |key| self.find(space, key)))
    }

    fn scan(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        self.walk(space, (start, end), Direction::Forward)
    }

    fn scan_back(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        self.walk(space, (start, end), Direction::Back)
    }
}

impl ContentView {
    fn walk(
        &self,
        space: Space,
        (start, end): (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
    ) -> Scan {
        let start = match start {
            Bound::Unbounded => Bound::Included(Bytes::from_static(&[ENTRY_TAG])),
            bound => bound.map(tagged),
        };
        let end = end.map(tagged);
        if is_empty(&start, &end) {
            return Scan::new(std::iter::empty());
        }
        let content = self.content.load();
        let layers = content.layers.iter().filter_map(|layer| {
            LayerScan::new(Arc::clone(layer), space, (&start, &end), direction).map(Source::Layer)
        });
        let (first, last) = (start.clone().map(Slice::from), end.clone().map(Slice::from));
        let tables = Tables::scan(content.tables(space), &first, &last, direction);
        Scan::new(MergedScan::new(
            layers.chain(tables.map(Source::Tables)),
            direction,
            Arc::clone(&self.hold),
        ))
    }
}

impl fmt::Debug for ContentView {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ContentView")
            .field("batch", &self.number)
            .finish_non_exhaustive()
    }
}
