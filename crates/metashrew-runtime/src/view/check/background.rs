//! Checks answers after they were given, on a thread of its own: one at a time, so that no
//! caller waits for one. What does not fit into its short queue is skipped.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use metashrew_store::wait;
use parking_lot::{Condvar, Mutex};
use tracing::dispatcher::{self, Dispatch};

use super::{Check, Rerun};
use crate::context::Stop;

/// Checks that may wait: the first ones of a view that is asked them all at once.
const MAX_WAITING: usize = 64;

/// Bytes of input and answer that they may hold. One alone may have more: as much as one
/// call.
const MAX_BYTES: usize = 16 << 20;

/// How long they may take together, as far as that is known: each keeps a snapshot of the
/// store, which cannot let go of what was overwritten since.
const MAX_TIME: Duration = Duration::from_secs(1);

/// The thread, and its queue.
pub(super) struct Background {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    /// Ends the guest that runs.
    stop: AtomicBool,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Of those that wait and the one that runs.
    held: Held,
    closed: bool,
}

struct Waiting {
    check: Check,
    held: Held,
    /// Where the caller's thread logs to.
    log: Dispatch,
}

#[derive(Default, Clone, Copy)]
struct Held {
    count: usize,
    bytes: usize,
    time: Duration,
}

impl Held {
    /// With one check more, if that fits.
    fn with(self, more: Self) -> Option<Self> {
        let held = Self {
            count: self.count + more.count,
            bytes: self.bytes.saturating_add(more.bytes),
            time: self.time.saturating_add(more.time),
        };
        let fits = held.count <= MAX_WAITING && held.bytes <= MAX_BYTES && held.time <= MAX_TIME;
        (self.count == 0 || fits).then_some(held)
    }

    fn without(self, less: Self) -> Self {
        Self {
            count: self.count - less.count,
            bytes: self.bytes.saturating_sub(less.bytes),
            time: self.time.saturating_sub(less.time),
        }
    }
}

impl Background {
    pub(super) fn start(rerun: Arc<Rerun>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("view-check".to_owned())
            .spawn(move || of_thread.run(&rerun))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Takes a check, or skips it.
    pub(super) fn queue(&self, check: Check) {
        let mut queue = self.shared.queue.lock();
        let more = held_by(&check);
        let Some(held) = queue.held.with(more) else {
            drop(queue);
            drop(check);
            return;
        };
        queue.held = held;
        queue.waiting.push_back(Waiting {
            check,
            held: more,
            log: dispatcher::get_default(Dispatch::clone),
        });
        self.shared.changed.notify_all();
    }

    /// Forgets the checks that wait, and ends the one that runs, at the next epoch tick or
    /// once a read of its is over.
    pub(super) fn clear(&self) {
        let mut queue = self.shared.queue.lock();
        self.shared.stop.store(true, Ordering::Relaxed);
        let waiting = std::mem::take(&mut queue.waiting);
        for waiting in &waiting {
            queue.held = queue.held.without(waiting.held);
        }
        while queue.held.count > 0 {
            self.shared.changed.wait(&mut queue);
        }
        self.shared.stop.store(queue.closed, Ordering::Relaxed);
        drop(queue);
        drop(waiting);
    }
}

fn held_by(check: &Check) -> Held {
    Held {
        count: 1,
        bytes: check.bytes(),
        time: check.due.cost().unwrap_or(check.ran),
    }
}

impl Shared {
    fn run(self: &Arc<Self>, rerun: &Arc<Rerun>) {
        while let Some(Waiting { check, held, log }) = self.next() {
            if check.due.is_wanted() {
                dispatcher::with_default(&log, || self.check(rerun, check));
            } else {
                drop(check);
            }
            let mut queue = self.queue.lock();
            queue.held = queue.held.without(held);
            self.changed.notify_all();
        }
    }

    /// Runs a check, unless it is to end: for good, or since a call waits for memory. Then it
    /// is a skipped one.
    fn check(self: &Arc<Self>, rerun: &Arc<Rerun>, check: Check) {
        let _ticking = rerun.tick();
        let has_ended = Arc::new(AtomicBool::new(false));
        let stop: Stop = {
            let (shared, rerun) = (Arc::clone(self), Arc::clone(rerun));
            let has_ended = Arc::clone(&has_ended);
            Arc::new(move || {
                let ends = shared.stop.load(Ordering::Relaxed) || rerun.is_in_the_way();
                has_ended.fetch_or(ends, Ordering::Relaxed) || ends
            })
        };
        let (fresh, took) = wait(rerun.answer(&check, rerun.deadline(), Some(stop)));
        if !has_ended.load(Ordering::Relaxed) {
            check.settle(fresh, took);
        }
    }

    /// Waits for a check; none once there shall be no more.
    fn next(&self) -> Option<Waiting> {
        let mut queue = self.queue.lock();
        while !queue.closed {
            match queue.waiting.pop_front() {
                Some(waiting) => return Some(waiting),
                None => self.changed.wait(&mut queue),
            }
        }
        None
    }
}

impl Drop for Background {
    /// Ends the check that runs, at the next epoch tick, and forgets those that wait: none
    /// may hold the store once the engine is gone.
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.clear();
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_small_checks_wait_and_one_of_any_size() {
        let small = Held {
            count: 1,
            bytes: 1 << 10,
            time: Duration::from_millis(1),
        };
        let large = Held {
            bytes: 80 << 20,
            ..small
        };
        let slow = Held {
            time: Duration::from_secs(10),
            ..small
        };
        let none = Held::default();
        assert!(none.with(large).is_some() && none.with(slow).is_some());
        let one = none.with(small).unwrap();
        assert!(one.with(large).is_none() && one.with(slow).is_none());
        assert!(none.with(slow).unwrap().with(small).is_none());
        let mut held = none;
        let mut count = 0;
        while let Some(more) = held.with(small) {
            held = more;
            count += 1;
        }
        assert_eq!(count, MAX_WAITING);
        for _ in 0..count {
            held = held.without(small);
        }
        assert_eq!((held.count, held.bytes, held.time), (0, 0, Duration::ZERO));
    }
}
