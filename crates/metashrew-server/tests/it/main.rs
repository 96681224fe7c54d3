//! The server, asked over HTTP, with real guests over a real store.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod batch;
mod cancel;
mod errors;
mod harness;
mod methods;
mod protocol;
mod web;
