//! A request to stop that many threads can see, and wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use parking_lot::Mutex;

/// Asks the indexer to stop after the block at hand. Clones share the request.
#[derive(Debug, Clone)]
pub struct Stop {
    request: Arc<Request>,
    receiver: Receiver<()>,
}

#[derive(Debug)]
struct Request {
    /// Looked at often, by many threads: without a lock.
    is_made: AtomicBool,
    /// Dropped on request, which disconnects the receivers.
    sender: Mutex<Option<Sender<()>>>,
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl Stop {
    /// Nobody asked yet.
    pub fn new() -> Self {
        let (sender, receiver) = crossbeam_channel::bounded(0);
        Self {
            request: Arc::new(Request {
                is_made: AtomicBool::new(false),
                sender: Mutex::new(Some(sender)),
            }),
            receiver,
        }
    }

    /// Asks to stop.
    pub fn request(&self) {
        self.request.is_made.store(true, Ordering::Release);
        self.request.sender.lock().take();
    }

    /// Whether anybody asked.
    pub fn is_requested(&self) -> bool {
        self.request.is_made.load(Ordering::Acquire)
    }

    /// Waits until somebody asks, or the time is over; answers whether somebody asked.
    pub fn wait(&self, timeout: Duration) -> bool {
        matches!(
            self.receiver.recv_timeout(timeout),
            Err(RecvTimeoutError::Disconnected)
        )
    }

    /// Disconnected once somebody asked.
    pub(crate) fn requested(&self) -> &Receiver<()> {
        &self.receiver
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_seen_by_all_clones() {
        let stop = Stop::new();
        let other = stop.clone();
        assert!(!other.is_requested() && !other.wait(Duration::ZERO));
        stop.request();
        stop.request();
        assert!(other.is_requested() && other.wait(Duration::from_hours(1)));
    }
}
