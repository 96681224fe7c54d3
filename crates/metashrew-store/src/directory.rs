//! Directories on disk.

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes durable which entries the directory `path` has.
#[cfg(unix)]
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Elsewhere a directory cannot be synced.
#[cfg(not(unix))]
pub(crate) fn sync(_path: &Path) -> io::Result<()> {
    Ok(())
}
