//! What a guest can say to its caches, and they to it.

use super::with;
use crate::call::{self, Kind};
use crate::host;
use metashrew_support::lru_cache::{CacheAllocationMode, CacheStats, MINIMUM_LIMIT};
use std::sync::Arc;

/// Keeps a value of the guest's own under a name, in place of the last one.
///
/// It serves every later call, *whatever its height*: what depends on the height
/// has the height in its name. It may be gone at any time, and is not kept at all
/// if it alone is above half the limit, or in mode
/// [`Indexer`](CacheAllocationMode::Indexer).
pub fn cache_set(key: String, value: Arc<Vec<u8>>) {
    with(|memory| memory.tiers.api_insert(key, value));
}

/// What [`cache_set`] kept under a name, if it is still there.
pub fn cache_get(key: &str) -> Option<Arc<Vec<u8>>> {
    with(|memory| memory.tiers.api_get(key))
}

/// Takes out what [`cache_set`] kept under a name.
pub fn cache_remove(key: &str) -> Option<Arc<Vec<u8>>> {
    with(|memory| memory.tiers.api_remove(key))
}

/// What the caches did since the start, or since [`clear`](crate::clear), and
/// hold. Every [`get`](crate::get) and every [`cache_get`] is a hit or a miss.
///
/// It depends on what ran before in this memory, so it must never reach the
/// guest's state.
pub fn lru_cache_stats() -> CacheStats {
    with(|memory| memory.tiers.stats())
}

/// Bytes that the cached entries are counted for, all together.
pub fn lru_cache_memory_usage() -> usize {
    with(|memory| memory.tiers.memory_usage())
}

/// Whether there are caches: always.
pub fn is_lru_cache_available() -> bool {
    true
}

/// Shares the limit out among the caches: to the main one alone, or to values by
/// height and the guest's own data, one half each. What is above a share is
/// dropped.
///
/// A guest need not call it: `_start` begins in mode `Indexer`, a view in mode
/// `View`. Hand-written exports on a host that does not say where a call begins are
/// in mode `View`, until they set another.
pub fn set_cache_mode(mode: CacheAllocationMode) {
    with(|memory| memory.tiers.set_mode(mode));
}

/// Who shares the limit.
pub fn get_cache_mode() -> CacheAllocationMode {
    with(|memory| memory.tiers.mode())
}

/// Sets the limit of all caches together, in bytes, and drops what is above.
///
/// The host does so, if its share for the instance is less than the default of
/// 1 GiB ([`__metashrew_cache_limit`]).
pub fn set_cache_memory_limit(bytes: usize) {
    with(|memory| memory.tiers.set_limit(bytes));
}

/// The limit of all caches together, in bytes.
pub fn get_actual_cache_memory_limit() -> usize {
    with(|memory| memory.tiers.limit())
}

/// The least limit, in bytes, that is of use to an ordinary view: 16 MiB.
pub fn get_min_cache_memory_limit() -> usize {
    MINIMUM_LIMIT
}

/// Whether the limit is below the least of use.
pub fn is_cache_below_minimum() -> bool {
    get_actual_cache_memory_limit() < MINIMUM_LIMIT
}

/// Begins a view, for exports that the SDK's macros did not make: what is read is
/// kept for calls at the same height. That is the height of the input, whatever is
/// said here. Where the host says that a call begins, this begins no other.
pub fn set_view_for_height(_height: u32) {
    let input = host::load_input();
    if !with(|memory| memory.call_is_bounded()) {
        call::begin(Some(Kind::View), false);
    }
    call::look_at(&input);
}

/// Ends such a view: drops what it set. What was read stays cached for its
/// height. It does nothing in a block's call.
pub fn clear_view_cache() {
    with(super::Memory::end_view);
}

/// Brings the main cache up to what this block flushed, for the next one.
///
/// A guest need not call it: that happens by itself when the next block begins.
/// What waits to be flushed goes into no cache but the call's own.
pub fn flush_to_lru() {
    with(super::Memory::publish);
}

/// The host's word on the limit of all caches together, in bytes: read as
/// unsigned. See `docs/abi.md`.
#[cfg_attr(
    target_arch = "wasm32",
    unsafe(export_name = "__metashrew_cache_limit")
)]
#[allow(unsafe_code, reason = "the host calls it by its symbol")]
pub extern "C" fn __metashrew_cache_limit(bytes: i32) {
    let unsigned = u32::from_le_bytes(bytes.to_le_bytes());
    set_cache_memory_limit(usize::try_from(unsigned).unwrap_or(usize::MAX));
}
