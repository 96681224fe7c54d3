//! An engine that fails: the store stays as it was, and can go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use metashrew_store::{
    Backend, BackendError, Batch, BatchNumber, CommitError, MemoryBackend, Read, RollbackError,
    Store, View,
};
use metashrew_testing::hooked::{Hook, Hooked};

use crate::chain::{self, writes};

#[derive(Debug, Default)]
struct Faulty {
    memory: MemoryBackend,
    fails: AtomicBool,
    /// Writes, and says that it failed.
    lies: AtomicBool,
    /// Writes, but cannot make it durable.
    is_out_of_sync: AtomicBool,
}

impl Backend for Faulty {
    fn view(&self) -> Arc<dyn View> {
        self.memory.view()
    }

    fn write(&self, batch: Batch) -> Result<BatchNumber, BackendError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(BackendError::new("writing a batch", "no space left"));
        }
        let written = self.memory.write(batch)?;
        if self.lies.load(Ordering::Relaxed) {
            return Err(BackendError::new("writing a batch", "connection lost"));
        }
        Ok(written)
    }

    fn durable(&self) -> BatchNumber {
        self.memory.durable()
    }

    fn sync(&self, batch: BatchNumber) -> Read<'_, ()> {
        if self.is_out_of_sync.load(Ordering::Relaxed) {
            return Read::Ready(Err(BackendError::new("syncing a batch", "connection lost")));
        }
        self.memory.sync(batch)
    }
}

#[test]
fn a_write_that_fails_changes_nothing() {
    let backend = Arc::new(Faulty::default());
    let store = Store::with_backend(backend.clone()).unwrap();
    let tip = chain::commit_standard(&store, 10, 1);
    let before: Vec<_> = store
        .snapshot()
        .latest()
        .scan_prefix(b"")
        .map(Result::unwrap)
        .collect();

    backend.fails.store(true, Ordering::Relaxed);
    let block = chain::next(Some(&tip), 0, 0);
    let set = writes(&[("/old/1", "lost")]);
    let error = store.commit(&block, &set).unwrap_err();
    assert!(
        matches!(error, CommitError::Backend { height: 11, .. }),
        "{error}"
    );
    let error = store.rollback(Some(4)).unwrap_err();
    assert!(
        matches!(error, RollbackError::Backend { height: 5, .. }),
        "{error}"
    );

    let after: Vec<_> = store
        .snapshot()
        .latest()
        .scan_prefix(b"")
        .map(Result::unwrap)
        .collect();
    assert_eq!(before, after);
    assert_eq!(store.snapshot().tip(), Some(&tip));
    store.verify(|_, _| ()).unwrap();

    backend.fails.store(false, Ordering::Relaxed);
    store.commit(&block, &set).unwrap();
    assert_eq!(store.rollback(Some(4)).unwrap().unwrap().height, 4);
    store.verify(|_, _| ()).unwrap();
}

#[test]
fn a_write_that_happened_though_it_failed_is_found_by_the_next() {
    let backend = Arc::new(Faulty::default());
    let store = Store::with_backend(backend.clone()).unwrap();
    let tip = chain::commit_standard(&store, 10, 1);
    let generation = store.snapshot().generation();
    let block = chain::next(Some(&tip), 0, 0);
    let set = writes(&[("/old/1", "new")]);

    backend.lies.store(true, Ordering::Relaxed);
    store.commit(&block, &set).unwrap_err();
    assert_eq!(store.snapshot().tip(), Some(&tip));
    backend.lies.store(false, Ordering::Relaxed);
    let error = store.commit(&block, &set).unwrap_err();
    assert!(
        matches!(error, CommitError::NotNext { tip: 11, .. }),
        "{error}"
    );
    assert_eq!(store.snapshot().tip().unwrap().height, 11);
    assert_eq!(store.snapshot().generation(), generation);
    store.verify(|_, _| ()).unwrap();

    backend.lies.store(true, Ordering::Relaxed);
    store.rollback(Some(8)).unwrap_err();
    assert_eq!(store.snapshot().tip().unwrap().height, 11);
    backend.lies.store(false, Ordering::Relaxed);
    assert_eq!(store.rollback(Some(8)).unwrap().unwrap().height, 8);
    assert_ne!(store.snapshot().generation(), generation);
    store.verify(|_, _| ()).unwrap();
    let snapshot = store.snapshot();
    for height in 0..=11 {
        let undone = snapshot.undone(&chain::hash(0, height)).unwrap();
        assert_eq!(undone.is_some(), height > 8, "block {height}");
    }
}

#[test]
fn a_batch_that_cannot_be_made_durable_is_not_shown_before_the_next_writer_has_looked() {
    let backend = Arc::new(Faulty::default());
    let store = Store::with_backend(backend.clone()).unwrap();
    let tip = chain::commit_standard(&store, 10, 1);
    let block = chain::next(Some(&tip), 0, 0);
    let set = writes(&[("/old/1", "new")]);

    backend.is_out_of_sync.store(true, Ordering::Relaxed);
    let error = store.commit(&block, &set).unwrap_err();
    assert!(
        matches!(error, CommitError::Backend { height: 11, .. }),
        "{error}"
    );
    assert_eq!(store.snapshot().tip(), Some(&tip));
    backend.is_out_of_sync.store(false, Ordering::Relaxed);
    // The engine kept it, and the next writer finds it.
    let error = store.commit(&block, &set).unwrap_err();
    assert!(
        matches!(error, CommitError::NotNext { tip: 11, .. }),
        "{error}"
    );
    store.verify(|_, _| ()).unwrap();
}

/// Has every read fail while it is set.
#[derive(Debug, Default)]
struct Unreadable(AtomicBool);

impl Unreadable {
    fn check(&self) -> Result<(), BackendError> {
        if self.0.load(Ordering::Relaxed) {
            return Err(BackendError::new("reading", "input/output error"));
        }
        Ok(())
    }
}

impl Hook for Unreadable {
    fn before_get(&self, _: &[u8]) -> Result<(), BackendError> {
        self.check()
    }

    fn before_scan(&self) -> Result<(), BackendError> {
        self.check()
    }
}

#[test]
fn a_read_that_fails_is_told_and_changes_nothing() {
    let backend = Arc::new(Hooked::<Unreadable>::default());
    let store = Store::with_backend(backend.clone()).unwrap();
    let tip = chain::commit_standard(&store, 10, 1);
    let block = chain::next(Some(&tip), 0, 0);
    let few = writes(&[("/old/1", "new")]);
    let many = writes(
        &(0..2_000u32)
            .map(|number| (number.to_be_bytes(), "new"))
            .collect::<Vec<_>>(),
    );

    backend.hook().0.store(true, Ordering::Relaxed);
    for set in [&few, &many] {
        let error = store.commit(&block, set).unwrap_err();
        assert!(
            matches!(error, CommitError::Read { height: 11, .. }),
            "{error}"
        );
    }
    assert!(matches!(
        store.rollback(Some(4)).unwrap_err(),
        RollbackError::Read { .. }
    ));
    let state = store.snapshot().latest();
    assert!(state.get(b"/old/1").is_err());
    let scanned: Vec<_> = state.scan_prefix(b"").collect();
    assert!(matches!(scanned.as_slice(), [Err(_)]), "{scanned:?}");
    assert!(store.verify(|_, _| ()).is_err());
    assert!(Store::with_backend(backend.clone()).is_err());

    backend.hook().0.store(false, Ordering::Relaxed);
    assert_eq!(store.snapshot().tip(), Some(&tip));
    store.commit(&block, &many).unwrap();
    store.verify(|_, _| ()).unwrap();
}
