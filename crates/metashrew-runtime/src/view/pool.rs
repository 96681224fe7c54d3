//! The pool: permits for calls, idle instances by what they may answer, and the memory of
//! all of them.
//!
//! It is made of shards. A thread turns to its own first, and to the others for what is not
//! there, before anything new is made. What is taken out of a shard and not dropped yet still
//! takes memory, and is counted until it is gone.

mod eviction;
mod leaving;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Instant;

use metashrew_store::Height;
use parking_lot::{Mutex, MutexGuard};

use super::budget::{Account, Budget};
use super::key::{Moment, Pin, PinnedTo, Wanted};
use super::lease::Lease;
use super::per_view::PerView;
use super::queue::{Full, Queue};
use super::shard::{Idle, Shard};
use super::stats::{CallKind, DropReason, Tally};
use crate::clock;
use crate::ticker::Ticking;
use leaving::Leaving;

/// What a pool holds.
pub(crate) trait Pooled: Send + 'static {
    /// The account of the bytes that it has.
    fn account(&self) -> &Arc<Account>;

    /// It is about to be dropped, for that reason.
    fn gone(&self, reason: DropReason);
}

/// How large a pool is.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolSize {
    /// Calls that run at a time.
    pub(super) permits: usize,
    /// Calls that wait for a permit.
    pub(super) queue: usize,
    pub(super) shards: usize,
}

/// Apart from its neighbours in the caches of the cores.
#[derive(Debug)]
#[repr(align(128))]
struct Apart<T>(Mutex<T>);

/// The pool. Shared by every caller.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    this: Weak<Self>,
    shards: Box<[Apart<Shard<T>>]>,
    permits: usize,
    queue: Queue,
    budget: Arc<Budget>,
    enabled: AtomicBool,
    seen: Seen,
    leaving: Leaving<T>,
    ticking: Ticking,
}

/// The newest that any call has seen of the chain.
#[derive(Debug, Default)]
struct Seen {
    generation: AtomicU64,
    tip: AtomicU64,
    /// The number of the newest pending block.
    pending: AtomicU64,
    /// Held while one of them changes.
    changing: Mutex<()>,
}

/// The number of the calling thread.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed));
    NUMBER.with(|number| *number)
}

impl<T: Pooled> Pool<T> {
    /// A pool that keeps nothing until it is enabled.
    pub(super) fn new(
        size: PoolSize,
        budget: Arc<Budget>,
        per_view: &PerView,
        ticking: Ticking,
    ) -> Arc<Self> {
        let count = size.shards.clamp(1, size.permits.max(1));
        let shards = (0..count).map(|number| {
            let rest = usize::from(number < size.permits % count);
            let tally = Tally {
                per_view: per_view.clone(),
                ..Tally::default()
            };
            Apart(Mutex::new(Shard::new(size.permits / count + rest, tally)))
        });
        let shards = shards.collect();
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            shards,
            permits: size.permits,
            queue: Queue::new(size.queue),
            budget,
            enabled: AtomicBool::new(false),
            seen: Seen::default(),
            leaving: Leaving::default(),
            ticking,
        })
    }

    pub(super) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The calling thread's shard.
    fn home(&self) -> MutexGuard<'_, Shard<T>> {
        let number = thread_number() % self.shards.len().max(1);
        #[expect(clippy::indexing_slicing, reason = "the number is below the length")]
        let shard = &self.shards[number];
        shard.0.lock()
    }

    /// Every shard, one after the other, from the calling thread's on.
    fn all(&self) -> impl Iterator<Item = MutexGuard<'_, Shard<T>>> {
        let home = thread_number() % self.shards.len().max(1);
        let (before, after) = self.shards.split_at(home);
        after.iter().chain(before).map(|shard| shard.0.lock())
    }

    /// Counts something.
    pub(super) fn count(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut self.home().tally);
    }

    /// A permit, and what is `wanted` if there is one idle; none if a call must wait for its
    /// permit.
    pub(super) fn enter(&self, wanted: Option<&Wanted>, moment: Moment) -> Option<Lease<'_, T>> {
        self.see(moment);
        if self.queue.len() > 0 {
            return None;
        }
        let mut idle = None;
        let entered = {
            let mut home = self.home();
            let is_free = home.permits > 0;
            if is_free {
                home.permits -= 1;
                idle = wanted.and_then(|wanted| pick(&mut home, wanted));
            }
            is_free
        };
        if !entered && !self.take_permit() {
            return None;
        }
        // From here on the permit has its way back.
        let mut lease = Lease::new(self);
        self.ticking.wake();
        if idle.is_none() {
            idle = wanted.and_then(|wanted| self.pick(wanted));
        }
        lease.hold_idle(idle);
        Some(lease)
    }

    /// Waits for a permit.
    pub(super) async fn wait(&self) -> Result<Lease<'_, T>, Full> {
        let take = || self.take_permit();
        self.queue.wait(take, || self.give_permit_back()).await?;
        let lease = Lease::new(self);
        self.ticking.wake();
        Ok(lease)
    }

    /// What is wanted, for a call that has its permit.
    pub(super) fn pick_for(&self, lease: &mut Lease<'_, T>, wanted: &Wanted, moment: Moment) {
        self.see(moment);
        lease.hold_idle(self.pick(wanted));
    }

    fn pick(&self, wanted: &Wanted) -> Option<Idle<T>> {
        self.all().find_map(|mut shard| pick(&mut shard, wanted))
    }

    fn take_permit(&self) -> bool {
        self.all().any(|mut shard| {
            let is_free = shard.permits > 0;
            shard.permits -= usize::from(is_free);
            is_free
        })
    }

    fn give_permit_back(&self) {
        self.home().permits += 1;
        self.tell_free();
    }

    /// A permit is free, and maybe an instance is idle: those who wait learn of it.
    fn tell_free(&self) {
        // Whoever begins to wait looks again after that: one of the two sees the other.
        fence(Ordering::SeqCst);
        if self.queue.len() > 0 {
            self.queue.hand_over(|| self.take_permit());
        }
        self.serve();
    }

    /// The end of a lease: what it held is kept, as used at that time, or dropped if it cannot
    /// be, and the permit is free.
    pub(super) fn leave(&self, count: impl FnOnce(&mut Tally), kept: Option<(Idle<T>, Instant)>) {
        let is_needed = |(idle, _): &(Idle<T>, Instant)| self.is_in_the_way(idle.bytes);
        let needed = kept.as_ref().is_some_and(is_needed);
        let needed = needed.then_some(DropReason::Evicted);
        let mut home = self.home();
        count(&mut home.tally);
        if let Some((idle, now)) = kept {
            match self.refuses(&idle.pin).or(needed) {
                None => {
                    let tip = self.seen.tip.load(Ordering::Relaxed);
                    let tip = Height::try_from(tip).unwrap_or(Height::MAX);
                    home.put(idle, clock::nanos(now), tip);
                }
                Some(reason) => {
                    drop(home);
                    // Before the permit is free: who gets it may need the memory.
                    self.discard(idle.thing, reason);
                    home = self.home();
                }
            }
        }
        home.permits += 1;
        drop(home);
        self.tell_free();
    }

    /// Why an instance cannot be kept, if it cannot.
    fn refuses(&self, pin: &Pin) -> Option<DropReason> {
        let seen = |of: &AtomicU64| of.load(Ordering::Relaxed);
        if !self.is_enabled() {
            Some(DropReason::Disabled)
        } else if pin.generation < seen(&self.seen.generation) {
            Some(DropReason::Reorg)
        } else if matches!(pin.to, PinnedTo::Pending(number) if number < seen(&self.seen.pending)) {
            Some(DropReason::Pending)
        } else {
            None
        }
    }

    /// Lets the instances of older generations go, and those that followed an older tip
    /// before all others.
    fn see(&self, moment: Moment) {
        let Moment { generation, tip } = moment;
        let (seen, tip) = (&self.seen, u64::from(tip));
        let is_new = || {
            let newest = seen.generation.load(Ordering::Relaxed);
            let newest_tip = || seen.tip.load(Ordering::Relaxed);
            generation > newest || (generation == newest && tip > newest_tip())
        };
        if !is_new() {
            return;
        }
        let changing = seen.changing.lock();
        if !is_new() {
            return;
        }
        seen.tip.store(tip, Ordering::Relaxed);
        if generation > seen.generation.swap(generation, Ordering::Relaxed) {
            drop(changing);
            self.drain(DropReason::Reorg, |pin| pin.generation < generation);
        } else {
            self.all().for_each(|mut shard| shard.see_tip(moment.tip));
        }
    }

    /// Lets the instances of older pending blocks go.
    pub(super) fn see_pending(&self, number: u64) {
        self.seen.pending.fetch_max(number, Ordering::Relaxed);
        self.drain(
            DropReason::Pending,
            |pin| matches!(pin.to, PinnedTo::Pending(other) if other < number),
        );
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    pub(super) fn enable(&self) {
        self.enabled.store(true, Ordering::Relaxed);
    }

    /// Lets every idle instance go, before it returns; those under way are not kept after
    /// their calls.
    pub(super) fn disable(&self) {
        self.enabled.store(false, Ordering::Relaxed);
        self.drain(DropReason::Disabled, |_| true);
        self.bury();
        while self.leaving.is_any() {
            thread::yield_now();
        }
    }

    /// How many calls run.
    pub(super) fn busy(&self) -> usize {
        let free: usize = self.all().map(|shard| shard.permits).sum();
        self.permits.saturating_sub(free)
    }

    pub(super) fn permits(&self) -> usize {
        self.permits
    }

    pub(super) fn idle(&self) -> usize {
        self.all().map(|shard| shard.len()).sum()
    }

    /// All that was counted.
    pub(super) fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        self.all().for_each(|shard| sum.add(&shard.tally));
        sum
    }
}

/// What is wanted, if it is in that shard.
fn pick<T>(shard: &mut Shard<T>, wanted: &Wanted) -> Option<Idle<T>> {
    let idle = shard.take(&wanted.key)?;
    if idle.pin == wanted.pin {
        shard.tally.calls.count(CallKind::Reused);
    }
    Some(idle)
}

#[cfg(test)]
mod tests;
