//! What calls and the desk say to each other.

use std::sync::Arc;
use std::time::Duration;

use super::idle::{Idle, Pin};
use super::session::Session;
use super::stats::DropCounts;
use crate::error::{SessionLoss, ViewError};
use crate::instance::Instance;

/// What kind of instance a call wants.
pub(super) enum Wanted<'a> {
    /// One of its own.
    Fresh,
    /// One that may answer under this pin.
    Pooled(Pin),
    /// The session's.
    Session(&'a Arc<Session>, Pin),
}

/// What a call gets.
pub(super) enum Picked {
    /// An instance that has answered before.
    Idle(Instance),
    /// None: it may make one. It is kept after the call if stateful views are on.
    New { keep: bool },
    /// The session's instance is gone.
    Lost(SessionLoss),
    /// There are no sessions, since stateful views are off.
    Unavailable,
}

/// How a call ended.
pub(super) enum End<'a> {
    Answered {
        latency: Duration,
        preview: bool,
    },
    Failed(&'a ViewError),
    /// Its caller went away.
    Cancelled,
}

/// Why an instance is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DropReason {
    Fault,
    Cancelled,
    Large,
    Evicted,
    Reorg,
    Pending,
    Block,
    Disabled,
    Fresh,
}

/// What becomes of a call's instance.
pub(super) enum Returned {
    /// The call had none.
    Nothing,
    /// It is to be kept for other calls.
    Kept(Idle),
    /// It goes, and its session with it.
    Dropped(Instance, Option<Arc<Session>>, DropReason),
}

impl DropReason {
    /// What its session is told.
    pub(super) fn loss(self) -> SessionLoss {
        match self {
            Self::Fault => SessionLoss::Fault,
            Self::Cancelled => SessionLoss::Cancelled,
            Self::Large | Self::Evicted => SessionLoss::Memory,
            Self::Reorg => SessionLoss::Reorg,
            Self::Pending | Self::Block => SessionLoss::Block,
            Self::Disabled | Self::Fresh => SessionLoss::Disabled,
        }
    }

    pub(super) fn count(self, counts: &mut DropCounts) -> &mut u64 {
        match self {
            Self::Fault => &mut counts.fault,
            Self::Cancelled => &mut counts.cancelled,
            Self::Large => &mut counts.large,
            Self::Evicted => &mut counts.evicted,
            Self::Reorg => &mut counts.reorg,
            Self::Pending => &mut counts.pending,
            Self::Block => &mut counts.block,
            Self::Disabled => &mut counts.disabled,
            Self::Fresh => &mut counts.fresh,
        }
    }
}
