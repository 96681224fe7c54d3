//! Opening databases and guests, with errors that name what was meant.

use std::path::Path;

use anyhow::{Context, Result};
use metashrew_store::{OpenError, Store, StoreOptions};

use crate::bounded;
use crate::cli::Database;
use crate::descriptors;
use crate::memory::{self, Asked, Memory};
use crate::size::Size;

/// The database that the flags name; an error if there is none.
pub(super) fn open_existing(args: &Database) -> Result<Store> {
    explain(
        Store::open_existing(&args.db, options(args.cache.size)?),
        &args.db,
    )
}

/// The database in the directory `path`, for reading only, with so much memory for
/// caches: nothing there is changed.
pub(super) fn open_to_read(path: &Path, cache: Option<Size>) -> Result<Store> {
    explain(Store::open_read_only(path, options(cache)?), path)
}

/// As [`open_existing`], accepting that durable commits are gone.
pub(super) fn open_accepting_lost_commits(args: &Database) -> Result<Store> {
    let options = StoreOptions {
        accept_lost_commits: true,
        ..options(args.cache.size)?
    };
    explain(Store::open_existing(&args.db, options), &args.db)
}

/// How a command opens a database that does nothing else with the machine.
pub(super) fn options(cache: Option<Size>) -> Result<StoreOptions> {
    descriptors::raise_limit();
    let asked = Asked::cache_alone(cache);
    let memory = Memory::share(memory::total(), asked).map_err(anyhow::Error::msg)?;
    Ok(StoreOptions::default().with_cache(memory.cache))
}

/// Whether there may be a database in the directory `path`.
pub(super) fn exists(path: &Path) -> bool {
    !matches!(Store::identity_of(path), Err(OpenError::NotFound { .. }))
}

/// The database in the directory `path`, created if there is none.
pub(super) fn open_or_create(path: &Path, options: StoreOptions) -> Result<Store> {
    explain(Store::open(path, options), path)
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

/// Bytes that a guest's file may have: many times those of the largest guests, and few enough
/// for any machine. What is named may be no file, and never end.
const MAX_GUEST: u64 = 256 << 20;

/// The bytes of the guest in the file `path`.
pub(super) fn read_guest(path: &Path) -> Result<Vec<u8>> {
    let failed = || format!("the guest `{}` cannot be read", path.display());
    bounded::read(path, MAX_GUEST).with_context(failed)
}
