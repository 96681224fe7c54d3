//! What can go wrong, told apart by who is at fault and what to do about it.
//!
//! A *guest* fault comes out the same on every machine: stop, and fix the guest.
//! A *host* fault (disk, memory) may be gone at the next try.

mod view;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use metashrew_abi::Malformed;
use metashrew_abi::flush::FlushError;
use metashrew_store::{ReadError, WriteError};

pub use view::{PendingError, SessionLoss, ViewError, Wait};

/// A guest could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("the guest `{}` could not be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The bytes are not a WebAssembly module that this host can run.
    #[error("the guest is not a WebAssembly module that can run here: {0}")]
    Invalid(String),
    /// An import has another type than the host's function of that name, or is not a function.
    #[error("the guest's imports do not fit: {0}")]
    Import(String),
    /// An export that every guest needs is missing or has another type.
    #[error("the guest does not export `{name}` as {expected}")]
    MissingExport {
        /// The export's name.
        name: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The WebAssembly engine could not be set up on this machine.
    #[error("the WebAssembly engine could not be set up: {0}")]
    Engine(String),
}

/// The frames of a guest at the moment it failed, innermost first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuestBacktrace(pub(crate) Vec<String>);

impl GuestBacktrace {
    /// One line a frame: the function's name, or its index if the guest was
    /// stripped of names, and the offset in the module.
    pub fn frames(&self) -> &[String] {
        &self.0
    }
}

/// A function on a guest's stack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuestFrame {
    /// Its name, without the hash of Rust's mangling; `function 7` if it has none.
    pub function: String,
    /// Where in the guest's module it is: in bytes from the beginning. An `unreachable` may be
    /// told at the branch before it, or at the beginning of the loop or the function that it is
    /// first in: the compiler makes one instruction of the two.
    pub offset: Option<usize>,
}

impl fmt::Display for GuestFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        match self.offset {
            Some(offset) => write!(f, " at {offset:#x}"),
            None => Ok(()),
        }
    }
}

impl From<Vec<GuestFrame>> for GuestBacktrace {
    fn from(frames: Vec<GuestFrame>) -> Self {
        Self(frames.iter().map(GuestFrame::to_string).collect())
    }
}

impl fmt::Display for GuestBacktrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, frame) in self.0.iter().enumerate() {
            write!(f, "\n  {index}: {frame}")?;
        }
        Ok(())
    }
}

/// Where a guest says that it aborted; nothing, if it does not.
fn place(file: &str, line: u32, column: u32) -> String {
    if file.is_empty() {
        return String::new();
    }
    format!(" ({file}:{line}:{column})")
}

/// The guest did something wrong; every host sees the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuestFault {
    /// A WebAssembly trap: unreachable code, division by zero, more stack than a guest may use…
    #[error("the guest trapped: {trap}{backtrace}")]
    Trap {
        /// What the trap was.
        trap: String,
        /// Where.
        backtrace: GuestBacktrace,
    },
    /// The guest called `abort`.
    #[error("the guest aborted: {message}{}{backtrace}", place(file, *line, *column))]
    Abort {
        /// The guest's message.
        message: String,
        /// The guest's source file.
        file: String,
        /// Line in it.
        line: u32,
        /// Column in it.
        column: u32,
        /// Where in the module.
        backtrace: GuestBacktrace,
    },
    /// A pointer or a length reaches outside the guest's memory.
    #[error("the guest passed `{function}` a bad pointer: {pointer:#x}{backtrace}")]
    BadPointer {
        /// The host function, or the view whose answer it is.
        function: String,
        /// The pointer.
        pointer: u32,
        /// Where.
        backtrace: GuestBacktrace,
    },
    /// The guest called an import that this host does not provide.
    #[error("the guest called `{module}.{name}`, which this host does not provide{backtrace}")]
    UnknownImport {
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
        /// Where.
        backtrace: GuestBacktrace,
    },
    /// What the guest asked an import of the module `metashrew` for could not be read.
    #[error("the guest passed `metashrew.{function}` a request that is {reason}{backtrace}")]
    BadRequest {
        /// The import's name.
        function: &'static str,
        /// What is wrong with it.
        reason: Malformed,
        /// Where.
        backtrace: GuestBacktrace,
    },
    /// The guest called `metashrew.load_answer`, and there was no answer that it had not
    /// loaded.
    #[error("the guest called `metashrew.load_answer`, but there is no answer to load{backtrace}")]
    NoAnswer {
        /// Where.
        backtrace: GuestBacktrace,
    },
    /// `_start` returned without having called `__flush`.
    #[error("the guest's `_start` returned without calling `__flush`")]
    NoFlush,
    /// What was flushed could not be read.
    #[error(transparent)]
    BadFlush(#[from] FlushError),
    /// A flushed key or value, or all that the block flushed, is more than a block may
    /// write.
    #[error(transparent)]
    TooLong(#[from] WriteError),
    /// The module has no memory, no `_start`, or not of the type expected.
    #[error("the guest does not export `{name}` as {expected}")]
    MissingExport {
        /// The export's name.
        name: String,
        /// What it must be.
        expected: &'static str,
    },
}

/// The machine failed, not the guest: the same call may succeed later.
#[derive(Debug, thiserror::Error)]
pub enum HostFault {
    /// The store could not be read.
    #[error("the store could not be read")]
    Store(#[from] ReadError),
    /// No instance could be made, or the guest's memory could not grow although it may.
    #[error("the machine could not give the guest what it may have: {0}")]
    Resources(String),
    /// The stack that this machine gives a guest ended before the limit that all machines
    /// share: other machines may go on.
    #[error("the stack of this machine ended before the limit that all machines share{backtrace}")]
    Stack {
        /// Where.
        backtrace: GuestBacktrace,
    },
    /// The host's own code panicked.
    #[error("the host panicked: {0}")]
    Panic(String),
    /// The run was ended by whoever observes it.
    #[error("the run was ended by its observer")]
    Observer(#[source] crate::observe::Refusal),
    /// The block took longer than it may on this machine
    /// ([`block_timeout`](crate::RuntimeOptions::block_timeout)), or was to be stopped
    /// ([`BlockRunner::stopped_by`](crate::BlockRunner::stopped_by)).
    #[error("the guest has not ended within {} ms, the limit set for a block{backtrace}", limit.as_millis())]
    TimedOut {
        /// How long a block may take.
        limit: Duration,
        /// Where the guest was.
        backtrace: GuestBacktrace,
    },
}

/// A block could not be processed. Nothing of it remains.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// Indexing must stop: every host fails on this block with this guest.
    #[error(transparent)]
    Guest(#[from] GuestFault),
    /// The block may be tried again.
    #[error(transparent)]
    Host(#[from] HostFault),
}
