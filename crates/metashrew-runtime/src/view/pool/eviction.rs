//! Memory and room for an instance: what is free, and what idle instances leave if they go.

use std::sync::Arc;
use std::thread;

use super::{Pool, Pooled};
use crate::error::ViewError;
use crate::view::budget::{Account, Slot};
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

    /// Bytes that are free for one that has `total` then, or would be if every idle instance
    /// went.
    fn obtainable(&self, total: usize) -> usize {
        let idle: usize = self.all().map(|shard| shard.bytes()).sum();
        let leaving = self.leaving.bytes();
        let busy = self.budget.used().saturating_sub(idle + leaving);
        self.budget.rest(total, busy)
    }

    /// The error of a call that wants so many bytes, of which it `has` some.
    pub(in crate::view) fn busy_error(&self, wanted: usize, has: usize) -> ViewError {
        ViewError::MemoryBusy {
            wanted,
            available: self.obtainable(wanted).saturating_add(has),
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
        if self.budget.is_behind(age, total) {
            return false;
        }
        let mut taken = self.budget.take(bytes, total);
        if !taken {
            if self.obtainable(total) < bytes.max(headroom(has, limit)) {
                return false;
            }
            let take = || self.budget.take(bytes, total).then_some(());
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
        let budget = &self.budget;
        let take = || {
            let obtainable = self.obtainable(least);
            let costs_others = budget.rest(least, budget.used()) < least;
            // Of what it could have if nobody else had any: more than that never comes.
            let enough = least + headroom(least, budget.rest(least, 0));
            if obtainable < least || (costs_others && obtainable < enough && self.busy() > 0) {
                return None;
            }
            let bytes = most.clamp(least, obtainable);
            let take = || budget.take(bytes, bytes).then_some(bytes);
            Some(Account::with(budget, self.make_room(take)?))
        };
        budget.wait(age, take).await
    }

    /// Room for one more instance. An idle one goes if there is none.
    pub(in crate::view) fn slot(&self) -> Option<Slot> {
        self.make_room(|| self.budget.slot())
    }
}

/// What must be left for one to grow into that has `has` of at most `limit`, if others are to
/// go for it: as much again, but not more than half of what it may have yet.
pub(super) fn headroom(has: usize, limit: usize) -> usize {
    has.min(limit.saturating_sub(has) / 2)
}

#[cfg(test)]
mod tests;
