//! What the view engine counts.

use std::time::Duration;

use super::check::CheckCounts;
use super::counts::counted;
use super::latency::LatencyHistogram;
use super::per_view::PerView;
use crate::error::{SessionLoss, ViewError};

/// Counters of the view engine since the runtime was made, and its state now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ViewStats {
    /// Whether instances persist between calls.
    pub enabled: bool,
    /// Why they do not, where they were meant to: the first instance that can be made and
    /// kept turns them on.
    pub start_failure: Option<String>,
    /// Calls that may run at a time.
    pub instances: usize,
    /// Calls that may wait.
    pub queue: usize,
    /// What calls did.
    pub calls: CallCounts,
    /// Calls that failed, by the kind of their error.
    pub errors: ErrorCounts,
    /// Instances that are gone, by the reason.
    pub dropped: DropCounts,
    /// How long calls took that were answered, all waits included.
    pub latency: LatencyHistogram,
    /// What came of the checks of answers.
    pub checks: CheckCounts,
    /// Idle instances now.
    pub idle: usize,
    /// Calls running now.
    pub busy: usize,
    /// Calls waiting now: for a permit, for memory, or for their session's turn.
    pub waiting: usize,
    /// Sessions known now, lost ones included that nobody has asked for since.
    pub sessions: usize,
    /// Bytes that instances have now, with what is reserved for calls and what the host holds
    /// for them.
    pub memory: usize,
    /// Bytes that all of them may have together: `memory_budget` without what the pooling
    /// allocator keeps for the next instances.
    pub memory_limit: usize,
}

counted! {
    /// What calls did.
    enum CallKind;
    /// What calls did.
    struct CallCounts;
    /// Calls that were answered, previews included.
    answered: Answered,
    /// Previews that were answered.
    previews: Previews,
    /// Calls that ran on an instance that had answered before.
    reused: Reused,
    /// Instances made.
    created: Created,
    /// Calls that failed on an instance that had answered before and were tried again
    /// on a new one.
    retried: Retried,
    /// Runs that ended for want of memory that others had, to be made again when there is
    /// enough.
    starved: Starved,
}

counted! {
    /// Why a call failed.
    enum ErrorKind;
    /// Calls that failed, by the kind of their error.
    struct ErrorCounts;
    /// The block named is not one that can be answered for.
    block: Block,
    /// The guest has no such view.
    no_such_view: NoSuchView,
    /// The input was too long.
    input_too_long: InputTooLong,
    /// The answer was too long.
    output_too_long: OutputTooLong,
    /// The queue was full, or the wait too long.
    busy: Busy,
    /// Others had the memory for too long.
    memory_busy: MemoryBusy,
    /// The call ran too long.
    timeout: Timeout,
    /// The call wanted too much memory.
    memory_limit: MemoryLimit,
    /// The view returned an error.
    view_error: Returned,
    /// The guest trapped, aborted, or passed a bad pointer.
    guest: Guest,
    /// The machine failed.
    host: Host,
    /// The session was lost, or cannot be had.
    session: Session,
    /// There is no pending block.
    no_pending: NoPending,
    /// The caller went away before the answer.
    cancelled: Cancelled,
}

counted! {
    /// Why an instance is gone.
    enum DropReason;
    /// Instances that are gone, by the reason.
    struct DropCounts;
    /// Their call failed.
    fault: Fault,
    /// Their caller went away.
    cancelled: Cancelled,
    /// They gave their memory back, as their call needs more than is left.
    starved: Starved,
    /// Another instance needed the memory, or the room.
    evicted: Evicted,
    /// Blocks were undone.
    reorg: Reorg,
    /// The pending block was replaced.
    pending: Pending,
    /// The session's next call was for another block.
    block: Block,
    /// Stateful views were turned off.
    disabled: Disabled,
    /// They were made for one call.
    fresh: Fresh,
}

impl DropReason {
    /// What its session is told.
    pub(super) fn loss(self) -> SessionLoss {
        match self {
            Self::Fault => SessionLoss::Fault,
            Self::Cancelled => SessionLoss::Cancelled,
            Self::Evicted | Self::Starved => SessionLoss::Memory,
            Self::Reorg => SessionLoss::Reorg,
            Self::Pending | Self::Block => SessionLoss::Block,
            Self::Disabled | Self::Fresh => SessionLoss::Disabled,
        }
    }
}

impl ViewError {
    /// What it counts as.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Block(_) => ErrorKind::Block,
            Self::NoSuchView { .. } => ErrorKind::NoSuchView,
            Self::InputTooLong { .. } => ErrorKind::InputTooLong,
            Self::OutputTooLong { .. } => ErrorKind::OutputTooLong,
            Self::Busy { .. } | Self::Waited { .. } => ErrorKind::Busy,
            Self::MemoryBusy { .. } => ErrorKind::MemoryBusy,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::MemoryLimit { .. } | Self::GuestTooLarge { .. } => ErrorKind::MemoryLimit,
            Self::Returned { .. } => ErrorKind::Returned,
            Self::Guest(_) => ErrorKind::Guest,
            Self::Host(_) => ErrorKind::Host,
            Self::SessionLost { .. }
            | Self::SessionUnavailable
            | Self::SessionsFull { .. }
            | Self::SessionName { .. } => ErrorKind::Session,
            Self::NoPending | Self::PendingFailed(_) => ErrorKind::NoPending,
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    Answered { latency: Duration, preview: bool },
    Failed(ErrorKind),
}

/// What a shard of the pool has counted; the sum of all is told.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) calls: CallCounts,
    pub(super) errors: ErrorCounts,
    pub(super) dropped: DropCounts,
    pub(super) latency: LatencyHistogram,
    pub(super) per_view: PerView,
}

impl Tally {
    /// Counts the end of a call, of the view of that number if it could be asked.
    pub(super) fn end(&mut self, end: End, view: Option<usize>) {
        match end {
            End::Answered { latency, preview } => {
                self.calls.count(CallKind::Answered);
                self.calls.previews += u64::from(preview);
                self.latency.record(latency);
            }
            End::Failed(kind) => self.errors.count(kind),
        }
        if let Some(view) = view {
            self.per_view.count(view, end);
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.calls.add(&other.calls);
        self.errors.add(&other.errors);
        self.dropped.add(&other.dropped);
        self.latency.add(&other.latency);
        self.per_view.add(&other.per_view);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_counts_under_its_own_name() {
        let mut counts = ErrorCounts::default();
        for (times, kind) in ErrorKind::ALL.into_iter().enumerate() {
            for _ in 0..=times {
                counts.count(kind);
            }
        }
        let named: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.as_str()).collect();
        let counted = counts.by_kind();
        assert_eq!(named, counted.map(|(name, _)| name));
        assert_eq!(
            counted.map(|(_, count)| count),
            std::array::from_fn(|n| n as u64 + 1)
        );
        let mut twice = counts;
        twice.add(&counts);
        assert_eq!(twice.total(), 2 * counts.total());
    }
}
