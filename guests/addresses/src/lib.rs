//! Balances, unspent outputs and histories of Bitcoin addresses: what an
//! Electrum-like backend asks for.
//!
//! Indexing may start at any height: an input whose output was never seen is
//! passed over. `keys` holds the layout of the state.

mod ahead;
mod block;
mod created;
mod keys;
mod owner;
mod question;
mod script;
mod views;

use block::index;
use views::{balance, history, utxos};

metashrew_core::export! {
    start: index,
    memory: by_height,
    views: {
        balance: r#"{"address"|"script"|"scripthash"}"#
            => r#"{"height","balance","received","spent","utxos","txs"}"#,
        utxos: r#"{"address"|"script"|"scripthash","limit","cursor"}"#
            => r#"{"height","utxos":[{"txid","vout","value","height","coinbase"}],"next"}"#,
        history: r#"{"address"|"script"|"scripthash","limit","offset","order"}"#
            => r#"{"height","total","history":[{"txid","height","position","change"}],"next"}"#,
    },
}

#[cfg(test)]
mod tests;
