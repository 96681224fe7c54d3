//! Text, lists and arrays as values.

use super::{EncodingError, Value, compact, take, too_few};

/// A number of elements or bytes, each of which has one byte at least.
fn decode_count(input: &mut &[u8]) -> Result<usize, EncodingError> {
    let count = usize::try_from(compact::decode(input)?).ok();
    // A count that the bytes cannot hold costs no memory.
    let count = count.filter(|count| *count <= input.len());
    count.ok_or_else(|| too_few(input.len()))
}

fn encode_count(count: usize, bytes: &mut Vec<u8>) {
    // No length has more than 64 bits.
    compact::encode(count as u128, bytes);
}

impl Value for String {
    const MAY_BE_EMPTY: bool = true;

    fn encode(&self, bytes: &mut Vec<u8>) {
        encode_count(self.len(), bytes);
        self.encode_last(bytes);
    }

    fn decode(input: &mut &[u8]) -> Result<Self, EncodingError> {
        let length = decode_count(input)?;
        Self::decode_last(take(input, length)?)
    }

    fn encode_last(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.as_bytes());
    }

    fn decode_last(input: &[u8]) -> Result<Self, EncodingError> {
        let text = std::str::from_utf8(input);
        text.map(str::to_owned)
            .map_err(|error| EncodingError::new(error.to_string()))
    }

    fn type_name() -> String {
        "string".to_owned()
    }
}

impl<T: Value> Value for Vec<T> {
    const MAY_BE_EMPTY: bool = true;

    fn encode(&self, bytes: &mut Vec<u8>) {
        encode_count(self.len(), bytes);
        T::encode_each(self, bytes);
    }

    fn decode(input: &mut &[u8]) -> Result<Self, EncodingError> {
        let count = decode_count(input)?;
        T::decode_each(input, count)
    }

    fn encode_last(&self, bytes: &mut Vec<u8>) {
        T::encode_each(self, bytes);
    }

    fn decode_last(input: &[u8]) -> Result<Self, EncodingError> {
        T::decode_all(input)
    }

    fn type_name() -> String {
        T::list_name()
    }
}

impl<T: Value, const N: usize> Value for [T; N] {
    fn encode(&self, bytes: &mut Vec<u8>) {
        const { assert!(N > 0, "an array of no elements has no bytes to store") }
        T::encode_each(self, bytes);
    }

    fn decode(input: &mut &[u8]) -> Result<Self, EncodingError> {
        T::decode_array(input)
    }

    fn type_name() -> String {
        format!("[{}; {N}]", T::type_name())
    }
}
