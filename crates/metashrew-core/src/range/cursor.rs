//! Where a page ended.

/// A place in a range: behind a key, in the order of the range.
///
/// A client that pages gets it as bytes and sends them back. Bytes that a client made up are
/// no danger: a range refuses a cursor that is not inside of it
/// ([`CursorOutside`](super::RangeError::CursorOutside)), so they name no other prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub(super) Vec<u8>);

impl Cursor {
    /// The cursor as bytes: the key that it is behind.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.clone()
    }

    /// The cursor that [`to_bytes`](Self::to_bytes) made the bytes of, or behind any key.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }
}
