//! An engine that hands out values as slices of larger blocks, as engines on disk do.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use metashrew_store::{
    Backend, BackendError, Batch, BatchNumber, MemoryBackend, Read, Scan, Space, View,
};
use parking_lot::Mutex;

/// The size of an engine's blocks, in bytes.
const BLOCK: usize = 4_096;

#[derive(Debug)]
pub(crate) struct Blocky {
    memory: MemoryBackend,
    keeping: Mutex<Keeping>,
}

#[derive(Debug, Default)]
enum Keeping {
    #[default]
    Nothing,
    Next,
    Batch(Batch),
}

impl Blocky {
    pub(crate) fn over(memory: MemoryBackend) -> Self {
        Self {
            memory,
            keeping: Mutex::default(),
        }
    }

    /// Keeps the next batch as it is, and writes a copy that shares nothing with it.
    pub(crate) fn keep_next(&self) {
        *self.keeping.lock() = Keeping::Next;
    }

    pub(crate) fn take_kept(&self) -> Option<Batch> {
        match std::mem::take(&mut *self.keeping.lock()) {
            Keeping::Batch(batch) => Some(batch),
            Keeping::Nothing | Keeping::Next => None,
        }
    }
}

fn copied(batch: &Batch) -> Batch {
    let mut copy = Batch::default();
    for operation in batch.operations() {
        let key = Bytes::copy_from_slice(&operation.key);
        match &operation.value {
            Some(value) => copy.put(operation.space, key, Bytes::copy_from_slice(value)),
            None => copy.delete(operation.space, key),
        }
    }
    copy
}

impl Backend for Blocky {
    fn view(&self) -> Arc<dyn View> {
        Arc::new(BlockyView(self.memory.view()))
    }

    fn write(&self, batch: Batch) -> Result<BatchNumber, BackendError> {
        let mut keeping = self.keeping.lock();
        let written = self.memory.write(copied(&batch))?;
        if matches!(*keeping, Keeping::Next) {
            *keeping = Keeping::Batch(batch);
        }
        Ok(written)
    }

    fn durable(&self) -> BatchNumber {
        self.memory.durable()
    }

    fn sync(&self, batch: BatchNumber) -> Read<'_, ()> {
        self.memory.sync(batch)
    }
}

#[derive(Debug)]
struct BlockyView(Arc<dyn View>);

impl View for BlockyView {
    fn batch(&self) -> BatchNumber {
        self.0.batch()
    }

    fn get<'a>(&'a self, space: Space, key: &'a [u8]) -> Read<'a, Option<Bytes>> {
        let found = self.0.get(space, key).wait();
        Read::Ready(found.map(|found| found.map(|value| in_a_block(&value))))
    }

    fn scan(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        self.0.scan(space, start, end)
    }

    fn scan_back(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        self.0.scan_back(space, start, end)
    }
}

/// A copy of `value` that shares its memory with the rest of a block.
fn in_a_block(value: &[u8]) -> Bytes {
    let mut block = value.to_vec();
    block.resize(BLOCK.max(value.len()), 0);
    Bytes::from(block).slice(..value.len())
}
