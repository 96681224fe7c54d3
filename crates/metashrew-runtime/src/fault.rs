//! From wasmtime's errors to ours: every failed call of a guest passes here once.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use metashrew_store::ReadError;
use wasmtime::{Trap, WasmBacktrace};

use crate::error::{BlockError, GuestBacktrace, GuestFault, GuestFrame, HostFault, ViewError};
use crate::stack::Offsets;

/// Why one call of a guest ended, before it is known whose call it was.
#[derive(Debug)]
pub(crate) enum Fault {
    Guest(GuestFault),
    Host(HostFault),
    /// The call's deadline passed.
    Timeout(GuestBacktrace),
    /// The instance wanted `wanted` bytes of memory where `limit` are allowed.
    Memory {
        wanted: usize,
        limit: usize,
        backtrace: GuestBacktrace,
    },
    /// The call would have had `wanted` bytes of memory, of which others have some.
    Starved {
        wanted: usize,
    },
    /// The answer has `length` bytes where `limit` are allowed.
    Output {
        length: usize,
        limit: usize,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guest(fault) => fault.fmt(f),
            Self::Host(fault) => fault.fmt(f),
            Self::Timeout(_) => f.write_str("the call's deadline passed"),
            Self::Memory { wanted, limit, .. } => {
                write!(f, "{wanted} bytes of memory wanted, {limit} allowed")
            }
            Self::Starved { wanted } => {
                write!(
                    f,
                    "{wanted} bytes of memory wanted, others have some of them"
                )
            }
            Self::Output { length, limit } => {
                write!(f, "an answer of {length} bytes, {limit} allowed")
            }
        }
    }
}

impl std::error::Error for Fault {}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        Self::Host(error.into())
    }
}

impl Fault {
    /// Classifies what wasmtime returned from a call of code with these `offsets`.
    pub(crate) fn of(error: wasmtime::Error, offsets: &Offsets) -> Self {
        let backtrace = backtrace(&error, offsets);
        let counts_stack = || innermost(&error).is_some_and(|at| offsets.counts_stack(at));
        match error.downcast_ref::<Trap>() {
            // The native stack has room for all that may be counted, and more.
            Some(Trap::StackOverflow) => Self::Host(HostFault::Stack { backtrace }),
            Some(trap) => {
                let trap = if counts_stack() {
                    Trap::StackOverflow
                } else {
                    *trap
                };
                Self::Guest(GuestFault::Trap {
                    trap: trap.to_string(),
                    backtrace,
                })
            }
            None => match error.downcast::<Self>() {
                Ok(fault) => fault.at(backtrace),
                Err(error) => Self::Host(HostFault::Resources(format!("{error:#}"))),
            },
        }
    }

    /// A panic of the host's own code, caught at the call.
    pub(crate) fn panic(payload: &(dyn Any + Send)) -> Self {
        let message = payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Self::Host(HostFault::Panic(message))
    }

    /// The same fault, knowing where in the guest it happened.
    fn at(mut self, frames: GuestBacktrace) -> Self {
        match &mut self {
            Self::Timeout(backtrace)
            | Self::Memory { backtrace, .. }
            | Self::Guest(
                GuestFault::Trap { backtrace, .. }
                | GuestFault::Abort { backtrace, .. }
                | GuestFault::BadPointer { backtrace, .. }
                | GuestFault::UnknownImport { backtrace, .. }
                | GuestFault::BadRequest { backtrace, .. }
                | GuestFault::NoAnswer { backtrace },
            ) => *backtrace = frames,
            _ => {}
        }
        self
    }

    /// This fault as that of a call that might run for `timeout`.
    pub(crate) fn into_view_error(self, timeout: Duration) -> ViewError {
        match self {
            Self::Guest(fault) => fault.into(),
            Self::Host(fault) => fault.into(),
            Self::Timeout(backtrace) => ViewError::Timeout {
                limit: timeout,
                backtrace,
            },
            Self::Memory {
                wanted,
                limit,
                backtrace,
            } => ViewError::MemoryLimit {
                wanted,
                limit,
                backtrace,
            },
            Self::Output { length, limit } => ViewError::OutputTooLong { length, limit },
            starved @ Self::Starved { .. } => HostFault::Resources(starved.to_string()).into(),
        }
    }

    /// This fault as that of a block that might run for `timeout`: limits are none of the
    /// guest's while indexing, so those that a host has are the host's.
    pub(crate) fn into_block_error(self, timeout: Option<Duration>) -> BlockError {
        match (self, timeout) {
            (Self::Guest(fault), _) => BlockError::Guest(fault),
            (Self::Host(fault), _) => BlockError::Host(fault),
            (Self::Timeout(backtrace), Some(limit)) => {
                BlockError::Host(HostFault::TimedOut { limit, backtrace })
            }
            (limit, _) => BlockError::Host(HostFault::Resources(limit.to_string())),
        }
    }
}

/// Where in the compiled module the innermost frame is.
fn innermost(error: &wasmtime::Error) -> Option<usize> {
    let trace = error.downcast_ref::<WasmBacktrace>()?;
    trace.frames().first()?.module_offset()
}

fn backtrace(error: &wasmtime::Error, offsets: &Offsets) -> GuestBacktrace {
    let trace = error.downcast_ref::<WasmBacktrace>();
    trace.map_or_else(GuestBacktrace::default, |trace| {
        frames(trace, offsets).into()
    })
}

/// The frames of a guest whose own code is where `offsets` say.
pub(crate) fn frames(trace: &WasmBacktrace, offsets: &Offsets) -> Vec<GuestFrame> {
    let frames = trace.frames().iter().map(|frame| GuestFrame {
        function: match frame.func_name() {
            Some(name) => readable(name),
            None => unnamed(frame.func_index()),
        },
        offset: frame.module_offset().map(|offset| offsets.original(offset)),
    });
    frames.collect()
}

/// Names are kept as the module spells them, hashes of Rust's mangling removed.
pub(crate) fn readable(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// What stands for the name of a function that has none.
pub(crate) fn unnamed(index: u32) -> String {
    format!("function {index}")
}
