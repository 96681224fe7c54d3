//! What guests are tested with.
//!
//! - [`Chain`] makes blocks to order: payments, data, inscriptions, reorgs; [`Tx`],
//!   [`Lock`] and [`Inscription`] are their parts.
//! - [`Indexer`] runs a guest's functions over a chain natively, follows its reorgs,
//!   asks views at any height, and [checks](Indexer::check) that what the guest
//!   remembers does not show in answers.
//! - `Engine`, with the feature `engine`, does the same with the built module, in the
//!   engine that a server runs.
//! - [`assert_snapshot`] compares a state with a file.
//!
//! It is a dev-dependency: without `engine` it is light and has no C code, and what it
//! makes is the same on every machine.

pub mod assemble;
mod chain;
mod coins;
#[cfg(feature = "engine")]
mod engine;
mod failed;
mod following;
mod indexer;
mod inscription;
mod lock;
mod snapshot;
mod transaction;

pub use chain::{Block, Chain};
#[cfg(feature = "engine")]
pub use engine::Engine;
pub use failed::Failed;
pub use indexer::Indexer;
pub use inscription::Inscription;
pub use lock::{Lock, push};
pub use snapshot::{assert_snapshot, text as snapshot_text};
pub use transaction::{OutPoint, Tx, TxIn, TxOut};
