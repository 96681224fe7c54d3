//! The blocks of a chain: hash, time, transactions, size, weight and fees by
//! height.
//!
//! Indexing may start at any height; a block that spends an output from before
//! then has unknown fees.

mod block;
mod fees;
mod keys;
mod record;
mod views;

use block::index;
use views::{block, range, tip};

metashrew_core::export! {
    start: index,
    memory: by_height,
    views: {
        block: r#"{"height"}|{"hash"}"#
            => r#"{"height","hash","previous","time","txs","size","weight","fees"}"#,
        tip: r"{}" => "as `block`",
        range: r#"{"from","to","limit"}"# => r#"{"height","blocks":[as `block`],"next"}"#,
    },
}

// The others tell the height, or count back from it.
metashrew_core::height_independent!(block);

#[cfg(test)]
mod tests;
