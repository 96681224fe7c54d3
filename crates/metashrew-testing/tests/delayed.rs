//! The engine that delays every read: which reads come to it, and how often.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metashrew_store::{
    Backend, Batch, BlockHash, BlockRef, MemoryBackend, Read, Space, Store, WriteSet,
};
use metashrew_testing::delayed::{CHUNK, Delayed};

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

#[test]
fn many_keys_a_chunk_of_a_scan_and_many_batches_take_one_turn_each() {
    let engine = Delayed::by_turns(MemoryBackend::default(), 2);
    let keys: Vec<[u8; 1]> = (0..100).map(|key| [key]).collect();
    let mut last = engine.view().batch();
    for key in &keys {
        let mut batch = Batch::default();
        let key = Bytes::copy_from_slice(key);
        batch.put(Space::Meta, key.clone(), key);
        last = engine.write(batch).unwrap();
    }
    engine.sync(last).wait().unwrap();
    assert_eq!(engine.durable(), last);
    assert_eq!(engine.syncs(), 1);

    let view = engine.view();
    let sought: Vec<_> = keys.iter().map(<[u8; 1]>::as_slice).collect();
    let many = view.get_many(Space::Meta, &sought, usize::MAX);
    assert!(matches!(many, Read::Pending(_)));
    let many = many.wait().unwrap();
    assert!(
        many.iter()
            .zip(&keys)
            .all(|(found, key)| found.as_deref() == Some(key))
    );
    assert_eq!(engine.reads(), 1);

    let scan = view.scan(Space::Meta, Bound::Unbounded, Bound::Unbounded);
    assert_eq!(scan.count(), keys.len());
    assert_eq!(engine.reads(), 1 + keys.len().div_ceil(CHUNK) as u64);
}
