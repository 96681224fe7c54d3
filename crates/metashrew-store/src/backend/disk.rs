//! The engine on disk: fjall, an LSM tree in Rust.
//!
//! Every key is stored behind one tag byte, so that the empty key is legal and
//! each key space has room for a record of ours: its *stamp*, the number of the
//! last batch. A batch writes all stamps, so key spaces that recovery left at
//! different batches are told by their stamps.
//!
//! An engine that failed takes no more writes for as long as it is open. So it can be
//! closed and opened again behind the store: views made before fail from then on.

use std::fmt;
use std::fs::{self, File};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::{BufMut, Bytes, BytesMut};
use fjall::{OwnedWriteBatch, PersistMode, Readable, Slice};
use parking_lot::Mutex;

use super::damage::{self, corrupt};
use super::durable::DurableRecord;
use super::engine::{self, Engine, Hold, Settings};
use super::journals::{self, Journals};
use super::trees::{REPLAY_STEP, Trees};
use super::{
    Backend, BackendError, Batch, BatchNumber, ErrorKind, Read, Scan, Space, View, files, probe,
};
use crate::directory;
use crate::error::OpenError;
use crate::format_file;
use crate::open::StoreOptions;

/// The directory of the engine, below the database's.
const ENGINE: &str = "engine";
/// Where a new engine is made, to be renamed once it is whole.
const UNFINISHED: &str = "engine.new";
pub(super) const LOCK: &str = "lock";
pub(super) const STAMP_KEY: [u8; 1] = [0];
const ENTRY_TAG: u8 = 1;
/// A key below this length is read without an allocation.
const SHORT_KEY_LEN: usize = 128;
/// How long closing a failed engine waits for reads that are under way, in all.
const CLOSING_STEPS: u32 = 2_000;
const CLOSING_STEP: Duration = Duration::from_millis(1);

/// The number of the last batch, which every key space carries.
pub(super) type Stamp = u64;

/// The on-disk engine.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    settings: Settings,
    /// The content after the last batch: made under the writer's lock, since the engine
    /// shows batches in parts to whoever looks while it writes.
    newest: ArcSwap<DiskView>,
    writer: Mutex<Writer>,
    lock: Arc<File>,
}

/// One opening of the engine, which its views share.
#[derive(Debug)]
struct Opening {
    /// None once it was closed.
    engine: ArcSwapOption<Engine>,
}

#[derive(Debug)]
struct Writer {
    stamp: Stamp,
    /// The last batch that was synced.
    synced: Stamp,
    durable: DurableRecord,
    /// A closed engine that readers still hold.
    closing: Option<Arc<Engine>>,
}

pub(super) struct DiskView {
    snapshot: fjall::Snapshot,
    stamp: Stamp,
    opening: Arc<Opening>,
}

impl Disk {
    /// Whether there is a database in the directory `path`.
    pub(crate) fn exists(path: &Path) -> bool {
        path.join(ENGINE).is_dir() || DurableRecord::exists(path)
    }

    /// The engine's own directory, below the database's.
    pub(super) fn engine_directory(path: &Path) -> PathBuf {
        path.join(ENGINE)
    }

    /// Opens the engine in the directory `path`; creates it if it is missing.
    ///
    /// Refuses what the engine would let pass: missing or mangled files, a journal cut
    /// in the middle, key spaces that stand at different batches, and lost durable
    /// batches. What is refused is left as it is, but for a note of the damage.
    pub(crate) fn open(path: &Path, options: &StoreOptions) -> Result<Self, OpenError> {
        create_directory(path).map_err(io("creating the database's directory"))?;
        let lock = Arc::new(lock(path)?);
        format_file::create_if_missing(path)?;
        damage::check_not_noted(path)?;
        let settings = Settings {
            cache_bytes: options.cache_bytes,
            background: true,
        };
        if !Self::exists(path) {
            create(path, settings)?;
        }
        let opened = recover(path, settings, options.accept_lost_commits, &lock);
        let (engine, writer) = opened.inspect_err(|error| damage::note(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            settings,
            newest: ArcSwap::from_pointee(DiskView::of(engine, writer.stamp)),
            writer: Mutex::new(writer),
            lock,
        })
    }
}

/// Creates a directory and those above it that are missing, durably.
fn create_directory(path: &Path) -> std::io::Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|path| !path.exists()).collect();
    fs::create_dir_all(path)?;
    for created in missing {
        let parent = created.parent().unwrap_or(Path::new(""));
        let is_here = parent.as_os_str().is_empty();
        directory::sync(if is_here { Path::new(".") } else { parent })?;
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.join(LOCK))
        .map_err(io("creating the lock file"))?;
    locked(path, file.try_lock())?;
    Ok(file)
}

/// What came of locking the database in the directory `path`.
pub(super) fn locked(path: &Path, outcome: Result<(), fs::TryLockError>) -> Result<(), OpenError> {
    outcome.map_err(|error| match error {
        fs::TryLockError::WouldBlock => OpenError::Locked {
            path: path.to_owned(),
        },
        fs::TryLockError::Error(error) => io("locking the database")(error),
    })
}

/// Makes a new engine beside its place and moves it there when it is whole: the
/// engine itself cannot open what a crash left of a creation.
fn create(path: &Path, settings: Settings) -> Result<(), OpenError> {
    let unfinished = path.join(UNFINISHED);
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(io("removing an unfinished database"))?;
    }
    let (database, spaces) = engine::open(&unfinished, settings)?;
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
    directory::sync(path).map_err(io("syncing the database's directory"))
}

/// Opens an engine that is there: checks it, makes its journals short, and only then
/// lets the engine itself at them.
fn recover(
    path: &Path,
    settings: Settings,
    accept_lost: bool,
    lock: &Arc<File>,
) -> Result<(Engine, Writer), OpenError> {
    let directory = path.join(ENGINE);
    files::check(&directory)?;
    let journals = Journals::read(&directory)?;
    let mut trees = Trees::open(&directory)?;
    let stamp = trees.last_stamp(&journals)?;
    DurableRecord::check(path, stamp, accept_lost)?;
    journals.cut_torn_write()?;
    journals::remove_unfinished(&directory)?;
    files::create_lock_if_missing(&directory)?;
    if journals.len() > REPLAY_STEP {
        match trees.replay(&journals) {
            Ok(()) => journals.empty(&directory)?,
            // The engine replays into memory, for which a full disk has room enough.
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "cannot write the journals out; they are replayed into memory");
            }
            Err(error) => return Err(error),
        }
    }
    drop(trees);
    let hold = Hold {
        _directory: None,
        _lock: Some(Arc::clone(lock)),
    };
    let engine = Engine::recover(&directory, settings, hold)?;
    check_stamps(&engine, stamp)?;
    let writer = Writer {
        stamp,
        synced: stamp,
        durable: DurableRecord::open(path, stamp)?,
        closing: None,
    };
    Ok((engine, writer))
}

/// Checks that the engine found what its files were seen to hold.
pub(super) fn check_stamps(engine: &Engine, expect: Stamp) -> Result<(), OpenError> {
    for space in Space::ALL {
        let found = engine
            .space(space)
            .get(STAMP_KEY)
            .map_err(engine_error("reading a stamp"))?
            .and_then(|bytes| <[u8; 8]>::try_from(bytes.as_ref()).ok())
            .map(Stamp::from_be_bytes);
        if found != Some(expect) {
            return Err(corrupt(format!(
                "{} stands at batch {found:?}, not at {expect}",
                space.name()
            )));
        }
    }
    Ok(())
}

impl DiskView {
    /// The content of an engine that stands at batch `stamp`.
    pub(super) fn of(engine: Engine, stamp: Stamp) -> Self {
        Self {
            snapshot: engine.database().snapshot(),
            stamp,
            opening: Arc::new(Opening {
                engine: ArcSwapOption::from_pointee(engine),
            }),
        }
    }

    /// The engine, unless it was closed.
    pub(super) fn engine(&self) -> Result<Arc<Engine>, BackendError> {
        self.opening.engine()
    }
}

impl Opening {
    fn engine(&self) -> Result<Arc<Engine>, BackendError> {
        self.engine.load_full().ok_or_else(closed)
    }
}

fn closed() -> BackendError {
    BackendError::of_kind(
        ErrorKind::Machine,
        "reading",
        "the engine was closed after a failure, and is being opened again",
    )
}

impl Disk {
    /// Closes the engine, once nobody reads in it any more.
    fn close(&self, writer: &mut Writer) -> Result<(), OpenError> {
        if let Some(engine) = self.newest.load().opening.engine.swap(None) {
            writer.closing = Some(engine);
        }
        for _ in 0..CLOSING_STEPS {
            let Some(engine) = writer.closing.take() else {
                return Ok(());
            };
            match Arc::try_unwrap(engine) {
                Ok(engine) => return Ok(engine.close()?),
                Err(engine) => writer.closing = Some(engine),
            }
            std::thread::sleep(CLOSING_STEP);
        }
        Err(OpenError::Backend(BackendError::of_kind(
            ErrorKind::Machine,
            "closing the engine after a failure",
            "somebody still reads in it",
        )))
    }

    fn sync_up_to(&self, stamp: Stamp) -> Result<(), BackendError> {
        let mut writer = self.writer.lock();
        if writer.synced >= stamp {
            return Ok(());
        }
        let engine = self.newest.load().engine()?;
        engine
            .database()
            .persist(PersistMode::SyncAll)
            .map_err(backend_error("syncing a batch"))?;
        writer.synced = writer.stamp;
        let synced = writer.synced;
        writer.durable.advance(synced);
        Ok(())
    }
}

impl Backend for Disk {
    fn view(&self) -> Arc<dyn View> {
        self.newest.load_full()
    }

    fn write(&self, batch: Batch) -> Result<BatchNumber, BackendError> {
        let mut writer = self.writer.lock();
        let newest = self.newest.load_full();
        let engine = newest.engine()?;
        engine
            .wait_for_room()
            .map_err(backend_error("waiting for the engine to write out"))?;
        let stamp = writer.stamp + 1;
        let capacity = batch.len() + Space::ALL.len();
        let mut write = OwnedWriteBatch::with_capacity(engine.database().clone(), capacity)
            .durability(Some(PersistMode::Buffer));
        for operation in batch.into_operations() {
            let space = engine.space(operation.space);
            let key = Slice::from(tagged(&operation.key));
            match operation.value {
                Some(value) => write.insert(space, key, Slice::from(value)),
                None => write.remove(space, key),
            }
        }
        for space in engine.spaces() {
            write.insert(space, STAMP_KEY, stamp.to_be_bytes());
        }
        write.commit().map_err(backend_error("writing a batch"))?;
        writer.stamp = stamp;
        self.newest.store(Arc::new(DiskView {
            snapshot: engine.database().snapshot(),
            stamp,
            opening: Arc::clone(&newest.opening),
        }));
        Ok(BatchNumber(stamp))
    }

    fn durable(&self) -> BatchNumber {
        BatchNumber(self.writer.lock().synced)
    }

    fn sync(&self, batch: BatchNumber) -> Read<'_, ()> {
        Read::Ready(self.sync_up_to(batch.0))
    }

    fn reopen_if_failed(&self) -> Result<(), OpenError> {
        let mut writer = self.writer.lock();
        let directory = self.path.join(ENGINE);
        match self.newest.load().opening.engine.load_full() {
            Some(engine) if !engine.has_failed() => return Ok(()),
            // Views still read in it: it stays open while no other could be opened.
            Some(_) => probe::check(&directory)?,
            None => (),
        }
        self.close(&mut writer)?;
        files::check(&directory)
            .and_then(|_| Journals::read(&directory)?.detach())
            .and_then(|()| recover(&self.path, self.settings, false, &self.lock))
            .map(|(engine, reopened)| {
                let view = DiskView::of(engine, reopened.stamp);
                self.newest.store(Arc::new(view));
                *writer = reopened;
            })
            .inspect_err(|error| damage::note(&self.path, error))
    }

    fn directory(&self) -> Option<&Path> {
        Some(&self.path)
    }
}

impl DiskView {
    fn find(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, BackendError> {
        let engine = self.opening.engine.load();
        let space = engine.as_ref().ok_or_else(closed)?.space(space);
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
}

impl View for DiskView {
    fn batch(&self) -> BatchNumber {
        BatchNumber(self.stamp)
    }

    fn get<'a>(&'a self, space: Space, key: &'a [u8]) -> Read<'a, Option<Bytes>> {
        Read::Ready(self.find(space, key))
    }

    fn scan(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        let engine = match self.engine() {
            Ok(engine) => engine,
            Err(error) => return Scan::failed(error),
        };
        let start = match start {
            Bound::Unbounded => Bound::Included(Bytes::from_static(&[ENTRY_TAG])),
            bound => bound.map(tagged),
        };
        let entries = self
            .snapshot
            .range(engine.space(space), (start, end.map(tagged)));
        Scan::new(DiskScan {
            rest: Some((entries, engine)),
            opening: Arc::clone(&self.opening),
        })
    }
}

/// A walk over a key space. It holds the engine until it ends, or finds it closed.
struct DiskScan {
    // Dropped in this order: the entries hold files of the engine.
    rest: Option<(fjall::Iter, Arc<Engine>)>,
    opening: Arc<Opening>,
}

impl Iterator for DiskScan {
    type Item = Result<(Bytes, Bytes), BackendError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (entries, _) = self.rest.as_mut()?;
        if self.opening.engine.load().is_none() {
            self.rest = None;
            return Some(Err(closed()));
        }
        let Some(entry) = entries.next() else {
            self.rest = None;
            return None;
        };
        Some(
            entry
                .into_inner()
                .map(|(key, value)| (Bytes::from(key).slice(1..), Bytes::from(value)))
                .map_err(backend_error("scanning")),
        )
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
            .field("batch", &self.stamp)
            .finish_non_exhaustive()
    }
}
