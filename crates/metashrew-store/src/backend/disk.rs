//! A database on disk: its directory, its lock, and opening the engine in it.

use std::fmt;
use std::fs::{self, File};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::content::{Content, Hold};
use super::damage::{self, corrupt};
use super::durable::DurableRecord;
use super::engine::Engine;
use super::health::EngineHealth;
use super::layer::Layer;
use super::log::{Found, Known, Log};
use super::settings::Limits;
use super::threads::{Threads, panic_message};
use super::trees::{Trees, has_record};
use super::{Backend, BackendError, Batch, BatchNumber, ErrorKind, Read, View, files};
use crate::directory;
use crate::error::OpenError;
use crate::format_file;
use crate::open::StoreOptions;

/// The directory of the engine, below the database's.
const ENGINE: &str = "engine";
/// Where a new engine is made, to be renamed once it is whole.
const UNFINISHED: &str = "engine.new";
pub(super) const LOCK: &str = "lock";
/// So many batches of the log are merged into one layer at a time when it is read.
const BATCHES_TO_MERGE: usize = 256;

/// The on-disk engine.
pub(crate) struct Disk {
    // Dropped in this order: what is not in tables is written out, then the lock let go.
    threads: Mutex<Option<Threads>>,
    engine: Arc<Engine>,
    hold: Arc<Hold>,
    path: PathBuf,
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
    /// Refuses missing or mangled files, a log with a gap, trees that stand at different
    /// batches where the log does not make up for it, and lost durable batches. What is
    /// refused is left as it is, but for a note of the damage.
    pub(crate) fn open(path: &Path, options: &StoreOptions) -> Result<Self, OpenError> {
        create_directory(path).map_err(io("creating the database's directory"))?;
        let lock = lock(path)?;
        format_file::create_if_missing(path)?;
        damage::check_not_noted(path)?;
        if !Self::exists(path) {
            create(path, &Limits::of(options))?;
        }
        Self::recover(path, options, lock).inspect_err(|error| damage::note(path, error))
    }

    /// Opens the engine in the directory `path`, or makes a new one, where there is no `FORMAT`
    /// yet: nobody takes the directory for a database.
    pub(crate) fn open_unfinished(path: &Path, options: &StoreOptions) -> Result<Self, OpenError> {
        let lock = lock(path)?;
        if !Self::exists(path) {
            create(path, &Limits::of(options))?;
        }
        Self::recover(path, options, lock)
    }

    /// Moves an engine that nobody has open from one directory to another.
    pub(crate) fn rename(from: &Path, to: &Path) -> std::io::Result<()> {
        fs::rename(from.join(LOCK), to.join(LOCK))?;
        fs::rename(from.join(ENGINE), to.join(ENGINE))?;
        DurableRecord::rename(from, to)
    }

    fn recover(path: &Path, options: &StoreOptions, lock: File) -> Result<Self, OpenError> {
        let engine = recover(path, Limits::of(options), options.accept_lost_commits)?;
        let engine = Arc::new(engine);
        Ok(Self {
            threads: Mutex::new(Some(Threads::start(&engine, options.workers)?)),
            engine,
            hold: Arc::new(Hold {
                _directory: None,
                lock: Some(lock),
            }),
            path: path.to_owned(),
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

/// Makes a new engine beside its place and moves it there when it is whole.
fn create(path: &Path, limits: &Limits) -> Result<(), OpenError> {
    let unfinished = path.join(UNFINISHED);
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(io("removing an unfinished database"))?;
    }
    let log = unfinished.join(files::LOG);
    let trees = unfinished.join(files::TREES);
    fs::create_dir_all(&trees)
        .and_then(|()| fs::create_dir(&log))
        .map_err(io("creating the database"))?;
    Trees::open(&unfinished, limits).map_err(failed)?;
    Log::create(&log, 0, None)?;
    directory::sync(&trees)
        .and_then(|()| directory::sync(&unfinished))
        .map_err(io("syncing a new database"))?;
    fs::rename(&unfinished, path.join(ENGINE))
        .map_err(io("putting the database into its place"))?;
    directory::sync(path).map_err(io("syncing the database's directory"))
}

/// Opens an engine that is there: its trees, and above them what the log holds.
fn recover(path: &Path, limits: Limits, accept_lost: bool) -> Result<Engine, OpenError> {
    let directory = path.join(ENGINE);
    files::check(&directory)?;
    let trees = open_trees(&directory, &limits)?;
    let (found, content) = look(path, &trees, &directory, accept_lost)?;
    let durable = DurableRecord::open(path, found.synced().min(found.last()))?;
    let log = found.open(Some(durable))?;
    Ok(Engine::new(trees, log, limits, content))
}

/// Opens the trees. On damage that it does not expect lsm-tree panics.
pub(super) fn open_trees(directory: &Path, limits: &Limits) -> Result<Trees, OpenError> {
    catch_unwind(|| Trees::open(directory, limits).map_err(failed)).unwrap_or_else(|panic| {
        Err(corrupt(format!(
            "opening the trees panicked: {}",
            panic_message(panic.as_ref())
        )))
    })
}

/// What trees and log of the database at `path` hold together. The log lies in
/// `directory`.
pub(super) fn look(
    path: &Path,
    trees: &Trees,
    directory: &Path,
    accept_lost: bool,
) -> Result<(Found, Content), OpenError> {
    let known = Known {
        trees: recorded(trees)?,
        durable: DurableRecord::read(path)?,
        accept_lost,
    };
    let found = Found::look(&directory.join(files::LOG), &known)?;
    let mut layers = Vec::new();
    let mut recent = Vec::new();
    for batch in found.replay() {
        let (number, batch) = batch?;
        recent.insert(0, Arc::new(Layer::of_batch(number, &batch)));
        if recent.len() == BATCHES_TO_MERGE {
            layers.insert(0, Arc::new(Layer::merge(&recent)));
            recent.clear();
        }
    }
    recent.append(&mut layers);
    let content = Content {
        number: found.last(),
        flushed: *known.trees.start(),
        layers: recent,
        tables: trees.tables(),
    };
    Ok((found, content))
}

/// Up to which batch each tree holds all there is: the least and the most of them.
fn recorded(trees: &Trees) -> Result<std::ops::RangeInclusive<u64>, OpenError> {
    let mut all: Option<(u64, u64)> = None;
    for tree in trees.all().iter().filter(|tree| has_record(tree.space)) {
        let number = match tree.recorded().map_err(failed)? {
            // Nothing was ever flushed: a tree that is gone was refused before.
            None => 0,
            Some(Ok(number)) => number,
            Some(Err(_)) => {
                return Err(corrupt(format!(
                    "the record of {} is malformed",
                    tree.space.name()
                )));
            }
        };
        let (least, most) = all.unwrap_or((number, number));
        all = Some((least.min(number), most.max(number)));
    }
    let (least, most) = all.unwrap_or_default();
    Ok(least..=most)
}

/// What lsm-tree's error says of the database: that it is damaged, or that the machine
/// kept it from being opened.
fn failed(error: lsm_tree::Error) -> OpenError {
    match ErrorKind::of(&error) {
        ErrorKind::Damage => corrupt(format!("the trees cannot be opened: {error}")),
        _ => OpenError::Backend(BackendError::new("opening the trees", error)),
    }
}

impl Backend for Disk {
    fn view(&self) -> Arc<dyn View> {
        self.engine.view(&self.hold)
    }

    fn write(&self, batch: Batch) -> Result<BatchNumber, BackendError> {
        self.engine.write(&batch).map(BatchNumber)
    }

    fn durable(&self) -> BatchNumber {
        BatchNumber(self.engine.durable())
    }

    fn sync(&self, batch: BatchNumber) -> Read<'_, ()> {
        Read::Ready(if self.durable() < batch {
            self.engine.sync()
        } else {
            Ok(())
        })
    }

    /// It goes on after whatever failed; but a batch that is visible and may not be durable
    /// is made so before anything is built on it.
    fn reopen_if_failed(&self) -> Result<(), OpenError> {
        Ok(self.sync(self.view().batch()).wait()?)
    }

    fn close(&self) -> Result<(), BackendError> {
        // The threads write out what is not in tables, and end.
        drop(self.threads.lock().take());
        match self.engine.health().dirty_bytes {
            0 => Ok(()),
            left => Err(self.engine.threads.flush_failure().unwrap_or_else(|| {
                BackendError::of_kind(
                    ErrorKind::Machine,
                    "writing out recent writes",
                    format!("{left} bytes are in the log only"),
                )
            })),
        }
    }

    fn abandon(&self, why: &OpenError) {
        self.engine.threads.abandon();
        damage::note(&self.path, why);
    }

    fn directory(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn health(&self) -> Option<EngineHealth> {
        Some(self.engine.health())
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Disk")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

pub(super) fn io(operation: &'static str) -> impl Fn(std::io::Error) -> OpenError {
    move |error| OpenError::Backend(BackendError::new(operation, error))
}
