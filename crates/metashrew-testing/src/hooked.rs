//! An engine in memory that is told before each read of it: to count it, to hold it up, to
//! have it fail or panic.

use std::fmt::Debug;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use metashrew_store::{
    Backend, BackendError, Batch, BatchNumber, MemoryBackend, Read, Scan, Space, View,
};

/// What is done before reads. An error is then what the read gives.
pub trait Hook: Debug + Send + Sync + 'static {
    /// Before the value of a key is read.
    fn before_get(&self, key: &[u8]) -> Result<(), BackendError>;

    /// Before entries are walked. Nothing by default.
    fn before_scan(&self) -> Result<(), BackendError> {
        Ok(())
    }
}

/// An engine in memory with a hook.
#[derive(Debug, Default)]
pub struct Hooked<H> {
    memory: MemoryBackend,
    hook: Arc<H>,
}

impl<H> Hooked<H> {
    /// An empty engine with this hook.
    pub fn new(hook: Arc<H>) -> Self {
        let memory = MemoryBackend::default();
        Self { memory, hook }
    }

    /// What is done before its reads.
    pub fn hook(&self) -> &H {
        &self.hook
    }
}

#[derive(Debug)]
struct HookedView<H> {
    view: Arc<dyn View>,
    hook: Arc<H>,
}

impl<H: Hook> Backend for Hooked<H> {
    fn view(&self) -> Arc<dyn View> {
        Arc::new(HookedView {
            view: self.memory.view(),
            hook: Arc::clone(&self.hook),
        })
    }

    fn write(&self, batch: Batch) -> Result<BatchNumber, BackendError> {
        self.memory.write(batch)
    }

    fn durable(&self) -> BatchNumber {
        self.memory.durable()
    }

    fn sync(&self, batch: BatchNumber) -> Read<'_, ()> {
        self.memory.sync(batch)
    }
}

impl<H: Hook> View for HookedView<H> {
    fn batch(&self) -> BatchNumber {
        self.view.batch()
    }

    fn get<'a>(&'a self, space: Space, key: &'a [u8]) -> Read<'a, Option<Bytes>> {
        match self.hook.before_get(key) {
            Ok(()) => self.view.get(space, key),
            Err(error) => Read::Ready(Err(error)),
        }
    }

    fn scan(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        match self.hook.before_scan() {
            Ok(()) => self.view.scan(space, start, end),
            Err(error) => Scan::failed(error),
        }
    }

    fn scan_back(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        match self.hook.before_scan() {
            Ok(()) => self.view.scan_back(space, start, end),
            Err(error) => Scan::failed(error),
        }
    }
}
