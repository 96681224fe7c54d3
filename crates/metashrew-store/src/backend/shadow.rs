//! A database opened for reading only: its trees are opened in a shadow of its directory.
//!
//! lsm-tree removes files that it does not know whenever it opens a tree. So it is given a
//! temporary directory: links to the tables, which are never written to once they are
//! made, and copies of the few files that say which tables there are. The log is read
//! where it is. Nothing is written out or compacted. When the database is closed the
//! directory goes, and of the tables only the links.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::content::{Content, ContentView, Hold};
use super::damage::check_not_noted;
use super::disk::{Disk, LOCK, io as failed, locked, look, open_trees};
use super::index::Index;
use super::settings::Limits;
use super::{Backend, BackendError, Batch, BatchNumber, ErrorKind, Read, Space, View, files};
use crate::error::OpenError;
use crate::open::StoreOptions;

/// The on-disk engine, for reading only.
pub(crate) struct ReadOnlyDisk {
    path: PathBuf,
    // Dropped in this order: the tables, then what they are read in.
    content: Arc<Content>,
    index: Arc<Index>,
    hold: Arc<Hold>,
}

impl ReadOnlyDisk {
    /// Opens the engine in the directory `path`, with the same checks as for writing,
    /// and changes nothing there. Others may read at the same time, nobody may write.
    pub(crate) fn open(path: &Path, options: &StoreOptions) -> Result<Self, OpenError> {
        if !Disk::exists(path) {
            return Err(OpenError::NotFound {
                path: path.to_owned(),
            });
        }
        let lock = lock_shared(path)?;
        check_not_noted(path)?;
        let directory = Disk::engine_directory(path);
        let versions = files::check(&directory)?;
        let shadow = make(&directory, &versions).map_err(failed(
            "making a temporary directory to read the database in",
        ))?;
        let trees = open_trees(shadow.path(), &Limits::of(options))?;
        let (_, content) = look(path, &trees, &directory, options.accept_lost_commits)?;
        Ok(Self {
            path: path.to_owned(),
            index: Arc::new(Index::of(&content.layers)),
            content: Arc::new(content),
            hold: Arc::new(Hold {
                _directory: Some(shadow),
                lock,
            }),
        })
    }
}

/// A lock that other readers share. Where no lock file was copied along, nobody holds one.
pub(super) fn lock_shared(path: &Path) -> Result<Option<File>, OpenError> {
    let file = match File::open(path.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed("opening the lock file"))?,
    };
    locked(path, file.try_lock_shared())?;
    Ok(Some(file))
}

/// Makes the shadow of the engine in `directory`.
fn make(directory: &Path, versions: &[(Space, files::Version)]) -> io::Result<TempDir> {
    let directory = directory.canonicalize()?;
    let shadow = tempfile::Builder::new().prefix("metashrew-").tempdir()?;
    for (space, version) in versions {
        let from = files::tree(&directory, *space);
        let to = files::tree(shadow.path(), *space);
        fs::create_dir_all(to.join(files::TABLES))?;
        for name in [files::CURRENT, &version.file] {
            fs::write(to.join(name), fs::read(from.join(name))?)?;
        }
        for table in &version.tables {
            let name = Path::new(files::TABLES).join(table.to_string());
            link(&from.join(&name), &to.join(&name))?;
        }
    }
    Ok(shadow)
}

#[cfg(unix)]
fn link(original: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(original, link)
}

#[cfg(not(unix))]
fn link(original: &Path, link: &Path) -> io::Result<()> {
    fs::copy(original, link).map(|_| ())
}

impl Backend for ReadOnlyDisk {
    fn view(&self) -> Arc<dyn View> {
        Arc::new(ContentView::new(
            Arc::clone(&self.content),
            Arc::clone(&self.index),
            Arc::clone(&self.hold),
        ))
    }

    fn write(&self, _batch: Batch) -> Result<BatchNumber, BackendError> {
        Err(read_only())
    }

    fn durable(&self) -> BatchNumber {
        BatchNumber(self.content.number)
    }

    fn sync(&self, _batch: BatchNumber) -> Read<'_, ()> {
        Read::Ready(Err(read_only()))
    }

    fn directory(&self) -> Option<&Path> {
        Some(&self.path)
    }
}

impl fmt::Debug for ReadOnlyDisk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ReadOnlyDisk")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn read_only() -> BackendError {
    BackendError::of_kind(
        ErrorKind::Misuse,
        "writing to the database",
        "it was opened for reading only",
    )
}
