//! Keys as bytes whose order is the order of the keys.
//!
//! Every part of a key says where it ends, by its fixed size or by a mark. So no key of a table
//! is another one's beginning, and no two keys have the same bytes.

mod tuples;

pub use tuples::CompoundKey;

/// What can be a table's key, or a part of one.
///
/// | type | bytes |
/// |---|---|
/// | `u8` … `u128` | big-endian |
/// | `i8` … `i128` | big-endian, the sign bit flipped |
/// | `bool` | `00` or `01` |
/// | `[u8; N]` | as they are |
/// | `String`, `Vec<u8>` | as they are, `00` as `00 01`; then `00 00` |
/// | tuples of two to four | their parts, one after the other |
///
/// Bytes compare as the keys do: numbers by value, text and bytes as Rust compares them, tuples
/// part by part. `usize` is none: it has another size in wasm than in native tests.
///
/// A type of the guest's own is a key if it writes itself as one of these:
///
/// ```
/// use metashrew_core::storage::{AsKey, Key, Map};
///
/// #[derive(Debug, PartialEq)]
/// struct TokenId { block: u32, tx: u32 }
///
/// impl AsKey<TokenId> for TokenId {
///     fn encode(&self, key: &mut Vec<u8>) {
///         AsKey::<(u32, u32)>::encode(&(self.block, self.tx), key);
///     }
/// }
///
/// impl Key for TokenId {
///     fn decode(input: &mut &[u8]) -> Option<Self> {
///         let (block, tx) = Key::decode(input)?;
///         Some(Self { block, tx })
///     }
///
///     fn types(types: &mut Vec<String>) {
///         <(u32, u32)>::types(types);
///     }
/// }
///
/// const SUPPLY: Map<TokenId, u128> = Map::new("supply");
/// SUPPLY.set(TokenId { block: 840_000, tx: 1 }, &21)?;
/// assert_eq!(SUPPLY.get(TokenId { block: 840_000, tx: 1 })?, Some(21));
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
pub trait Key: AsKey<Self> + Sized {
    /// Takes a key off the front of `input`; `None` if the bytes are no such key.
    ///
    /// ```
    /// # use metashrew_core::storage::Key;
    /// let mut input = &[0, 7, 1][..];
    /// assert_eq!(u16::decode(&mut input), Some(7));
    /// assert_eq!(input, [1]);
    /// ```
    fn decode(input: &mut &[u8]) -> Option<Self>;

    /// Adds the type of each part, as `__meta` names it: `u8` … `u128`, `i8` … `i128`, `bool`,
    /// `string`, `bytes`, `bytes[20]`.
    ///
    /// ```
    /// # use metashrew_core::storage::Key;
    /// let mut types = Vec::new();
    /// <(u32, String)>::types(&mut types);
    /// assert_eq!(types, ["u32", "string"]);
    /// ```
    fn types(types: &mut Vec<String>);
}

/// What can stand for a key of type `K` in a call: `K` itself, a reference to it, and for
/// `String` and `Vec<u8>` also `&str` and `&[u8]`.
///
/// ```
/// use metashrew_core::storage::Map;
///
/// const BALANCES: Map<(String, u32), u64> = Map::new("balances");
/// BALANCES.set(("ann", 7), &5)?;
/// let owner = "ann".to_owned();
/// assert_eq!(BALANCES.get((&owner, 7))?, Some(5));
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
pub trait AsKey<K> {
    /// Appends the key's bytes.
    ///
    /// ```
    /// # use metashrew_core::storage::AsKey;
    /// let mut key = Vec::new();
    /// AsKey::<String>::encode("ann", &mut key);
    /// assert_eq!(key, b"ann\0\0");
    /// ```
    fn encode(&self, key: &mut Vec<u8>);
}

impl<K, T: AsKey<K> + ?Sized> AsKey<K> for &T {
    fn encode(&self, key: &mut Vec<u8>) {
        (**self).encode(key);
    }
}

/// A key whose beginning can be searched for: text and bytes, and tuples that have one first.
///
/// See [`Rows::starting_with`](super::Rows::starting_with).
///
/// ```
/// use metashrew_core::storage::{Set, StorageError, TextKey};
/// fn count<K: TextKey<Start = str>>(set: &Set<K>, beginning: &str) -> usize {
///     set.rows().starting_with(beginning).keys().count()
/// }
/// const NAMES: Set<String> = Set::new("names");
/// NAMES.insert("ann")?;
/// assert_eq!((count(&NAMES, "an"), count(&NAMES, "b")), (1, 0));
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
pub trait TextKey: Key {
    /// What a beginning is given as.
    type Start: ?Sized;

    /// Appends how every key that begins with `start` begins.
    ///
    /// ```
    /// # use metashrew_core::storage::TextKey;
    /// let mut key = Vec::new();
    /// String::encode_start("an", &mut key);
    /// assert_eq!(key, b"an");
    /// ```
    fn encode_start(start: &Self::Start, key: &mut Vec<u8>);
}

/// The bytes of one key.
pub(super) fn encoded<K>(key: &(impl AsKey<K> + ?Sized)) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.encode(&mut bytes);
    bytes
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = input.split_first_chunk()?;
    *input = rest;
    Some(*first)
}

macro_rules! unsigned_keys {
    ($($integer:ident),*) => {$(
        impl AsKey<$integer> for $integer {
            fn encode(&self, key: &mut Vec<u8>) {
                key.extend_from_slice(&self.to_be_bytes());
            }
        }

        impl Key for $integer {
            fn decode(input: &mut &[u8]) -> Option<Self> {
                take(input).map(Self::from_be_bytes)
            }

            fn types(types: &mut Vec<String>) {
                types.push(stringify!($integer).to_owned());
            }
        }
    )*};
}

unsigned_keys!(u8, u16, u32, u64, u128);

macro_rules! signed_keys {
    ($($integer:ident),*) => {$(
        impl AsKey<$integer> for $integer {
            fn encode(&self, key: &mut Vec<u8>) {
                // The least becomes zero: so negative numbers sort before positive ones.
                key.extend_from_slice(&(self ^ Self::MIN).to_be_bytes());
            }
        }

        impl Key for $integer {
            fn decode(input: &mut &[u8]) -> Option<Self> {
                take(input).map(|bytes| Self::from_be_bytes(bytes) ^ Self::MIN)
            }

            fn types(types: &mut Vec<String>) {
                types.push(stringify!($integer).to_owned());
            }
        }
    )*};
}

signed_keys!(i8, i16, i32, i64, i128);

impl AsKey<bool> for bool {
    fn encode(&self, key: &mut Vec<u8>) {
        key.push(u8::from(*self));
    }
}

impl Key for bool {
    fn decode(input: &mut &[u8]) -> Option<Self> {
        match take(input)? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    fn types(types: &mut Vec<String>) {
        types.push("bool".to_owned());
    }
}

impl<const N: usize> AsKey<[u8; N]> for [u8; N] {
    fn encode(&self, key: &mut Vec<u8>) {
        key.extend_from_slice(self);
    }
}

impl<const N: usize> Key for [u8; N] {
    fn decode(input: &mut &[u8]) -> Option<Self> {
        take(input)
    }

    fn types(types: &mut Vec<String>) {
        types.push(format!("bytes[{N}]"));
    }
}

/// What a zero byte is written as, and what ends text: the lesser, so that a text sorts before
/// those that it begins.
const ZERO: [u8; 2] = [0, 1];
const END: [u8; 2] = [0, 0];

fn encode_escaped(bytes: &[u8], key: &mut Vec<u8>) {
    let mut parts = bytes.split(|byte| *byte == 0);
    key.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        key.extend_from_slice(&ZERO);
        key.extend_from_slice(part);
    }
}

fn encode_bytes(bytes: &[u8], key: &mut Vec<u8>) {
    encode_escaped(bytes, key);
    key.extend_from_slice(&END);
}

fn decode_bytes(input: &mut &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let zero = input.iter().position(|byte| *byte == 0)?;
        bytes.extend_from_slice(input.get(..zero)?);
        *input = input.get(zero..)?;
        match take(input)? {
            END => return Some(bytes),
            ZERO => bytes.push(0),
            _ => return None,
        }
    }
}

impl AsKey<Self> for Vec<u8> {
    fn encode(&self, key: &mut Vec<u8>) {
        encode_bytes(self, key);
    }
}

impl AsKey<Vec<u8>> for [u8] {
    fn encode(&self, key: &mut Vec<u8>) {
        encode_bytes(self, key);
    }
}

impl<const N: usize> AsKey<Vec<u8>> for [u8; N] {
    fn encode(&self, key: &mut Vec<u8>) {
        encode_bytes(self, key);
    }
}

impl Key for Vec<u8> {
    fn decode(input: &mut &[u8]) -> Option<Self> {
        decode_bytes(input)
    }

    fn types(types: &mut Vec<String>) {
        types.push("bytes".to_owned());
    }
}

impl TextKey for Vec<u8> {
    type Start = [u8];

    fn encode_start(start: &[u8], key: &mut Vec<u8>) {
        encode_escaped(start, key);
    }
}

impl AsKey<Self> for String {
    fn encode(&self, key: &mut Vec<u8>) {
        encode_bytes(self.as_bytes(), key);
    }
}

impl AsKey<String> for str {
    fn encode(&self, key: &mut Vec<u8>) {
        encode_bytes(self.as_bytes(), key);
    }
}

impl Key for String {
    fn decode(input: &mut &[u8]) -> Option<Self> {
        Self::from_utf8(decode_bytes(input)?).ok()
    }

    fn types(types: &mut Vec<String>) {
        types.push("string".to_owned());
    }
}

impl TextKey for String {
    type Start = str;

    fn encode_start(start: &str, key: &mut Vec<u8>) {
        encode_escaped(start.as_bytes(), key);
    }
}

#[cfg(test)]
mod tests;
