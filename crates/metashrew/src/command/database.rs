//! Opening databases and guests, with errors that name what was meant.

use std::path::Path;

use anyhow::{Context, Result};
use metashrew_store::{OpenError, Store, StoreOptions};

/// The database in the directory `path`; an error if there is none.
pub(super) fn open_existing(path: &Path) -> Result<Store> {
    explain(Store::open_existing(path, StoreOptions::default()), path)
}

/// The database in the directory `path`, for reading only: nothing there is changed.
pub(super) fn open_to_read(path: &Path) -> Result<Store> {
    explain(Store::open_read_only(path, StoreOptions::default()), path)
}

/// As [`open_existing`], accepting that durable commits are gone.
pub(super) fn open_accepting_lost_commits(path: &Path) -> Result<Store> {
    let options = StoreOptions {
        accept_lost_commits: true,
        ..StoreOptions::default()
    };
    explain(Store::open_existing(path, options), path)
}

/// Whether there may be a database in the directory `path`.
pub(super) fn exists(path: &Path) -> bool {
    !matches!(Store::identity_of(path), Err(OpenError::NotFound { .. }))
}

/// The database in the directory `path`, created if there is none.
pub(super) fn open_or_create(path: &Path) -> Result<Store> {
    explain(Store::open(path, StoreOptions::default()), path)
}

fn explain(opened: Result<Store, OpenError>, path: &Path) -> Result<Store> {
    let shown = path.display();
    match opened {
        Err(error @ OpenError::Locked { .. }) => Err(error)
            .with_context(|| format!("the database `{shown}` is held open by another process")),
        Err(error @ OpenError::NotFound { .. }) => Err(error.into()),
        opened => opened.with_context(|| format!("the database `{shown}` cannot be opened")),
    }
}

/// The bytes of the guest in the file `path`.
pub(super) fn read_guest(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("the guest `{}` cannot be read", path.display()))
}
