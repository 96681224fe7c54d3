//! The instances that wait for a call, and which calls each may answer.

use std::collections::VecDeque;
use std::sync::Arc;

use metashrew_store::{BlockHash, Height};

use super::session::Session;
use crate::instance::Instance;

/// Which calls an instance may answer.
///
/// A rollback of the store starts a new generation, and no instance answers for
/// another generation than the one it was made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pin {
    pub(super) generation: u64,
    pub(super) to: PinnedTo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PinnedTo {
    /// Any block of the generation.
    Chain,
    /// This one block.
    Block { height: Height, hash: BlockHash },
    /// The pending block of this number.
    Pending(u64),
}

/// An instance, whom it may serve, and for what.
pub(super) struct Idle {
    pub(super) instance: Instance,
    pub(super) pin: Pin,
    pub(super) session: Option<Arc<Session>>,
}

/// Idle instances, the last used at the back.
#[derive(Default)]
pub(super) struct IdleInstances(VecDeque<Idle>);

impl IdleInstances {
    /// The instance last used under `pin` by no session.
    pub(super) fn take(&mut self, pin: Pin) -> Option<Instance> {
        self.take_last(|idle| idle.session.is_none() && idle.pin == pin)
            .map(|idle| idle.instance)
    }

    /// The instance of a session.
    pub(super) fn take_session(&mut self, session: &Arc<Session>) -> Option<Idle> {
        self.take_last(|idle| {
            idle.session
                .as_ref()
                .is_some_and(|of| Arc::ptr_eq(of, session))
        })
    }

    fn take_last(&mut self, wanted: impl Fn(&Idle) -> bool) -> Option<Idle> {
        let index = self.0.iter().rposition(wanted)?;
        self.0.remove(index)
    }

    pub(super) fn push(&mut self, idle: Idle) {
        self.0.push_back(idle);
    }

    /// The one not used for the longest time.
    pub(super) fn pop_oldest(&mut self) -> Option<Idle> {
        self.0.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes out all that are unwanted.
    pub(super) fn drain_where(&mut self, unwanted: impl Fn(&Idle) -> bool) -> Vec<Idle> {
        let (drained, kept) = self.0.drain(..).partition(unwanted);
        self.0 = kept;
        Vec::from(drained)
    }
}
