//! The idle instances, and the one memory budget over all persistent ones.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use metashrew_store::{BlockHash, Height};
use parking_lot::Mutex;

use crate::instance::Instance;

/// Instances that may be idle at a time; the engine reserves address space for them.
pub(crate) const MAX_IDLE: usize = 64;

/// Which calls an instance may answer.
///
/// A rollback of the store starts a new generation, and no instance answers for
/// another generation than the one it was made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pin {
    /// Any block of this generation.
    Generation(u64),
    /// This one block.
    Block {
        generation: u64,
        height: Height,
        hash: BlockHash,
    },
}

impl Pin {
    pub(crate) fn is_of(self, wanted: u64) -> bool {
        match self {
            Self::Generation(generation) | Self::Block { generation, .. } => generation == wanted,
        }
    }
}

struct Idle {
    instance: Instance,
    pin: Pin,
}

/// Idle instances, the last used at the back, and the memory that all persistent
/// instances have, idle or busy.
pub(crate) struct Pool {
    idle: Mutex<VecDeque<Idle>>,
    used: AtomicUsize,
    budget: usize,
}

impl Pool {
    pub(crate) fn new(budget: usize) -> Self {
        Self {
            idle: Mutex::default(),
            used: AtomicUsize::new(0),
            budget,
        }
    }

    /// The instance last used under `pin`, if one is idle.
    pub(crate) fn check_out(&self, pin: Pin) -> Option<Instance> {
        let mut idle = self.idle.lock();
        let index = idle.iter().rposition(|idle| idle.pin == pin)?;
        idle.remove(index).map(|idle| idle.instance)
    }

    /// Takes an instance back; returns the one that had to leave for it.
    #[must_use]
    pub(crate) fn check_in(&self, instance: Instance, pin: Pin) -> Option<Instance> {
        let mut idle = self.idle.lock();
        idle.push_back(Idle { instance, pin });
        (idle.len() > MAX_IDLE)
            .then(|| idle.pop_front())
            .flatten()
            .map(|idle| idle.instance)
    }

    /// Drops the idle instances of other generations than `generation`; returns how many.
    pub(crate) fn retain_generation(&self, generation: u64) -> usize {
        self.drop_where(|pin| !pin.is_of(generation))
    }

    /// Drops every idle instance; returns how many.
    pub(crate) fn clear(&self) -> usize {
        self.drop_where(|_| true)
    }

    fn drop_where(&self, unwanted: impl Fn(Pin) -> bool) -> usize {
        let dropped: VecDeque<Idle> = {
            let mut idle = self.idle.lock();
            let (dropped, kept) = idle.drain(..).partition(|idle| unwanted(idle.pin));
            *idle = kept;
            dropped
        };
        dropped.len()
    }

    /// Bytes that persistent instances have.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn idle(&self) -> usize {
        self.idle.lock().len()
    }

    /// Reserves `bytes`, letting idle instances go as long as it takes, the
    /// least recently used first; false if even that is not enough.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        loop {
            let reserved = self
                .used
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                    used.checked_add(bytes).filter(|&used| used <= self.budget)
                });
            if reserved.is_ok() {
                return true;
            }
            let evicted = self.idle.lock().pop_front();
            if evicted.is_none() {
                return false;
            }
        }
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}
