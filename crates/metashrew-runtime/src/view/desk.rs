//! Where calls come for a place and an instance, and leave both.
//!
//! One short lock guards the places, the idle instances and the counters: a call
//! takes it once when it comes and once when it leaves. Nothing slow happens under
//! it; instances are dropped and callers woken outside. What is being dropped still
//! takes memory and room, and so is counted until it is gone.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::budget::Budget;
use super::idle::{Idle, IdleInstances, Pin, PinnedTo};
use super::latency::LatencyHistogram;
use super::per_view::{PerView, ViewCount};
use super::places::{Places, Ticket};
use super::session::Session;
use super::stats::{CallCounts, DropCounts, ErrorCounts, ViewStats};
use super::terms::{DropReason, End, Picked, Returned, Wanted};
use crate::error::ViewError;
use crate::instance::Instance;

/// Instances that may be idle at a time; the engine reserves address space for them.
pub(crate) const MAX_IDLE: usize = 256;

/// The desk. Shared by every caller.
pub(crate) struct Desk {
    inner: Mutex<Inner>,
    memory: Budget,
}

struct Inner {
    places: Places,
    idle: IdleInstances,
    /// Instances taken out under the lock, and not dropped yet.
    leaving: usize,
    enabled: bool,
    /// The newest chain generation that a call has seen.
    generation: u64,
    /// The number of the pending block.
    pending: u64,
    calls: CallCounts,
    errors: ErrorCounts,
    dropped: DropCounts,
    latency: LatencyHistogram,
    per_view: PerView,
}

/// Instances taken out under the lock, to be dropped after it.
type Dropped = Vec<Idle>;

impl Inner {
    /// Counts an instance that is to be dropped, and lets its session know.
    fn gone(&mut self, session: Option<&Arc<Session>>, reason: DropReason) {
        *reason.count(&mut self.dropped) += 1;
        self.leaving += 1;
        if let Some(session) = session {
            session.lose(reason.loss());
        }
    }

    fn drain(&mut self, reason: DropReason, unwanted: impl Fn(&Idle) -> bool) -> Dropped {
        let dropped = self.idle.drain_where(unwanted);
        for idle in &dropped {
            self.gone(idle.session.as_ref(), reason);
        }
        dropped
    }

    /// Lets the instances of older generations go, if this one is new.
    fn see_generation(&mut self, generation: u64) -> Dropped {
        if generation <= self.generation {
            return Dropped::new();
        }
        self.generation = generation;
        self.drain(DropReason::Reorg, |idle| idle.pin.generation < generation)
    }

    fn pick(&mut self, wanted: &Wanted<'_>) -> (Picked, Option<Idle>) {
        match *wanted {
            Wanted::Fresh => (Picked::New { keep: false }, None),
            Wanted::Pooled(pin) => match self.idle.take(pin) {
                Some(instance) => (self.reuse(instance), None),
                None => (self.new_instance(), None),
            },
            Wanted::Session(..) if !self.enabled => (Picked::Unavailable, None),
            Wanted::Session(session, pin) => match self.idle.take_session(session) {
                Some(idle) if idle.pin == pin => (self.reuse(idle.instance), None),
                Some(idle) => {
                    let reason = if idle.pin.generation == pin.generation {
                        DropReason::Block
                    } else {
                        DropReason::Reorg
                    };
                    self.gone(Some(session), reason);
                    let told = session.take_loss().unwrap_or(reason.loss());
                    (Picked::Lost(told), Some(idle))
                }
                None => match session.take_loss() {
                    Some(loss) => (Picked::Lost(loss), None),
                    None => (self.new_instance(), None),
                },
            },
        }
    }

    fn reuse(&mut self, instance: Instance) -> Picked {
        self.calls.reused += 1;
        Picked::Idle(instance)
    }

    fn new_instance(&self) -> Picked {
        Picked::New { keep: self.enabled }
    }

    /// Why an instance cannot be kept after its call, if it cannot.
    fn refuses(&self, pin: Pin) -> Option<DropReason> {
        if !self.enabled {
            Some(DropReason::Disabled)
        } else if pin.generation < self.generation {
            Some(DropReason::Reorg)
        } else if matches!(pin.to, PinnedTo::Pending(number) if number < self.pending) {
            Some(DropReason::Pending)
        } else {
            None
        }
    }

    /// Takes an instance back; answers the one that is dropped, this or another.
    fn check_in(&mut self, idle: Idle) -> Option<Idle> {
        if let Some(reason) = self.refuses(idle.pin) {
            self.gone(idle.session.as_ref(), reason);
            return Some(idle);
        }
        self.idle.push(idle);
        let count = self.idle.len() + self.leaving;
        (count > MAX_IDLE).then(|| self.evict()).flatten()
    }

    fn evict(&mut self) -> Option<Idle> {
        let oldest = self.idle.pop_oldest()?;
        self.gone(oldest.session.as_ref(), DropReason::Evicted);
        Some(oldest)
    }

    fn count(&mut self, end: &End<'_>) {
        match end {
            End::Answered { latency, preview } => {
                self.calls.answered += 1;
                self.calls.previews += u64::from(*preview);
                self.latency.record(*latency);
            }
            End::Failed(error) => self.errors.add(error),
            End::Cancelled => self.errors.cancelled += 1,
        }
    }
}

impl Desk {
    /// A desk with stateful views off.
    pub(super) fn new(
        instances: usize,
        queue: usize,
        memory_limit: usize,
        per_view: PerView,
    ) -> Self {
        Self {
            inner: Mutex::new(Inner {
                places: Places::new(instances, queue),
                idle: IdleInstances::default(),
                leaving: 0,
                enabled: false,
                generation: 0,
                pending: 0,
                calls: CallCounts::default(),
                errors: ErrorCounts::default(),
                dropped: DropCounts::default(),
                latency: LatencyHistogram::default(),
                per_view,
            }),
            memory: Budget::new(memory_limit, instances),
        }
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.inner.lock().enabled
    }

    pub(super) fn enable(&self) {
        self.inner.lock().enabled = true;
    }

    /// Lets every idle instance go; those under way are not kept after their calls.
    pub(super) fn disable(&self) {
        let dropped = {
            let mut inner = self.inner.lock();
            inner.enabled = false;
            inner.drain(DropReason::Disabled, |_| true)
        };
        self.let_go(dropped);
    }

    /// Lets the instances of older pending blocks go.
    pub(super) fn see_pending(&self, number: u64) {
        let dropped = {
            let mut inner = self.inner.lock();
            inner.pending = inner.pending.max(number);
            inner.drain(
                DropReason::Pending,
                |idle| matches!(idle.pin.to, PinnedTo::Pending(other) if other < number),
            )
        };
        self.let_go(dropped);
    }

    /// A place, and what the call wants, if a place is free.
    pub(super) fn enter(&self, wanted: &Wanted<'_>, generation: u64) -> Option<Picked> {
        let mut inner = self.inner.lock();
        if !inner.places.take() {
            return None;
        }
        Some(self.hand_out(inner, wanted, generation))
    }

    /// Waits for a place. The call that gets it must [`Desk::leave`].
    pub(super) async fn wait(&self) -> Result<(), ViewError> {
        let mut waiting = InQueue {
            desk: self,
            ticket: None,
        };
        poll_fn(|task| {
            let mut inner = self.inner.lock();
            let got = match waiting.ticket {
                Some(ticket) => inner.places.take_waiting(ticket, task.waker()),
                None => inner.places.take(),
            };
            if got {
                waiting.ticket = None;
                return Poll::Ready(Ok(()));
            }
            if waiting.ticket.is_none() {
                let Ok(ticket) = inner.places.wait(task.waker().clone()) else {
                    let queue = inner.places.limit();
                    return Poll::Ready(Err(ViewError::Busy { queue }));
                };
                waiting.ticket = Some(ticket);
            }
            Poll::Pending
        })
        .await
    }

    /// To be called at every epoch tick.
    pub(crate) fn tick(&self) {
        loop {
            let next = self.inner.lock().places.nudge();
            let Some(next) = next else { return };
            next.wake();
        }
    }

    /// What the call wants, which has a place already.
    pub(super) fn pick(&self, wanted: &Wanted<'_>, generation: u64) -> Picked {
        self.hand_out(self.inner.lock(), wanted, generation)
    }

    fn hand_out(
        &self,
        mut inner: MutexGuard<'_, Inner>,
        wanted: &Wanted<'_>,
        generation: u64,
    ) -> Picked {
        let old = inner.see_generation(generation);
        let (picked, dropped) = inner.pick(wanted);
        drop(inner);
        self.let_go(old);
        self.let_go(dropped);
        picked
    }

    /// An instance was made.
    pub(super) fn count_created(&self) {
        self.inner.lock().calls.created += 1;
    }

    /// An instance failed its call, which is tried again on another.
    pub(super) fn count_retry(&self) {
        let mut inner = self.inner.lock();
        inner.calls.retried += 1;
        inner.dropped.fault += 1;
    }

    /// An instance was used for one purpose and dropped.
    pub(super) fn count_dropped(&self, reason: DropReason) {
        *reason.count(&mut self.inner.lock().dropped) += 1;
    }

    /// The end of a call: counts it, takes its instance back or has it dropped for a
    /// reason, and gives its place to the next one.
    ///
    /// `view` is the number of the view, if it could be asked; `held` is how
    /// long the call had a place, if it had one.
    pub(super) fn leave(
        &self,
        end: &End<'_>,
        view: Option<usize>,
        held: Option<Duration>,
        returned: Returned,
    ) {
        let mut inner = self.inner.lock();
        inner.count(end);
        if let Some(view) = view {
            inner.per_view.count(view, end);
        }
        let dropped = match returned {
            Returned::Nothing => None,
            Returned::Kept(idle) => inner.check_in(idle).map(|idle| idle.instance),
            Returned::Dropped(instance, session, reason) => {
                inner.gone(session.as_ref(), reason);
                Some(instance)
            }
        };
        if dropped.is_some() {
            // Before the place is free: who gets it may need the memory and the room.
            drop(inner);
            drop(dropped);
            inner = self.inner.lock();
            inner.leaving -= 1;
        }
        let next = held.and_then(|held| inner.places.release(held));
        drop(inner);
        if let Some(next) = next {
            next.wake();
        }
    }

    /// Drops instances that were taken out under the lock.
    fn let_go(&self, dropped: impl IntoIterator<Item = Idle>) {
        for idle in dropped {
            drop(idle);
            self.inner.lock().leaving -= 1;
        }
    }

    /// Takes memory for an instance that `has` some, letting idle instances go as long as it takes, the least
    /// recently used first. If even that is not enough, it is refused, unless it may
    /// `overdraw`.
    pub(crate) fn take_memory(&self, has: usize, bytes: usize, overdraw: bool) -> bool {
        while !self.memory.take(has, bytes) {
            let mut inner = self.inner.lock();
            let evicted = inner.evict();
            let is_last_word = evicted.is_none() && inner.leaving == 0;
            drop(inner);
            if is_last_word {
                // What has left since the first try has given its memory back.
                let taken = self.memory.take(has, bytes);
                if !taken && overdraw {
                    self.memory.overdraw(has, bytes);
                }
                return taken || overdraw;
            }
            if evicted.is_none() {
                // Another thread drops an instance at the moment.
                std::thread::yield_now();
            }
            self.let_go(evicted);
        }
        true
    }

    /// Takes all the memory back that an instance `has`.
    pub(crate) fn give_back_memory(&self, has: usize) {
        self.memory.give_back(has);
    }

    pub(super) fn view_counts(&self) -> Vec<ViewCount> {
        self.inner.lock().per_view.counts()
    }

    pub(super) fn stats(&self) -> ViewStats {
        let inner = self.inner.lock();
        ViewStats {
            enabled: inner.enabled,
            queue: inner.places.limit(),
            calls: inner.calls,
            errors: inner.errors,
            dropped: inner.dropped,
            latency: inner.latency,
            idle: inner.idle.len(),
            busy: inner.places.busy(),
            waiting: inner.places.waiting(),
            memory: self.memory.used(),
            memory_limit: self.memory.limit(),
            ..ViewStats::default()
        }
    }
}

/// A call in the queue, which it leaves when it is dropped.
struct InQueue<'a> {
    desk: &'a Desk,
    ticket: Option<Ticket>,
}

impl Drop for InQueue<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let next = self.desk.inner.lock().places.leave_queue(ticket);
        if let Some(next) = next {
            next.wake();
        }
    }
}
