//! What a guest has read and written in its memory.
//!
//! Reads go through to the host once per key. Writes stay here until
//! [`flush`] hands them over, and can be read all the while; after a flush the
//! cache holds what the host holds, so that a guest whose memory is thrown away
//! between two blocks writes the same as one whose memory is kept.
//!
//! A value belongs to the height at which it was read: [`input`] drops what was
//! read at another one, so that a view at one height never answers from
//! another, however long the memory lives.

use crate::host;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

type Bytes = Arc<Vec<u8>>;
type Map = HashMap<Bytes, Bytes>;

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::new(Cache::default());
}

#[derive(Default)]
struct Cache {
    values: Values,
    unflushed: Unflushed,
    /// Where the values come from.
    height: Option<u32>,
}

/// The values: a map of our own, until someone was handed a reference to it.
enum Values {
    Owned(Map),
    Shared(&'static Map),
}

/// The keys written since the last flush, in the order of their first write.
#[derive(Default)]
struct Unflushed {
    order: Vec<Bytes>,
    known: HashSet<Bytes>,
}

impl Default for Values {
    fn default() -> Self {
        Self::Owned(Map::default())
    }
}

impl Values {
    fn map(&self) -> &Map {
        match self {
            Self::Owned(map) => map,
            Self::Shared(map) => map,
        }
    }

    fn map_mut(&mut self) -> &mut Map {
        if let Self::Shared(map) = self {
            *self = Self::Owned(map.clone());
        }
        match self {
            Self::Owned(map) => map,
            Self::Shared(_) => unreachable!("was replaced by a map of our own"),
        }
    }
}

impl Unflushed {
    fn insert(&mut self, key: &Bytes) {
        if self.known.insert(key.clone()) {
            self.order.push(key.clone());
        }
    }

    fn take(&mut self) -> Vec<Bytes> {
        self.known.clear();
        std::mem::take(&mut self.order)
    }
}

impl Cache {
    /// Drops what was read at another height. What waits to be flushed stays.
    fn enter(&mut self, height: Option<u32>) {
        if self.height == height {
            return;
        }
        self.height = height;
        let known = &self.unflushed.known;
        if known.is_empty() {
            self.values = Values::default();
        } else {
            self.values.map_mut().retain(|key, _| known.contains(key));
        }
        if cfg!(feature = "debug-log") {
            host::log(&format!("the cache is at height {height:?}"));
        }
    }
}

/// Makes the SDK ready; with the feature `panic-hook`, a panic's message then
/// reaches the host. Guests call it first thing; [`export!`](crate::export) does
/// for them.
pub fn initialize() {
    #[cfg(feature = "panic-hook")]
    crate::compat::install();
}

/// The call's input: the height (u32, little-endian), then the block in `_start`
/// or the caller's bytes in a view.
pub fn input() -> Vec<u8> {
    let input = host::load_input();
    let height = input.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    CACHE.with_borrow_mut(|cache| cache.enter(height));
    input
}

/// The value of a key, empty if it has none: what was set last, or what the host
/// has, which is asked once.
pub fn get(v: Arc<Vec<u8>>) -> Arc<Vec<u8>> {
    CACHE.with_borrow_mut(|cache| {
        if let Some(value) = cache.values.map().get(&v) {
            return value.clone();
        }
        let value = Arc::new(host::read(&v));
        cache.values.map_mut().insert(v, value.clone());
        value
    })
}

/// Writes a key's value, for [`flush`] to hand over.
pub fn set(k: Arc<Vec<u8>>, v: Arc<Vec<u8>>) {
    CACHE.with_borrow_mut(|cache| {
        cache.unflushed.insert(&k);
        cache.values.map_mut().insert(k, v);
    });
}

/// Hands the host all that was set since the last flush, each key once. A block
/// needs at least one flush, also if nothing was set.
pub fn flush() {
    CACHE.with_borrow_mut(|cache| {
        let keys = cache.unflushed.take();
        let map = cache.values.map();
        host::flush(
            keys.iter()
                .filter_map(|key| map.get_key_value(key))
                .map(as_slices),
        );
    });
}

fn as_slices<'a>((key, value): (&'a Bytes, &'a Bytes)) -> (&'a [u8], &'a [u8]) {
    (key, value)
}

/// Forgets that anything waits to be flushed. What was set can still be read.
pub fn reset() {
    CACHE.with_borrow_mut(|cache| drop(cache.unflushed.take()));
}

/// Forgets everything: the cache and what waits to be flushed.
pub fn clear() {
    CACHE.with_borrow_mut(|cache| *cache = Cache::default());
}

/// All that is cached.
///
/// The reference stays good for ever, and so does what it shows: the first write
/// after this call goes to a copy. Each call that is followed by a write so costs
/// a map of memory, which suits tests and not the middle of a block.
pub fn get_cache() -> &'static HashMap<Arc<Vec<u8>>, Arc<Vec<u8>>> {
    CACHE.with_borrow_mut(|cache| {
        let map: &'static Map = match std::mem::take(&mut cache.values) {
            Values::Owned(map) => Box::leak(Box::new(map)),
            Values::Shared(map) => map,
        };
        cache.values = Values::Shared(map);
        map
    })
}

/// Drops what an earlier call set and never flushed, so that it shows in no
/// later one: views do not flush.
pub(crate) fn drop_unflushed() {
    CACHE.with_borrow_mut(|cache| {
        for key in cache.unflushed.take() {
            cache.values.map_mut().remove(&key);
        }
    });
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
