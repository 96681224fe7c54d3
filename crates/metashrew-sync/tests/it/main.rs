//! The indexer through its public door: real guests, generated chains, and nodes
//! that change, fail and lie.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic fails the test"
)]

mod block_files;
mod core_node;
mod damaged_files;
mod dialects;
mod ends;
mod faults;
mod follower;
mod following;
mod guests;
mod indexing;
mod kept_index;
mod lies;
mod live_files;
mod merged_mined;
mod new_blocks;
mod node_faults;
mod node_files;
mod recount;
mod reorgs;
mod scouts;
mod secure;
mod simulation;
mod support;
mod waiting;
