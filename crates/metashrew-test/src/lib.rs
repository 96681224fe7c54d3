//! What guests are tested with.
//!
//! - [`Chain`] makes blocks to order: payments, data, inscriptions, reorgs; [`Tx`],
//!   [`Lock`] and [`Inscription`] are their parts.
//!
//! It is a dev-dependency: light, without C code, and what it makes is the same on
//! every machine.

pub mod assemble;
mod chain;
mod coins;
mod inscription;
mod lock;
mod transaction;

pub use chain::{Block, Chain};
pub use inscription::Inscription;
pub use lock::{Lock, push};
pub use transaction::{OutPoint, Tx, TxIn, TxOut};
