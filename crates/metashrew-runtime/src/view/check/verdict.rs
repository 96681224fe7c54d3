//! What a check says: how a fresh instance's answer compares with the one given.

use wasmtime::Trap;

use crate::error::GuestFault;
use crate::fault::Fault;
use crate::reply::Reply;

/// What a check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Same,
    Differs,
    /// The fresh instance came to the end of its time or its stack.
    Undecided,
    /// There was no memory for it, or the machine failed it.
    Refused,
}

impl Verdict {
    /// Compares an answer of a used instance with what a fresh one gives: an error that a view
    /// returns is one as well. One that traps, aborts, or answers more than it may, gives another
    /// answer.
    pub(super) fn of(kept: &Reply, fresh: &Result<Reply, Fault>) -> Self {
        match fresh {
            Ok(fresh) if fresh == kept => Self::Same,
            Err(Fault::Timeout(_)) => Self::Undecided,
            Err(Fault::Memory { .. } | Fault::Starved { .. } | Fault::Host(_)) => Self::Refused,
            // What a memory remembers need not be reached by recursion again.
            Err(Fault::Guest(GuestFault::Trap { trap, .. }))
                if *trap == Trap::StackOverflow.to_string() =>
            {
                Self::Undecided
            }
            Ok(_) | Err(Fault::Guest(_) | Fault::Output { .. }) => Self::Differs,
        }
    }
}
