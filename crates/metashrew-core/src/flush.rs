//! Writes a `KeyValueFlush` straight into the buffer that the host reads.

/// Field 1, length-delimited.
const ITEM: u8 = 0x0a;

/// A flush in the making: four bytes for the length, then the message.
#[derive(Debug)]
pub(crate) struct FlushBuffer {
    bytes: Vec<u8>,
}

impl FlushBuffer {
    /// A buffer with room for `pairs` of `bytes` altogether.
    pub(crate) fn with_capacity(pairs: usize, bytes: usize) -> Self {
        // A tag and a length of up to three bytes for each key and value.
        let mut buffer = Vec::with_capacity(4 + bytes + pairs * 8);
        buffer.extend([0; 4]);
        Self { bytes: buffer }
    }

    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) {
        for item in [key, value] {
            self.bytes.push(ITEM);
            self.push_varint(item.len());
            self.bytes.extend_from_slice(item);
        }
    }

    /// Seven bits a byte, the lowest first; the top bit says that more follow.
    fn push_varint(&mut self, mut number: usize) {
        loop {
            let [low, ..] = number.to_le_bytes();
            number >>= 7;
            if number == 0 {
                return self.bytes.push(low & 0x7f);
            }
            self.bytes.push(low | 0x80);
        }
    }

    /// The finished buffer, length word in front.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let length = self.bytes.len() - 4;
        let length = u32::try_from(length).expect("a wasm32 buffer is below 4 GiB");
        if let Some(word) = self.bytes.first_chunk_mut() {
            *word = length.to_le_bytes();
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metashrew_abi::{buffer, flush};
    use proptest::prelude::*;

    fn message(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let mut buffer = FlushBuffer::with_capacity(0, 0);
        for (key, value) in pairs {
            buffer.push(key, value);
        }
        let bytes = buffer.finish();
        buffer::at(&bytes, 4).unwrap().to_vec()
    }

    #[test]
    fn an_empty_flush_is_an_empty_message() {
        assert_eq!(message(&[]), [0u8; 0]);
    }

    #[test]
    fn lengths_of_several_bytes_are_read_back() {
        for length in [0x7f, 0x80, 0x3fff, 0x4000, 1 << 21] {
            let pairs = [(vec![1; length], vec![])];
            assert_eq!(message(&pairs), flush::encode([(&pairs[0].0[..], &[][..])]));
        }
    }

    proptest! {
        #[test]
        fn the_message_is_the_codecs(pairs: Vec<(Vec<u8>, Vec<u8>)>) {
            let expect = flush::encode(pairs.iter().map(|(k, v)| (&k[..], &v[..])));
            prop_assert_eq!(message(&pairs), expect);
        }
    }
}
