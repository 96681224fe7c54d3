//! A read that is at hand allocates nothing, awaited or not. A process of its own, for the
//! allocator that counts.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails, and says where"
)]
#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use metashrew_store::{
    Backend, BlockHash, BlockId, BlockRef, MemoryBackend, Read, Space, Store, WriteSet,
};
use metashrew_testing::delayed::Delayed;

struct Counting;

thread_local! {
    /// How often this thread has allocated.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn allocations<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATIONS.get();
    let result = run();
    (result, ALLOCATIONS.get() - before)
}

/// What a future comes to when it is polled once.
fn at_once<F: Future>(future: F) -> Option<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn store(backend: Arc<dyn Backend>, read_cache_bytes: u64) -> Store {
    let store = Store::with_backend_and_cache(backend, read_cache_bytes).unwrap();
    let mut writes = WriteSet::default();
    let bytes = Bytes::from_static;
    writes.insert(bytes(b"key"), bytes(b"value")).unwrap();
    let hash = |byte| BlockHash::from_bytes([byte; 32]);
    store
        .commit(&BlockRef::new(0, hash(1), hash(0)), &writes)
        .unwrap();
    store
}

#[test]
fn a_read_that_is_at_hand_allocates_nothing() {
    let memory: Arc<dyn Backend> = Arc::new(MemoryBackend::default());
    let slow = || Arc::new(Delayed::by_turns(MemoryBackend::default(), 1));
    for store in [
        store(Arc::clone(&memory), 0),
        store(Arc::new(MemoryBackend::default()), 1 << 20),
        // Its engine is never ready, but the cache is.
        store(slow(), 1 << 20),
    ] {
        let state = store.snapshot().latest();
        for key in [&b"key"[..], b"none"] {
            // The second reader of a cached value begins to share it, which allocates once.
            let expect = state.get(key).unwrap();
            assert_eq!(state.get(key).unwrap(), expect);
            let (found, count) = allocations(|| at_once(state.read(key)));
            assert_eq!((found.unwrap().unwrap(), count), (expect.clone(), 0));
            let (found, count) = allocations(|| state.get(key));
            assert_eq!((found.unwrap(), count), (expect, 0));
        }
        let snapshot = store.snapshot();
        let (_, count) = allocations(|| at_once(snapshot.resolve(&BlockId::Height(0))).unwrap());
        assert_eq!(count, 0);
    }

    let view = memory.view();
    let (read, count) = allocations(|| view.get(Space::KeyToNewest, b"key"));
    assert!(matches!(read, Read::Ready(Ok(Some(_)))));
    assert_eq!(count, 0);

    // Nothing is at hand here, and nothing is ready at once.
    let store = store(slow(), 0);
    let state = store.snapshot().latest();
    assert!(at_once(state.read(b"key")).is_none());
    assert_eq!(state.get(b"key").unwrap().unwrap().value, "value");
}
