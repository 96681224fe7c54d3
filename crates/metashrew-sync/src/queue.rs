//! A queue between two threads, bounded in entries and in bytes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// First in, first out. Once closed, it takes and gives nothing more.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    changed: Condvar,
    max_entries: usize,
    max_bytes: usize,
}

#[derive(Debug)]
struct Inner<T> {
    entries: VecDeque<(T, usize)>,
    bytes: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(crate) fn new(max_entries: usize, max_bytes: usize) -> Self {
        let inner = Inner {
            entries: VecDeque::new(),
            bytes: 0,
            closed: false,
        };
        Self {
            inner: Mutex::new(inner),
            changed: Condvar::new(),
            max_entries,
            max_bytes,
        }
    }

    /// Waits for room, then adds an entry of that many bytes. An entry larger
    /// than the whole queue may be alone in it. Answers false if closed.
    pub(crate) fn push(&self, entry: T, bytes: usize) -> bool {
        let mut inner = self.inner.lock();
        while !inner.closed
            && !inner.entries.is_empty()
            && (inner.entries.len() >= self.max_entries || inner.bytes + bytes > self.max_bytes)
        {
            self.changed.wait(&mut inner);
        }
        if inner.closed {
            return false;
        }
        inner.bytes += bytes;
        inner.entries.push_back((entry, bytes));
        self.changed.notify_all();
        true
    }

    /// Waits for an entry and takes it; none if closed.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut inner = self.inner.lock();
        loop {
            if inner.closed {
                return None;
            }
            if let Some((entry, bytes)) = inner.entries.pop_front() {
                inner.bytes -= bytes;
                self.changed.notify_all();
                return Some(entry);
            }
            self.changed.wait(&mut inner);
        }
    }

    /// Ends the queue at once; what is in it is dropped.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.entries.clear();
        inner.bytes = 0;
        self.changed.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.inner.lock().closed
    }

    /// Waits until the queue is closed, or the time is over; answers whether it
    /// is closed.
    pub(crate) fn wait_closed(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut inner = self.inner.lock();
        while !inner.closed && !self.changed.wait_until(&mut inner, deadline).timed_out() {}
        inner.closed
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn entries_come_out_in_order_within_the_bounds() {
        for (max_entries, max_bytes) in [(1, 1), (3, 1_000), (100, 50)] {
            let queue = Queue::new(max_entries, max_bytes);
            thread::scope(|scope| {
                scope.spawn(|| {
                    for entry in 0..200 {
                        assert!(queue.push(entry, entry % 60));
                    }
                });
                for expected in 0..200 {
                    assert_eq!(queue.pop(), Some(expected));
                    let inner = queue.inner.lock();
                    assert!(inner.entries.len() <= max_entries);
                    assert!(inner.bytes <= max_bytes || inner.entries.len() == 1);
                }
            });
        }
    }

    #[test]
    fn closing_wakes_all_who_wait() {
        let queue = Queue::new(1, 1);
        let empty = Queue::<u32>::new(1, 1);
        assert!(queue.push(1, 0));
        thread::scope(|scope| {
            let push = scope.spawn(|| queue.push(2, 0));
            let pop = scope.spawn(|| empty.pop());
            let wait = scope.spawn(|| queue.wait_closed(Duration::MAX / 4));
            queue.close();
            empty.close();
            assert!(!push.join().unwrap());
            assert_eq!(pop.join().unwrap(), None);
            assert!(wait.join().unwrap());
        });
        assert!(queue.is_closed() && !queue.push(3, 0) && queue.pop().is_none());
    }
}
