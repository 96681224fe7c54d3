//! How a table's values become bytes, and that a value that is there never becomes none.

use super::Value;
use std::borrow::Cow;

/// Why bytes are no value, or a value cannot be bytes.
///
/// ```
/// use metashrew_core::storage::EncodingError;
///
/// assert_eq!(EncodingError::new("no such colour").to_string(), "no such colour");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EncodingError(Cow<'static, str>);

impl EncodingError {
    /// An error with a text.
    ///
    /// ```
    /// # use metashrew_core::storage::EncodingError;
    /// let error = EncodingError::new(format!("{} is no colour", 7));
    /// assert_eq!(error.to_string(), "7 is no colour");
    /// ```
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(reason.into())
    }
}

/// How values of type `V` are stored. A table names it as its last parameter; without one it is
/// [`Native`].
///
/// [`protobuf_encoding!`](crate::protobuf_encoding) and [`json_encoding!`](crate::json_encoding)
/// make one of the guest's own prost or `serde_json`. Another one takes as many lines:
///
/// ```
/// use metashrew_core::storage::{Encoding, EncodingError, Item};
///
/// /// Numbers as decimal digits.
/// struct Digits;
///
/// impl Encoding<u32> for Digits {
///     fn encode(value: &u32, bytes: &mut Vec<u8>) -> Result<(), EncodingError> {
///         bytes.extend_from_slice(value.to_string().as_bytes());
///         Ok(())
///     }
///
///     fn decode(bytes: &[u8]) -> Result<u32, EncodingError> {
///         let digits = std::str::from_utf8(bytes).ok();
///         let number = digits.and_then(|digits| digits.parse().ok());
///         number.ok_or_else(|| EncodingError::new("not a number"))
///     }
///
///     fn type_name() -> String {
///         "decimal digits".to_owned()
///     }
/// }
///
/// const HEIGHT: Item<u32, Digits> = Item::new("height");
/// HEIGHT.set(&840_000)?;
/// assert_eq!(HEIGHT.get()?, Some(840_000));
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
pub trait Encoding<V> {
    /// Whether a value may have no bytes, or such that begin with a zero byte that is to be told
    /// from the mark in front of those.
    ///
    /// The host takes an empty value as none. So where this is `true`, which is right for every
    /// encoding, no bytes are stored as `00`, and bytes that begin with `00` with one more in
    /// front. Where it is `false`, bytes are stored as they are, and to have none is an error.
    const MAY_BE_EMPTY: bool = true;

    /// Appends a value's bytes.
    ///
    /// ```
    /// # use metashrew_core::storage::{Encoding, Native};
    /// let mut bytes = Vec::new();
    /// Native::encode(&0x0102u16, &mut bytes)?;
    /// assert_eq!(bytes, [2, 1]);
    /// # Ok::<_, metashrew_core::storage::EncodingError>(())
    /// ```
    ///
    /// # Errors
    /// If the value cannot be written in this encoding.
    fn encode(value: &V, bytes: &mut Vec<u8>) -> Result<(), EncodingError>;

    /// Reads a value: all of `bytes`.
    ///
    /// ```
    /// # use metashrew_core::storage::{Encoding, Native};
    /// let number: u16 = Native::decode(&[2, 1])?;
    /// assert_eq!(number, 0x0102);
    /// # Ok::<_, metashrew_core::storage::EncodingError>(())
    /// ```
    ///
    /// # Errors
    /// If the bytes are no such value.
    fn decode(bytes: &[u8]) -> Result<V, EncodingError>;

    /// What `__meta` calls the type.
    ///
    /// ```
    /// # use metashrew_core::storage::{Encoding, Native};
    /// assert_eq!(<Native as Encoding<u16>>::type_name(), "u16");
    /// ```
    fn type_name() -> String;
}

/// The encoding of [`Value`]s: fixed sizes, little-endian, nothing about types in the bytes.
///
/// ```
/// use metashrew_core::storage::{Encoding, Native};
///
/// let mut bytes = Vec::new();
/// Native::encode(&(1u32, "ann".to_owned()), &mut bytes)?;
/// assert_eq!(bytes, b"\x01\0\0\0ann");
/// # Ok::<_, metashrew_core::storage::EncodingError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Native;

impl<V: Value> Encoding<V> for Native {
    const MAY_BE_EMPTY: bool = V::MAY_BE_EMPTY;

    fn encode(value: &V, bytes: &mut Vec<u8>) -> Result<(), EncodingError> {
        value.encode_last(bytes);
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<V, EncodingError> {
        V::decode_last(bytes)
    }

    fn type_name() -> String {
        V::type_name()
    }
}

/// What marks a value that has no bytes or begins with this one.
const MARK: u8 = 0;

/// The bytes that are stored for a value: never none.
pub(super) fn to_stored<V, E: Encoding<V>>(value: &V) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::new();
    E::encode(value, &mut bytes)?;
    if E::MAY_BE_EMPTY && bytes.first().is_none_or(|first| *first == MARK) {
        bytes.insert(0, MARK);
    }
    if bytes.is_empty() {
        let error = "it has no bytes, and its encoding says that it always has some";
        return Err(EncodingError::new(error));
    }
    Ok(bytes)
}

/// The value that was stored as `bytes`.
pub(super) fn from_stored<V, E: Encoding<V>>(bytes: &[u8]) -> Result<V, EncodingError> {
    match bytes.split_first() {
        Some((&MARK, rest)) if E::MAY_BE_EMPTY => {
            if rest.first().is_none_or(|first| *first == MARK) {
                return E::decode(rest);
            }
            Err(EncodingError::new("it is marked as empty, and is not"))
        }
        _ => E::decode(bytes),
    }
}

/// Defines an [`Encoding`](crate::storage::Encoding) of protobuf messages by the guest's own
/// `prost`, of whatever version.
///
/// ```
/// use metashrew_core::storage::Map;
///
/// metashrew_core::protobuf_encoding!(pub Protobuf);
///
/// #[derive(Clone, PartialEq, prost::Message)]
/// struct Token {
///     #[prost(string, tag = "1")]
///     symbol: String,
///     #[prost(uint64, tag = "2")]
///     supply: u64,
/// }
///
/// const TOKENS: Map<u32, Token, Protobuf> = Map::new("tokens");
/// let token = Token { symbol: "RARE".to_owned(), supply: 21 };
/// TOKENS.set(1, &token)?;
/// assert_eq!(TOKENS.get(1)?, Some(token));
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
///
/// It expands to `::prost`; another path comes second: `protobuf_encoding!(pub Protobuf, my::prost)`.
#[macro_export]
macro_rules! protobuf_encoding {
    ($visibility:vis $name:ident) => {
        $crate::protobuf_encoding!($visibility $name, ::prost);
    };
    ($visibility:vis $name:ident, $($prost:tt)+) => {
        /// Values as protobuf messages.
        #[derive(Debug, Clone, Copy)]
        $visibility struct $name;

        impl<M: $($prost)+::Message + ::core::default::Default> $crate::storage::Encoding<M>
            for $name
        {
            fn encode(
                value: &M,
                bytes: &mut ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<(), $crate::storage::EncodingError> {
                value
                    .encode(bytes)
                    .map_err(|error| $crate::storage::EncodingError::new(error.to_string()))
            }

            fn decode(
                bytes: &[u8],
            ) -> ::core::result::Result<M, $crate::storage::EncodingError> {
                M::decode(bytes)
                    .map_err(|error| $crate::storage::EncodingError::new(error.to_string()))
            }

            fn type_name() -> ::std::string::String {
                $crate::storage::named("protobuf", ::core::any::type_name::<M>())
            }
        }
    };
}

/// Defines an [`Encoding`](crate::storage::Encoding) as JSON by the guest's own `serde` and
/// `serde_json`.
///
/// ```
/// use metashrew_core::storage::Item;
///
/// metashrew_core::json_encoding!(Json);
///
/// #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
/// struct Settings { fee: u64, open: bool }
///
/// const SETTINGS: Item<Settings, Json> = Item::new("settings");
/// SETTINGS.set(&Settings { fee: 3, open: true })?;
/// assert_eq!(SETTINGS.get()?, Some(Settings { fee: 3, open: true }));
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
///
/// What has no fixed order, such as a `HashMap`, has no fixed bytes either: another machine would
/// build another state. Use ordered maps.
#[macro_export]
macro_rules! json_encoding {
    ($visibility:vis $name:ident) => {
        /// Values as JSON.
        #[derive(Debug, Clone, Copy)]
        $visibility struct $name;

        impl<V: ::serde::Serialize + ::serde::de::DeserializeOwned> $crate::storage::Encoding<V>
            for $name
        {
            const MAY_BE_EMPTY: bool = false;

            fn encode(
                value: &V,
                bytes: &mut ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<(), $crate::storage::EncodingError> {
                ::serde_json::to_writer(bytes, value)
                    .map_err(|error| $crate::storage::EncodingError::new(error.to_string()))
            }

            fn decode(
                bytes: &[u8],
            ) -> ::core::result::Result<V, $crate::storage::EncodingError> {
                ::serde_json::from_slice(bytes)
                    .map_err(|error| $crate::storage::EncodingError::new(error.to_string()))
            }

            fn type_name() -> ::std::string::String {
                $crate::storage::named("json", ::core::any::type_name::<V>())
            }
        }
    };
}

/// `protobuf Token` of a type's whole path.
#[doc(hidden)]
pub fn named(encoding: &str, path: &str) -> String {
    // Paths differ between compilers; the name at their end, with what stands in brackets, less so.
    let head = path.split('<').next().unwrap_or(path);
    let name = head.rsplit("::").next().unwrap_or(head);
    format!("{encoding} {name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_stored_value_has_bytes_and_comes_back(value: Vec<u8>, zeros in 0..4usize) {
            let value = [vec![0; zeros], value].concat();
            let stored = to_stored::<_, Native>(&value).unwrap();
            prop_assert!(!stored.is_empty());
            prop_assert_eq!(from_stored::<Vec<u8>, Native>(&stored).unwrap(), value);
        }

        #[test]
        fn bytes_have_one_value_or_are_refused(bytes in proptest::collection::vec(0..3u8, 1..5)) {
            if let Ok(value) = from_stored::<Vec<u8>, Native>(&bytes) {
                prop_assert_eq!(to_stored::<_, Native>(&value).unwrap(), bytes);
            }
        }
    }

    #[test]
    fn only_what_must_be_is_marked() {
        let stored = |value: &str| to_stored::<_, Native>(&value.to_owned()).unwrap();
        assert_eq!(stored("ann"), b"ann");
        assert_eq!(stored(""), [0]);
        assert_eq!(stored("\0"), [0, 0]);
        assert_eq!(to_stored::<_, Native>(&0u32).unwrap(), [0; 4]);
    }

    #[test]
    fn an_encoding_that_breaks_its_word_is_an_error() {
        struct Nothing;
        impl Encoding<u8> for Nothing {
            const MAY_BE_EMPTY: bool = false;
            fn encode(_: &u8, _: &mut Vec<u8>) -> Result<(), EncodingError> {
                Ok(())
            }
            fn decode(_: &[u8]) -> Result<u8, EncodingError> {
                Ok(0)
            }
            fn type_name() -> String {
                String::new()
            }
        }
        assert!(to_stored::<_, Nothing>(&1).is_err());
    }

    #[test]
    fn type_names_leave_out_paths() {
        assert_eq!(named("json", "guest::state::Token"), "json Token");
        assert_eq!(named("json", "a::List<b::Token>"), "json List");
    }
}
