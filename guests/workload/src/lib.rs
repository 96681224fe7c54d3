//! What benches call: a view that does nothing, views that read many keys, and one
//! that builds a table before it can answer.
//!
//! State: every block writes the keys `k/0` to `k/999` with values of 32 bytes; the
//! first one `table` too, a protobuf message of 10,000 entries.

mod state;
mod views;

use state::index;
use views::{lookup, reads, reads_uncached, trivial};

metashrew_core::export! {
    start: index,
    views: {
        trivial: "nothing" => "nothing",
        reads: "a count (u32)" => "sum of the values' first bytes (u64), through the guest's cache",
        reads_uncached: "a count (u32)" => "the same, each key read from the host",
        lookup: "a name" => "its number (u64) in the table, which the first call builds",
    },
}

#[cfg(test)]
mod tests;
