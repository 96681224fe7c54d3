//! The caches of what subscribers are told from: each takes so many bytes.

use std::hash::Hash;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

/// Entries that room is made for at the start.
const ENTRIES: usize = 256;

/// A cache of so many bytes, as `weigher` has it. It is one piece: else no entry could take more
/// than its piece has.
pub(super) fn cache<K, V, W>(bytes: usize, weigher: W) -> Cache<K, V, W>
where
    K: Eq + Hash,
    V: Clone,
    W: Weighter<K, V> + Clone,
{
    let options = OptionsBuilder::new()
        .estimated_items_capacity(ENTRIES)
        .weight_capacity(bytes as u64)
        .shards(1)
        .build()
        .expect("all that has to be set is set");
    Cache::with_options(
        options,
        weigher,
        DefaultHashBuilder::default(),
        DefaultLifecycle::default(),
    )
}
