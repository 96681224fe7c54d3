//! What the SDK's caches did and hold.

use guest_wire::json;
use metashrew_core::{get_actual_cache_memory_limit, lru_cache_stats};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {}

#[derive(Serialize)]
struct Caches {
    height: u32,
    hits: u64,
    misses: u64,
    items: usize,
    bytes: usize,
    evictions: u64,
    limit: usize,
}

/// The caches' counts, of all heights together.
pub(crate) fn caches(height: u32, input: &[u8]) -> Result<Vec<u8>, Infallible> {
    json::answer(input, |Question {}| {
        let stats = lru_cache_stats();
        Ok(Caches {
            height,
            hits: stats.hits,
            misses: stats.misses,
            items: stats.items,
            bytes: stats.memory_usage,
            evictions: stats.evictions,
            limit: get_actual_cache_memory_limit(),
        })
    })
}
