//! A database opened for reading only: the engine runs on a shadow of its directory.
//!
//! fjall has no way to open a database without writing to it. So it is given a
//! temporary directory: links to the tables, which it never writes to once they are
//! made, and copies of the few files that say which tables there are and of the
//! journals. It gets no threads, so nothing is written out or compacted there. When
//! it is closed the directory goes, and of the tables only the links.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::damage::check_not_noted;
use super::disk::{Disk, DiskView, LOCK, check_stamps, io as failed, locked};
use super::durable::DurableRecord;
use super::engine::{Engine, Hold, Settings};
use super::journals::Journals;
use super::trees::Trees;
use super::{Backend, BackendError, Batch, BatchNumber, ErrorKind, Read, View, files};
use crate::error::OpenError;
use crate::open::StoreOptions;

/// The on-disk engine, for reading only.
#[derive(Debug)]
pub(crate) struct ReadOnlyDisk {
    path: PathBuf,
    view: Arc<DiskView>,
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
        let journals = Journals::read(&directory)?;
        let shadow = make(&directory, &versions, &journals).map_err(failed(
            "making a temporary directory to read the database in",
        ))?;
        let stamp = Trees::open(shadow.path())?.last_stamp(&journals)?;
        DurableRecord::check(path, stamp, options.accept_lost_commits)?;
        let settings = Settings {
            cache_bytes: options.cache_bytes,
            background: false,
        };
        let root = shadow.path().to_owned();
        let hold = Hold {
            _directory: Some(shadow),
            _lock: lock,
        };
        let engine = Engine::recover(&root, settings, hold)?;
        remove_copies(&root, &journals);
        check_stamps(&engine, stamp)?;
        Ok(Self {
            path: path.to_owned(),
            view: Arc::new(DiskView::of(engine, stamp)),
        })
    }
}

/// A lock that other readers share. Where no lock file was copied along, nobody holds one.
fn lock_shared(path: &Path) -> Result<Option<Arc<File>>, OpenError> {
    let file = match File::open(path.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed("opening the lock file"))?,
    };
    locked(path, file.try_lock_shared())?;
    Ok(Some(Arc::new(file)))
}

/// Makes the shadow of the engine in `directory`.
fn make(directory: &Path, versions: &[files::Version], journals: &Journals) -> io::Result<TempDir> {
    let directory = directory.canonicalize()?;
    let shadow = tempfile::Builder::new().prefix("metashrew-").tempdir()?;
    let root = shadow.path();
    fs::copy(directory.join(files::VERSION), root.join(files::VERSION))?;
    File::create(root.join(files::LOCK))?;
    for (id, version) in files::keyspace_ids().zip(versions) {
        let (from, to) = (files::keyspace(&directory, id), files::keyspace(root, id));
        fs::create_dir_all(to.join(files::TABLES))?;
        for name in [files::CURRENT, &version.file] {
            fs::write(to.join(name), fs::read(from.join(name))?)?;
        }
        for table in &version.tables {
            let name = Path::new(files::TABLES).join(table.to_string());
            link(&from.join(&name), &to.join(&name))?;
        }
    }
    for journal in &journals.files {
        let name = journal.path.file_name().unwrap_or_default();
        fs::write(root.join(name), journal.read_whole()?)?;
    }
    Ok(shadow)
}

/// Removes the copies of the journals: the engine has read them, and keeps none but the
/// newest open. A process that is killed leaves the shadow behind, and they are what
/// is large in it.
fn remove_copies(root: &Path, journals: &Journals) {
    for journal in &journals.files {
        let copy = root.join(journal.path.file_name().unwrap_or_default());
        // Where an open file cannot be removed, it goes with the shadow.
        if let Err(error) = fs::remove_file(&copy) {
            tracing::debug!(%error, copy = %copy.display(), "cannot remove a copy of a journal yet");
        }
    }
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
        Arc::clone(&self.view) as _
    }

    fn write(&self, _batch: Batch) -> Result<BatchNumber, BackendError> {
        Err(read_only())
    }

    fn durable(&self) -> BatchNumber {
        self.view.batch()
    }

    fn sync(&self, _batch: BatchNumber) -> Read<'_, ()> {
        Read::Ready(Err(read_only()))
    }

    fn directory(&self) -> Option<&Path> {
        Some(&self.path)
    }
}

fn read_only() -> BackendError {
    BackendError::of_kind(
        ErrorKind::Misuse,
        "writing to the database",
        "it was opened for reading only",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BlockHash, BlockRef, Store, WriteSet};

    #[test]
    fn an_open_shadow_has_no_copies_of_journals() {
        let directory = tempfile::tempdir().unwrap();
        let options = StoreOptions::default();
        let store = Store::open(directory.path(), options).unwrap();
        let block = BlockRef::new(
            0,
            BlockHash::from_bytes([1; 32]),
            BlockHash::from_bytes([0; 32]),
        );
        store.commit(&block, &WriteSet::default()).unwrap();
        drop(store);
        let disk = ReadOnlyDisk::open(directory.path(), &options).unwrap();
        let engine = disk.view.engine().unwrap();
        let root = engine.spaces()[0].path().ancestors().nth(2).unwrap();
        let names = |path: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(path).unwrap();
            entries
                .map(|entry| entry.unwrap().file_name().into())
                .collect()
        };
        let is_journal = |name: &PathBuf| name.extension().is_some_and(|it| it == "jnl");
        assert!(
            names(root)
                .iter()
                .any(|name| name.ends_with(files::KEYSPACES))
        );
        assert!(!names(root).iter().any(is_journal));
        let original = Disk::engine_directory(directory.path());
        assert!(names(&original).iter().any(is_journal));
    }
}
