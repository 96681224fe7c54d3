//! The state's keys: a letter, then bytes, numbers big-endian.
//!
//! | key | value |
//! |---|---|
//! | `b` height | the block's [`Record`](crate::record::Record) |
//! | `h` hash | the block's height, big-endian |
//! | `f` | the first height indexed, big-endian |
//! | `v` txid, chunk | what 32 of a transaction's outputs are worth, in satoshi |

/// Outputs in one chunk of a transaction.
pub(crate) const OUTPUTS_PER_CHUNK: u32 = 32;

/// Where the first height indexed is.
pub(crate) const FIRST: &[u8] = b"f";

/// The key of a block's record.
pub(crate) fn block(height: u32) -> Vec<u8> {
    [&b"b"[..], &height.to_be_bytes()].concat()
}

/// The key of a block's height.
pub(crate) fn height(hash: &[u8; 32]) -> Vec<u8> {
    [&b"h"[..], hash].concat()
}

/// The key of the values of a transaction's outputs from
/// `chunk * OUTPUTS_PER_CHUNK` on.
pub(crate) fn values(txid: &[u8; 32], chunk: u32) -> Vec<u8> {
    [&b"v"[..], txid, &chunk.to_be_bytes()].concat()
}
