//! What Bitcoin guests share that needs no host: pointers into a key-value
//! space, integers as bytes, buffers, caches, addresses, blocks.
//!
//! Nothing here imports from the host, so contracts and native programs use it
//! too. The names, paths and signatures are those that guests in the wild
//! compile against.
//!
//! The feature `bitcoin` (off by default) adds `address`, `block` and the
//! consensus codec of [`utils`]; without it, [`raw`] parses blocks in place and
//! a guest holds no C code.

#[cfg(feature = "bitcoin")]
pub mod address;
#[cfg(feature = "bitcoin")]
pub mod block;
pub mod byte_view;
pub mod compat;
pub mod index_pointer;
pub mod lru_cache;
pub mod proto;
pub mod raw;
pub mod utils;
