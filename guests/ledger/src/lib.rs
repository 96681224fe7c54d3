//! 64 accounts that change with every block, by the block's hash: so that an
//! answer tells which block it was made from.
//!
//! It caches everything it reads, as the SDK does by itself, and sums in the
//! guest's own cache: a host that mixes up blocks or callers answers wrong.
#![allow(
    clippy::unnecessary_wraps,
    reason = "the SDK takes functions that may fail"
)]

mod state;
mod views;

use state::index;
use views::{cached, get, stats, sum};

metashrew_core::export! {
    start: index,
    memory: by_height and across_blocks,
    views: {
        get: "a key" => "its value, empty if there is none",
        sum: "numbers of accounts, a byte each; none are all"
            => "height (u32), block hash, sum of the balances (u64)",
        cached: "as `sum`" => "as `sum`, remembered by height",
        stats: "nothing" => "hits, misses, evictions (u64), items, bytes, limit (u32)",
    },
}

// What its caches did.
metashrew_core::memory!(answers: stats);

#[cfg(test)]
mod tests;
