//! The indexer through its public door: real guests, generated chains, and nodes
//! that change, fail and lie.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic fails the test"
)]

mod block_files;
mod core_node;
mod ends;
mod faults;
mod following;
mod guests;
mod indexing;
mod lies;
mod live_files;
mod merged_mined;
mod new_blocks;
mod node_faults;
mod recount;
mod reorgs;
mod simulation;
mod support;
