//! The codec of `KeyValueFlush`: what a guest hands over when a block is done.
//!
//! Wire format (protobuf): field 1, repeated bytes: key, value, key, value…

use bytes::Bytes;
use prost::Message;

/// Why a flush could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlushError {
    /// The bytes are not a `KeyValueFlush`.
    #[error("the flush is not a `KeyValueFlush` message: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// The list ends with a key that has no value.
    #[error("the flush lists {items} items: the last key has no value")]
    OddTrailingKey {
        /// How many items the list holds.
        items: usize,
    },
}

/// `KeyValueFlush` with its items as slices of one shared buffer.
#[derive(Clone, PartialEq, Message)]
struct SharedFlush {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    list: Vec<Bytes>,
}

/// Reads the key-value pairs of a flush, in their order, without copying them.
///
/// # Errors
/// If the bytes are not a `KeyValueFlush`, or the last key has no value.
pub fn decode(message: Bytes) -> Result<impl Iterator<Item = (Bytes, Bytes)>, FlushError> {
    let list = SharedFlush::decode(message)?.list;
    if !list.len().is_multiple_of(2) {
        return Err(FlushError::OddTrailingKey { items: list.len() });
    }
    let mut items = list.into_iter();
    Ok(std::iter::from_fn(move || items.next().zip(items.next())))
}

/// Writes key-value pairs as a flush.
pub fn encode<'a>(pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let list = pairs
        .into_iter()
        .flat_map(|(key, value)| [key, value])
        .map(Bytes::copy_from_slice)
        .collect();
    SharedFlush { list }.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_message_is_an_empty_flush() {
        assert_eq!(decode(Bytes::new()).unwrap().count(), 0);
    }

    #[test]
    fn a_key_without_value_is_an_error() {
        let message = Bytes::from_static(&[0x0a, 1, b'k']);
        assert_eq!(
            decode(message).err(),
            Some(FlushError::OddTrailingKey { items: 1 })
        );
    }

    #[test]
    fn a_cut_message_is_an_error() {
        let message = Bytes::from_static(&[0x0a, 9, b'k']);
        assert!(matches!(
            decode(message).err(),
            Some(FlushError::Malformed(_))
        ));
    }

    #[test]
    fn unknown_fields_are_passed_over() {
        let message = Bytes::from_static(&[0x10, 5, 0x0a, 1, b'k', 0x0a, 0]);
        let pairs: Vec<_> = decode(message).unwrap().collect();
        assert_eq!(pairs, [(Bytes::from_static(b"k"), Bytes::new())]);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(pairs: Vec<(Vec<u8>, Vec<u8>)>) {
            let message = encode(pairs.iter().map(|(k, v)| (&k[..], &v[..])));
            let back: Vec<_> = decode(message.into()).unwrap().map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
            prop_assert_eq!(back, pairs);
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
            if let Ok(pairs) = decode(bytes.into()) {
                pairs.for_each(drop);
            }
        }
    }
}
