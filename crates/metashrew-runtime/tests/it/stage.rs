//! A store in memory whose reads can be held up, or made to panic.

use std::ops::Bound;
use std::sync::{Arc, Condvar, Mutex};

use bytes::Bytes;
use metashrew_store::{
    self as store, BackendError, Batch, BatchNumber, MemoryBackend, Read, Scan, Space, Store,
};

/// A read of this key waits until the gate is open.
pub(crate) const GATE: &[u8] = b"gate";

/// A read of this key panics.
pub(crate) const BOOM: &[u8] = b"boom";

/// The gate, closed at first, and open for good once it is opened.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(crate) fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let is_open = self.is_open.lock().unwrap();
        drop(self.opened.wait_while(is_open, |open| !*open).unwrap());
    }
}

/// A store with a gate.
pub(crate) fn store() -> (Store, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let backend = Backend {
        memory: MemoryBackend::default(),
        gate: Arc::clone(&gate),
    };
    (Store::with_backend(Arc::new(backend)).unwrap(), gate)
}

#[derive(Debug)]
struct Backend {
    memory: MemoryBackend,
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct View {
    memory: Arc<dyn store::View>,
    gate: Arc<Gate>,
}

impl store::Backend for Backend {
    fn view(&self) -> Arc<dyn store::View> {
        Arc::new(View {
            memory: self.memory.view(),
            gate: Arc::clone(&self.gate),
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

impl store::View for View {
    fn batch(&self) -> BatchNumber {
        self.memory.batch()
    }

    fn get<'a>(&'a self, space: Space, key: &'a [u8]) -> Read<'a, Option<Bytes>> {
        let is = |name: &[u8]| key.windows(name.len()).any(|part| part == name);
        assert!(!is(BOOM), "disk on fire");
        if is(GATE) {
            self.gate.pass();
        }
        self.memory.get(space, key)
    }

    fn scan(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        self.memory.scan(space, start, end)
    }
}
