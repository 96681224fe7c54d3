//! The indexer through its public door: real guests, generated chains, and nodes
//! that change, fail and lie.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic fails the test"
)]

mod block_files;
mod ends;
mod faults;
mod following;
mod guests;
mod indexing;
mod lies;
mod recount;
mod reorgs;
mod simulation;
mod support;
