//! An engine whose every read takes a while: a slow disk, made to measure.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use metashrew_store::{Backend, BackendError, Batch, Durability, Scan, Space, View};

/// An engine that delays every read of another one.
///
/// A read that the store's cache answers does not come here, so it is not delayed.
/// The thread that reads sleeps meanwhile: by as much as was asked for, and what the
/// system adds to it, some 50 microseconds on Linux.
#[derive(Debug, Default)]
pub struct Delayed<B> {
    engine: B,
    delay: Duration,
    reads: Arc<AtomicU64>,
}

impl<B: Backend> Delayed<B> {
    /// Delays each read of `engine` by `delay`.
    pub fn blocking(engine: B, delay: Duration) -> Self {
        Self {
            engine,
            delay,
            reads: Arc::default(),
        }
    }

    /// How many reads were delayed so far: point reads, and the starts of scans.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}

impl<B: Backend> Backend for Delayed<B> {
    fn view(&self) -> Result<Arc<dyn View>, BackendError> {
        Ok(Arc::new(DelayedView {
            view: self.engine.view()?,
            delay: self.delay,
            reads: Arc::clone(&self.reads),
        }))
    }

    fn write(&self, batch: Batch, durability: Durability) -> Result<(), BackendError> {
        self.engine.write(batch, durability)
    }
}

#[derive(Debug)]
struct DelayedView {
    view: Arc<dyn View>,
    delay: Duration,
    reads: Arc<AtomicU64>,
}

impl DelayedView {
    fn wait(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        thread::sleep(self.delay);
    }
}

impl View for DelayedView {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, BackendError> {
        self.wait();
        self.view.get(space, key)
    }

    fn scan(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        self.wait();
        self.view.scan(space, start, end)
    }
}
