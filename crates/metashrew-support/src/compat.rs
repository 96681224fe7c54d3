//! Buffers as pointers: how a guest's bytes reach its host.
//!
//! A pointer is an `i32` that names the first byte; the four bytes before it
//! hold the length (u32, little-endian). Inside wasm it is an address. Natively,
//! where addresses have 64 bits, it is a number that [`to_ptr`] hands out for
//! the buffer, so that a guest's code runs unchanged in a native test.
#![allow(
    unsafe_code,
    reason = "a pointer that crosses the boundary is read and written as memory"
)]

use metashrew_abi::buffer;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

/// The length word in front of a buffer's data.
const LENGTH_BYTES: i32 = 4;

/// A pointer to the first byte of `v`.
///
/// It is good while `v` lives and is not reallocated. Natively, only the 4,096
/// pointers handed out last on this thread are.
///
/// ```
/// use metashrew_support::compat::{to_passback_ptr, to_ptr};
///
/// let mut buffer = vec![1, 0, 0, 0, b'a'];
/// assert_ne!(to_ptr(&mut buffer), 0);
/// ```
#[cfg_attr(
    target_arch = "wasm32",
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "addresses of wasm32 have 32 bits; the sign is a matter of reading"
    )
)]
pub fn to_ptr(v: &mut Vec<u8>) -> i32 {
    memory::expose(v)
}

/// A pointer to the data of `v`, which is in `ArrayBuffer` layout: four bytes
/// after its start.
///
/// ```
/// use metashrew_support::compat::{to_arraybuffer_layout, to_passback_ptr};
/// use metashrew_support::utils::ptr_to_vec;
///
/// let mut buffer = to_arraybuffer_layout(b"value");
/// assert_eq!(ptr_to_vec(to_passback_ptr(&mut buffer)), b"value");
/// ```
pub fn to_passback_ptr(v: &mut Vec<u8>) -> i32 {
    to_ptr(v).wrapping_add(LENGTH_BYTES)
}

/// `v` with its length (u32, little-endian) in front.
///
/// ```
/// use metashrew_support::compat::to_arraybuffer_layout;
///
/// assert_eq!(to_arraybuffer_layout(b"hi"), [2, 0, 0, 0, b'h', b'i']);
/// ```
pub fn to_arraybuffer_layout<T: AsRef<[u8]>>(v: T) -> Vec<u8> {
    buffer::encode(v.as_ref())
}

/// Answers of one call that stay in memory: a bound for guests of which nobody
/// says where a call begins.
const ANSWERS: usize = 16;

thread_local! {
    static HANDED_OVER: RefCell<VecDeque<Vec<u8>>> = const { RefCell::new(VecDeque::new()) };
    static COUNT: Cell<u32> = const { Cell::new(0) };
}

/// Hands `v` to the host as a call's answer: the pointer to return.
///
/// The answer stays in memory until the next call begins, or until 16 more were
/// handed over. So a guest whose memory persists does not hold all it ever gave.
///
/// ```
/// use metashrew_support::compat::export_bytes;
/// use metashrew_support::utils::ptr_to_vec;
///
/// let pointer = export_bytes(b"answer".to_vec());
/// assert_eq!(ptr_to_vec(pointer), b"answer"); // As the host reads it.
/// ```
pub fn export_bytes(v: Vec<u8>) -> i32 {
    COUNT.set(COUNT.get().wrapping_add(1));
    let mut answer = to_arraybuffer_layout(v);
    let pointer = to_passback_ptr(&mut answer);
    HANDED_OVER.with_borrow_mut(|answers| {
        answers.truncate(ANSWERS - 1);
        // The buffer stays where it is: only its owner moves.
        answers.push_front(answer);
    });
    pointer
}

/// A call begins: the answers of the one before are freed. `metashrew_core` says so.
#[doc(hidden)]
pub fn forget_answers() {
    HANDED_OVER.with_borrow_mut(VecDeque::clear);
}

/// How many answers were handed over. After one, `metashrew_core` takes nothing for
/// granted in a call of which nobody says where it ends.
#[doc(hidden)]
pub fn answers() -> u32 {
    COUNT.get()
}

/// The data of the buffer at `ptr`, or `None` if `ptr` names no buffer.
///
/// ```
/// use metashrew_support::compat::{export_bytes, read_buffer};
///
/// let pointer = export_bytes(b"answer".to_vec());
/// // SAFETY: the answer stays until the next call.
/// let read = unsafe { read_buffer(pointer) };
/// assert_eq!(read.as_deref(), Some(&b"answer"[..]));
/// ```
///
/// # Safety
/// `ptr` points at the data of a living buffer in `ArrayBuffer` layout.
pub unsafe fn read_buffer(ptr: i32) -> Option<Vec<u8>> {
    // SAFETY: the length word is part of the buffer; the caller vouches for it.
    let length = unsafe { memory::read(ptr.wrapping_sub(LENGTH_BYTES), buffer::LENGTH_BYTES) }?;
    let length = u32::from_le_bytes(length.try_into().ok()?);
    // SAFETY: the caller vouches for the buffer, and so for its length.
    unsafe { memory::read(ptr, usize::try_from(length).ok()?) }
}

/// Writes `bytes` at `ptr`; `false` if no buffer there has room for them.
///
/// ```
/// use metashrew_support::compat::{to_arraybuffer_layout, to_passback_ptr, write_buffer};
///
/// let mut buffer = to_arraybuffer_layout([0; 2]);
/// let pointer = to_passback_ptr(&mut buffer);
/// // SAFETY: the buffer lives, and nothing borrows it.
/// assert!(unsafe { write_buffer(pointer, b"hi") });
/// assert_eq!(buffer, [2, 0, 0, 0, b'h', b'i']);
/// ```
///
/// # Safety
/// `ptr` points into a living buffer, which nothing borrows.
#[must_use]
pub unsafe fn write_buffer(ptr: i32, bytes: &[u8]) -> bool {
    // SAFETY: the caller vouches for the buffer.
    unsafe { memory::write(ptr, bytes) }
}

/// Pointers are addresses.
#[cfg(target_arch = "wasm32")]
mod memory {
    const PAGE: usize = 65536;

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "addresses of wasm32 have 32 bits; the sign is a matter of reading"
    )]
    pub(super) fn expose(v: &mut Vec<u8>) -> i32 {
        v.as_mut_ptr() as usize as i32
    }

    #[allow(
        clippy::cast_sign_loss,
        reason = "an address above 2 GiB is negative as an i32"
    )]
    fn address(ptr: i32, length: usize) -> Option<usize> {
        let start = ptr as u32 as usize;
        let end = start.checked_add(length)?;
        (start != 0 && end <= core::arch::wasm32::memory_size::<0>() * PAGE).then_some(start)
    }

    pub(super) unsafe fn read(ptr: i32, length: usize) -> Option<Vec<u8>> {
        let start = address(ptr, length)? as *const u8;
        // SAFETY: inside the memory; the caller vouches that it is a buffer.
        Some(unsafe { core::slice::from_raw_parts(start, length) }.to_vec())
    }

    pub(super) unsafe fn write(ptr: i32, bytes: &[u8]) -> bool {
        let Some(start) = address(ptr, bytes.len()) else {
            return false;
        };
        // SAFETY: inside the memory; the caller vouches that it is a buffer.
        unsafe { core::ptr::copy(bytes.as_ptr(), start as *mut u8, bytes.len()) };
        true
    }
}

/// Pointers are numbers, each standing for a buffer of this thread.
#[cfg(not(target_arch = "wasm32"))]
mod memory {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    /// How many buffers are remembered.
    const EXPOSED: usize = 4096;
    /// Between two buffers, so that a pointer past the end of one is not in the
    /// next; and before the first, so that zero names none.
    const GAP: i32 = 16;

    struct Exposed {
        base: i32,
        start: *mut u8,
        length: usize,
    }

    thread_local! {
        static BUFFERS: RefCell<VecDeque<Exposed>> = const { RefCell::new(VecDeque::new()) };
    }

    pub(super) fn expose(v: &mut Vec<u8>) -> i32 {
        let (start, length) = (v.as_mut_ptr(), v.len());
        BUFFERS.with_borrow_mut(|buffers| {
            let base = buffers
                .back()
                .and_then(|last| base_after(last, length))
                .unwrap_or_else(|| {
                    buffers.clear();
                    GAP
                });
            if buffers.len() == EXPOSED {
                buffers.pop_front();
            }
            buffers.push_back(Exposed {
                base,
                start,
                length,
            });
            base
        })
    }

    /// The next free number, if `length` bytes fit behind it.
    fn base_after(last: &Exposed, length: usize) -> Option<i32> {
        let end = last.base.checked_add(i32::try_from(last.length).ok()?)?;
        let base = end.checked_add(GAP)?;
        base.checked_add(i32::try_from(length).ok()?)?;
        Some(base)
    }

    fn address(ptr: i32, length: usize) -> Option<*mut u8> {
        BUFFERS.with_borrow(|buffers| {
            let at = buffers.partition_point(|b| b.base <= ptr).checked_sub(1)?;
            let buffer = buffers.get(at)?;
            let offset = usize::try_from(ptr.checked_sub(buffer.base)?).ok()?;
            // `wrapping_add` stays inside the buffer: `offset` is at most its length.
            (offset.checked_add(length)? <= buffer.length)
                .then(|| buffer.start.wrapping_add(offset))
        })
    }

    pub(super) unsafe fn read(ptr: i32, length: usize) -> Option<Vec<u8>> {
        let start = address(ptr, length)?;
        // SAFETY: inside the buffer; the caller vouches that it still lives.
        Some(unsafe { core::slice::from_raw_parts(start, length) }.to_vec())
    }

    pub(super) unsafe fn write(ptr: i32, bytes: &[u8]) -> bool {
        let Some(start) = address(ptr, bytes.len()) else {
            return false;
        };
        // SAFETY: inside the buffer; the caller vouches that it still lives.
        unsafe { core::ptr::copy(bytes.as_ptr(), start, bytes.len()) };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ptr: i32) -> Option<Vec<u8>> {
        // SAFETY: every caller below keeps its buffer alive.
        unsafe { read_buffer(ptr) }
    }

    #[test]
    fn the_layout_has_the_length_in_front() {
        assert_eq!(to_arraybuffer_layout(b"hi"), [2, 0, 0, 0, b'h', b'i']);
        assert_eq!(to_arraybuffer_layout([]), [0, 0, 0, 0]);
    }

    #[test]
    fn a_passback_pointer_reads_back() {
        let mut first = to_arraybuffer_layout(b"first");
        let mut second = to_arraybuffer_layout(b"");
        let (a, b) = (to_passback_ptr(&mut first), to_passback_ptr(&mut second));
        assert_eq!(read(a).as_deref(), Some(&b"first"[..]));
        assert_eq!(read(b).as_deref(), Some(&b""[..]));
        assert_eq!(to_ptr(&mut first) + 4, to_passback_ptr(&mut first) - 9 - 16);
    }

    #[test]
    fn a_pointer_outside_every_buffer_reads_nothing() {
        let mut buffer = to_arraybuffer_layout(b"data");
        let ptr = to_passback_ptr(&mut buffer);
        assert_eq!(read(ptr + 9), None);
        assert_eq!(read(-1), None);
        assert_eq!(read(0), None);
    }

    #[test]
    fn a_length_beyond_the_buffer_reads_nothing() {
        let mut buffer = vec![5, 0, 0, 0, b'x'];
        let ptr = to_passback_ptr(&mut buffer);
        assert_eq!(read(ptr), None);
    }

    #[test]
    fn writing_stays_inside_the_buffer() {
        let mut buffer = to_arraybuffer_layout([0; 3]);
        let ptr = to_passback_ptr(&mut buffer);
        // SAFETY: the buffer lives, and nothing borrows it.
        unsafe {
            assert!(write_buffer(ptr, b"abc"));
            assert!(!write_buffer(ptr, b"abcd"));
        }
        assert_eq!(buffer, [3, 0, 0, 0, b'a', b'b', b'c']);
    }

    #[test]
    fn answers_read_back_until_the_next_call() {
        let first = export_bytes(b"one".to_vec());
        let second = export_bytes(vec![7; 1000]);
        assert_eq!(read(first).as_deref(), Some(&b"one"[..]));
        assert_eq!(read(second), Some(vec![7; 1000]));
    }

    #[test]
    fn no_more_answers_stay_than_there_is_room_for() {
        let held = || HANDED_OVER.with_borrow(VecDeque::len);
        forget_answers();
        let handed_over = answers();
        for number in 0..100u8 {
            export_bytes(vec![number]);
        }
        assert_eq!((held(), answers() - handed_over), (ANSWERS, 100));
        forget_answers();
        assert_eq!(held(), 0);
    }

    #[test]
    fn old_pointers_are_forgotten_first() {
        let mut old = to_arraybuffer_layout(b"old");
        let ptr = to_passback_ptr(&mut old);
        let mut others: Vec<_> = (0..4096u32)
            .map(|n| to_arraybuffer_layout(n.to_le_bytes()))
            .collect();
        let last = others.iter_mut().map(to_passback_ptr).last().unwrap();
        assert_eq!(read(ptr), None);
        assert_eq!(read(last), Some(4095u32.to_le_bytes().to_vec()));
    }
}
