//! Memory and room for an instance: what is free, and what idle instances leave if they go.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::task::Poll;
use std::thread;

use super::{Pool, Pooled};
use crate::error::ViewError;
use crate::view::budget::{Account, Slot, Spare, Ticket, Usage, Wish, headroom};
use crate::view::stats::DropReason;

impl<T: Pooled> Pool<T> {
    /// Takes the idle instance out that was not used for the longest time.
    fn evict(&self) -> Option<T> {
        // All of them at the same time: what moves from one to another is not missed.
        let mut shards: Vec<_> = self.shards.iter().map(|shard| shard.0.lock()).collect();
        let shard = shards
            .iter_mut()
            .filter_map(|shard| shard.oldest().map(|used| (used, shard)))
            .min_by_key(|(used, _)| *used)?
            .1;
        let evicted = shard.take_oldest()?.thing;
        self.leaving.add(&evicted);
        shard.tally.dropped.count(DropReason::Evicted);
        evicted.gone(DropReason::Evicted);
        Some(evicted)
    }

    /// What goes for whoever needs it.
    fn spare(&self) -> Spare {
        let mut idle = Usage::default();
        for shard in self.all() {
            shard.add_bytes(&mut idle, self.budget.shares());
        }
        Spare {
            idle,
            leaving: self.leaving.bytes(),
            is_quiet: self.busy() == 0,
        }
    }

    /// The error of a call that wants so many bytes, of which it `has` some.
    pub(in crate::view) fn busy_error(&self, wanted: usize, has: usize) -> ViewError {
        let obtainable = self.budget.obtainable(has, wanted, &self.spare());
        ViewError::MemoryBusy {
            wanted,
            available: obtainable.saturating_add(has),
            limit: self.budget.limit(),
        }
    }

    /// Lets what is dead or idle go until `take` succeeds; none if nothing is left to go.
    fn make_room<R>(&self, take: impl Fn() -> Option<R>) -> Option<R> {
        loop {
            if let Some(taken) = take() {
                return Some(taken);
            }
            if let Some(gone) = self.leaving.next().or_else(|| self.evict()) {
                self.leaving.drop(gone);
                continue;
            }
            if !self.leaving.is_any() {
                // What has left since the first try has given its memory back.
                let taken = take();
                // If others took that, they may have come to an end since.
                if taken.is_some() || self.idle() == 0 {
                    return taken;
                }
            }
            // Another thread drops one at the moment.
            thread::yield_now();
        }
    }

    /// Takes `bytes` more for an account that has `has` of at most `limit`, for a call that
    /// came at `age`, letting idle instances go if that helps. False if it does not: others
    /// have the bytes, or one that came earlier waits for them.
    ///
    /// One that grows step by step makes others go only if there is [headroom](headroom) for
    /// it: else it would take their place and fail all the same.
    pub(crate) fn grow(&self, account: &Account, bytes: usize, limit: usize, age: u64) -> bool {
        let has = account.bytes();
        let total = has.saturating_add(bytes);
        if self.budget.is_behind(age, has, total) {
            return false;
        }
        let mut taken = self.budget.take(has, total);
        if !taken {
            let obtainable = self.budget.obtainable(has, total, &self.spare());
            if obtainable < bytes.max(headroom(has, limit)) {
                return false;
            }
            let take = || self.budget.take(has, total).then_some(());
            taken = self.make_room(take).is_some();
        }
        if taken {
            account.add(bytes);
        }
        taken
    }

    /// Waits until `least` bytes can be had by a call that came at `age`, and takes up to
    /// `most`.
    pub(in crate::view) async fn reserve(
        &self,
        least: usize,
        most: usize,
        age: u64,
    ) -> Arc<Account> {
        let wish = Wish { least, most };
        // Whatever becomes of this call, those behind it get on.
        let _others = ServesOthers(self);
        let mut ticket = Ticket::new(&self.budget);
        poll_fn(|task| {
            let mut wait = || ticket.wait(age, wish, task.waker());
            let served = wait().or_else(|| {
                // Whoever lets go of something looks for those who wait after that: one of the
                // two sees the other.
                fence(Ordering::SeqCst);
                self.serve();
                wait()
            });
            served.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Gives those that wait for bytes what can be had, whoever finds out that some can.
    pub(super) fn serve(&self) {
        while self.budget.waiting() > 0
            && let Some(next) = self.budget.next(&self.spare())
        {
            let give = || self.budget.grant(&next).then_some(());
            if self.make_room(give).is_none() {
                // Others took what was idle: they look again when they are done with it.
                return;
            }
        }
    }

    /// Whether an instance that comes to the end of its call must go, with its bytes, for one that
    /// waits: idle, it would be taken again before that gets them.
    pub(super) fn is_in_the_way(&self, bytes: usize) -> bool {
        if self.budget.waiting() == 0 {
            return false;
        }
        let mut spare = self.spare();
        spare.idle.add(bytes, self.budget.shares());
        self.budget.is_in_the_way(bytes, &spare)
    }

    /// Room for one more instance. An idle one goes if there is none.
    pub(in crate::view) fn slot(&self) -> Option<Slot> {
        self.make_room(|| self.budget.slot())
    }
}

/// Looks after those who wait when its owner waits no longer.
struct ServesOthers<'a, T: Pooled>(&'a Pool<T>);

impl<T: Pooled> Drop for ServesOthers<'_, T> {
    fn drop(&mut self) {
        self.0.serve();
    }
}

#[cfg(test)]
mod tests;
