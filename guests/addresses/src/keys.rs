//! The state's keys: a letter, then bytes, numbers big-endian.
//!
//! | key | value |
//! |---|---|
//! | `s` script id | the script's [`Owner`](crate::owner::Owner) record: sums, its newest history, its newest unspent outputs |
//! | `h` script id, page | a full page of its history |
//! | `u` script id, page | what is unspent of a full page of its outputs |
//! | `o` txid, chunk | a transaction's place in the chain, and 32 of its outputs |
//! | `t` height, chunk | 64 transaction ids of a block |
//!
//! A script is known by the first 20 bytes of its SHA-256, so that keys stay
//! short whatever the script.

use bitcoin_hashes::{Hash, sha256};

/// Outputs in one chunk of a transaction.
pub(crate) const OUTPUTS_PER_CHUNK: u32 = 32;
/// Transaction ids in one chunk of a block.
pub(crate) const TXIDS_PER_CHUNK: u32 = 64;

/// What a script is known by.
pub(crate) type ScriptId = [u8; 20];

/// The id of a script.
pub(crate) fn script_id(script: &[u8]) -> ScriptId {
    id_of_hash(&sha256::Hash::hash(script).to_byte_array())
}

/// The id of the script with a SHA-256.
pub(crate) fn id_of_hash(hash: &[u8; 32]) -> ScriptId {
    *hash.first_chunk().expect("a hash is longer than an id")
}

/// The key of a script's record.
pub(crate) fn owner(id: &ScriptId) -> Vec<u8> {
    [&b"s"[..], id].concat()
}

/// The key of a full page of a script's history.
pub(crate) fn history_page(id: &ScriptId, page: u32) -> Vec<u8> {
    [&b"h"[..], id, &page.to_be_bytes()].concat()
}

/// The key of a full page of a script's outputs.
pub(crate) fn unspent_page(id: &ScriptId, page: u32) -> Vec<u8> {
    [&b"u"[..], id, &page.to_be_bytes()].concat()
}

/// The key of the outputs of a transaction from `chunk * OUTPUTS_PER_CHUNK` on.
pub(crate) fn outputs(txid: &[u8; 32], chunk: u32) -> Vec<u8> {
    [&b"o"[..], txid, &chunk.to_be_bytes()].concat()
}

/// The key of a block's transaction ids from `chunk * TXIDS_PER_CHUNK` on.
pub(crate) fn txids(height: u32, chunk: u32) -> Vec<u8> {
    [&b"t"[..], &height.to_be_bytes(), &chunk.to_be_bytes()].concat()
}
