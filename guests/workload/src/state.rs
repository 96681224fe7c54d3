//! What every block writes.

use std::convert::Infallible;
use std::sync::Arc;

use prost::Message;

/// Keys that every block writes.
pub(crate) const KEYS: u32 = 1_000;
/// Entries of the table.
pub(crate) const ENTRIES: u64 = 10_000;
/// The key of the table.
pub(crate) const TABLE: &[u8] = b"table";

/// The table as it is stored.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Table {
    #[prost(message, repeated, tag = "1")]
    pub(crate) entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Entry {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(uint64, tag = "2")]
    pub(crate) number: u64,
}

/// The key of that number.
pub(crate) fn key(number: u32) -> Vec<u8> {
    format!("k/{number}").into_bytes()
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "the SDK's entry takes what may fail"
)]
pub(crate) fn index(height: u32, _block: &[u8]) -> Result<(), Infallible> {
    for number in 0..KEYS {
        let mut value = vec![0; 32];
        value.splice(..4, (height + number).to_le_bytes());
        metashrew_core::set(Arc::new(key(number)), Arc::new(value));
    }
    if metashrew_core::get(Arc::new(TABLE.to_vec())).is_empty() {
        let entries = (0..ENTRIES).map(|number| Entry {
            name: format!("entry number {number}"),
            number,
        });
        let table = Table {
            entries: entries.collect(),
        };
        metashrew_core::set(Arc::new(TABLE.to_vec()), Arc::new(table.encode_to_vec()));
    }
    Ok(())
}
