//! What the view engine counts.

use super::latency::LatencyHistogram;
use crate::error::ViewError;

/// Counters of the view engine since the runtime was made, and its state now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ViewStats {
    /// Whether instances persist between calls.
    pub enabled: bool,
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
    /// How long calls took that were answered, the wait for a place included.
    pub latency: LatencyHistogram,
    /// Idle instances now.
    pub idle: usize,
    /// Calls running now.
    pub busy: usize,
    /// Calls waiting for a place now.
    pub waiting: usize,
    /// Sessions known now, lost ones included that nobody has asked for since.
    pub sessions: usize,
    /// Bytes of wasm memory that instances have now.
    pub memory: usize,
    /// Bytes of wasm memory that all instances may have together: `memory_budget`
    /// without what the pooling allocator keeps for the next instances.
    pub memory_limit: usize,
}

/// What calls did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// Calls that were answered, previews included.
    pub answered: u64,
    /// Previews that were answered.
    pub previews: u64,
    /// Calls that ran on an instance that had answered before.
    pub reused: u64,
    /// Instances made.
    pub created: u64,
    /// Calls that failed on an instance that had answered before and were tried again
    /// on a new one.
    pub retried: u64,
}

/// Calls that failed, by the kind of their error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErrorCounts {
    /// The block named is not one that can be answered for.
    pub block: u64,
    /// The guest has no such view.
    pub no_such_view: u64,
    /// The input was too long.
    pub input_too_long: u64,
    /// The answer was too long.
    pub output_too_long: u64,
    /// The queue was full.
    pub busy: u64,
    /// The call ran too long.
    pub timeout: u64,
    /// The call wanted too much memory.
    pub memory_limit: u64,
    /// The guest trapped, aborted, or passed a bad pointer.
    pub guest: u64,
    /// The machine failed.
    pub host: u64,
    /// The session was lost, or cannot be had.
    pub session: u64,
    /// There is no pending block, or it failed.
    pub no_pending: u64,
    /// The caller went away before the answer.
    pub cancelled: u64,
}

impl ErrorCounts {
    pub(super) fn add(&mut self, error: &ViewError) {
        *match error {
            ViewError::Block(_) => &mut self.block,
            ViewError::NoSuchView { .. } => &mut self.no_such_view,
            ViewError::InputTooLong { .. } => &mut self.input_too_long,
            ViewError::OutputTooLong { .. } => &mut self.output_too_long,
            ViewError::Busy { .. } => &mut self.busy,
            ViewError::Timeout { .. } => &mut self.timeout,
            ViewError::MemoryLimit { .. } => &mut self.memory_limit,
            ViewError::Guest(_) => &mut self.guest,
            ViewError::Host(_) => &mut self.host,
            ViewError::SessionLost { .. }
            | ViewError::SessionUnavailable
            | ViewError::SessionName { .. } => &mut self.session,
            ViewError::NoPending | ViewError::PendingFailed(_) => &mut self.no_pending,
        } += 1;
    }

    /// All of them, each with a fixed word for it.
    pub fn by_kind(&self) -> [(&'static str, u64); 12] {
        [
            ("block", self.block),
            ("no_such_view", self.no_such_view),
            ("input_too_long", self.input_too_long),
            ("output_too_long", self.output_too_long),
            ("busy", self.busy),
            ("timeout", self.timeout),
            ("memory_limit", self.memory_limit),
            ("guest", self.guest),
            ("host", self.host),
            ("session", self.session),
            ("no_pending", self.no_pending),
            ("cancelled", self.cancelled),
        ]
    }

    /// How many calls failed.
    pub fn total(&self) -> u64 {
        self.by_kind().iter().map(|(_, count)| count).sum()
    }
}

/// Instances that are gone, by the reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DropCounts {
    /// Their call failed.
    pub fault: u64,
    /// Their caller went away.
    pub cancelled: u64,
    /// They had grown above their share of the memory budget.
    pub large: u64,
    /// Another instance needed the memory, or the room.
    pub evicted: u64,
    /// Blocks were undone.
    pub reorg: u64,
    /// The pending block was replaced.
    pub pending: u64,
    /// The session's next call was for another block.
    pub block: u64,
    /// Stateful views were turned off.
    pub disabled: u64,
    /// They were made for one call.
    pub fresh: u64,
}

impl DropCounts {
    /// All of them, each with a fixed word for it.
    pub fn by_reason(&self) -> [(&'static str, u64); 9] {
        [
            ("fault", self.fault),
            ("cancelled", self.cancelled),
            ("large", self.large),
            ("evicted", self.evicted),
            ("reorg", self.reorg),
            ("pending", self.pending),
            ("block", self.block),
            ("disabled", self.disabled),
            ("fresh", self.fresh),
        ]
    }
}
