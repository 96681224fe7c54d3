//! What a call holds while it runs: its permit, its instance, and their bytes.

use std::mem;
use std::time::Instant;

use super::key::{Key, Pin};
use super::pool::{Pool, Pooled};
use super::shard::Idle;
use super::stats::{DropReason, Tally};

/// A permit to run, and what it runs on. Dropping it is the only way back for all of it,
/// however the call ends: a lease that was not [ended](Lease::end) gives back its permit, and
/// what it runs on is dropped.
#[must_use]
pub(super) struct Lease<'p, T: Pooled> {
    pool: &'p Pool<T>,
    thing: Option<T>,
    /// What an idle one was pinned to, and so what the call runs on.
    pin: Option<Pin>,
    ended: bool,
}

/// What an instance may answer after its call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keep {
    pub(super) key: Key,
    pub(super) pin: Pin,
    /// See [`Idle::follows_tip`].
    pub(super) follows_tip: bool,
}

impl<'p, T: Pooled> Lease<'p, T> {
    /// For a permit that was taken.
    pub(super) fn new(pool: &'p Pool<T>) -> Self {
        Self {
            pool,
            thing: None,
            pin: None,
            ended: false,
        }
    }

    pub(super) fn hold_idle(&mut self, idle: Option<Idle<T>>) {
        if let Some(Idle { thing, pin, .. }) = idle {
            self.thing = Some(thing);
            self.pin = Some(pin);
        }
    }

    /// What it was pinned to that the call runs on, if that has answered before.
    pub(super) fn pin(&self) -> Option<Pin> {
        self.pin
    }

    pub(super) fn hold(&mut self, thing: T) -> &mut T {
        self.thing.insert(thing)
    }

    pub(super) fn thing(&mut self) -> Option<&mut T> {
        self.thing.as_mut()
    }

    /// Drops what the call runs on, and its memory. The permit stays.
    pub(super) fn discard(&mut self, reason: DropReason) {
        self.pin = None;
        if let Some(thing) = self.thing.take() {
            self.pool.discard(thing, reason);
        }
    }

    /// The end of the call, at the time `now`: counts it, keeps what it ran on or has it dropped
    /// for a reason.
    pub(super) fn end(
        mut self,
        keep: Result<Keep, DropReason>,
        now: Instant,
        count: impl FnOnce(&mut Tally),
    ) {
        let kept = match keep {
            Ok(keep) => self.thing.take().map(|thing| Idle {
                bytes: thing.account().bytes(),
                thing,
                key: keep.key,
                pin: keep.pin,
                follows_tip: keep.follows_tip,
            }),
            Err(reason) => {
                self.discard(reason);
                None
            }
        };
        self.ended = true;
        self.pool.leave(count, kept.map(|idle| (idle, now)));
    }
}

impl<T: Pooled> Drop for Lease<'_, T> {
    /// The caller went away, or a panic passes through.
    fn drop(&mut self) {
        if !mem::replace(&mut self.ended, true) {
            self.discard(DropReason::Cancelled);
            self.pool.leave(|_| {}, None);
        }
    }
}
