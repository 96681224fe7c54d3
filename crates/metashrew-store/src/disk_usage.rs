//! What a database takes on disk, and what the disk has left.

use std::fs;
use std::io;
use std::path::Path;

use crate::store::Store;

impl Store {
    /// What the database's files take on disk, in bytes. None if it lives in memory, or
    /// if its directory cannot be read at the moment.
    ///
    /// This looks at each file, a microsecond or two a file: cheap enough for metrics,
    /// not for every block.
    pub fn disk_bytes(&self) -> Option<u64> {
        occupied(self.inner.backend.directory()?).ok()
    }

    /// What is left for this process on the file system of the database, in bytes. None
    /// if the database lives in memory, or if the system does not say.
    pub fn free_space(&self) -> Option<u64> {
        free_space(self.inner.backend.directory()?)
    }
}

/// The bytes that the files below `directory` occupy: a file may have holes.
fn occupied(directory: &Path) -> io::Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            // The engine removes files at any time.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        total += if metadata.is_dir() {
            occupied(&entry.path())?
        } else {
            file_bytes(&metadata)
        };
    }
    Ok(total)
}

#[cfg(unix)]
fn file_bytes(metadata: &fs::Metadata) -> u64 {
    /// The unit of `st_blocks`, whatever the file system's own blocks are (POSIX, `sys/stat.h`).
    const STAT_BLOCK_BYTES: u64 = 512;
    std::os::unix::fs::MetadataExt::blocks(metadata) * STAT_BLOCK_BYTES
}

#[cfg(not(unix))]
fn file_bytes(metadata: &fs::Metadata) -> u64 {
    metadata.len()
}

/// What is left for this process on the file system of `directory`, in bytes.
#[cfg(unix)]
pub(crate) fn free_space(directory: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(directory).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
pub(crate) fn free_space(_directory: &Path) -> Option<u64> {
    None
}
