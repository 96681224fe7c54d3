//! Whether an engine that failed could be opened again, found out before it is closed:
//! as long as it is open, views read in it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::disk::io as failed;
use super::{BackendError, ErrorKind, journals};
use crate::disk_usage::free_space;
use crate::error::OpenError;

/// Its extension says that it is to be removed when it is found.
const FILE: &str = "probe.copy";
const LEN: usize = 4_096;

/// Fails if the file system of the engine at `engine` takes no new file, or has less
/// room than copying the newest journal and replaying all of them may need.
pub(super) fn check(engine: &Path) -> Result<(), OpenError> {
    let file = engine.join(FILE);
    let written = write(&file);
    fs::remove_file(&file).ok();
    written.map_err(failed("trying whether the disk takes files again"))?;
    let needed = journals::bytes_to_reopen(engine).map_err(failed("reading a journal"))?;
    match free_space(engine) {
        Some(free) if free < needed => Err(OpenError::Backend(BackendError::of_kind(
            ErrorKind::Machine,
            "opening the engine again",
            format!("it needs {needed} bytes on its file system, where {free} are free"),
        ))),
        _ => Ok(()),
    }
}

fn write(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    // Not zeros, for which a file system may need no room.
    file.write_all(&[1; LEN])?;
    file.sync_all()
}
