//! Why a view call failed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metashrew_store::ResolveError;

use super::{GuestBacktrace, GuestFault, HostFault};

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
