//! An engine's files at one moment, taken into another directory, whoever has it open.
//!
//! Tables are linked: no file of a table is ever written to once its tree names it, and
//! whoever removes one removes a name. Everything else is copied. What names those files
//! (each tree's `current`, the names of the log's files, `FORMAT`) is read before and after:
//! if nothing of it changed, what was taken is what a kill of the other process at that
//! moment would have left, which opening makes whole. Else it is taken again.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use super::damage::check_not_noted;
use super::disk::{Disk, io as failed};
use super::durable::DurableRecord;
use super::shadow::lock_shared;
use super::transfer::{Means, Transferred, transfer};
use super::{BackendError, ErrorKind, Space, files};
use crate::directory;
use crate::error::OpenError;
use crate::format_file;
use crate::identity::Identity;

/// How often the files are taken before it is given up, and the pause between.
const ATTEMPTS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// What was taken of a database.
#[derive(Debug)]
pub(crate) struct Captured {
    /// What its `FORMAT` says.
    pub(crate) identity: Identity,
    /// The tables.
    pub(crate) tables: Transferred,
    /// The bytes of the log, which were copied.
    pub(crate) log_bytes: u64,
}

/// Everything that says which files there are.
#[derive(Debug, PartialEq, Eq)]
struct Marks {
    /// What `FORMAT` says.
    identity: Identity,
    /// Each tree's `current`.
    trees: Vec<Vec<u8>>,
    /// The names of the log's files.
    log: Vec<String>,
}

/// Files of the log, open, with the length that they had.
type Log = Vec<(String, File, u64)>;

/// Takes the engine of the database at `from` into the directory `to`, which is there and has
/// none. All of it is durable when this returns; nothing at `from` is changed.
pub(crate) fn capture(from: &Path, to: &Path) -> Result<Captured, OpenError> {
    for _ in 0..ATTEMPTS {
        let before = Marks::read(from)?;
        let taken = take(from, to, &before);
        if matches!(taken, Err(OpenError::Locked { .. })) || Marks::read(from)? == before {
            let (tables, log) = taken?;
            let log_bytes = copy_log(log, to).map_err(failed("copying the log"))?;
            sync(to).map_err(failed("syncing the files of the fork"))?;
            return Ok(Captured {
                identity: before.identity,
                tables,
                log_bytes,
            });
        }
        clear(to).map_err(failed("removing what was taken of the database"))?;
        std::thread::sleep(PAUSE);
    }
    Err(OpenError::Backend(BackendError::of_kind(
        ErrorKind::Machine,
        "taking the files of the database",
        "another process changes them faster than they can be taken",
    )))
}

impl Marks {
    fn read(from: &Path) -> Result<Self, OpenError> {
        let not_found = || OpenError::NotFound {
            path: from.to_owned(),
        };
        let identity = format_file::read(from)?.ok_or_else(not_found)?;
        if !Disk::exists(from) {
            return Err(not_found());
        }
        check_not_noted(from)?;
        let engine = Disk::engine_directory(from);
        let read = || -> io::Result<(Vec<Vec<u8>>, Vec<String>)> {
            let current = |space| fs::read(files::tree(&engine, space).join(files::CURRENT));
            let log = fs::read_dir(engine.join(files::LOG))?;
            let mut log = log
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect::<io::Result<Vec<_>>>()?;
            log.sort_unstable();
            let trees = Space::ALL.into_iter().map(current);
            Ok((trees.collect::<io::Result<_>>()?, log))
        };
        let (trees, log) = read().or_else(|error| {
            // A file that is always there is gone: what is wrong is said as at any opening.
            files::check(&engine)?;
            Err(failed("looking for the database's files")(error))
        })?;
        Ok(Self {
            identity,
            trees,
            log,
        })
    }
}

fn take(from: &Path, to: &Path, marks: &Marks) -> Result<(Transferred, Log), OpenError> {
    let (source, target) = (Disk::engine_directory(from), Disk::engine_directory(to));
    DurableRecord::copy(from, to)?;
    let log = marks.log.iter().map(|name| {
        let file = File::open(source.join(files::LOG).join(name))?;
        let len = file.metadata()?.len();
        Ok((name.clone(), file, len))
    });
    let log = log
        .collect::<io::Result<Log>>()
        .map_err(failed("opening the log"))?;
    let mut tables = Transferred::default();
    // Held while tables are copied, which takes long: somebody who writes would remove them.
    let mut lock = None;
    for space in Space::ALL {
        let (source, target) = (files::tree(&source, space), files::tree(&target, space));
        let version = files::version(&source)?;
        fs::create_dir_all(target.join(files::TABLES))
            .map_err(failed("making the fork's directories"))?;
        for name in [files::CURRENT, &version.file] {
            copy_small(&source.join(name), &target.join(name))
                .map_err(failed("copying a version"))?;
        }
        for table in version.tables {
            let name = Path::new(files::TABLES).join(table.to_string());
            let (source, target) = (source.join(&name), target.join(&name));
            let linked = fs::hard_link(&source, &target);
            let (means, bytes) = match linked {
                Ok(()) => (Means::Linked, len(&target)),
                Err(error) if !cannot_link(&error) => {
                    return Err(failed("linking a table")(error));
                }
                Err(_) => {
                    if lock.is_none() {
                        lock = Some(lock_shared(from)?);
                    }
                    transfer(&source, &target).map_err(failed("copying a table"))?
                }
            };
            tables.add(means, bytes);
        }
    }
    Ok((tables, log))
}

/// Whether a file cannot be linked, but may be copied.
fn cannot_link(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    matches!(
        error.kind(),
        CrossesDevices | PermissionDenied | TooManyLinks | Unsupported
    )
}

fn len(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn copy_small(from: &Path, to: &Path) -> io::Result<()> {
    let (mut source, mut target) = (File::open(from)?, File::create_new(to)?);
    io::copy(&mut source, &mut target)?;
    target.sync_all()
}

/// Copies what the log's files held when they were looked at: each batch that was whole then
/// is, and what follows it is no batch or none that anybody was told of.
fn copy_log(log: Log, to: &Path) -> io::Result<u64> {
    let directory = Disk::engine_directory(to).join(files::LOG);
    fs::create_dir_all(&directory)?;
    let mut total = 0;
    for (name, source, len) in log {
        let mut target = File::create_new(directory.join(name))?;
        total += io::copy(&mut source.take(len), &mut target)?;
        target.sync_all()?;
    }
    Ok(total)
}

/// Makes durable which files there are.
fn sync(to: &Path) -> io::Result<()> {
    let engine = Disk::engine_directory(to);
    for space in Space::ALL {
        let tree = files::tree(&engine, space);
        directory::sync(&tree.join(files::TABLES))?;
        directory::sync(&tree)?;
    }
    directory::sync(&engine.join(files::TREES))?;
    directory::sync(&engine.join(files::LOG))?;
    directory::sync(&engine)?;
    directory::sync(to)
}

/// Removes what an attempt took.
fn clear(to: &Path) -> io::Result<()> {
    match fs::remove_dir_all(Disk::engine_directory(to)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        cleared => cleared,
    }
}
