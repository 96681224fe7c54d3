//! What the example guests share: JSON in and out of views, hashes as people
//! read them, compact numbers in values, maps keyed by hashes.

pub mod compact;
mod hash;
pub mod json;
pub mod prefix_map;

pub use hash::Hash;
