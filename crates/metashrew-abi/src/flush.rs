//! The codec of `KeyValueFlush`: what a guest hands over when a block is done.
//!
//! Wire format (protobuf): field 1, repeated bytes: key, value, key, value…

use prost::encoding::{
    DecodeContext, WireType, check_wire_type, decode_key, decode_varint, skip_field,
};
use prost::{DecodeError, Message};

use crate::proto::KeyValueFlush;

/// Why a flush could not be read.
///
/// ```
/// # use metashrew_abi::flush::{self, FlushError};
/// let refused = flush::decode(&[0x0a, 1, b'k']).unwrap_err();
/// assert_eq!(refused, FlushError::OddTrailingKey { items: 1 });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlushError {
    /// The bytes are not a `KeyValueFlush`.
    #[error("the flush is not a `KeyValueFlush` message: {0}")]
    Malformed(#[from] DecodeError),
    /// The list ends with a key that has no value.
    #[error("the flush lists {items} items: the last key has no value")]
    OddTrailingKey {
        /// How many items the list holds.
        items: usize,
    },
}

/// The number of the field that lists keys and values.
const LIST: u32 = 1;

/// A flush that was found well-formed, where it lies: nothing of it was copied, so
/// what a guest can make it hold costs its host nothing.
///
/// ```
/// # use metashrew_abi::flush::{self, Flush};
/// let message = flush::encode([(&b"name"[..], &b"ann"[..])]);
/// let flush: Flush<'_> = flush::decode(&message)?;
/// assert_eq!((flush.len(), flush.bytes()), (1, 7));
/// # Ok::<(), flush::FlushError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Flush<'a> {
    message: &'a [u8],
    pairs: usize,
    bytes: usize,
}

impl<'a> Flush<'a> {
    /// How many pairs of a key and a value it has.
    ///
    /// ```
    /// # use metashrew_abi::flush;
    /// let message = flush::encode([(&b"name"[..], &b"ann"[..])]);
    /// assert_eq!(flush::decode(&message)?.len(), 1);
    /// # Ok::<(), flush::FlushError>(())
    /// ```
    pub fn len(&self) -> usize {
        self.pairs
    }

    /// Whether it has none.
    ///
    /// ```
    /// # use metashrew_abi::flush;
    /// assert!(flush::decode(b"")?.is_empty());
    /// # Ok::<(), flush::FlushError>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.pairs == 0
    }

    /// The bytes of all its keys and values.
    ///
    /// ```
    /// # use metashrew_abi::flush;
    /// let message = flush::encode([(&b"name"[..], &b"ann"[..])]);
    /// assert_eq!(flush::decode(&message)?.bytes(), 4 + 3);
    /// # Ok::<(), flush::FlushError>(())
    /// ```
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The pairs of a key and a value, in their order.
    ///
    /// ```
    /// # use metashrew_abi::flush;
    /// let message = flush::encode([(&b"name"[..], &b"ann"[..])]);
    /// let flush = flush::decode(&message)?;
    /// assert!(flush.pairs().eq([(&b"name"[..], &b"ann"[..])]));
    /// # Ok::<(), flush::FlushError>(())
    /// ```
    pub fn pairs(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut rest = self.message;
        std::iter::from_fn(move || {
            let key = next_item(&mut rest).ok()??;
            let value = next_item(&mut rest).ok()??;
            Some((key, value))
        })
    }
}

/// The next item of the list; none at the end of the message.
fn next_item<'a>(message: &mut &'a [u8]) -> Result<Option<&'a [u8]>, DecodeError> {
    while !message.is_empty() {
        let (field, wire_type) = decode_key(message)?;
        let at = *message;
        if field == LIST {
            check_wire_type(WireType::LengthDelimited, wire_type)?;
        }
        skip_field(wire_type, field, message, DecodeContext::default())?;
        if field == LIST {
            let mut item = at.get(..at.len() - message.len()).unwrap_or_default();
            decode_varint(&mut item)?;
            return Ok(Some(item));
        }
    }
    Ok(None)
}

/// Finds the key-value pairs of a flush.
///
/// ```
/// # use metashrew_abi::flush;
/// let flush = flush::decode(&[0x0a, 1, b'k', 0x0a, 1, b'v'])?;
/// assert!(flush.pairs().eq([(&b"k"[..], &b"v"[..])]));
/// # Ok::<(), flush::FlushError>(())
/// ```
///
/// # Errors
/// If the bytes are not a `KeyValueFlush`, or the last key has no value.
pub fn decode(message: &[u8]) -> Result<Flush<'_>, FlushError> {
    let (mut items, mut bytes) = (0, 0);
    let mut rest = message;
    while let Some(item) = next_item(&mut rest)? {
        items += 1;
        bytes += item.len();
    }
    if items % 2 != 0 {
        return Err(FlushError::OddTrailingKey { items });
    }
    Ok(Flush {
        message,
        pairs: items / 2,
        bytes,
    })
}

/// Writes key-value pairs as a flush.
///
/// ```
/// # use metashrew_abi::flush;
/// let message = flush::encode([(&b"k"[..], &b"v"[..])]);
/// assert_eq!(message, [0x0a, 1, b'k', 0x0a, 1, b'v']);
/// ```
pub fn encode<'a>(pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let list = pairs
        .into_iter()
        .flat_map(|(key, value)| [key.to_vec(), value.to_vec()])
        .collect();
    KeyValueFlush { list }.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_message_is_an_empty_flush() {
        assert!(decode(&[]).unwrap().is_empty());
    }

    #[test]
    fn a_key_without_value_is_an_error() {
        assert_eq!(
            decode(&[0x0a, 1, b'k']).err(),
            Some(FlushError::OddTrailingKey { items: 1 })
        );
    }

    #[test]
    fn a_cut_message_is_an_error() {
        assert!(matches!(
            decode(&[0x0a, 9, b'k']).err(),
            Some(FlushError::Malformed(_))
        ));
    }

    #[test]
    fn unknown_fields_are_passed_over() {
        let flush = decode(&[0x10, 5, 0x0a, 1, b'k', 0x0a, 0]).unwrap();
        let pairs: Vec<_> = flush.pairs().collect();
        assert_eq!(pairs, [(&b"k"[..], &b""[..])]);
        assert_eq!((flush.len(), flush.bytes()), (1, 1));
    }

    /// What prost makes of a message, copying it.
    fn decoded_by_prost(message: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
        let list = KeyValueFlush::decode(message).ok()?.list;
        let pairs = list.chunks_exact(2);
        let whole = pairs.remainder().is_empty();
        let pairs = pairs.map(|pair| (pair[0].clone(), pair[1].clone()));
        whole.then(|| pairs.collect())
    }

    fn decoded(message: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
        let flush = decode(message).ok()?;
        let pairs: Vec<_> = flush
            .pairs()
            .map(|(key, value)| (key.to_vec(), value.to_vec()))
            .collect();
        let bytes: usize = pairs
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        assert_eq!((flush.len(), flush.bytes()), (pairs.len(), bytes));
        Some(pairs)
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(pairs: Vec<(Vec<u8>, Vec<u8>)>) {
            let message = encode(pairs.iter().map(|(k, v)| (&k[..], &v[..])));
            prop_assert_eq!(decoded(&message), Some(pairs));
        }

        #[test]
        fn any_bytes_are_decoded_as_prost_does_or_refused(bytes: Vec<u8>) {
            prop_assert_eq!(decoded(&bytes), decoded_by_prost(&bytes));
        }

        #[test]
        fn damaged_messages_are_decoded_as_prost_does_or_refused(
            pairs: Vec<(Vec<u8>, Vec<u8>)>, at: proptest::sample::Index, byte: u8,
        ) {
            let mut message = encode(pairs.iter().map(|(k, v)| (&k[..], &v[..])));
            if !message.is_empty() {
                let at = at.index(message.len());
                message[at] = byte;
            }
            prop_assert_eq!(decoded(&message), decoded_by_prost(&message));
        }
    }
}
