//! Requests of every kind, without a transport: whatever is asked, the answer is legal
//! and the memory bounded. A process of its own, for the allocator that counts.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod asked;
mod counting;
mod generated;
mod legal;
mod long;
mod mutated;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;
