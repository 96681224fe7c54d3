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
///
/// ```
/// # use metashrew_core::lru_cache::{cache_get, cache_set};
/// cache_set("page 1".to_owned(), vec![1].into());
/// cache_set("page 1".to_owned(), vec![2].into());
/// assert_eq!(cache_get("page 1"), Some(vec![2].into()));
/// ```
pub fn cache_set(key: String, value: Arc<Vec<u8>>) {
    with(|memory| memory.tiers.api_insert(key, value));
}

/// What [`cache_set`] kept under a name, if it is still there.
///
/// ```
/// # use metashrew_core::lru_cache::{cache_get, cache_set};
/// assert_eq!(cache_get("page 1"), None);
/// cache_set("page 1".to_owned(), vec![1].into());
/// assert!(cache_get("page 1").is_some());
/// ```
pub fn cache_get(key: &str) -> Option<Arc<Vec<u8>>> {
    with(|memory| memory.tiers.api_get(key))
}

/// Takes out what [`cache_set`] kept under a name.
///
/// ```
/// # use metashrew_core::lru_cache::{cache_get, cache_remove, cache_set};
/// cache_set("page 1".to_owned(), vec![1].into());
/// assert_eq!(cache_remove("page 1"), Some(vec![1].into()));
/// assert_eq!(cache_get("page 1"), None);
/// ```
pub fn cache_remove(key: &str) -> Option<Arc<Vec<u8>>> {
    with(|memory| memory.tiers.api_remove(key))
}

/// What the caches did since the start, or since [`clear`](crate::clear), and
/// hold. Every [`get`](crate::get) and every [`cache_get`] is a hit or a miss.
///
/// It depends on what ran before in this memory, so it must never reach the
/// guest's state.
///
/// ```
/// # use metashrew_core::lru_cache::{cache_get, cache_set, lru_cache_stats};
/// cache_get("page 1");
/// cache_set("page 1".to_owned(), vec![1].into());
/// cache_get("page 1");
/// let stats = lru_cache_stats();
/// assert_eq!((stats.hits, stats.misses, stats.items), (1, 1, 1));
/// ```
pub fn lru_cache_stats() -> CacheStats {
    with(|memory| memory.tiers.stats())
}

/// Bytes that the cached entries are counted for, all together.
///
/// ```
/// # use metashrew_core::lru_cache::{cache_set, lru_cache_memory_usage};
/// assert_eq!(lru_cache_memory_usage(), 0);
/// cache_set("page 1".to_owned(), vec![0; 1000].into());
/// assert!(lru_cache_memory_usage() > 1000);
/// ```
pub fn lru_cache_memory_usage() -> usize {
    with(|memory| memory.tiers.memory_usage())
}

/// Whether there are caches: always.
///
/// ```
/// assert!(metashrew_core::lru_cache::is_lru_cache_available());
/// ```
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
///
/// ```
/// # use metashrew_core::lru_cache::{CacheAllocationMode, cache_get, cache_set, set_cache_mode};
/// cache_set("page 1".to_owned(), vec![1].into());
/// set_cache_mode(CacheAllocationMode::Indexer);
/// assert_eq!(cache_get("page 1"), None);
/// ```
pub fn set_cache_mode(mode: CacheAllocationMode) {
    with(|memory| memory.tiers.set_mode(mode));
}

/// Who shares the limit.
///
/// ```
/// # use metashrew_core::lru_cache::{CacheAllocationMode, get_cache_mode};
/// let mode = metashrew_core::test_utils::at(1, get_cache_mode);
/// assert_eq!(mode, CacheAllocationMode::View);
/// ```
pub fn get_cache_mode() -> CacheAllocationMode {
    with(|memory| memory.tiers.mode())
}

/// Sets the limit of all caches together, in bytes, and drops what is above.
///
/// The host does so, if its share for the instance is less than the default of
/// 1 GiB ([`__metashrew_cache_limit`]).
///
/// ```
/// # use metashrew_core::lru_cache::{cache_get, cache_set, set_cache_memory_limit};
/// cache_set("page 1".to_owned(), vec![0; 1000].into());
/// set_cache_memory_limit(1000);
/// assert_eq!(cache_get("page 1"), None);
/// ```
pub fn set_cache_memory_limit(bytes: usize) {
    with(|memory| memory.tiers.set_limit(bytes));
}

/// The limit of all caches together, in bytes.
///
/// ```
/// # use metashrew_core::lru_cache::get_actual_cache_memory_limit;
/// assert_eq!(get_actual_cache_memory_limit(), 1 << 30);
/// ```
pub fn get_actual_cache_memory_limit() -> usize {
    with(|memory| memory.tiers.limit())
}

/// The least limit, in bytes, that is of use to an ordinary view: 16 MiB.
///
/// ```
/// # use metashrew_core::lru_cache::get_min_cache_memory_limit;
/// assert_eq!(get_min_cache_memory_limit(), 16 << 20);
/// ```
pub fn get_min_cache_memory_limit() -> usize {
    MINIMUM_LIMIT
}

/// Whether the limit is below the least of use.
///
/// ```
/// # use metashrew_core::lru_cache::{is_cache_below_minimum, set_cache_memory_limit};
/// assert!(!is_cache_below_minimum());
/// set_cache_memory_limit(1 << 20);
/// assert!(is_cache_below_minimum());
/// ```
pub fn is_cache_below_minimum() -> bool {
    get_actual_cache_memory_limit() < MINIMUM_LIMIT
}

/// Begins a view, for exports that the SDK's macros did not make: what is read is
/// kept for calls at the same height. That is the height of the input, whatever is
/// said here. Where the host says that a call begins, this begins no other.
///
/// ```
/// # use metashrew_core::lru_cache::{get_cache_mode, set_view_for_height, CacheAllocationMode};
/// # metashrew_core::imports::__set_input(7u32.to_le_bytes().to_vec());
/// set_view_for_height(7);
/// assert_eq!(get_cache_mode(), CacheAllocationMode::View);
/// ```
pub fn set_view_for_height(_height: u32) {
    let input = host::load_input();
    if !with(|memory| memory.call_is_bounded()) {
        call::begin(Some(Kind::View), false);
    }
    call::look_at(&input);
}

/// Ends such a view: drops what it set. What was read stays cached for its
/// height. It does nothing in a block's call.
///
/// ```
/// # use metashrew_core::lru_cache::clear_view_cache;
/// metashrew_core::set(vec![1].into(), vec![2].into());
/// clear_view_cache();
/// assert!(metashrew_core::get(vec![1].into()).is_empty());
/// ```
pub fn clear_view_cache() {
    with(super::Memory::end_view);
}

/// Brings the main cache up to what this block flushed, for the next one.
///
/// A guest need not call it: that happens by itself when the next block begins.
/// What waits to be flushed goes into no cache but the call's own.
///
/// ```
/// # use metashrew_core::{lru_cache::flush_to_lru, test_utils};
/// test_utils::index_export(1, b"block", || {
///     metashrew_core::set(vec![1].into(), vec![2].into());
///     metashrew_core::flush();
///     flush_to_lru();
/// });
/// assert_eq!(test_utils::at(1, || metashrew_core::get(vec![1].into())), vec![2].into());
/// ```
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
