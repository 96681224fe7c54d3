//! What longer keys and numbers cost: each key is made once and nothing is copied to get there.
#![allow(
    unsafe_code,
    reason = "an allocator that counts has the system's under it"
)]

use metashrew_core::index_pointer::{AtomicPointer, IndexPointer};
use metashrew_support::index_pointer::KeyValuePointer;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    /// Bytes that are allocated; this thread gives back what another one took, too.
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

fn counted(taken: usize, given_back: usize) {
    BYTES.set(BYTES.get().wrapping_add(taken).wrapping_sub(given_back));
}

struct Counting;

// SAFETY: it hands everything to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        counted(layout.size(), 0);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        counted(0, layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        counted(size, layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations<T>(f: impl FnOnce() -> T) -> usize {
    let before = ALLOCATIONS.get();
    black_box(f());
    ALLOCATIONS.get() - before
}

fn check<P: KeyValuePointer>(p: &P) {
    // The bytes, and the count of who shares them.
    let word = b"word".to_vec();
    assert_eq!(allocations(|| p.select(&word)), 2, "select");
    assert_eq!(allocations(|| p.keyword("/word")), 2, "keyword");
    assert_eq!(allocations(|| p.prefix("/word")), 2, "prefix");
    assert_eq!(allocations(|| p.select_value(7u128)), 2, "select_value");
    assert_eq!(
        allocations(|| p.select_index(4_000_000_000)),
        2,
        "select_index"
    );
    assert_eq!(allocations(|| p.next_key(7)), 2, "next_key");
    assert_eq!(allocations(|| p.length_key()), 2, "length_key");
}

#[test]
fn a_longer_key_is_allocated_once() {
    check(&IndexPointer::from_keyword("/table/"));
    check(&AtomicPointer::from_keyword("/table/"));
}

#[test]
fn reading_a_number_allocates_nothing() {
    let mut p = AtomicPointer::from_keyword("/number");
    p.set_value(7u64);
    assert_eq!(allocations(|| p.get_value::<u64>()), 0);
}

/// Bytes that stay allocated.
fn kept<T>(f: impl FnOnce() -> T) -> usize {
    let before = BYTES.get();
    drop(black_box(f()));
    BYTES.get().wrapping_sub(before)
}

#[test]
fn looking_at_the_cache_keeps_a_map_only_where_it_has_changed() {
    let bytes = |text: &str| Arc::new(text.as_bytes().to_vec());
    let (key, value) = (bytes("key"), bytes("value"));
    let write = |value: &Arc<Vec<u8>>| metashrew_core::set(key.clone(), value.clone());
    let look = || {
        write(&value);
        metashrew_core::get_cache().len()
    };
    look();
    assert_eq!(kept(look), 0, "the same");
    let other = bytes("other");
    assert_eq!(
        kept(|| {
            write(&other);
            metashrew_core::cached()
        }),
        0,
        "a map of one's own"
    );
    assert_ne!(kept(metashrew_core::get_cache), 0, "another");
    for _ in 0..100 {
        assert_eq!(kept(metashrew_core::get_cache), 0, "and again the same");
    }
}
