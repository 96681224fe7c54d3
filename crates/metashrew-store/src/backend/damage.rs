//! The note of damage that was found, beside the engine.
//!
//! A database that was found damaged stays refused, whatever the engine would make
//! of it next time, until whoever mended it removes the note.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::disk::io;
use crate::directory;
use crate::error::OpenError;
use crate::open::HINT;

/// The name of the note, below the database's directory.
const DAMAGED: &str = "damaged";

/// An error for damage to the database's files.
pub(super) fn corrupt(what: impl Into<String>) -> OpenError {
    OpenError::Corrupt {
        what: what.into(),
        hint: HINT,
    }
}

/// Fails if an earlier opening found the database damaged.
pub(super) fn check_not_noted(path: &Path) -> Result<(), OpenError> {
    match fs::read(path.join(DAMAGED)) {
        Ok(what) => Err(corrupt(format!(
            "an earlier opening found: {} (noted in `{DAMAGED}`; remove that file once this is mended)",
            String::from_utf8_lossy(&what)
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io("looking for noted damage")(error)),
    }
}

/// Notes the damage that `error` tells of, durably. The note is a help, not what the
/// refusal rests on: failing to write it changes nothing.
pub(super) fn note(path: &Path, error: &OpenError) {
    let OpenError::Corrupt { what, .. } = error else {
        return;
    };
    let noted = File::create(path.join(DAMAGED))
        .and_then(|mut file| {
            file.write_all(what.as_bytes())
                .and_then(|()| file.sync_all())
        })
        .and_then(|()| directory::sync(path));
    if let Err(error) = noted {
        tracing::warn!(%error, "cannot note that the database is damaged");
    }
}
