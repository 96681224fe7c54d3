//! What can go wrong with stored data, as values.

use super::codec::EncodingError;
use crate::host::MAX_KEY_BYTES;
use crate::range::RangeError;

/// Why a table could not do what it was asked.
///
/// It names the table; keys are the whole stored key, the table's name in front.
///
/// ```
/// use metashrew_core::storage::{Item, Map, StorageError};
/// use std::sync::Arc;
///
/// const HEIGHT: Item<u32> = Item::new("height");
/// let stray = Arc::new(vec![1, 2]);
/// metashrew_core::set(Arc::new(b"\xff\x06height".to_vec()), stray);
/// let error = HEIGHT.get().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "the value of `height` at key 0xff06686569676874 is no u32: 2 bytes, which is too few",
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Stored bytes are not a value of the table's type.
    #[error("the value of `{table}` at key {} is no {expected}: {error}", Hex(key))]
    Value {
        /// The table.
        table: &'static str,
        /// The stored key.
        key: Vec<u8>,
        /// The type that its values have.
        expected: String,
        /// What is wrong with the bytes.
        #[source]
        error: EncodingError,
    },
    /// A stored key in the table's range is not of the table's type.
    #[error("`{table}` has the key {}, which is no ({expected})", Hex(key))]
    Key {
        /// The table.
        table: &'static str,
        /// The stored key.
        key: Vec<u8>,
        /// The types of the key's parts.
        expected: String,
    },
    /// A value could not be written as bytes.
    #[error("`{table}` cannot store the value: {error}")]
    Encode {
        /// The table.
        table: &'static str,
        /// Why.
        #[source]
        error: EncodingError,
    },
    /// A key is longer than the host takes: 32,000 bytes.
    #[error("a key of `{table}` has {bytes} bytes: at most {MAX_KEY_BYTES} can be stored")]
    KeyTooLong {
        /// The table.
        table: &'static str,
        /// The key's length.
        bytes: usize,
    },
    /// A range could not be read.
    #[error("`{table}`: {error}")]
    Range {
        /// The table.
        table: &'static str,
        /// Why.
        #[source]
        error: RangeError,
    },
    /// A unique index has the entry already, for another key.
    #[error(
        "`{table}` has another record under the same `{index}`: that at key {}",
        Hex(holder)
    )]
    NotUnique {
        /// The table.
        table: &'static str,
        /// The index.
        index: &'static str,
        /// The record that has it: the primary key's bytes.
        holder: Vec<u8>,
    },
    /// A number would leave the range of its type.
    #[error("`{table}` would be less than its type holds, or more")]
    Overflow {
        /// The table.
        table: &'static str,
    },
    /// A list has no element there.
    #[error("`{table}` has {length} elements, and none at index {index}")]
    OutOfBounds {
        /// The table.
        table: &'static str,
        /// What was asked for.
        index: u64,
        /// How many elements it has.
        length: u64,
    },
}

struct Hex<'a>(&'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("0x")?;
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}
