//! Who may run now: so many calls at a time, so many waiting, in their order.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::ViewError;

/// The places that calls run on, and the queue for them.
pub(super) struct Admission {
    places: Semaphore,
    count: usize,
    waiting: AtomicUsize,
    queue: usize,
}

impl Admission {
    pub(super) fn new(count: usize, queue: usize) -> Self {
        Self {
            places: Semaphore::new(count),
            count,
            waiting: AtomicUsize::new(0),
            queue,
        }
    }

    /// A place, free at once or after a wait.
    pub(super) async fn enter(&self) -> Result<SemaphorePermit<'_>, ViewError> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let _waiting = self.wait()?;
        let place = self.places.acquire().await;
        Ok(place.expect("the semaphore is never closed"))
    }

    pub(super) fn busy(&self) -> usize {
        self.count - self.places.available_permits()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn wait(&self) -> Result<Waiting<'_>, ViewError> {
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.queue {
            return Err(ViewError::Busy { queue: self.queue });
        }
        Ok(waiting)
    }
}

/// One call in the queue, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
