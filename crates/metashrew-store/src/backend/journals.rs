//! Telling whether the engine's recovery cut a journal that was complete.
//!
//! fjall replays a journal up to the first entry it cannot read and cuts the
//! file there in silence. At the end of the newest journal that is a write torn
//! by a crash. An older journal was synced before the next one was begun: there
//! it is damage, and the batches behind it are missing from the middle of the
//! database.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::disk::io;
use crate::error::OpenError;
use crate::open::HINT;

/// Recovery mends the journal it cut, so the finding is kept in this file.
const DAMAGED: &str = "damaged";
const EXTENSION: &str = "jnl";
const WINDOW: u64 = 64 * 1024;

/// The journals that were complete before recovery, held open, each with where
/// its content ends: engines fill up new journals with zeros.
#[derive(Debug)]
pub(super) struct SealedJournals(Vec<(String, File, u64)>);

impl SealedJournals {
    pub(super) fn find(directory: &Path) -> std::io::Result<Self> {
        let mut journals = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let number = path
                .file_stem()
                .and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            if let Some(number) = number
                && path
                    .extension()
                    .is_some_and(|extension| extension == EXTENSION)
            {
                journals.push((number, path));
            }
        }
        journals.sort();
        let mut sealed = Vec::with_capacity(journals.len());
        for (number, path) in journals {
            let mut file = File::open(path)?;
            let end = content_end(&mut file)?;
            sealed.push((format!("{number}.{EXTENSION}"), file, end));
        }
        // The newest one with content may end in a torn write. An empty one may
        // follow it: begun after a failed write, say for want of space.
        while sealed.pop().is_some_and(|(_, _, end)| end == 0) {}
        Ok(Self(sealed))
    }

    /// Fails if recovery cut any of them, now and every time after.
    pub(super) fn check_unharmed(&self, path: &Path) -> Result<(), OpenError> {
        for (name, file, end) in &self.0 {
            // The engine deletes journals that it no longer needs, but a file
            // held open still knows its length.
            let len = file
                .metadata()
                .map_err(io("reading a journal's length"))?
                .len();
            if len < *end {
                let what = format!(
                    "{name}, a journal that had been complete, is unreadable from byte {len} of {end}: commits in the middle are lost"
                );
                fs::write(path.join(DAMAGED), &what).map_err(io("noting the damage"))?;
                return Err(OpenError::Corrupt { what, hint: HINT });
            }
        }
        Ok(())
    }
}

/// Fails if an earlier opening found the database damaged beyond repair.
pub(super) fn check_not_damaged(path: &Path) -> Result<(), OpenError> {
    match fs::read_to_string(path.join(DAMAGED)) {
        Ok(what) => Err(OpenError::Corrupt { what, hint: HINT }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io("looking for noted damage")(error)),
    }
}

/// The position behind the last byte that is not zero.
fn content_end(file: &mut File) -> std::io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut window = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(WINDOW);
        file.seek(SeekFrom::Start(start))?;
        window.clear();
        file.by_ref().take(end - start).read_to_end(&mut window)?;
        if let Some(last) = window.iter().rposition(|byte| *byte != 0) {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
