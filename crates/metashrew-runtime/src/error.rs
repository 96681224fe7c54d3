//! What can go wrong, told apart by who is at fault and what to do about it.
//!
//! A *guest* fault comes out the same on every machine: stop, and fix the guest.
//! A *host* fault (disk, memory) may be gone at the next try.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use metashrew_abi::Malformed;
use metashrew_abi::flush::FlushError;
use metashrew_store::{ReadError, ResolveError, WriteError};

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

/// Why a session's instance is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionLoss {
    /// Its last call failed.
    Fault,
    /// The caller of its last call went away before the answer.
    Cancelled,
    /// It had grown too large, or others needed the memory.
    Memory,
    /// Blocks were undone since.
    Reorg,
    /// It held another block's state, and the guest does not keep blocks apart.
    Block,
    /// Stateful views were turned off meanwhile.
    Disabled,
}

impl SessionLoss {
    /// A fixed word for it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Cancelled => "cancelled",
            Self::Memory => "memory",
            Self::Reorg => "reorg",
            Self::Block => "block",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Display for SessionLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fault => "its last call failed",
            Self::Cancelled => "the caller of its last call went away",
            Self::Memory => "its memory was needed",
            Self::Reorg => "blocks were undone",
            Self::Block => "it stood on another block",
            Self::Disabled => "stateful views were turned off",
        })
    }
}

/// Why a pending block answers no call.
#[derive(Debug, thiserror::Error)]
pub enum PendingError {
    /// Whoever offered it could not bring it.
    #[error("it could not be fetched")]
    Fetch(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The guest failed on it, ran longer than
    /// [`pending_timeout`](crate::ViewOptions::pending_timeout), or wanted too much memory.
    #[error("it could not be executed")]
    Execution(#[source] ViewError),
    /// Its thread could not be started, or died.
    #[error("there is no thread that executes it")]
    Thread,
}

/// What a call waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// To run: as many calls as may be are under way.
    Permit,
    /// The turn of its session.
    Turn,
    /// What is asked about: the pending block, or the block's place in the chain.
    Block,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permit => "its turn to run",
            Self::Turn => "its session's turn",
            Self::Block => "the block that it is about",
        })
    }
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// A view call failed. Only this call is affected.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The guest exports no view of that name.
    #[error("the guest has no view `{name}`{}", meant(.nearest.as_deref()))]
    NoSuchView {
        /// The name asked for.
        name: String,
        /// The view that may have been meant: its name is much like that.
        nearest: Option<String>,
    },
    /// The block named is not one that can be answered for.
    #[error(transparent)]
    Block(#[from] ResolveError),
    /// The input is longer than `max_input`.
    #[error("the input has {length} bytes, the limit is {limit}")]
    InputTooLong {
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The answer is longer than `max_output`.
    #[error("the answer has {length} bytes, the limit is {limit}")]
    OutputTooLong {
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The session's instance is gone, with all it held. The next call of the session
    /// starts it anew.
    #[error("the session `{session}` is lost: {reason}")]
    SessionLost {
        /// The session's name.
        session: String,
        /// Why.
        reason: SessionLoss,
    },
    /// There are no sessions, because no instance persists between calls.
    #[error("stateful views are off, so there are no sessions")]
    SessionUnavailable,
    /// The session's name is empty or too long.
    #[error("a session's name has 1 to {limit} bytes, this one has {length}")]
    SessionName {
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// There is no pending block, or not on the last block of the chain.
    #[error("there is no pending block on the last block")]
    NoPending,
    /// There is a pending block, but it could not be fetched or executed. It is not tried
    /// again; the next one may do.
    #[error("the pending block failed")]
    PendingFailed(#[source] Arc<PendingError>),
    /// As many calls run as may, and the queue is full.
    #[error("busy: {queue} calls are waiting already; try again later")]
    Busy {
        /// How many calls may wait.
        queue: usize,
    },
    /// The call waited as long as it may. It did not run, or not to its end.
    #[error("busy: the call waited {} ms for {wanted}; try again later", limit.as_millis())]
    Waited {
        /// How long it may wait: `max_wait`, or the call's own `timeout`.
        limit: Duration,
        /// What it waited for.
        wanted: Wait,
    },
    /// The call wanted memory that other calls have, for as long as it may wait. It may well
    /// be had later.
    #[error(
        "busy: the view wanted {wanted} bytes of memory, others leave {available} of {limit}; \
         try again later"
    )]
    MemoryBusy {
        /// How much memory it would have had, in bytes.
        wanted: usize,
        /// How much of it could be had, in bytes.
        available: usize,
        /// How much all calls have together, in bytes.
        limit: usize,
    },
    /// As many sessions are known as may be.
    #[error("busy: {limit} sessions are known already; try again later")]
    SessionsFull {
        /// How many may be known.
        limit: usize,
    },
    /// No instance of the guest can be made for a view, since it begins with more memory than
    /// one may have.
    #[error(
        "the guest begins with {least} bytes of memory, an instance for views may have {limit}"
    )]
    GuestTooLarge {
        /// What it begins with, in bytes.
        least: usize,
        /// How much an instance may have, in bytes.
        limit: usize,
    },
    /// The call ran longer than it may.
    #[error("the view ran longer than {} ms{backtrace}", limit.as_millis())]
    Timeout {
        /// How long it may run.
        limit: Duration,
        /// Where it was.
        backtrace: GuestBacktrace,
    },
    /// The call wanted more memory than one instance may have.
    #[error("the view wanted {wanted} bytes of memory, the limit is {limit}{backtrace}")]
    MemoryLimit {
        /// How much memory it would have had, in bytes.
        wanted: usize,
        /// How much it may have, in bytes.
        limit: usize,
        /// Where it was.
        backtrace: GuestBacktrace,
    },
    /// The view ran to its end, and returned an error (`docs/abi.md`). Its instance is kept.
    #[error("the view returned an error: {message}")]
    Returned {
        /// The guest's text, of 64 KiB at most.
        message: String,
    },
    /// The guest failed.
    #[error(transparent)]
    Guest(#[from] GuestFault),
    /// The machine failed; the call may be tried again.
    #[error(transparent)]
    Host(#[from] HostFault),
}

impl ViewError {
    /// Whether the error follows from the call and from what its run read alone: the same call
    /// on the same values fails in the same way.
    pub(crate) fn rests_on_reads(&self) -> bool {
        match self {
            Self::NoSuchView { .. }
            | Self::InputTooLong { .. }
            | Self::OutputTooLong { .. }
            | Self::GuestTooLarge { .. }
            | Self::Returned { .. }
            | Self::Guest(_) => true,
            // Time, memory or the chain made it fail.
            Self::Block(_)
            | Self::SessionLost { .. }
            | Self::SessionUnavailable
            | Self::SessionName { .. }
            | Self::NoPending
            | Self::PendingFailed(_)
            | Self::Busy { .. }
            | Self::Waited { .. }
            | Self::MemoryBusy { .. }
            | Self::SessionsFull { .. }
            | Self::Timeout { .. }
            | Self::MemoryLimit { .. }
            | Self::Host(_) => false,
        }
    }
}
