//! What a guest has read and written in its memory, as functions over one
//! [`Memory`] for the whole guest.

mod debug;
mod many;
mod memory;
mod range;
mod tiers;

pub use debug::{
    clear_prefix_hit_stats, disable_lru_debug_mode, enable_lru_debug_mode,
    generate_lru_debug_report, get_lru_debug_stats, get_prefix_analysis_config,
    is_lru_debug_mode_enabled, parse_cache_key, parse_cache_key_enhanced,
    set_prefix_analysis_config,
};
pub use tiers::{
    __metashrew_cache_limit, cache_get, cache_remove, cache_set, clear_view_cache, flush_to_lru,
    get_actual_cache_memory_limit, get_cache_mode, get_min_cache_memory_limit,
    is_cache_below_minimum, is_lru_cache_available, lru_cache_memory_usage, lru_cache_stats,
    set_cache_memory_limit, set_cache_mode, set_view_for_height,
};

use crate::call::{self, Input, Kind};
use crate::host;
use memory::Memory;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use range::OwnWrites;

type Bytes = Arc<Vec<u8>>;

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::new(Memory::default());
}

fn with<T>(f: impl FnOnce(&mut Memory) -> T) -> T {
    MEMORY.with_borrow_mut(f)
}

/// Makes the SDK ready; with the feature `panic-hook`, a panic's message then
/// reaches the host. Guests call it first thing; [`export!`](crate::export) does
/// for them.
///
/// ```
/// use metashrew_core::test_utils;
/// fn _start() {
///     metashrew_core::initialize();
///     metashrew_core::flush();
/// }
/// test_utils::index_export(1, b"block", _start);
/// assert!(test_utils::written(1).is_empty());
/// ```
pub fn initialize() {
    #[cfg(feature = "panic-hook")]
    crate::compat::install();
}

/// The call's input: the height (u32, little-endian), then the block in `_start`
/// or the caller's bytes in a view.
///
/// ```
/// let input = metashrew_core::test_utils::at(7, metashrew_core::input);
/// assert_eq!(input, 7u32.to_le_bytes());
/// ```
pub fn input() -> Vec<u8> {
    let input = host::load_input();
    call::look_at(&input);
    input
}

/// The value of a key, empty if it has none: what was set last, or what the host
/// has. Of what the host answered, as much is kept as the caches have room for.
///
/// ```
/// # use std::sync::Arc;
/// let key = Arc::new(b"/name".to_vec());
/// assert!(metashrew_core::get(key.clone()).is_empty());
/// metashrew_core::set(key.clone(), Arc::new(b"ann".to_vec()));
/// assert_eq!(*metashrew_core::get(key), b"ann");
/// ```
pub fn get(v: Arc<Vec<u8>>) -> Arc<Vec<u8>> {
    with(|memory| memory.get(v))
}

/// The values of many keys, in their order: as [`get`] of each, but that the host is asked at
/// once for all that is not known here.
///
/// A guest that calls it needs a host with the import module `metashrew` (docs/abi.md).
///
/// ```
/// # metashrew_core::test_utils::reset();
/// use std::sync::Arc;
///
/// let keys = ["a", "b"].map(|key| Arc::new(key.as_bytes().to_vec()));
/// metashrew_core::set(keys[1].clone(), Arc::new(vec![7]));
/// assert_eq!(*metashrew_core::read_many(&keys)[1], [7]);
/// ```
pub fn read_many(keys: &[Arc<Vec<u8>>]) -> Vec<Arc<Vec<u8>>> {
    with(|memory| memory.get_many(keys))
}

/// Runs `f` on what the call wrote.
pub(crate) fn with_own<T>(f: impl FnOnce(&OwnWrites<'_>) -> T) -> T {
    with(|memory| f(&memory.own_writes()))
}

/// Writes a key's value, for [`flush`] to hand over.
///
/// ```
/// # use std::{convert::Infallible, sync::Arc};
/// # use metashrew_core::test_utils;
/// test_utils::index_block(1, b"block", |_, block| {
///     metashrew_core::set(Arc::new(b"/newest".to_vec()), Arc::new(block.to_vec()));
///     Ok::<_, Infallible>(())
/// });
/// assert_eq!(test_utils::state(1)[&b"/newest"[..]], b"block");
/// ```
pub fn set(k: Arc<Vec<u8>>, v: Arc<Vec<u8>>) {
    with(|memory| memory.set(k, v));
}

/// Hands the host all that was set since the last flush, each key once. A block
/// needs at least one flush, also if nothing was set.
///
/// ```
/// # use metashrew_core::test_utils;
/// # use std::sync::Arc;
/// test_utils::index_export(1, b"block", || {
///     metashrew_core::set(Arc::new(vec![1]), Arc::new(vec![2]));
///     metashrew_core::flush();
/// });
/// assert_eq!(test_utils::written(1).len(), 1);
/// ```
pub fn flush() {
    with(Memory::flush);
}

/// Forgets that anything waits to be flushed. What was set can still be read, in
/// this call.
///
/// ```
/// # use metashrew_core::test_utils;
/// # use std::sync::Arc;
/// test_utils::index_export(1, b"block", || {
///     metashrew_core::set(Arc::new(vec![1]), Arc::new(vec![2]));
///     metashrew_core::reset();
///     metashrew_core::flush();
/// });
/// assert!(test_utils::written(1).is_empty());
/// ```
pub fn reset() {
    with(Memory::reset);
}

/// Forgets everything: all caches, what waits to be flushed, and the counts. The
/// caches' mode and limit stay.
///
/// In a test, outside of the calls that [`test_utils`](crate::test_utils) makes, the
/// test's host forgets its state, too: what follows finds an empty world.
///
/// ```
/// # use std::sync::Arc;
/// metashrew_core::set(Arc::new(vec![1]), Arc::new(vec![2]));
/// metashrew_core::clear();
/// assert!(metashrew_core::get(Arc::new(vec![1])).is_empty());
/// ```
pub fn clear() {
    forget();
    #[cfg(any(feature = "test-utils", not(target_arch = "wasm32")))]
    crate::test_utils::clear_outside_of_calls();
}

/// [`clear`], which leaves the host of a test alone.
pub(crate) fn forget() {
    with(Memory::clear);
}

/// All that is cached for this call: what it wrote, and what was read at its
/// height.
///
/// The reference stays good for ever, and so does what it shows: each call of this that finds
/// something else than the last one keeps a map in memory for good. That suits tests;
/// in blocks and views [`cached`] is the same without that.
///
/// ```
/// # use std::sync::Arc;
/// let key = Arc::new(vec![1]);
/// metashrew_core::set(key.clone(), Arc::new(vec![2]));
/// assert_eq!(*metashrew_core::get_cache()[&key], [2]);
/// ```
pub fn get_cache() -> &'static HashMap<Arc<Vec<u8>>, Arc<Vec<u8>>> {
    with(Memory::shown)
}

/// What [`get_cache`] shows, as a map of the caller's own.
///
/// ```
/// # use std::sync::Arc;
/// let key = Arc::new(vec![1]);
/// metashrew_core::set(key.clone(), Arc::new(vec![2]));
/// assert_eq!(metashrew_core::cached(), *metashrew_core::get_cache());
/// ```
pub fn cached() -> HashMap<Arc<Vec<u8>>, Arc<Vec<u8>>> {
    with(|memory| memory.cached())
}

/// A call begins; [`call::begin`] sees to the rest of the guest.
pub(crate) fn begin(kind: Option<Kind>, bounded: bool) {
    with(|memory| memory.begin(kind, bounded));
}

/// Whether an input is not that of the call under way.
pub(crate) fn is_another(input: Input) -> bool {
    with(|memory| memory.is_another(input))
}

/// The call under way has this input.
pub(crate) fn enter(input: Input) {
    with(|memory| memory.enter(input));
}

/// The call under way ended. What follows is no part of it.
pub(crate) fn end() {
    with(Memory::end);
}

/// The call under way failed: nobody knows what the host makes of its flushes.
pub(crate) fn distrust() {
    with(Memory::distrust);
}

/// The guest handed the host writes of which the caches know nothing.
pub(crate) fn bypassed() {
    with(Memory::bypassed);
}

#[cfg(test)]
mod tests;
