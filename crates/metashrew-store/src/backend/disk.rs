//! The engine on disk: fjall, an LSM tree in Rust.
//!
//! Every key is stored behind one tag byte, so that the empty key is legal and
//! each key space has room for a record of ours: its *stamp*, the number of the
//! last batch. A batch writes all stamps, so key spaces that recovery left at
//! different batches are told by their stamps.

use std::fmt;
use std::fs::{self, File};
use std::ops::Bound;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use fjall::config::{FilterPolicy, HashRatioPolicy, PinningPolicy};
use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable, Slice,
};
use parking_lot::Mutex;

use super::durable::DurableRecord;
use super::journals::{self, SealedJournals};
use super::{Backend, BackendError, Batch, Durability, Scan, Space, View};
use crate::error::OpenError;
use crate::format_file;
use crate::open::{HINT, StoreOptions};

/// The directory of the engine, below the database's.
const ENGINE: &str = "engine";
/// Where a new engine is made, to be renamed once it is whole.
const UNFINISHED: &str = "engine.new";
const LOCK: &str = "lock";
const STAMP_KEY: [u8; 1] = [0];
const ENTRY_TAG: u8 = 1;
/// A key below this length is read without an allocation.
const SHORT_KEY_LEN: usize = 128;
/// Journals beyond this are got rid of by writing out the small key spaces whose
/// records they hold; opening replays what journals there are.
const MAX_JOURNAL_BYTES: u64 = 128 << 20;
/// One in how many of the process's file descriptors the engine may keep.
const FILES_SHARE: usize = 4;
const MIN_CACHED_FILES: usize = 16;
/// Enough for half a terabyte of tables of 64 MiB.
const MAX_CACHED_FILES: usize = 8_192;
/// Slots of the hash index in each data block of newest versions, by entry.
const HASHES_PER_ENTRY: f32 = 1.33;

/// The number of the last batch, which every key space carries.
type Stamp = u64;

/// The on-disk engine.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    engine: Arc<Engine>,
    writer: Mutex<Writer>,
}

/// What the engine and every view of it hold on to.
struct Engine {
    // Dropped in this order: the lock is let go when the files are.
    spaces: [Keyspace; Space::ALL.len()],
    database: Database,
    _lock: File,
}

#[derive(Debug)]
struct Writer {
    stamp: Stamp,
    durable: DurableRecord,
}

struct DiskView {
    snapshot: fjall::Snapshot,
    engine: Arc<Engine>,
}

impl Disk {
    /// Whether there is a database in the directory `path`.
    pub(crate) fn exists(path: &Path) -> bool {
        path.join(ENGINE).is_dir()
    }

    /// Opens the engine in the directory `path`; creates it if it is missing.
    ///
    /// Refuses what the engine would let pass: a journal cut in the middle, key
    /// spaces that stand at different batches, and lost durable batches.
    pub(crate) fn open(path: &Path, options: &StoreOptions) -> Result<Self, OpenError> {
        fs::create_dir_all(path).map_err(io("creating the database's directory"))?;
        let lock = lock(path)?;
        format_file::create_if_missing(path)?;
        journals::check_not_damaged(path)?;
        let directory = path.join(ENGINE);
        if !directory.is_dir() {
            create(path, options)?;
        }
        let sealed = SealedJournals::find(&directory).map_err(io("reading the journals"))?;
        let (database, spaces) = recover_engine(&directory, options)?;
        sealed.check_unharmed(path)?;
        let engine = Engine {
            spaces,
            database,
            _lock: lock,
        };
        let stamp = engine.stamp()?;
        let durable = DurableRecord::open(path, stamp, options.accept_lost_commits)?;
        Ok(Self {
            path: path.to_owned(),
            engine: Arc::new(engine),
            writer: Mutex::new(Writer { stamp, durable }),
        })
    }
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.join(LOCK))
        .map_err(io("creating the lock file"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(OpenError::Locked {
            path: path.to_owned(),
        }),
        Err(fs::TryLockError::Error(error)) => Err(io("locking the database")(error)),
    }
}

/// Makes a new engine beside its place and moves it there when it is whole: the
/// engine itself cannot open what a crash left of a creation.
fn create(path: &Path, options: &StoreOptions) -> Result<(), OpenError> {
    let unfinished = path.join(UNFINISHED);
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(io("removing an unfinished database"))?;
    }
    let (database, spaces) = open_engine(&unfinished, options)?;
    let mut batch = database.batch().durability(Some(PersistMode::SyncAll));
    for space in &spaces {
        batch.insert(space, STAMP_KEY, Stamp::MIN.to_be_bytes());
    }
    batch
        .commit()
        .map_err(engine_error("initialising the database"))?;
    drop(spaces);
    drop(database);
    fs::rename(&unfinished, path.join(ENGINE))
        .map_err(io("putting the database into its place"))?;
    sync_directory(path).map_err(io("syncing the database's directory"))
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Opens an engine that is there. On some damage its recovery panics.
fn recover_engine(
    directory: &Path,
    options: &StoreOptions,
) -> Result<(Database, [Keyspace; Space::ALL.len()]), OpenError> {
    catch_unwind(|| open_engine(directory, options)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(OpenError::Corrupt {
            what: format!("the engine's recovery panicked: {message}"),
            hint: HINT,
        })
    })
}

fn open_engine(
    directory: &Path,
    options: &StoreOptions,
) -> Result<(Database, [Keyspace; Space::ALL.len()]), OpenError> {
    let failed = |error| match error {
        fjall::Error::Locked => OpenError::Locked {
            path: directory.to_owned(),
        },
        fjall::Error::Unrecoverable
        | fjall::Error::JournalRecovery(_)
        | fjall::Error::InvalidTrailer
        | fjall::Error::InvalidTag(_)
        | fjall::Error::InvalidVersion(_)
        | fjall::Error::Decompress(_) => OpenError::Corrupt {
            what: format!("the engine cannot recover: {error}"),
            hint: HINT,
        },
        error => engine_error("opening the engine")(error),
    };
    let database = Database::builder(directory)
        .cache_size(options.cache_bytes)
        .max_journaling_size(MAX_JOURNAL_BYTES)
        .max_cached_files(Some(cached_files()))
        .worker_threads(worker_threads())
        .open()
        .map_err(failed)?;
    let mut spaces = Vec::with_capacity(Space::ALL.len());
    for space in Space::ALL {
        let keyspace = database
            .keyspace(name(space), || keyspace_options(space))
            .map_err(failed)?;
        spaces.push(keyspace);
    }
    let spaces = spaces
        .try_into()
        .unwrap_or_else(|_| unreachable!("one keyspace was made for every space"));
    Ok((database, spaces))
}

/// How many files the engine keeps open: a part of what the process may have, so that
/// connections and the files that a compaction opens find room beside them.
fn cached_files() -> usize {
    #[cfg(unix)]
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    let limit = Some(0);
    let share = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX) / FILES_SHARE
    });
    share.clamp(MIN_CACHED_FILES, MAX_CACHED_FILES)
}

/// The engine's default, one thread for each core up to four, but never a single one:
/// that one can wait for itself (fjall#323).
fn worker_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.clamp(2, 4)
}

fn name(space: Space) -> &'static str {
    match space {
        Space::KeyToNewest => "key_to_newest",
        Space::KeyHeightToOlder => "key_height_to_older",
        Space::HeightToKeys => "height_to_keys",
        Space::HeightToBlock => "height_to_block",
        Space::HashToHeight => "hash_to_height",
        Space::Meta => "meta",
    }
}

fn keyspace_options(space: Space) -> KeyspaceCreateOptions {
    let options = KeyspaceCreateOptions::default();
    match space {
        // Filters and indexes of the upper levels stay in memory: a read that
        // misses asks every level, and guests ask for absent keys all the time.
        Space::KeyToNewest => options
            .max_memtable_size(16 << 20)
            .filter_block_pinning_policy(PinningPolicy::new([true, true, true, false]))
            .index_block_pinning_policy(PinningPolicy::new([true, true, true, false]))
            .data_block_hash_ratio_policy(HashRatioPolicy::all(HASHES_PER_ENTRY)),
        Space::HashToHeight => options,
        // These are walked or read where the key is known to be there: a filter
        // would cost memory and never be asked.
        Space::KeyHeightToOlder | Space::HeightToKeys | Space::HeightToBlock | Space::Meta => {
            options.filter_policy(FilterPolicy::disabled())
        }
    }
}

impl Engine {
    fn space(&self, space: Space) -> &Keyspace {
        self.spaces
            .get(space as usize)
            .expect("there is a keyspace for every space")
    }

    /// The number of the last batch, on which all key spaces must agree.
    fn stamp(&self) -> Result<Stamp, OpenError> {
        let mut stamps = Vec::with_capacity(Space::ALL.len());
        for space in Space::ALL {
            let bytes = self
                .space(space)
                .get(STAMP_KEY)
                .map_err(engine_error("reading a stamp"))?;
            let stamp = bytes
                .and_then(|bytes| <[u8; 8]>::try_from(bytes.as_ref()).ok())
                .map(Stamp::from_be_bytes)
                .ok_or_else(|| OpenError::Corrupt {
                    what: format!("the stamp of {} is missing or malformed", name(space)),
                    hint: HINT,
                })?;
            stamps.push((stamp, space));
        }
        match (
            stamps.iter().min_by_key(|entry| entry.0),
            stamps.iter().max_by_key(|entry| entry.0),
        ) {
            (Some((least, _)), Some((most, _))) if least == most => Ok(*least),
            (Some((least, behind)), Some((most, ahead))) => Err(OpenError::Corrupt {
                what: format!(
                    "{} stands at batch {least}, but {} at batch {most}: the journal between them is lost",
                    name(*behind),
                    name(*ahead)
                ),
                hint: HINT,
            }),
            _ => unreachable!("there is at least one space"),
        }
    }
}

impl Backend for Disk {
    fn view(&self) -> Result<Arc<dyn View>, BackendError> {
        Ok(Arc::new(DiskView {
            snapshot: self.engine.database.snapshot(),
            engine: Arc::clone(&self.engine),
        }))
    }

    fn write(&self, batch: Batch, durability: Durability) -> Result<(), BackendError> {
        let mut writer = self.writer.lock();
        let stamp = writer.stamp + 1;
        let database = self.engine.database.clone();
        let mode = match durability {
            Durability::Buffered => PersistMode::Buffer,
            Durability::Synced => PersistMode::SyncAll,
        };
        let capacity = batch.len() + Space::ALL.len();
        let mut write = OwnedWriteBatch::with_capacity(database, capacity).durability(Some(mode));
        for operation in batch.into_operations() {
            let space = self.engine.space(operation.space);
            let key = Slice::from(tagged(&operation.key));
            match operation.value {
                Some(value) => write.insert(space, key, Slice::from(value)),
                None => write.remove(space, key),
            }
        }
        for space in &self.engine.spaces {
            write.insert(space, STAMP_KEY, stamp.to_be_bytes());
        }
        write.commit().map_err(backend_error("writing a batch"))?;
        writer.stamp = stamp;
        if durability == Durability::Synced {
            writer.durable.advance(stamp);
        }
        Ok(())
    }

    fn directory(&self) -> Option<&Path> {
        Some(&self.path)
    }
}

impl View for DiskView {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, BackendError> {
        let space = self.engine.space(space);
        let mut buffer = [ENTRY_TAG; SHORT_KEY_LEN];
        let value = match buffer.get_mut(1..=key.len()) {
            Some(tail) => {
                tail.copy_from_slice(key);
                let tagged = buffer.get(..=key.len()).unwrap_or_default();
                self.snapshot.get(space, tagged)
            }
            None => self.snapshot.get(space, tagged(key)),
        };
        Ok(value
            .map_err(backend_error("reading a key"))?
            .map(Bytes::from))
    }

    fn scan(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        let start = match start {
            Bound::Unbounded => Bound::Included(Bytes::from_static(&[ENTRY_TAG])),
            bound => bound.map(tagged),
        };
        let engine = Arc::clone(&self.engine);
        let scan = self
            .snapshot
            .range(engine.space(space), (start, end.map(tagged)))
            .map(move |guard| {
                // The entry may outlive every other hold on the engine.
                let _engine = &engine;
                let (key, value) = guard.into_inner().map_err(backend_error("scanning"))?;
                Ok((Bytes::from(key).slice(1..), Bytes::from(value)))
            });
        Box::new(scan)
    }
}

fn tagged(key: &[u8]) -> Bytes {
    let mut tagged = BytesMut::with_capacity(1 + key.len());
    tagged.put_u8(ENTRY_TAG);
    tagged.extend_from_slice(key);
    tagged.freeze()
}

fn backend_error(operation: &'static str) -> impl Fn(fjall::Error) -> BackendError {
    move |error| BackendError::new(operation, error)
}

fn engine_error(operation: &'static str) -> impl Fn(fjall::Error) -> OpenError {
    move |error| OpenError::Backend(BackendError::new(operation, error))
}

pub(super) fn io(operation: &'static str) -> impl Fn(std::io::Error) -> OpenError {
    move |error| OpenError::Backend(BackendError::new(operation, error))
}

impl fmt::Debug for DiskView {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DiskView")
            .field("batch", &self.snapshot.seqno())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").finish_non_exhaustive()
    }
}
