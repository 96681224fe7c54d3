//! What Bitcoin guests share that needs no host: pointers into a key-value
//! space, integers as bytes, buffers, caches, addresses, blocks.
//!
//! Nothing here imports from the host, so contracts and native programs use it
//! too. The names, paths and signatures are those that guests in the wild
//! compile against.
//!
//! The feature `bitcoin` (on by default) has `address`, `block` and the consensus
//! codec of [`utils`]. Without it, a guest holds no C code, and [`raw`] parses
//! blocks in place.

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
#[cfg(secp256k1_left_out)]
mod secp256k1_left_out;
pub mod utils;

// Where guests in the wild look for what has a place of its own.
#[doc(hidden)]
pub use byte_view::{ByteView, shrink_back};
#[doc(hidden)]
pub use index_pointer::KeyValuePointer;
#[doc(hidden)]
pub use lru_cache::{
    ApiCacheKey, CacheAllocationMode, CacheKey, CacheStats, CacheValue, HeightPartitionedKey,
    KeyPrefixStats, LruDebugStats, PrefixAnalysisConfig,
};
