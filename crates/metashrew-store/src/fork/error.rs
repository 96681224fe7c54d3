//! Why a fork was not made.

use std::io;
use std::path::{Path, PathBuf};

use crate::backend::BackendError;
use crate::block::Height;
use crate::error::{OpenError, ReadError, RollbackError};

/// Why a fork was not made. Nothing of it is left, nor was anything else changed; but for
/// [`ForkError::NotDurable`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForkError {
    /// There is something in the place of the new database.
    #[error("`{}` exists already", path.display())]
    Exists {
        /// The place.
        path: PathBuf,
    },
    /// The new database would lie inside the original.
    #[error("`{}` is inside the database itself", path.display())]
    Inside {
        /// Its place.
        path: PathBuf,
    },
    /// Where the fork is made there is something that no fork has left.
    #[error(
        "the fork is made at `{}`, and what is there is not what an earlier fork left",
        path.display()
    )]
    InTheWay {
        /// Where it is made.
        path: PathBuf,
    },
    /// Another process makes a fork of this name.
    #[error("another process is making a fork at `{}`", path.display())]
    UnderWay {
        /// Where it is made.
        path: PathBuf,
    },
    /// The original has no block.
    #[error("no block is indexed yet")]
    Empty,
    /// The block to keep is not there yet.
    #[error("block {at} is not indexed yet: the last one is {tip}")]
    AboveTip {
        /// The last block to keep.
        at: Height,
        /// The last one there is.
        tip: Height,
    },
    /// The block to keep is not held.
    #[error("block {at} is not held: the first one is {first}")]
    BelowFirst {
        /// The last block to keep.
        at: Height,
        /// The lowest one there is.
        first: Height,
    },
    /// The original cannot be read, or what was taken of it cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The blocks above the last one to keep cannot be dropped.
    #[error(transparent)]
    Rollback(#[from] RollbackError),
    /// The new database cannot be written.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// What was taken cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The fork is made, has its name and is whole. Only that it has its name may not survive a
    /// power cut, or the mark of an unfinished fork, which means nothing any more, is left in it.
    #[error("the fork at `{}` is made, but {operation} failed", path.display())]
    NotDurable {
        /// What was being done.
        operation: &'static str,
        /// Where the fork is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or directory cannot be written.
    #[error("{operation} at `{}` failed", path.display())]
    Io {
        /// What was being done.
        operation: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ForkError {
    pub(super) fn io(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io {
            operation,
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn after(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::NotDurable {
            operation,
            path: path.to_owned(),
            source,
        }
    }
}
