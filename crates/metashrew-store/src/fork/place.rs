//! Where a fork is made until it is whole: a directory beside its place.
//!
//! A file in it says what name the fork is to get, and is locked as long as somebody makes it. So
//! what a killed process left is told from everything else, and removed. Until the directory has that
//! name it is no database to anybody. The file goes along when the
//! directory gets its name, and is removed then. Where it stays it does no harm: it says that name,
//! and never one that a fork beside it is to get.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::ForkError;
use crate::directory;

/// Behind the name of the new database.
const UNFINISHED: &str = ".new";
/// The file that says what the directory is.
pub(crate) const MARKER: &str = "unfinished-fork";
/// Longer than any name that a file system takes, in bytes.
const MAX_NAME: u64 = 4096;

/// A directory for one fork. It is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// The place that it gets.
    named: PathBuf,
    /// Locked.
    marker: Option<File>,
}

impl Place {
    /// Makes the directory for a fork of `from` to `to`, after what an earlier one left there is
    /// removed.
    pub(super) fn begin(from: &Path, to: &Path) -> Result<Self, ForkError> {
        let absolute = std::path::absolute(to).map_err(ForkError::io("looking", to))?;
        let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
            return Err(ForkError::Exists {
                path: to.to_owned(),
            });
        };
        let looking = |path| move |error| ForkError::io("looking for the directory", path)(error);
        let (parent, original) = (
            parent.canonicalize().map_err(looking(parent))?,
            from.canonicalize().map_err(looking(from))?,
        );
        if parent.starts_with(&original) {
            return Err(ForkError::Inside {
                path: to.to_owned(),
            });
        }
        let mut unfinished = name.to_owned();
        unfinished.push(UNFINISHED);
        let path = parent.join(unfinished);
        // The place as it was given may name the directory by a detour, such as `b/.`: what is
        // not there cannot be renamed to that.
        let named = parent.join(name);
        if named.symlink_metadata().is_ok() {
            return Err(ForkError::Exists {
                path: to.to_owned(),
            });
        }
        remove_left(&path, name)?;
        fs::create_dir(&path).map_err(ForkError::io("making the directory", &path))?;
        let mut place = Self {
            path,
            named,
            marker: None,
        };
        let making = "making the fork's files";
        let mut marker = File::create_new(place.path.join(MARKER))
            .map_err(ForkError::io(making, &place.path))?;
        lock(&place.path, &marker)?;
        marker
            .write_all(name.as_encoded_bytes())
            .and_then(|()| marker.sync_all())
            .map_err(ForkError::io(making, &place.path))?;
        place.marker = Some(marker);
        Ok(place)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a directory in it.
    pub(super) fn make(&self, name: &str) -> Result<PathBuf, ForkError> {
        let path = self.path.join(name);
        fs::create_dir(&path).map_err(ForkError::io("making the directory", &path))?;
        Ok(path)
    }

    /// Removes a directory in it.
    pub(super) fn remove(&self, name: &str) -> Result<(), ForkError> {
        let path = self.path.join(name);
        fs::remove_dir_all(&path).map_err(ForkError::io("removing what was taken", &path))
    }

    /// Gives the directory, in which everything is durable, its name.
    pub(super) fn finish(mut self) -> Result<(), ForkError> {
        let named = std::mem::take(&mut self.named);
        fs::rename(&self.path, &named).map_err(ForkError::io("naming the fork", &named))?;
        // From here on it is a database: nothing removes it any more.
        let parent = std::mem::take(&mut self.path);
        let parent = parent.parent().unwrap_or(Path::new("."));
        directory::sync(parent).map_err(ForkError::after("syncing the directory", &named))?;
        fs::remove_file(named.join(MARKER))
            .and_then(|()| directory::sync(&named))
            .map_err(ForkError::after(
                "removing the mark of an unfinished fork",
                &named,
            ))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.path.as_os_str().is_empty() {
            return;
        }
        if let Err(error) = remove(&self.path) {
            let path = self.path.display();
            tracing::warn!(%error, "cannot remove what is left of the fork at `{path}`");
        }
    }
}

/// Whether the directory `path` is a fork's that has not got its name yet.
pub(crate) fn is_unfinished(path: &Path) -> bool {
    let Ok(marker) = File::open(path.join(MARKER)) else {
        return false;
    };
    let mut named = Vec::new();
    if marker.take(MAX_NAME).read_to_end(&mut named).is_err() {
        return true;
    }
    named.extend_from_slice(UNFINISHED.as_bytes());
    let path = path.canonicalize();
    path.is_ok_and(|path| path.file_name().map(OsStr::as_encoded_bytes) == Some(named.as_slice()))
}

/// Removes what a killed fork left at `path` that was to be named `name`.
fn remove_left(path: &Path, name: &OsStr) -> Result<(), ForkError> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(ForkError::io("looking for what a fork left", path))?,
    };
    let in_the_way = || ForkError::InTheWay {
        path: path.to_owned(),
    };
    let Ok(marker) = File::open(path.join(MARKER)) else {
        // Nothing is in it yet if it was killed at once.
        return fs::remove_dir(path).map_err(|_| in_the_way());
    };
    lock(path, &marker)?;
    let mut named = Vec::new();
    (&marker)
        .take(MAX_NAME)
        .read_to_end(&mut named)
        .map_err(ForkError::io("reading what a fork left", path))?;
    // The name is not written yet if it was killed at once. A fork with another one got it: it is
    // a database.
    if !named.is_empty() && named != name.as_encoded_bytes() {
        return Err(in_the_way());
    }
    remove(path).map_err(ForkError::io("removing what an earlier fork left", path))
}

/// Removes the directory of a fork: files first, and so what says that it is a database, and the
/// mark last. So what is left is known for what it is if this is cut short.
fn remove(path: &Path) -> io::Result<()> {
    let entries = || fs::read_dir(path)?.collect::<io::Result<Vec<_>>>();
    for entry in entries()? {
        if entry.file_name() != MARKER && !entry.file_type()?.is_dir() {
            fs::remove_file(entry.path())?;
        }
    }
    for entry in entries()? {
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    fs::remove_dir_all(path)
}

fn lock(path: &Path, marker: &File) -> Result<(), ForkError> {
    marker.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => ForkError::UnderWay {
            path: path.to_owned(),
        },
        TryLockError::Error(source) => ForkError::io("locking the fork", path)(source),
    })
}
