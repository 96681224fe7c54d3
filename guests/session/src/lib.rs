//! What a guest can do with a memory that persists between view calls: remember
//! a computation, keep what it read, count a caller's calls, build something over
//! several calls.
//!
//! The answers depend on the memory, by design: what it holds is told in each of
//! them. What is remembered is remembered under the hash of the block it was
//! made from, so that no block's answer is ever another's.

mod caches;
mod fingerprint;
mod memory;
mod recent;
mod sizes;
mod state;
mod visits;

use caches::caches;
use fingerprint::fingerprint;
use recent::recent;
use sizes::sizes;
use state::index;
use visits::visit;

metashrew_core::export! {
    start: index,
    memory: by_height and answers,
    views: {
        fingerprint: r#"{"rounds"}"# => r#"{"height","rounds","fingerprint","cached"}"#,
        recent: r#"{"blocks"}"# => r#"{"height","blocks","bytes","asked"}"#,
        visit: r#"{"session"}"# => r#"{"height","session","visits","sessions"}"#,
        sizes: r#"{"blocks"}"#
            => r#"{"height","loaded","of","complete","smallest","median","largest"}"#,
        caches: r"{}"
            => r#"{"height","hits","misses","items","bytes","evictions","limit"}"#,
    },
}

#[cfg(test)]
mod tests;
