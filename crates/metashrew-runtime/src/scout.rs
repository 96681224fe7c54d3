//! Scouts: runs of the guest over blocks whose turn is still to come, only so that what
//! they read is in the caches by then.
//!
//! Nothing of a scout reaches the state, by construction: its call has no place for
//! writes, and [`Scouted`] has none either. What it reads goes through the same
//! [`State`](metashrew_store::State) as any other read, so what the caches learn from it
//! are facts of a snapshot, whatever the guest makes of them. It runs on an instance of its
//! own, of the guest as compiled for views, which can be interrupted. Its faults, its logs
//! and its time are nobody else's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use metashrew_store::State;

use crate::context::Call;
use crate::deadline::Deadline;
use crate::fault::Fault;
use crate::guest::Linked;
use crate::instance::Instance;
use crate::limits::Allowance;
use crate::options::ScoutOptions;

/// Whoever sends a scout. It must not wait for anything.
pub trait ScoutControl: Send + Sync {
    /// The state as it is. It is looked up again every few reads: what is learnt from a
    /// state that is not the newest any more, the store's caches may not keep; and an old
    /// one that is held on to keeps the engine from letting old data go. The guest so
    /// sees a mix of states, as nothing follows from what it sees.
    fn state(&self) -> State;

    /// Whether the scout is to end. Asked at each of its reads and at each epoch tick.
    fn is_cancelled(&self) -> bool;
}

/// A scout reads so often from a state until it looks up the newest one.
pub(crate) const READS_PER_STATE: u64 = 32;

/// What came of a scout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scouted {
    /// How it ended.
    pub end: ScoutEnd,
    /// How many values it asked the host for; asking for a length and then for the value
    /// counts once.
    pub reads: u64,
}

/// How a scout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScoutEnd {
    /// The guest was through with the block.
    Done,
    /// Somebody wanted it to end.
    Cancelled,
    /// The guest, or the host, failed. The scout saw an older state than the block will
    /// stand on, so that says nothing of the block.
    Failed,
    /// It took longer than [`ScoutOptions::timeout`].
    TimedOut,
    /// There was no memory left in [`ScoutOptions::memory_budget`].
    OutOfMemory,
}

impl ScoutEnd {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Done,
        Self::Cancelled,
        Self::Failed,
        Self::TimedOut,
        Self::OutOfMemory,
    ];

    /// A fixed word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::TimedOut => "timeout",
            Self::OutOfMemory => "memory",
        }
    }
}

/// The WebAssembly memory that all scouts have together, and how many run.
#[derive(Debug)]
pub(crate) struct ScoutMemory {
    used: AtomicUsize,
    limit: usize,
    running: AtomicUsize,
}

impl ScoutMemory {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            limit,
            running: AtomicUsize::new(0),
        })
    }

    /// Takes so many bytes more; false if there are not as many left.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let fits = |used: usize| {
            let wanted = used.checked_add(bytes)?;
            (wanted <= self.limit).then_some(wanted)
        };
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        taken.is_ok()
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// A scout that runs: there is room for so many instances.
struct Permit<'a>(&'a ScoutMemory);

impl<'a> Permit<'a> {
    fn take(memory: &'a ScoutMemory, instances: usize) -> Option<Self> {
        let permit = Self(memory);
        (memory.running.fetch_add(1, Ordering::Relaxed) < instances).then_some(permit)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs a scout to its end.
pub(crate) fn run(
    guest: &Linked,
    memory: &Arc<ScoutMemory>,
    options: &ScoutOptions,
    (height, block): (u32, Bytes),
    control: &Arc<dyn ScoutControl>,
) -> Scouted {
    let Some(_permit) = Permit::take(memory, options.instances) else {
        return Scouted {
            end: ScoutEnd::Failed,
            reads: 0,
        };
    };
    let call = Call::scout(height, block, Arc::clone(control));
    let allowance = Allowance::of_scout(Arc::clone(memory));
    let deadline = Deadline::after(options.timeout, false);
    let (result, reads) = match Instance::create(guest, call, allowance, deadline) {
        Ok(instance) => instance.scout(),
        Err(fault) => (Err(fault), 0),
    };
    let end = match result {
        Ok(()) => ScoutEnd::Done,
        Err(_) if control.is_cancelled() => ScoutEnd::Cancelled,
        Err(Fault::Timeout(_)) => ScoutEnd::TimedOut,
        Err(Fault::Memory { .. } | Fault::Starved { .. }) => ScoutEnd::OutOfMemory,
        Err(_) => ScoutEnd::Failed,
    };
    Scouted { end, reads }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_taken_up_to_the_limit_and_given_back() {
        let memory = ScoutMemory::new(10);
        assert!(memory.take(6) && memory.take(4));
        assert!(!memory.take(1) && !memory.take(usize::MAX));
        memory.give_back(6);
        assert!(memory.take(5));
        assert_eq!(memory.used(), 9);
    }
}
