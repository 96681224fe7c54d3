//! The engine that delays every read: which reads come to it, and what they answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metashrew_store::{BlockHash, BlockRef, MemoryBackend, Store, WriteSet};
use metashrew_testing::delayed::Delayed;

#[test]
fn what_the_cache_answers_is_not_delayed() {
    let engine = Arc::new(Delayed::blocking(
        MemoryBackend::default(),
        Duration::from_micros(100),
    ));
    let store = Store::with_backend_and_cache(Arc::clone(&engine) as _, 1 << 20).unwrap();
    let mut writes = WriteSet::default();
    writes
        .insert(Bytes::from_static(b"key"), Bytes::from_static(b"value"))
        .unwrap();
    let hash = |byte| BlockHash::from_bytes([byte; 32]);
    let block = BlockRef::new(0, hash(1), hash(0));
    store.commit(&block, &writes).unwrap();

    let before = engine.reads();
    let state = store.snapshot().latest();
    assert_eq!(state.get(b"key").unwrap().unwrap().value, "value");
    assert_eq!(state.get(b"none").unwrap(), None);
    assert_eq!(engine.reads() - before, 2);

    // The cache knows both by now.
    state.get(b"key").unwrap();
    state.get(b"none").unwrap();
    assert_eq!(engine.reads() - before, 2);
}
