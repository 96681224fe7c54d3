//! Calls that wait for a permit, in the order they came.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};

use parking_lot::Mutex;

/// The queue. Whoever finds somebody in it must wait behind them.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// As many as `waiting` has.
    len: AtomicUsize,
    limit: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    /// By number, so in the order they came.
    calls: BTreeMap<u64, Call>,
}

#[derive(Debug)]
struct Call {
    waker: Waker,
    has_permit: bool,
}

/// The queue is full.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            len: AtomicUsize::new(0),
            limit,
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::SeqCst)
    }

    /// Hands free permits to those who wait longest. To be called after a permit came free
    /// while somebody waited. `take` takes a free permit.
    pub(super) fn hand_over(&self, take: impl Fn() -> bool) {
        loop {
            let mut waiting = self.waiting.lock();
            let mut calls = waiting.calls.values_mut();
            let Some(next) = calls.find(|call| !call.has_permit) else {
                return;
            };
            if !take() {
                return;
            }
            next.has_permit = true;
            let waker = next.waker.clone();
            drop(waiting);
            waker.wake();
        }
    }

    /// Waits for a permit. `take` takes a free one, and `give_back` gives one back that
    /// nobody wants any more.
    pub(super) async fn wait(
        &self,
        take: impl Fn() -> bool,
        give_back: impl Fn(),
    ) -> Result<(), Full> {
        let mut ticket = Ticket {
            queue: self,
            number: None,
            give_back,
        };
        poll_fn(|task| {
            let mut waiting = self.waiting.lock();
            if let Some(number) = ticket.number {
                if let Some(call) = waiting.calls.get_mut(&number)
                    && !call.has_permit
                {
                    call.waker.clone_from(task.waker());
                    return Poll::Pending;
                }
                ticket.number = None;
                self.leave(&mut waiting, number);
                return Poll::Ready(Ok(()));
            }
            if waiting.calls.len() >= self.limit {
                // A permit that came free in the meantime is as good as a place.
                let is_free = waiting.calls.is_empty() && take();
                return Poll::Ready(if is_free { Ok(()) } else { Err(Full) });
            }
            ticket.number = Some(self.join(&mut waiting, task.waker().clone()));
            drop(waiting);
            // One may have come free before anybody could see this call wait.
            self.hand_over(&take);
            Poll::Pending
        })
        .await
    }

    fn join(&self, waiting: &mut Waiting, waker: Waker) -> u64 {
        let number = waiting.next;
        waiting.next += 1;
        let has_permit = false;
        waiting.calls.insert(number, Call { waker, has_permit });
        self.len.store(waiting.calls.len(), Ordering::SeqCst);
        number
    }

    fn leave(&self, waiting: &mut Waiting, number: u64) -> Option<Call> {
        let call = waiting.calls.remove(&number);
        self.len.store(waiting.calls.len(), Ordering::SeqCst);
        call
    }
}

/// A place in the queue, which its call leaves when this is dropped.
struct Ticket<'a, G: Fn()> {
    queue: &'a Queue,
    number: Option<u64>,
    give_back: G,
}

impl<G: Fn()> Drop for Ticket<'_, G> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let left = self.queue.leave(&mut self.queue.waiting.lock(), number);
        if left.is_some_and(|call| call.has_permit) {
            (self.give_back)();
        }
    }
}
