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

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: it hands everything to the system's allocator.
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

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
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
