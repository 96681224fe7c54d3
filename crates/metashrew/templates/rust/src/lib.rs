//! Balances and unspent outputs of every script on a Bitcoin chain.
//!
//! - `tables`: what is stored.
//! - `index`: what a block changes.
//! - `views`: what can be asked.

mod index;
mod tables;
#[cfg(test)]
mod tests;
mod views;
