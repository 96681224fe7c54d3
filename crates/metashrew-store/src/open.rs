//! Opening a database: the format gate, and the check that what is stored agrees.

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::backend::{
    Backend, BackendError, Batch, Disk, Durability, MemoryBackend, ReadOnlyDisk, Space, View,
};
use crate::base::Base;
use crate::block::Height;
use crate::chain;
use crate::claim::Claimed;
use crate::error::{OpenError, ReadError};
use crate::format_file;
use crate::identity::Identity;
use crate::keys::{FORMAT, FORMAT_KEY, StoredBlock, corrupt, touched_key};
use crate::store::Store;
use crate::undone::UndoneLimits;
use crate::verify::{tip_disagrees, verify_block};

/// How many blocks below the tip are recomputed on opening, at most.
const CHECKED_BLOCKS: u32 = 6;

/// Further blocks are left out once those recomputed wrote this many keys; of a block that
/// wrote more than this, only so many are looked at.
const CHECKED_KEYS: u64 = 16_384;

/// Of so many blocks below the tip it is made sure that their records follow each other, and
/// that their lists of keys are there. A tree of another moment lacks those of a flush, just
/// below the blocks that are in the log. There are fewer of these where blocks are full: a
/// flush is 256 MiB at most, and twice that is in the log.
const LINKED_BLOCKS: u32 = 256;

/// What to do about a damaged database. A rollback is no help: it relies on the
/// very records that disagree.
pub(crate) const HINT: &str = "restore a copy of the directory, or index again into an empty one";

/// How to open a database on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// The memory for the engine, in bytes: half of it for blocks of tables, their filters and
    /// indexes among them, half for recent writes and for what open tables take. Default:
    /// 128 MiB.
    ///
    /// More makes reads of old keys faster, up to the size of the database.
    pub cache_bytes: u64,
    /// The memory for single values that were read, in bytes; 0 for none. Default:
    /// 64 MiB, some 180,000 short values.
    ///
    /// Reads of keys that are read again and again are answered from it, at every
    /// height, 40 times as fast as from the engine; a first read costs 1 µs more.
    pub read_cache_bytes: u64,
    /// How many files of the database the engine keeps open. Default: a quarter of those
    /// that the process may have, at least 16 and at most 8,192, which is enough for half a
    /// terabyte.
    pub max_open_files: usize,
    /// How many threads the engine compacts with. Default: half as many as there are cores,
    /// at least one and at most four: more get into each other's way.
    pub workers: usize,
    /// What a commit survives when it returns. Default: a power cut.
    ///
    /// With [`Durability::Buffered`] a power cut may cost the last seconds'
    /// blocks: the database then opens at an earlier block, or is refused as damaged.
    pub durability: Durability,
    /// Open a database that lost its last commits although they had been made
    /// durable, as long as what is left is whole. Default: no.
    ///
    /// Such a loss means that the disk or a copy of the directory dropped data.
    pub accept_lost_commits: bool,
    /// How many blocks that rollbacks undid are recorded, so that whoever followed the chain
    /// up to one of them can go on: see [`Snapshot::undone`](crate::Snapshot::undone).
    pub undone: UndoneLimits,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 128 << 20,
            read_cache_bytes: 64 << 20,
            max_open_files: Self::open_files_of(descriptor_limit()),
            workers: default_workers(),
            durability: Durability::Synced,
            accept_lost_commits: false,
            undone: UndoneLimits::default(),
        }
    }
}

/// The part of a cache that is for values that were read, as one in so many; the engine
/// has the rest.
const READ_CACHE_PART: u64 = 3;

impl StoreOptions {
    /// How many files the engine keeps open by default where the process may have so many
    /// descriptors: a part of them, so that connections and the files that a compaction
    /// opens find room beside them.
    pub fn open_files_of(descriptors: Option<u64>) -> usize {
        const PART: usize = 4;
        const LEAST: usize = 16;
        const MOST: usize = 8_192;
        let part = descriptors.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX) / PART
        });
        part.clamp(LEAST, MOST)
    }

    /// Shares out `bytes` of memory between the engine's caches and that of values that
    /// were read.
    #[must_use]
    pub fn with_cache(self, bytes: u64) -> Self {
        let read_cache_bytes = bytes / READ_CACHE_PART;
        Self {
            cache_bytes: bytes - read_cache_bytes,
            read_cache_bytes,
            ..self
        }
    }
}

/// How many descriptors the process may have; none if there is no limit.
fn descriptor_limit() -> Option<u64> {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    return Some(0);
}

fn default_workers() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / 2).clamp(1, 4)
}

impl Store {
    /// Opens the database in the directory `path`; creates it if it is missing.
    ///
    /// One store at a time may have it open. It is let go when the store and all
    /// its snapshots are dropped, or the process ends in whatever way.
    ///
    /// Tip, block records and the history roots of the last few blocks are
    /// checked, which reads at most some tens of thousands of values: of a block that
    /// wrote more than that, not all are read.
    pub fn open(path: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        format_file::read(path)?;
        let disk = Disk::open(path, &options)?;
        // Read again, now that nobody else can write it.
        let recorded = format_file::read(path)?.unwrap_or_default();
        Self::of_directory(path, Arc::new(disk), &options, recorded)
    }

    /// Opens the database in the directory `path`, which must be there.
    pub fn open_existing(path: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        if !Disk::exists(path) {
            return Err(OpenError::NotFound {
                path: path.to_owned(),
            });
        }
        Self::open(path, options)
    }

    /// Opens the database in the directory `path`, which must be there, for reading
    /// only: nothing in it is changed, and it may be on a read-only file system.
    ///
    /// Others may read it at the same time. Opening it for writing is refused
    /// meanwhile, and so is this while somebody writes. Commits and rollbacks fail. Links to
    /// the tables are made in the system's temporary directory.
    pub fn open_read_only(path: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        let not_found = || OpenError::NotFound {
            path: path.to_owned(),
        };
        format_file::read(path)?.ok_or_else(not_found)?;
        let disk = ReadOnlyDisk::open(path, &options)?;
        // Read again, now that nobody else can write it.
        let recorded = format_file::read(path)?.ok_or_else(not_found)?;
        Self::of_directory(path, Arc::new(disk), &options, recorded)
    }

    /// The database in the directory `path`, which `backend` has opened.
    fn of_directory(
        path: &Path,
        backend: Arc<dyn Backend>,
        options: &StoreOptions,
        recorded: Identity,
    ) -> Result<Self, OpenError> {
        let noted = recorded.first_height;
        let path = std::path::absolute(path).map_err(|error| {
            BackendError::new("finding out where the database's directory is", error)
        })?;
        let store = Self::check_and_open(
            backend,
            options.durability,
            options.read_cache_bytes,
            Claimed::of_directory(path, recorded),
        )?;
        // Nobody else has it yet.
        let _ = store.inner.options.set(*options);
        store.set_undone_limits(options.undone);
        if let Some(first) = store.snapshot().first()
            && noted.is_none_or(|noted| noted > first)
        {
            return Err(OpenError::Corrupt {
                what: format!("the file `FORMAT` does not tell of the blocks from {first} on"),
                hint: HINT,
            });
        }
        Ok(store)
    }

    /// An empty store that lives in memory, for tests and small uses.
    pub fn in_memory() -> Self {
        let memory = Arc::new(MemoryBackend::default());
        Self::check_and_open(memory, Durability::Synced, 0, Claimed::default())
            .expect("an empty engine in memory neither fails nor disagrees")
    }

    /// Opens the database that `backend` holds; an empty one is initialised. It is
    /// read without a cache; [`with_backend_and_cache`](Self::with_backend_and_cache)
    /// has one.
    pub fn with_backend(backend: Arc<dyn Backend>) -> Result<Self, OpenError> {
        Self::with_backend_and_cache(backend, 0)
    }

    /// Like [`with_backend`](Self::with_backend), with this much memory for values
    /// that were read, in bytes.
    pub fn with_backend_and_cache(
        backend: Arc<dyn Backend>,
        read_cache_bytes: u64,
    ) -> Result<Self, OpenError> {
        let claimed = Claimed::default();
        Self::check_and_open(backend, Durability::Synced, read_cache_bytes, claimed)
    }

    pub(crate) fn check_and_open(
        backend: Arc<dyn Backend>,
        durability: Durability,
        read_cache_bytes: u64,
        claimed: Claimed,
    ) -> Result<Self, OpenError> {
        let view = backend.view();
        let checked = check_format_and_chain(view.as_ref());
        match checked.inspect_err(|error| backend.abandon(error))? {
            Found::Database => {}
            Found::Nothing => {
                let mut batch = Batch::default();
                batch.put(
                    Space::Meta,
                    Bytes::from_static(FORMAT_KEY),
                    Bytes::copy_from_slice(&FORMAT.to_be_bytes()),
                );
                let written = backend.write(batch)?;
                if durability == Durability::Synced {
                    backend.sync(written).wait()?;
                }
            }
        }
        Ok(Self::over(backend, durability, read_cache_bytes, claimed)?)
    }
}

/// What there is in an engine.
enum Found {
    Nothing,
    Database,
}

fn check_format_and_chain(view: &dyn View) -> Result<Found, OpenError> {
    match format(view)? {
        Some(FORMAT) => {
            check(view)?;
            Ok(Found::Database)
        }
        Some(found) => Err(OpenError::Format {
            found,
            supported: FORMAT,
        }),
        None => {
            check_empty(view, &Space::ALL)?;
            Ok(Found::Nothing)
        }
    }
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Corrupt { what } => Self::Corrupt { what, hint: HINT },
            ReadError::Backend(error) => Self::Backend(error),
        }
    }
}

fn format(view: &dyn View) -> Result<Option<u32>, ReadError> {
    let Some(bytes) = view.get(Space::Meta, FORMAT_KEY).wait()? else {
        return Ok(None);
    };
    let bytes = <[u8; 4]>::try_from(bytes.as_ref())
        .map_err(|_| corrupt("the format version has the wrong length"))?;
    Ok(Some(u32::from_be_bytes(bytes)))
}

/// Checks, with a bounded number of reads, that the chain ends where its tip says
/// and that its last blocks are whole.
pub(crate) fn check(view: &dyn View) -> Result<(), ReadError> {
    let base = chain::base(view)?;
    let Some(tip) = chain::tip(view)? else {
        if base.is_some() {
            return Err(corrupt("there is no tip, but a base"));
        }
        let all_but_meta: Vec<_> = Space::ALL
            .into_iter()
            .filter(|space| *space != Space::Meta)
            .collect();
        return check_empty(view, &all_but_meta);
    };
    let base = base.ok_or_else(|| corrupt("there is a tip, but no base"))?;
    if let Some(below) = base.height.filter(|below| *below >= tip.record.height) {
        return Err(corrupt(format!(
            "the base is block {below}, but the tip block {}",
            tip.record.height
        )));
    }
    if chain::held_block(view, tip.record.height)? != tip {
        return Err(corrupt(tip_disagrees(&tip)));
    }
    if let Some(above) = tip.record.height.checked_add(1) {
        check_nothing_from(view, Space::HeightToBlock, above)?;
        check_nothing_from(view, Space::HeightToKeys, above)?;
    }
    check_last_blocks(view, &base, &tip)
}

fn check_last_blocks(view: &dyn View, base: &Base, tip: &StoredBlock) -> Result<(), ReadError> {
    let mut keys = 0;
    let mut height = tip.record.height;
    for _ in 0..CHECKED_BLOCKS {
        let below = chain::below(view, base, height)?;
        keys += u64::from(verify_block(view, height, &below, CHECKED_KEYS)?.keys);
        let Some(next) = below.height.filter(|_| below != *base) else {
            break;
        };
        if keys + u64::from(chain::held_block(view, next)?.keys) > CHECKED_KEYS {
            break;
        }
        height = next;
    }
    check_linked_blocks(view, base, tip)
}

fn check_linked_blocks(view: &dyn View, base: &Base, tip: &StoredBlock) -> Result<(), ReadError> {
    let mut block = *tip;
    for _ in 0..LINKED_BLOCKS {
        let height = block.record.height;
        let list = touched_key(height, 0);
        if block.keys > 0 && view.get(Space::HeightToKeys, &list).wait()?.is_none() {
            return Err(corrupt(format!(
                "the list of the keys that block {height} wrote is missing"
            )));
        }
        let Some(below) = height.checked_sub(1).filter(|it| Some(*it) != base.height) else {
            break;
        };
        let below = chain::held_block(view, below)?;
        if below.record.hash != block.record.parent {
            return Err(corrupt(format!(
                "block {height} does not build on block {}",
                height - 1
            )));
        }
        block = below;
    }
    Ok(())
}

fn check_nothing_from(view: &dyn View, space: Space, above: Height) -> Result<(), ReadError> {
    let start = above.to_be_bytes();
    match view
        .scan(space, Bound::Included(&start), Bound::Unbounded)
        .next()
    {
        None => Ok(()),
        Some(entry) => {
            entry?;
            Err(corrupt(format!(
                "there are entries above the tip, block {}, in {space:?}",
                above - 1
            )))
        }
    }
}

pub(crate) fn check_empty(view: &dyn View, spaces: &[Space]) -> Result<(), ReadError> {
    for space in spaces {
        if let Some(entry) = view.scan(*space, Bound::Unbounded, Bound::Unbounded).next() {
            entry?;
            return Err(corrupt(format!(
                "there is no tip, but {space:?} holds entries"
            )));
        }
    }
    Ok(())
}
