//! The host's functions, safe and without a cache.
//!
//! A guest that reads each key once a block, and writes all of it at the end,
//! needs no cache between: [`read`] and [`flush`] are what it wants. They know
//! nothing of what [`set`](crate::set) holds back.
#![allow(unsafe_code, reason = "imported functions are unsafe to call")]
#![allow(unused_unsafe, reason = "those of the test host are safe to call")]

mod reads;

pub use reads::{RangeAnswer, RangeRequest, Values, read_many, read_range};

use crate::buffers::{to_arraybuffer_layout, to_passback_ptr};
use crate::flush::FlushBuffer;
use crate::imports;

/// Bytes that a key in the state may have (docs/abi.md).
pub(crate) const MAX_KEY_BYTES: usize = 32_000;

/// Bytes of the length word in front of a buffer.
const LENGTH_BYTES: usize = 4;

/// The call's input: the height (u32, little-endian) and the payload.
///
/// ```
/// # use metashrew_core::{host, test_utils};
/// let input = test_utils::at(7, host::load_input);
/// assert_eq!(input, [7, 0, 0, 0]);
/// ```
pub fn load_input() -> Vec<u8> {
    // SAFETY: takes nothing.
    let length = unsafe { imports::__host_len() };
    let mut buffer = room(length);
    let pointer = to_passback_ptr(&mut buffer);
    // SAFETY: the buffer has the room that the host asked for.
    unsafe { imports::__load_input(pointer) };
    data(buffer)
}

/// The value of `key` in the host's state; empty if there is none.
///
/// While a block is indexed, that is the state before the block, whatever was
/// flushed in it.
///
/// ```
/// # use metashrew_core::{host, test_utils};
/// test_utils::index_export(1, b"block", || {
///     host::flush([("name", "ann")]);
///     assert!(host::read(b"name").is_empty());
/// });
/// assert_eq!(host::read(b"name"), b"ann");
/// ```
pub fn read(key: &[u8]) -> Vec<u8> {
    let mut key = to_arraybuffer_layout(key);
    let key = to_passback_ptr(&mut key);
    // SAFETY: the key is a buffer that lives to the end of this function.
    let length = unsafe { imports::__get_len(key) };
    if length == 0 {
        return Vec::new();
    }
    let mut buffer = room(length);
    let pointer = to_passback_ptr(&mut buffer);
    // SAFETY: both are living buffers; the second has room for the value.
    unsafe { imports::__get(key, pointer) };
    data(buffer)
}

/// Hands the host what this block writes. Every block needs one, if only an
/// empty one; several add up, and the last value of a key wins.
///
/// ```
/// # use metashrew_core::{host, test_utils};
/// test_utils::index_export(1, b"block", || {
///     host::flush([("name", "ann"), ("name", "ben")]);
/// });
/// assert_eq!(test_utils::written(1)[&b"name"[..]], b"ben");
/// ```
pub fn flush<K: AsRef<[u8]>, V: AsRef<[u8]>>(pairs: impl IntoIterator<Item = (K, V)> + Clone) {
    hand_over(pairs);
    crate::cache::bypassed();
}

/// [`flush`] by the caches themselves.
pub(crate) fn hand_over<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    pairs: impl IntoIterator<Item = (K, V)> + Clone,
) {
    let sizes = pairs.clone().into_iter();
    let (count, bytes) = sizes.fold((0, 0), |(count, bytes), (key, value)| {
        (count + 1, bytes + key.as_ref().len() + value.as_ref().len())
    });
    let mut buffer = FlushBuffer::with_capacity(count, bytes);
    for (key, value) in pairs {
        buffer.push(key.as_ref(), value.as_ref());
    }
    let mut buffer = buffer.finish();
    let pointer = to_passback_ptr(&mut buffer);
    // SAFETY: the buffer lives until the host has read it.
    unsafe { imports::__flush(pointer) };
}

/// Logs a line of text at the host.
///
/// ```
/// # use metashrew_core::{host, test_utils};
/// host::log("840000 blocks");
/// assert_eq!(test_utils::take_log(), ["840000 blocks"]);
/// ```
pub fn log(text: &str) {
    let mut buffer = to_arraybuffer_layout(text);
    let pointer = to_passback_ptr(&mut buffer);
    // SAFETY: the buffer lives until the host has read it.
    unsafe { imports::__log(pointer) };
}

/// Logs a text and ends the call with it.
#[cfg(target_arch = "wasm32")]
pub(crate) fn abort(text: &str) -> ! {
    log(text);
    let mut message = utf16(text);
    // SAFETY: the buffer lives; there is no file to name.
    unsafe { imports::abort(to_passback_ptr(&mut message), 0, 0, 0) };
    // Some hosts come back.
    std::process::abort()
}

/// A string as AssemblyScript lays it out: UTF-16, its length in bytes in front.
#[cfg(any(feature = "panic-hook", target_arch = "wasm32"))]
pub(crate) fn utf16(text: &str) -> Vec<u8> {
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    to_arraybuffer_layout(bytes)
}

/// An empty buffer for `length` bytes from the host.
fn room(length: i32) -> Vec<u8> {
    let length = usize::try_from(length).expect("the host's lengths are below 2 GiB");
    let mut buffer = vec![0; LENGTH_BYTES + length];
    if let Some(word) = buffer.first_chunk_mut() {
        *word = u32::try_from(length).expect("checked above").to_le_bytes();
    }
    buffer
}

/// A buffer's data, without the length in front.
fn data(mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.drain(..LENGTH_BYTES);
    buffer
}
