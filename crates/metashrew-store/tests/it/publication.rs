//! Who asks is told of each change that readers can see, and of nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use metashrew_store::{
    Backend, BackendError, Batch, BatchNumber, MemoryBackend, Read, Store, View,
};
use parking_lot::Mutex;

use crate::chain::{commit, next, writes};

/// A store, and how often it told of a change.
fn counted(store: &Store) -> (Arc<AtomicU32>, metashrew_store::Registration) {
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    let registration = store.on_publish(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    (count, registration)
}

#[test]
fn each_change_is_told_once() {
    let store = Store::in_memory();
    let (count, registration) = counted(&store);
    let told = || count.swap(0, Ordering::Relaxed);
    let tip = commit(&store, &[("key", "value")]);
    assert_eq!(told(), 1);
    let block = next(Some(&tip), 0, 0);
    let set = Arc::new(writes(&[("key", "other")]));
    let tip = *store.commit_batch(&[(block, set)]).unwrap().last().unwrap();
    assert_eq!(told(), 1);
    store.rollback(Some(tip.height - 1)).unwrap();
    assert_eq!(told(), 1);
    // Nothing changes.
    store.rollback(Some(tip.height - 1)).unwrap();
    store.commit_batch(&[]).unwrap();
    store
        .commit(&next(None, 7, 7), &writes(&[("a", "b")]))
        .unwrap_err();
    assert!(!store.follow().unwrap());
    store.close().unwrap();
    assert_eq!(told(), 0);
    // Nobody is left who would be told.
    drop(registration);
    store.rollback(None).unwrap();
    assert_eq!(told(), 0);
}

#[test]
fn a_follower_is_told_when_it_finds_something() {
    let engine = Arc::new(MemoryBackend::default());
    let [writer, follower] = [(), ()].map(|()| Store::with_backend(engine.clone()).unwrap());
    let (count, _registration) = counted(&follower);
    commit(&writer, &[("key", "value")]);
    assert_eq!(count.load(Ordering::Relaxed), 0);
    assert!(follower.follow().unwrap());
    assert_eq!(count.load(Ordering::Relaxed), 1);
    writer.rollback(None).unwrap();
    assert!(follower.follow().unwrap());
    assert_eq!(count.load(Ordering::Relaxed), 2);
}

/// When it is told, the change can be seen, and the store be written: no lock is held.
#[test]
fn whoever_is_told_may_use_the_store() {
    let store = Store::in_memory();
    let used = store.clone();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let saw = Arc::clone(&seen);
    let own = Arc::new(Mutex::new(None));
    let owned = Arc::clone(&own);
    let registration = store.on_publish(move || {
        let tip = used.snapshot().tip().map(|tip| tip.height);
        saw.lock().push(tip);
        // It ends what it is in itself, which its own rollback then does not tell of.
        if tip == Some(102) {
            drop(owned.lock().take());
            used.rollback(Some(100)).unwrap();
        }
    });
    *own.lock() = Some(registration);
    for _ in 0..3 {
        commit(&store, &[("key", "value")]);
    }
    assert_eq!(*seen.lock(), [Some(100), Some(101), Some(102)]);
    assert_eq!(store.snapshot().tip().unwrap().height, 100);
    commit(&store, &[("key", "value")]);
    assert_eq!(seen.lock().len(), 3);
}

/// Writes, and says that it failed while it is told to.
#[derive(Debug, Default)]
struct Lying {
    memory: MemoryBackend,
    lies: AtomicU32,
}

impl Backend for Lying {
    fn view(&self) -> Arc<dyn View> {
        self.memory.view()
    }

    fn write(&self, batch: Batch) -> Result<BatchNumber, BackendError> {
        let written = self.memory.write(batch)?;
        match self.lies.swap(0, Ordering::Relaxed) {
            0 => Ok(written),
            _ => Err(BackendError::new("writing a batch", "connection lost")),
        }
    }

    fn durable(&self) -> BatchNumber {
        self.memory.durable()
    }

    fn sync(&self, batch: BatchNumber) -> Read<'_, ()> {
        self.memory.sync(batch)
    }
}

#[test]
fn what_the_next_writer_finds_is_told_though_it_fails_itself() {
    let backend = Arc::new(Lying::default());
    let store = Store::with_backend(backend.clone()).unwrap();
    let tip = commit(&store, &[("key", "value")]);
    let (count, _registration) = counted(&store);
    let block = next(Some(&tip), 0, 0);
    let set = writes(&[("key", "new")]);
    backend.lies.store(1, Ordering::Relaxed);
    store.commit(&block, &set).unwrap_err();
    assert_eq!(count.load(Ordering::Relaxed), 0);
    store.commit(&block, &set).unwrap_err();
    assert_eq!(count.load(Ordering::Relaxed), 1);
    assert_eq!(store.snapshot().tip().unwrap().hash, block.hash);
}

#[test]
fn a_registration_does_not_keep_the_database_open() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Store::open(directory.path(), metashrew_store::StoreOptions::default());
    let store = open().unwrap();
    let (_, registration) = counted(&store);
    drop(store);
    open().unwrap();
    drop(registration);
}
