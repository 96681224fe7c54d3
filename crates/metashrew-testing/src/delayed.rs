//! An engine whose every read takes a while: a slow disk, made to measure.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use metashrew_store::{Backend, BackendError, Batch, BatchNumber, Read, Scan, Space, View};

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
    fn view(&self) -> Arc<dyn View> {
        Arc::new(DelayedView {
            view: self.engine.view(),
            delay: self.delay,
            reads: Arc::clone(&self.reads),
        })
    }

    fn write(&self, batch: Batch) -> Result<BatchNumber, BackendError> {
        self.engine.write(batch)
    }

    fn durable(&self) -> BatchNumber {
        self.engine.durable()
    }

    fn sync(&self, batch: BatchNumber) -> Read<'_, ()> {
        self.engine.sync(batch)
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
    fn batch(&self) -> BatchNumber {
        self.view.batch()
    }

    fn get<'a>(&'a self, space: Space, key: &'a [u8]) -> Read<'a, Option<Bytes>> {
        self.wait();
        self.view.get(space, key)
    }

    fn scan(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        self.wait();
        self.view.scan(space, start, end)
    }
}
