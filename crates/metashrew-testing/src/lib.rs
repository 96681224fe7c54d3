//! What Metashrew's tests and benches stand on: chains of blocks made to
//! measure, an independent recount of what the example guests answer, block
//! files as Bitcoin Core writes them, Bitcoin Core itself, a proxy that lies for
//! it, consumers of subscriptions, engines that are slow or fail, a file system whose power can be cut, and small guests that
//! misbehave.

pub mod ages;
pub mod announced;
pub mod bitcoind;
pub mod census;
pub mod chain;
pub mod chatting;
pub mod damage;
pub mod delayed;
pub mod floor;
pub mod frames;
pub mod guests;
pub mod hooked;
pub mod model;
pub mod proportions;
pub mod proxy;
pub mod push;
pub mod ranging;
pub mod recording;
pub mod records;
pub mod remembering;
pub mod rng;
pub mod stream;

mod aged_coins;
mod assembly;
mod coins;
mod miner;
mod scripts;
mod transactions;

pub use assembly::REGTEST_BITS;
