//! The tables of one tree at one moment. Whoever holds them can read them: lsm-tree
//! removes a table's file when the last holder lets go.

use std::ops::{Bound, Range};
use std::sync::Arc;

use bytes::Bytes;
use lsm_tree::{AbstractTree, AnyTree, InternalValue, SeqNo, Slice, Table};

use super::Direction;
use super::tree_key::TreeKey;

/// Of a key only its newest entry is kept, and the tables of one moment are all of that
/// moment: so reads ask for the newest.
const NEWEST: SeqNo = SeqNo::MAX;

/// How much larger each level may be than the one above, and how large the highest may be.
pub(super) const LEVEL_RATIO: u64 = 10;
pub(super) const LEVEL_BASE_BYTES: u64 = 256 << 20;

/// What an open table takes in memory, in bytes, beside parts of its index and filter: what it
/// says of itself, with its first and last key. Counted by an allocator, keys being short.
const TABLE_BYTES: u64 = 2_300;

/// A tree's tables, newest first.
#[derive(Default)]
pub(super) struct Tables {
    runs: Box<[TableRun]>,
    /// How many runs at the front are as they were flushed.
    pub(super) flushed_runs: usize,
    /// The bytes of all tables by level.
    pub(super) level_bytes: Vec<u64>,
    /// The memory that the tables take for as long as they are open.
    pub(super) memory: u64,
}

/// Tables that follow each other in key order.
struct TableRun(Box<[Table]>);

/// What a key was last set to.
pub(super) enum Stored {
    Value(Slice),
    Deleted,
}

impl Stored {
    pub(super) fn value(self) -> Option<Slice> {
        match self {
            Self::Value(value) => Some(value),
            Self::Deleted => None,
        }
    }
}

/// An entry's stored key, and its value unless it was deleted.
pub(super) type Found = (Bytes, Option<Bytes>);

impl Tables {
    /// The tables of `tree` now.
    pub(super) fn of(tree: &AnyTree) -> Self {
        let version = tree.current_version();
        let mut runs = Vec::new();
        let mut level_bytes = Vec::new();
        for level in version.iter_levels() {
            level_bytes.push(level.size());
            for run in level.iter() {
                runs.push(TableRun(run.iter().cloned().collect()));
            }
        }
        Self {
            runs: runs.into(),
            flushed_runs: version.l0().run_count(),
            level_bytes,
            memory: version.iter_tables().map(memory).sum(),
        }
    }

    /// What the tables hold at a stored key, if they do.
    pub(super) fn get(&self, key: TreeKey<'_>) -> lsm_tree::Result<Option<Stored>> {
        let filter_hash = key.filter_hash();
        for run in &self.runs {
            let Some(table) = run.table_of(key.bytes) else {
                continue;
            };
            if let Some(found) = table.get(key.bytes, NEWEST, filter_hash)? {
                return Ok(Some(if found.is_tombstone() {
                    Stored::Deleted
                } else {
                    Stored::Value(found.value)
                }));
            }
        }
        Ok(None)
    }

    /// The entries of each run from `start` to `end`, both stored keys.
    pub(super) fn scan(
        tables: &Arc<Self>,
        start: &Bound<Slice>,
        end: &Bound<Slice>,
        direction: Direction,
    ) -> impl Iterator<Item = TableScan> {
        let runs = tables.runs.iter().enumerate();
        runs.filter_map(move |(run, of)| {
            let positions = of.overlapping(start, end);
            (!positions.is_empty()).then(|| TableScan {
                tables: Arc::clone(tables),
                run,
                positions,
                direction,
                bounds: (start.clone(), end.clone()),
                current: Box::new(std::iter::empty()),
            })
        })
    }

    /// The tables' numbers, by which their files are named, and their bytes.
    pub(super) fn sizes(&self) -> impl Iterator<Item = (u64, u64)> {
        let tables = self.runs.iter().flat_map(|run| &run.0);
        tables.map(|table| (table.id(), table.metadata.file_size))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.level_bytes.iter().sum()
    }

    /// The bytes that stand above the level where they belong: all that is new, and of each
    /// level but the last what a tenth of the next one does not cover.
    pub(super) fn debt(&self) -> u64 {
        let Some((new, levels)) = self.level_bytes.split_first() else {
            return 0;
        };
        let above = levels.windows(2).map(|pair| match pair {
            [upper, lower] => upper.saturating_sub((lower / LEVEL_RATIO).max(LEVEL_BASE_BYTES)),
            _ => 0,
        });
        new + above.sum::<u64>()
    }
}

impl TableRun {
    fn table_of(&self, key: &[u8]) -> Option<&Table> {
        let table = self.0.get(self.0.partition_point(|it| max(it) < key))?;
        (min(table) <= key).then_some(table)
    }

    fn overlapping(&self, start: &Bound<Slice>, end: &Bound<Slice>) -> Range<usize> {
        let first = match start {
            Bound::Included(start) => self.0.partition_point(|it| max(it) < &**start),
            Bound::Excluded(start) => self.0.partition_point(|it| max(it) <= &**start),
            Bound::Unbounded => 0,
        };
        let last = match end {
            Bound::Included(end) => self.0.partition_point(|it| min(it) <= &**end),
            Bound::Excluded(end) => self.0.partition_point(|it| min(it) < &**end),
            Bound::Unbounded => self.0.len(),
        };
        first..last.max(first)
    }
}

/// What a table keeps in memory: the top parts of its index and filter, or all of them where
/// it was written in one piece.
fn memory(table: &Table) -> u64 {
    let index = table.pinned_block_index_size() + table.pinned_filter_size();
    let top = table.regions.filter_tli.map_or(0, |part| part.size());
    TABLE_BYTES + index as u64 + u64::from(top)
}

fn min(table: &Table) -> &[u8] {
    table.metadata.key_range.min()
}

fn max(table: &Table) -> &[u8] {
    table.metadata.key_range.max()
}

/// A walk over one run. It holds all tables that it was made from.
pub(super) struct TableScan {
    tables: Arc<Tables>,
    run: usize,
    positions: Range<usize>,
    direction: Direction,
    bounds: (Bound<Slice>, Bound<Slice>),
    current: Box<dyn Iterator<Item = lsm_tree::Result<InternalValue>> + Send>,
}

impl Iterator for TableScan {
    type Item = lsm_tree::Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.current.next() {
                return Some(entry.map(|entry| {
                    let value = (!entry.is_tombstone()).then(|| entry.value.into());
                    (entry.key.user_key.into(), value)
                }));
            }
            let position = match self.direction {
                Direction::Forward => self.positions.next()?,
                Direction::Back => self.positions.next_back()?,
            };
            let table = self.tables.runs.get(self.run)?.0.get(position)?;
            let entries = table.range(self.bounds.clone());
            self.current = match self.direction {
                Direction::Forward => Box::new(entries),
                Direction::Back => Box::new(entries.rev()),
            };
        }
    }
}
