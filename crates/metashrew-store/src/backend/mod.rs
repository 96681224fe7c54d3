//! What the store asks of an engine: views with point reads and ordered scans, atomic
//! batches in an order, and a mark up to which they are durable.
//!
//! What an engine must guarantee is said with [`Backend`] and [`View`], and checked by
//! the tests in `contract.rs` here.

use std::error::Error;
use std::fmt::{self, Debug};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::OpenError;

mod capture;
mod content;
mod coordination;
mod damage;
mod disk;
mod durable;
mod engine;
mod error_kind;
mod files;
mod health;
mod index;
mod layer;
mod log;
mod memory;
mod read;
mod scan;
mod settings;
mod shadow;
mod tables;
mod threads;
mod transfer;
mod tree_key;
mod trees;
mod views;

#[cfg(test)]
mod contract;

pub(crate) use capture::capture;
pub(crate) use disk::Disk;
pub use error_kind::ErrorKind;
pub use health::EngineHealth;
pub use memory::MemoryBackend;
pub use read::{Cursor, Direction, Entry, Pending, Read, Scan, wait};
pub(crate) use read::{get_all, get_some};
pub(crate) use shadow::ReadOnlyDisk;
pub use transfer::{Files, Transferred};

/// The ordered key spaces of the store, each with keys of its own.
///
/// There will be more: an engine treats all of [`Space::ALL`] alike, and shows one that a
/// database does not have yet as empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
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
    /// Every space, in the order of their ids.
    pub const ALL: [Self; 6] = [
        Self::KeyToNewest,
        Self::KeyHeightToOlder,
        Self::HeightToKeys,
        Self::HeightToBlock,
        Self::HashToHeight,
        Self::Meta,
    ];

    /// The number that stands for it in files: it stays the same, and is never given to
    /// another space. None has 0, which an engine may use for records of its own.
    pub const fn id(self) -> u8 {
        match self {
            Self::KeyToNewest => 1,
            Self::KeyHeightToOlder => 2,
            Self::HeightToKeys => 3,
            Self::HeightToBlock => 4,
            Self::HashToHeight => 5,
            Self::Meta => 6,
        }
    }

    /// The space of this id.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|space| space.id() == id)
    }

    /// Its name, as stable as the id.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeyToNewest => "key_to_newest",
            Self::KeyHeightToOlder => "key_height_to_older",
            Self::HeightToKeys => "height_to_keys",
            Self::HeightToBlock => "height_to_block",
            Self::HashToHeight => "hash_to_height",
            Self::Meta => "meta",
        }
    }
}

/// The number of a batch: each one's is higher than those of all before it.
///
/// An engine counts on when it is opened again. Zero is before the first batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BatchNumber(pub u64);

impl fmt::Display for BatchNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
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

/// What has to be true before what was written is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It survives the end of the process.
    Buffered,
    /// It survives a power cut.
    Synced,
}

impl Durability {
    /// A fixed word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Buffered => "buffered",
            Self::Synced => "synced",
        }
    }
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

/// The content of an engine after one batch; unchanged for as long as it is held.
///
/// A read is answered at once where the engine has what is asked for, without an
/// allocation for that: see [`Read`].
pub trait View: Debug + Send + Sync {
    /// The last batch that it shows. It shows all of that, all before it, and nothing else.
    fn batch(&self) -> BatchNumber;

    /// The value at `key`.
    fn get<'a>(&'a self, space: Space, key: &'a [u8]) -> Read<'a, Option<Bytes>>;

    /// The values at the first of `keys`, in their order: at least one, and no more once they
    /// have `max_bytes` together. The keys are in key order, and each is there once.
    ///
    /// How many an engine reads at a time is up to it: it is asked again for the rest. One
    /// whose reads take a while does all of them together. This one reads a few, one after the
    /// other, so that who asks can give way in between.
    fn get_many<'a>(
        &'a self,
        space: Space,
        keys: &'a [&'a [u8]],
        max_bytes: usize,
    ) -> Read<'a, Vec<Option<Bytes>>> {
        read::one_by_one(self, space, keys, max_bytes)
    }

    /// The entries from `start` to `end`, in key order. The walk owns what it needs.
    fn scan(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan;

    /// The same entries, the last one first. It costs about the same.
    fn scan_back(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan;
}

/// An ordered key-value engine.
///
/// # What it guarantees
/// - A batch is there as a whole or not at all: in every view, and after every crash.
/// - Batches are in the order of their numbers. After a crash the engine stands at one of
///   them, not before the one it last said to be [durable](Self::durable).
/// - Views are made at any time, on any thread, while a batch is written as well; what one
///   shows never changes.
/// - Reads that may be pending are awaited on threads of any sort, with a runtime or without,
///   so the engine brings along what drives them. They end: with an error, if need be.
/// - After an error in [`write`](Self::write) or [`sync`](Self::sync) nobody knows whether
///   the batch is there. The store asks for no other before it has called
///   [`reopen_if_failed`](Self::reopen_if_failed) and looked.
///
/// There is one writer, a single store; it never writes from two threads at once. Others may
/// follow what it writes ([`refresh`](Self::refresh)).
pub trait Backend: Debug + Send + Sync {
    /// The content after the last batch that was [written](Self::write) here, or found by
    /// [`refresh`](Self::refresh). Where the engine is closed, its reads fail.
    ///
    /// Costs next to nothing.
    fn view(&self) -> Arc<dyn View>;

    /// Applies `batch` atomically: views made from now on show it. It need not be durable
    /// yet.
    fn write(&self, batch: Batch) -> Result<BatchNumber, BackendError>;

    /// The last batch that survives a power cut, with all before it.
    fn durable(&self) -> BatchNumber;

    /// Waits until every batch up to `batch`, which was written, survives a power cut.
    ///
    /// Many batches can be made durable together: the last one's wait is then the others'.
    fn sync(&self, batch: BatchNumber) -> Read<'_, ()>;

    /// Looks what another process has written meanwhile, for an engine that follows it. The
    /// engine that writes has nothing to look for.
    fn refresh(&self) -> Read<'_, ()> {
        Read::Ready(Ok(()))
    }

    /// Whether reads of its views may be pending.
    ///
    /// The views of guests then run so that they can wait without holding a thread, which
    /// costs each of their reads some tens of nanoseconds. Where this is false, a read that is
    /// pending all the same holds its thread.
    fn reads_may_wait(&self) -> bool {
        false
    }

    /// Closes and opens the engine again if it takes no more writes after a failure.
    /// Reads in earlier views fail from then on.
    ///
    /// The store calls this after a write that failed, before the next one.
    fn reopen_if_failed(&self) -> Result<(), OpenError> {
        Ok(())
    }

    /// Writes out what is only in memory, so that the next opening has nothing to read
    /// again. Without it nothing is lost, but for a power cut what is not
    /// [durable](Self::durable).
    ///
    /// The store calls this once, after the last write. Views go on being read.
    fn close(&self) -> Result<(), BackendError> {
        Ok(())
    }

    /// How it is doing; none if it does not tell.
    ///
    /// Servers ask while they answer: it must not wait for anything.
    fn health(&self) -> Option<EngineHealth> {
        None
    }

    /// Has an engine that was opened left as it is when it is dropped: the store found that
    /// what it holds is damaged, as `why` tells.
    fn abandon(&self, why: &OpenError) {
        let _ = why;
    }

    /// The directory that holds the content, if it lives in files.
    fn directory(&self) -> Option<&Path> {
        None
    }
}
