//! What the store asks of an engine: a view, a point read, an ordered scan, an atomic batch.

use std::error::Error;
use std::fmt::Debug;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::OpenError;

mod damage;
mod disk;
mod durable;
mod engine;
mod error_kind;
mod files;
mod health;
mod journals;
#[allow(dead_code, reason = "the engine on disk is being moved onto it")]
mod log;
mod memory;
mod probe;
mod shadow;
mod trees;

pub(crate) use disk::Disk;
pub use error_kind::ErrorKind;
pub use health::EngineHealth;
pub use memory::MemoryBackend;
pub(crate) use shadow::ReadOnlyDisk;

/// The ordered key spaces of the store, each with keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Space {
    /// A user key to the height and value of its newest version.
    KeyToNewest,
    /// An escaped user key and a complemented height to a superseded value.
    KeyHeightToOlder,
    /// A height and a chunk number to the keys that block wrote.
    HeightToKeys,
    /// A height to its block's record.
    HeightToBlock,
    /// A block hash to its height.
    HashToHeight,
    /// The format version and the tip.
    Meta,
}

impl Space {
    /// Every space.
    pub const ALL: [Self; 6] = [
        Self::KeyToNewest,
        Self::KeyHeightToOlder,
        Self::HeightToKeys,
        Self::HeightToBlock,
        Self::HashToHeight,
        Self::Meta,
    ];

    /// The number that stands for the space in files.
    pub(crate) const fn id(self) -> u8 {
        match self {
            Self::KeyToNewest => 1,
            Self::KeyHeightToOlder => 2,
            Self::HeightToKeys => 3,
            Self::HeightToBlock => 4,
            Self::HashToHeight => 5,
            Self::Meta => 6,
        }
    }

    /// The space that `id` stands for.
    pub(crate) fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|space| space.id() == id)
    }
}

/// One change of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The key space.
    pub space: Space,
    /// The key; may be empty, at most 65,000 bytes.
    pub key: Bytes,
    /// The value to set, or none to delete the key.
    pub value: Option<Bytes>,
}

/// Changes that happen together or not at all. No key of a space occurs twice.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    operations: Vec<Operation>,
}

impl Batch {
    /// Sets `key` to `value`.
    pub fn put(&mut self, space: Space, key: Bytes, value: Bytes) {
        self.operations.push(Operation {
            space,
            key,
            value: Some(value),
        });
    }

    /// Deletes `key`, if it is there.
    pub fn delete(&mut self, space: Space, key: Bytes) {
        self.operations.push(Operation {
            space,
            key,
            value: None,
        });
    }

    /// How many changes the batch holds.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether the batch changes nothing.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The changes so far, in the order in which they were added.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The changes, in the order in which they were added.
    pub fn into_operations(self) -> Vec<Operation> {
        self.operations
    }
}

/// What has to be true when a write returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It survives the end of the process.
    Buffered,
    /// It survives a power cut.
    Synced,
}

/// A failure inside an engine.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed")]
pub struct BackendError {
    /// What the engine was doing.
    pub operation: &'static str,
    /// What has to be done about it.
    pub kind: ErrorKind,
    /// What it said.
    pub source: Box<dyn Error + Send + Sync>,
}

impl BackendError {
    /// A failure of `operation` with `source` as its cause, which tells the kind: an
    /// error of the operating system is the machine's, anything unknown is damage.
    pub fn new(operation: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let source = source.into();
        Self {
            operation,
            kind: ErrorKind::of(source.as_ref()),
            source,
        }
    }

    /// A failure of `operation` of a kind that `source` does not tell by itself.
    pub fn of_kind(
        kind: ErrorKind,
        operation: &'static str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            operation,
            kind,
            source: source.into(),
        }
    }

    /// Whether the same may succeed later, once the machine is well again.
    pub fn is_transient(&self) -> bool {
        self.kind == ErrorKind::Machine
    }
}

/// Entries in key order.
pub type Scan = Box<dyn Iterator<Item = Result<(Bytes, Bytes), BackendError>> + Send>;

/// The content of an engine at one moment; unchanged for as long as it is held.
pub trait View: Debug + Send + Sync {
    /// The value at `key`.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, BackendError>;

    /// The entries from `start` to `end`, in key order.
    fn scan(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan;
}

/// An ordered key-value engine.
pub trait Backend: Debug + Send + Sync {
    /// The content as of the last write that returned.
    fn view(&self) -> Result<Arc<dyn View>, BackendError>;

    /// Applies `batch` atomically. After an error nothing of it may be visible.
    ///
    /// The store never calls this from two threads at once.
    fn write(&self, batch: Batch, durability: Durability) -> Result<(), BackendError>;

    /// Closes and opens the engine again if it takes no more writes after a failure.
    /// Reads in earlier views fail from then on.
    ///
    /// The store calls this after a write that failed, before the next one.
    fn reopen_if_failed(&self) -> Result<(), OpenError> {
        Ok(())
    }

    /// How it is doing; none if it does not tell.
    ///
    /// Servers ask while they answer: it must not wait for anything.
    fn health(&self) -> Option<EngineHealth> {
        None
    }

    /// The directory that holds the content, if it lives in files.
    fn directory(&self) -> Option<&Path> {
        None
    }
}
