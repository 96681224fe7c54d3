//! Where a page ended.

/// A place in a range: behind a key, in the order of the range.
///
/// A client that pages gets it as bytes and sends them back. Bytes that a client made up are
/// no danger: a range refuses a cursor that is not inside of it
/// ([`CursorOutside`](super::RangeError::CursorOutside)), so they name no other prefix.
///
/// ```
/// # use metashrew_core::range::{Cursor, Range, RangeError};
/// let foreign = Cursor::from_bytes("/secret/1");
/// let page = Range::prefix("/balance/").after(&foreign).page();
/// assert_eq!(page, Err(RangeError::CursorOutside));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub(super) Vec<u8>);

impl Cursor {
    /// The cursor as bytes: the key that it is behind.
    ///
    /// ```
    /// # use metashrew_core::range::Cursor;
    /// assert_eq!(Cursor::from_bytes("a/1").to_bytes(), b"a/1");
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.clone()
    }

    /// The cursor that [`to_bytes`](Self::to_bytes) made the bytes of, or behind any key.
    ///
    /// ```
    /// # use metashrew_core::range::Cursor;
    /// let cursor = Cursor::from_bytes(b"a/1".to_vec());
    /// assert_eq!(Cursor::from_bytes(cursor.to_bytes()), cursor);
    /// ```
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }
}
