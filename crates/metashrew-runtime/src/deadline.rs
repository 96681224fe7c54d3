//! How long a call may run. Checked at every epoch tick, in views only.

use std::time::{Duration, Instant};

use wasmtime::UpdateDeadline;

use crate::error::GuestBacktrace;
use crate::fault::Fault;

/// Ticks of the epoch between two checks of a running view.
pub(crate) const TICKS_BETWEEN_CHECKS: u64 = 1;

/// When a call must have ended, and what it does at a tick until then.
#[derive(Clone, Copy, Default)]
pub(crate) struct Deadline {
    end: Option<Instant>,
    yields: bool,
}

impl Deadline {
    /// A call that starts now, may take `limit`, and gives way to other tasks at
    /// every tick if it `yields` (it then must run on a fibre).
    #[expect(
        clippy::disallowed_methods,
        reason = "a view's deadline is wall-clock time; it can end a call, never change its answer"
    )]
    pub(crate) fn after(limit: Duration, yields: bool) -> Self {
        Self {
            end: Instant::now().checked_add(limit),
            yields,
        }
    }

    /// What a running call does at an epoch tick.
    #[expect(
        clippy::disallowed_methods,
        reason = "a view's deadline is wall-clock time; it can end a call, never change its answer"
    )]
    pub(crate) fn tick(&self) -> wasmtime::Result<UpdateDeadline> {
        if self.end.is_some_and(|end| Instant::now() >= end) {
            return Err(wasmtime::Error::new(Fault::Timeout(
                GuestBacktrace::default(),
            )));
        }
        Ok(if self.yields {
            // Tokio puts the task behind all others then, and looks after its I/O.
            UpdateDeadline::YieldCustom(TICKS_BETWEEN_CHECKS, Box::pin(tokio::task::yield_now()))
        } else {
            UpdateDeadline::Continue(TICKS_BETWEEN_CHECKS)
        })
    }
}
