//! The interface between a Metashrew host and its guests, as bytes and names.
//!
//! It is fixed: guests compiled years ago depend on it. `docs/abi.md` is its
//! document. This crate knows no host and no guest; both sides build on it, so
//! it compiles for `wasm32-unknown-unknown` too.

pub mod buffer;
pub mod flush;
pub mod imports;
pub mod layout;
pub mod many;
mod parts;
pub mod proto;
pub mod range;

pub use parts::{MAX_PAIRS, Malformed};
