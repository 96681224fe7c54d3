//! The store through its public door, over both of its engines.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod base;
mod chain;
mod commit;
mod crash;
mod damage;
mod faults;
mod faulty;
mod follow;
mod fork;
mod fork_kills;
mod format;
mod identity;
mod killed_opening;
mod missing;
mod model;
mod open;
mod property;
mod publication;
mod ranges;
mod read_cache;
mod read_only;
mod tree;
mod undone;
