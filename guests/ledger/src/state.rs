//! The state; numbers are little-endian.
//!
//! | key | value |
//! |---|---|
//! | `tip` | the newest block's height (u32) and hash |
//! | `b/` height (u32) | a block's hash |
//! | `a/` number (one byte) | an account's balance (u64) |

use bitcoin_hashes::{Hash, sha256d};
use metashrew_core::{get, set};
use std::convert::Infallible;
use std::sync::Arc;

/// Accounts.
pub(crate) const ACCOUNTS: u8 = 64;
/// Bytes of a header: the part of a block that is hashed.
const HEADER_BYTES: usize = 80;

/// The key of the newest block.
pub(crate) const TIP: &[u8] = b"tip";

/// The key of an account.
pub(crate) fn account(number: u8) -> Vec<u8> {
    vec![b'a', b'/', number]
}

/// The key of a block.
pub(crate) fn block(height: u32) -> Vec<u8> {
    [&b"b/"[..], &height.to_le_bytes()].concat()
}

/// An account's balance.
pub(crate) fn balance(number: u8) -> u64 {
    let value = read(account(number));
    value
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The value of a key, by way of the cache.
pub(crate) fn read(key: Vec<u8>) -> Arc<Vec<u8>> {
    get(Arc::new(key))
}

fn write(key: Vec<u8>, value: Vec<u8>) {
    set(Arc::new(key), Arc::new(value));
}

/// Makes a block's mark on every account: `balance * M + the hash's first eight
/// bytes + number`, modulo 2^64.
pub(crate) fn index(height: u32, bytes: &[u8]) -> Result<(), Infallible> {
    const M: u64 = 6_364_136_223_846_793_005;
    let header = bytes.get(..HEADER_BYTES).unwrap_or(bytes);
    let hash = sha256d::Hash::hash(header).to_byte_array();
    let mark = hash
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes));
    for number in 0..ACCOUNTS {
        let balance = balance(number)
            .wrapping_mul(M)
            .wrapping_add(mark)
            .wrapping_add(number.into());
        write(account(number), balance.to_le_bytes().to_vec());
    }
    write(block(height), hash.to_vec());
    write(TIP.to_vec(), [&height.to_le_bytes()[..], &hash].concat());
    Ok(())
}
