//! The errors of the store, one enum for each operation.

use std::path::PathBuf;

use crate::backend::{BackendError, ErrorKind};
use crate::block::{BlockHash, Height};
use crate::keys::{MAX_BLOCK_WRITES, MAX_KEY_LEN, MAX_VALUE_LEN, WRITE_OVERHEAD};

/// A write beyond what a block may write: a fault of the guest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The key is too long.
    #[error("a key of {len} bytes is longer than the {MAX_KEY_LEN} allowed")]
    KeyTooLong {
        /// The key's length in bytes.
        len: usize,
    },
    /// The value is too long.
    #[error("a value of {len} bytes is longer than the {MAX_VALUE_LEN} allowed")]
    ValueTooLong {
        /// The value's length in bytes.
        len: usize,
    },
    /// All that the block wrote is too much.
    #[error(
        "the block writes more than the {MAX_BLOCK_WRITES} bytes allowed, each key and value that is written counted with {WRITE_OVERHEAD} bytes more"
    )]
    BlockTooLarge,
}

/// A read that failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The backend could not read.
    #[error("reading the database failed")]
    Backend(#[from] BackendError),
    /// The backend returned bytes the store never wrote.
    #[error("the database is damaged: {what}")]
    Corrupt {
        /// Which record, and what is wrong with it.
        what: String,
    },
}

impl ReadError {
    /// What has to be done about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Backend(error) => error.kind,
            Self::Corrupt { .. } => ErrorKind::Damage,
        }
    }

    /// Whether the same may succeed later, once the machine is well again.
    pub fn is_transient(&self) -> bool {
        self.kind() == ErrorKind::Machine
    }
}

impl From<OpenError> for ReadError {
    /// Of an engine that was opened again behind the store.
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Corrupt { what, .. } => Self::Corrupt { what },
            OpenError::Backend(error) => Self::Backend(error),
            error => Self::Backend(BackendError::of_kind(
                error.kind(),
                "opening the engine again",
                error,
            )),
        }
    }
}

/// A database that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another store in this one, has it open.
    #[error(
        "the database at `{}` is in use by another process; stop that process, or ask it through its server", path.display()
    )]
    Locked {
        /// The database's directory.
        path: PathBuf,
    },
    /// There is no database at that path.
    #[error("there is no database at `{}`", path.display())]
    NotFound {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// The directory holds something else than a database.
    #[error(
        "`{}` is not empty and no database: it holds `{entry}`; give an empty directory or a new one", path.display()
    )]
    NotOurs {
        /// The path that was given.
        path: PathBuf,
        /// One of the things found there.
        entry: String,
    },
    /// The database was written with another engine.
    #[error(
        "the database was written with the engine `{found}`, this program has `{supported}`: use the program that wrote it, or index again into an empty directory"
    )]
    Engine {
        /// The engine found.
        found: String,
        /// The engine of this program.
        supported: &'static str,
    },
    /// The database was written in another format. Before format 3 a database did not
    /// say which it has: 2 then stands for 2 and 1.
    #[error(
        "the database has format {found}{}, this program reads format {supported}: use the program that wrote it, or index again into an empty directory", or_older(*found)
    )]
    Format {
        /// The format found.
        found: u32,
        /// The format this program reads and writes.
        supported: u32,
    },
    /// What is stored contradicts itself.
    #[error("the database is damaged: {what}; {hint}")]
    Corrupt {
        /// What was found, and where.
        what: String,
        /// What can be done about it.
        hint: &'static str,
    },
    /// The last commits are gone although they had been made durable: the disk, or a
    /// copy of the directory, dropped data. What is left ends on a block and may be
    /// whole; see [`accept_lost_commits`](crate::StoreOptions::accept_lost_commits).
    #[error("the last {lost} commits that were durable are gone")]
    LostCommits {
        /// How many.
        lost: u64,
    },
    /// The backend failed.
    #[error("opening the database failed")]
    Backend(#[from] BackendError),
}

impl OpenError {
    /// What has to be done about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Locked { .. }
            | Self::NotFound { .. }
            | Self::NotOurs { .. }
            | Self::Engine { .. }
            | Self::Format { .. } => ErrorKind::Misuse,
            Self::Corrupt { .. } | Self::LostCommits { .. } => ErrorKind::Damage,
            Self::Backend(error) => error.kind,
        }
    }

    /// Whether the same may succeed later, once the machine is well again.
    pub fn is_transient(&self) -> bool {
        self.kind() == ErrorKind::Machine
    }
}

fn or_older(format: u32) -> &'static str {
    if format == 2 {
        " or older (it has no file `FORMAT`)"
    } else {
        ""
    }
}

/// A commit that failed. Readers see what they saw before.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The block is not the one after the tip.
    #[error("block {height} cannot be committed: the tip is {tip}, so the next block is {}", u64::from(*tip) + 1)]
    NotNext {
        /// The height of the last committed block.
        tip: Height,
        /// The height of the refused block.
        height: Height,
    },
    /// The block does not build on the tip.
    #[error("block {height} cannot be committed: its parent is {parent}, but the tip is {tip}")]
    NotConnected {
        /// The height of the refused block.
        height: Height,
        /// The parent it names.
        parent: BlockHash,
        /// The hash of the block at the tip.
        tip: BlockHash,
    },
    /// The old values could not be read.
    #[error("reading the values before block {height} failed")]
    Read {
        /// The height of the refused block.
        height: Height,
        /// What failed.
        source: ReadError,
    },
    /// The batch could not be written.
    ///
    /// An engine may have it all the same, as a whole: the next commit or
    /// rollback looks, and builds on what is there.
    #[error("writing block {height} failed")]
    Backend {
        /// The height of the last block of the batch.
        height: Height,
        /// What failed.
        source: BackendError,
    },
}

impl CommitError {
    /// What has to be done about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotNext { .. } | Self::NotConnected { .. } => ErrorKind::Misuse,
            Self::Read { source, .. } => source.kind(),
            Self::Backend { source, .. } => source.kind,
        }
    }

    /// Whether the same may succeed later, once the machine is well again.
    pub fn is_transient(&self) -> bool {
        self.kind() == ErrorKind::Machine
    }
}

/// A rollback that failed. The store stands at a committed block: the old tip,
/// or, in a rollback too large for one batch, one between it and the aim.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// The block to keep lies below the lowest block held.
    #[error("cannot roll back to block {keep}: the lowest block held is {first}")]
    BelowFirst {
        /// The height to keep.
        keep: Height,
        /// The lowest height held.
        first: Height,
    },
    /// Every block was to be dropped, but the state below them would stay: it was
    /// written by blocks that are not held.
    #[error(
        "cannot drop all blocks: what is below block {first} is not held, and cannot be dropped with them"
    )]
    NotFresh {
        /// The lowest height held.
        first: Height,
    },
    /// What the dropped blocks wrote could not be read.
    #[error("reading what block {height} wrote failed")]
    Read {
        /// The height of the block to drop.
        height: Height,
        /// What failed.
        source: ReadError,
    },
    /// The batch could not be written.
    #[error("writing the rollback to below block {height} failed")]
    Backend {
        /// The lowest height dropped by the batch.
        height: Height,
        /// What failed.
        source: BackendError,
    },
}

impl RollbackError {
    /// What has to be done about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::BelowFirst { .. } | Self::NotFresh { .. } => ErrorKind::Misuse,
            Self::Read { source, .. } => source.kind(),
            Self::Backend { source, .. } => source.kind,
        }
    }

    /// Whether the same may succeed later, once the machine is well again.
    pub fn is_transient(&self) -> bool {
        self.kind() == ErrorKind::Machine
    }
}

/// A database whose stored versions do not give its history roots.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// What is stored contradicts itself.
    #[error("the database is damaged: {what}")]
    Corrupt {
        /// What was found, and where.
        what: String,
    },
    /// The database could not be read.
    #[error("the database cannot be verified")]
    Read(#[source] ReadError),
    /// The temporary file could not be made, written or read.
    #[error(
        "the database cannot be verified without a temporary file in `{}`, as large as all that was ever written",
        directory.display()
    )]
    Temporary {
        /// Where it was to lie.
        directory: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl From<ReadError> for VerifyError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Corrupt { what } => Self::Corrupt { what },
            ReadError::Backend(_) => Self::Read(error),
        }
    }
}

impl From<BackendError> for VerifyError {
    fn from(error: BackendError) -> Self {
        Self::Read(error.into())
    }
}

/// A block name that stands for no block held.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// No block is committed yet.
    #[error("no block is indexed yet")]
    Empty,
    /// The height lies above the tip.
    #[error("block {height} is not indexed yet: the last one is {tip}")]
    NotIndexed {
        /// The height asked for.
        height: Height,
        /// The height of the last committed block.
        tip: Height,
    },
    /// The height lies below the lowest block held.
    #[error("block {height} is not held: the first one is {first}")]
    BelowFirst {
        /// The height asked for.
        height: Height,
        /// The lowest height held.
        first: Height,
    },
    /// No block in the chain has this hash.
    #[error("no block {hash} is in the indexed chain")]
    UnknownHash {
        /// The hash asked for.
        hash: BlockHash,
    },
    /// The block at this height has another hash, or the chain ends below it.
    #[error(
        "block {hash} is not, or no longer, in the chain: {}",
        at_height(*height, actual.as_ref())
    )]
    NotInChain {
        /// The height asked for.
        height: Height,
        /// The hash asked for.
        hash: BlockHash,
        /// The hash of the block at that height; none if it is above the tip.
        actual: Option<BlockHash>,
    },
    /// The database could not be read.
    #[error("looking up the block failed")]
    Backend(#[from] ReadError),
}

fn at_height(height: Height, actual: Option<&BlockHash>) -> String {
    match actual {
        Some(actual) => format!("block {height} is {actual}"),
        None => format!("there is no block {height}"),
    }
}
