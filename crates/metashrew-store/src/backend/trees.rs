//! The trees of an open engine, one for each space: writing a layer out into them, and
//! merging their tables.
//!
//! Every entry of a flush has the number of its last batch as its sequence number, so
//! what is newer wins wherever two tables meet. No memtable is used.
//!
//! Trees also hold a record of ours: the last batch that was flushed into them. The two
//! spaces that only grow at their upper end have none: it would lie below all their
//! keys, so that each flush overlapped with every table and had all rewritten. What is
//! missing there the store's check of the last blocks finds.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use lsm_tree::compaction::Leveled;
use lsm_tree::compaction::filter::{CompactionFilter, Context, Factory, ItemAccessor, Verdict};
use lsm_tree::{AbstractTree, AnyTree, InternalValue, SeqNo, Slice, Table, ValueType};
use parking_lot::{Mutex, RwLock};

use super::layer::Run;
use super::settings::{Limits, SharedByTrees};
use super::tables::{Stored, Tables};
use super::tree_key::TreeKey;
use super::{Space, files};

/// The key of our record, below all keys of the store.
pub(super) const RECORD_KEY: [u8; 1] = [0];
/// Views own the tables that they read. So of each key only the newest entry is kept,
/// and of each tree only the newest version.
const KEEP_NEWEST: SeqNo = SeqNo::MAX;

/// All trees of an engine.
pub(super) struct Trees {
    trees: Vec<Tree>,
    stop: Arc<AtomicBool>,
}

/// The tree of one space.
pub(super) struct Tree {
    pub(super) space: Space,
    inner: AnyTree,
    directory: PathBuf,
    /// Held for reading by whoever writes tables.
    writing: RwLock<()>,
    /// All sets of tables that were made, as long as somebody holds them.
    held: Mutex<Vec<Weak<Tables>>>,
    /// The last batch that was written out since the tree was opened.
    flushed: AtomicU64,
}

/// Whether a space's tree has a record of the last batch that was flushed.
pub(super) fn has_record(space: Space) -> bool {
    !matches!(space, Space::HeightToKeys | Space::HeightToBlock)
}

impl Trees {
    /// Opens the trees below `directory`; makes those that are missing.
    pub(super) fn open(directory: &Path, limits: &Limits) -> lsm_tree::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let filter: Arc<dyn Factory> = Arc::new(Stop(Arc::clone(&stop)));
        let shared = SharedByTrees::new(limits, Some(filter));
        let open = |space| {
            let directory = files::tree(directory, space);
            Ok(Tree {
                space,
                inner: shared.config(space, &directory).open()?,
                directory,
                writing: RwLock::default(),
                held: Mutex::default(),
                flushed: AtomicU64::default(),
            })
        };
        Ok(Self {
            trees: Space::ALL
                .into_iter()
                .map(open)
                .collect::<Result<_, lsm_tree::Error>>()?,
            stop,
        })
    }

    pub(super) fn all(&self) -> &[Tree] {
        &self.trees
    }

    /// The tables of every tree as they are now.
    pub(super) fn tables(&self) -> super::content::AllTables {
        let mut trees = self.trees.iter();
        [(); Space::ALL.len()].map(|()| {
            let tree = trees.next().expect("there is a tree for every space");
            tree.tables()
        })
    }

    /// The bytes of tables that the trees do not consist of any more, and that somebody reads.
    pub(super) fn pinned_bytes(&self) -> u64 {
        self.trees.iter().map(Tree::pinned_bytes).sum()
    }

    /// Makes compactions that run end with an error, and new ones too.
    pub(super) fn stop_compactions(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// The blocks that were found in the cache, and those that were not.
    pub(super) fn cache_hits_and_misses(&self) -> (u64, u64) {
        self.trees.iter().fold((0, 0), |(hits, misses), tree| {
            let metrics = tree.inner.metrics();
            (
                hits + metrics.block_load_cached_count() as u64,
                misses + metrics.block_load_io_count() as u64,
            )
        })
    }
}

impl Tree {
    /// Its tables now.
    pub(super) fn tables(&self) -> Arc<Tables> {
        // Before they are looked at: whoever removes tables asks who holds them.
        let mut held = self.held.lock();
        let tables = Arc::new(Tables::of(&self.inner));
        held.retain(|tables| tables.strong_count() > 0);
        held.push(Arc::downgrade(&tables));
        tables
    }

    fn pinned_bytes(&self) -> u64 {
        let current = self.inner.current_version();
        let mut seen: HashSet<_> = current.iter_tables().map(Table::id).collect();
        let held = self.held.lock();
        let sets = held.iter().filter_map(Weak::upgrade);
        let tables = sets.flat_map(|tables| tables.sizes().collect::<Vec<_>>());
        tables
            .filter(|(id, _)| seen.insert(*id))
            .map(|(_, bytes)| bytes)
            .sum()
    }

    /// The last batch that was flushed into it, by its record.
    pub(super) fn recorded(&self) -> lsm_tree::Result<Option<Result<u64, Slice>>> {
        let found = self.tables().get(TreeKey::new(&RECORD_KEY))?;
        Ok(found
            .and_then(Stored::value)
            .map(|value| match <[u8; 8]>::try_from(&*value) {
                Ok(number) => Ok(u64::from_be_bytes(number)),
                Err(_) => Err(value),
            }))
    }

    /// Writes out the changes up to batch `number`: synced, and in the tree's version, when
    /// this returns. Returns the bytes written.
    pub(super) fn write_out(&self, run: &Run, number: u64) -> lsm_tree::Result<u64> {
        if self.flushed.load(Ordering::Relaxed) >= number {
            return Ok(0);
        }
        let bytes = self.write_tables(run, number)?;
        self.flushed.store(number, Ordering::Relaxed);
        Ok(bytes)
    }

    fn write_tables(&self, run: &Run, number: u64) -> lsm_tree::Result<u64> {
        let _writing = self.writing.read();
        let record = has_record(self.space).then(|| {
            entry(
                Slice::from(&RECORD_KEY[..]),
                Some(Slice::from(&number.to_be_bytes()[..])),
                number,
            )
        });
        // Where nothing was written before there is nothing to delete.
        let is_empty = self.inner.table_count() == 0;
        let entries = (0..run.len())
            .filter_map(|position| run.get_shared(position))
            .filter(|(_, value)| value.is_some() || !is_empty)
            .map(|(key, value)| entry(key.into(), value.map(Slice::from), number));
        let mut entries = record.into_iter().chain(entries).map(Ok).peekable();
        if entries.peek().is_none() {
            return Ok(0);
        }
        let Some((tables, blobs)) = self.inner.flush_to_tables(entries)? else {
            return Ok(0);
        };
        self.inner
            .register_tables(&tables, blobs.as_deref(), None, &[], KEEP_NEWEST)?;
        Ok(tables.iter().map(|table| table.metadata.file_size).sum())
    }

    /// Does the compaction that is most due, if one is: the bytes that it wrote.
    pub(super) fn compact(&self) -> lsm_tree::Result<Option<u64>> {
        let _writing = self.writing.read();
        let before = self.inner.current_version();
        self.inner
            .compact(Arc::new(Leveled::default()), KEEP_NEWEST)?;
        let after = self.inner.current_version();
        if after.id() == before.id() {
            return Ok(None);
        }
        let old: HashSet<_> = before.iter_tables().map(Table::id).collect();
        let new = after.iter_tables().filter(|it| !old.contains(&it.id()));
        Ok(Some(new.map(|table| table.metadata.file_size).sum()))
    }

    /// Whether the tree's directory names another version than the tree is at: the last
    /// switch was made there, and failed after that. What it names is whole, but must
    /// neither be removed nor written again.
    pub(super) fn is_behind_its_directory(&self) -> bool {
        let current = fs::read(self.directory.join(files::CURRENT)).unwrap_or_default();
        let number = current
            .first_chunk()
            .map(|bytes| u64::from_le_bytes(*bytes));
        number != Some(self.inner.current_version().id())
    }

    /// Removes tables that a flush or compaction left unfinished when it failed: they are
    /// of no use, and may be what fills the disk. Not while others are being written.
    pub(super) fn remove_unfinished(&self) -> io::Result<()> {
        let Some(_nobody_writes) = self.writing.try_write() else {
            return Ok(());
        };
        let current = self.inner.current_version();
        let mut kept: HashSet<_> = current.iter_tables().map(Table::id).collect();
        for tables in self.held.lock().iter().filter_map(Weak::upgrade) {
            kept.extend(tables.sizes().map(|(id, _)| id));
        }
        for file in fs::read_dir(self.directory.join(files::TABLES))? {
            let file = file?;
            let id = file.file_name().to_str().and_then(|name| name.parse().ok());
            if id.is_some_and(|id: u64| !kept.contains(&id)) {
                fs::remove_file(file.path())?;
            }
        }
        Ok(())
    }
}

fn entry(key: Slice, value: Option<Slice>, number: u64) -> InternalValue {
    let kind = match value {
        Some(_) => ValueType::Value,
        None => ValueType::Tombstone,
    };
    InternalValue::from_components(key, value.unwrap_or_default(), number, kind)
}

/// Keeps every entry, but ends compactions once the engine is to be closed: a large one
/// takes minutes.
struct Stop(Arc<AtomicBool>);

impl Factory for Stop {
    fn name(&self) -> &'static str {
        "stop"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(Self(Arc::clone(&self.0)))
    }
}

impl CompactionFilter for Stop {
    fn filter_item(&mut self, _: ItemAccessor<'_>, _: &Context) -> lsm_tree::Result<Verdict> {
        if self.0.load(Ordering::Relaxed) {
            return Err(io::Error::from(io::ErrorKind::Interrupted).into());
        }
        Ok(Verdict::Keep)
    }
}
