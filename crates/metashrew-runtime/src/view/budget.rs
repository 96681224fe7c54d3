//! The bytes that all instances have together, who has how many, and who waits for some.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Poll, Waker};

use parking_lot::Mutex;

/// Nobody waits: younger than any call.
const NOBODY: u64 = u64::MAX;

/// How the bytes are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    /// What all calls have together.
    pub(crate) all: usize,
    /// What a call may have even if an older one waits. One with more is a large one.
    pub(crate) assured: usize,
    /// What large ones leave to the others.
    pub(crate) for_small: usize,
}

impl Shares {
    /// What all have at most after one of them has taken so much that it has `total`.
    fn limit(&self, total: usize) -> usize {
        let is_large = total > self.assured;
        self.all - if is_large { self.for_small } else { 0 }
    }
}

/// Bytes within a limit, and room for a number of instances.
///
/// A call that waits for bytes holds none, so that no two calls wait for each other. While
/// one waits, calls that came later get nothing beyond their assured part, so that what comes
/// free is for the one that came first.
#[derive(Debug)]
pub(crate) struct Budget {
    shares: Shares,
    used: AtomicUsize,
    room: usize,
    instances: AtomicUsize,
    /// Who waits, by when the call came.
    waiting: Mutex<BTreeMap<u64, Waker>>,
    /// When the oldest of them came.
    oldest: AtomicU64,
}

impl Budget {
    pub(super) fn new(shares: Shares, room: usize) -> Arc<Self> {
        Arc::new(Self {
            shares,
            used: AtomicUsize::new(0),
            room,
            instances: AtomicUsize::new(0),
            waiting: Mutex::default(),
            oldest: AtomicU64::new(NOBODY),
        })
    }

    pub(super) fn limit(&self) -> usize {
        self.shares.all
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::SeqCst)
    }

    /// Bytes that can be had by one that has `total` then, if others have `taken`.
    pub(super) fn rest(&self, total: usize, taken: usize) -> usize {
        self.shares.limit(total).saturating_sub(taken)
    }

    /// How many calls wait for bytes.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.lock().len()
    }

    /// Whether a call that came at `age` and would then have `total` bytes must wait, since
    /// one that came before it does.
    pub(super) fn is_behind(&self, age: u64, total: usize) -> bool {
        total > self.shares.assured && self.oldest.load(Ordering::SeqCst) < age
    }

    /// Takes `bytes` more for one that has `total` then; false if they are not free.
    pub(super) fn take(&self, bytes: usize, total: usize) -> bool {
        let limit = self.shares.limit(total);
        let fits = |used: usize| {
            let wanted = used.checked_add(bytes)?;
            (wanted <= limit).then_some(wanted)
        };
        let taken = self
            .used
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits);
        taken.is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::SeqCst);
        self.wake_oldest();
    }

    /// Room for one more instance; none if there is none.
    pub(super) fn slot(self: &Arc<Self>) -> Option<Slot> {
        let more = |count: usize| (count < self.room).then_some(count + 1);
        let taken = self
            .instances
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
        taken.is_ok().then(|| Slot(Arc::clone(self)))
    }

    /// Has the call that waits longest look whether it can have its bytes now.
    pub(super) fn wake_oldest(&self) {
        if self.oldest.load(Ordering::SeqCst) == NOBODY {
            return;
        }
        let waker = self
            .waiting
            .lock()
            .first_key_value()
            .map(|(_, waker)| waker.clone());
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits until it is the turn of a call that came at `age`, and `take` has got it what it
    /// wants.
    pub(super) async fn wait<T>(&self, age: u64, take: impl Fn() -> Option<T>) -> T {
        let mut place = Place {
            budget: self,
            age: None,
        };
        poll_fn(|task| {
            let number = place.join(age, task.waker());
            // Others may come free while it looks: then it is woken and looks again.
            if self.oldest.load(Ordering::SeqCst) == number
                && let Some(taken) = take()
            {
                return Poll::Ready(taken);
            }
            Poll::Pending
        })
        .await
    }
}

/// A call's place among those that wait, which it leaves when it is dropped.
struct Place<'a> {
    budget: &'a Budget,
    age: Option<u64>,
}

impl Place<'_> {
    /// Waits, or goes on waiting, as a call that came at `age`; tells its place in the order.
    fn join(&mut self, age: u64, waker: &Waker) -> u64 {
        let mut waiting = self.budget.waiting.lock();
        let mut age = self.age.unwrap_or(age);
        if self.age.is_none() {
            while waiting.contains_key(&age) {
                age += 1;
            }
            self.age = Some(age);
        }
        waiting.insert(age, waker.clone());
        self.budget.see_oldest(&waiting);
        age
    }
}

impl Budget {
    fn see_oldest(&self, waiting: &BTreeMap<u64, Waker>) {
        let oldest = waiting.first_key_value().map_or(NOBODY, |(age, _)| *age);
        self.oldest.store(oldest, Ordering::SeqCst);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(age) = self.age else { return };
        {
            let mut waiting = self.budget.waiting.lock();
            waiting.remove(&age);
            self.budget.see_oldest(&waiting);
        }
        self.budget.wake_oldest();
    }
}

/// Bytes of one call or instance. They are given back when it is dropped, which must be
/// after what they stand for is gone.
#[derive(Debug)]
pub(crate) struct Account {
    budget: Arc<Budget>,
    bytes: AtomicUsize,
}

impl Account {
    /// One with `bytes` that were taken already.
    pub(super) fn with(budget: &Arc<Budget>, bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            budget: Arc::clone(budget),
            bytes: AtomicUsize::new(bytes),
        })
    }

    pub(super) fn empty(budget: &Arc<Budget>) -> Arc<Self> {
        Self::with(budget, 0)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives back what is more than `bytes`.
    pub(crate) fn trim(&self, bytes: usize) {
        let more = self.bytes().saturating_sub(bytes);
        if more > 0 {
            self.bytes.fetch_sub(more, Ordering::Relaxed);
            self.budget.give_back(more);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.trim(0);
    }
}

/// Room for one instance, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Budget>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.instances.fetch_sub(1, Ordering::SeqCst);
    }
}
