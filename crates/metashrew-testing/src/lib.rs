//! What Metashrew's tests and benches stand on: chains of blocks made to
//! measure, an independent recount of what the example guests answer, block
//! files as Bitcoin Core writes them, and small guests that misbehave.

pub mod census;
pub mod chain;
pub mod floor;
pub mod frames;
pub mod guests;
pub mod model;
pub mod proportions;
pub mod rng;

mod assembly;
mod coins;
mod scripts;
mod transactions;

pub use assembly::REGTEST_BITS;
