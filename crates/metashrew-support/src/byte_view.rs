//! Integers as little-endian bytes: how guests store numbers.

/// A value with one byte form.
///
/// ```
/// use metashrew_support::byte_view::ByteView;
///
/// assert_eq!(258u32.to_bytes(), [2, 1, 0, 0]);
/// assert_eq!(u32::from_bytes(vec![2, 1, 0, 0]), 258);
/// ```
pub trait ByteView {
    /// Reads a value.
    ///
    /// ```
    /// # use metashrew_support::byte_view::ByteView;
    /// assert_eq!(u16::from_bytes(vec![2, 1]), 258);
    /// ```
    ///
    /// # Panics
    /// The integers panic unless `v` has exactly their size.
    fn from_bytes(v: Vec<u8>) -> Self;
    /// The bytes that [`from_bytes`](ByteView::from_bytes) reads back.
    ///
    /// ```
    /// # use metashrew_support::byte_view::ByteView;
    /// assert_eq!(258u16.to_bytes(), [2, 1]);
    /// ```
    fn to_bytes(&self) -> Vec<u8>;
    /// The largest value.
    ///
    /// ```
    /// # use metashrew_support::byte_view::ByteView;
    /// assert_eq!(u8::maximum(), 255);
    /// ```
    fn maximum() -> Self;
    /// What an absent value reads as.
    ///
    /// ```
    /// # use metashrew_support::byte_view::ByteView;
    /// assert_eq!(u64::zero(), 0);
    /// ```
    fn zero() -> Self;

    /// [`from_bytes`](ByteView::from_bytes) of a copy; the integers need none.
    ///
    /// ```
    /// # use metashrew_support::byte_view::ByteView;
    /// assert_eq!(u32::from_slice(&[2, 1, 0, 0]), 258);
    /// ```
    ///
    /// # Panics
    /// Where `from_bytes` does.
    #[must_use]
    fn from_slice(bytes: &[u8]) -> Self
    where
        Self: Sized,
    {
        Self::from_bytes(bytes.to_vec())
    }

    /// Writes [`to_bytes`](ByteView::to_bytes) behind what `bytes` holds; the integers
    /// allocate nothing for it.
    ///
    /// ```
    /// # use metashrew_support::byte_view::ByteView;
    /// let mut key = b"/at/".to_vec();
    /// 7u16.append_to(&mut key);
    /// assert_eq!(key, b"/at/\x07\x00");
    /// ```
    fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_bytes());
    }
}

macro_rules! byte_view_of_integers {
    ($($integer:ty),*) => {$(
        impl ByteView for $integer {
            fn from_bytes(v: Vec<u8>) -> Self {
                Self::from_slice(&v)
            }

            fn from_slice(bytes: &[u8]) -> Self {
                let bytes = bytes.try_into().unwrap_or_else(|_| {
                    panic!(
                        "incorrect length: a {} has {} bytes, not {}",
                        stringify!($integer),
                        size_of::<$integer>(),
                        bytes.len(),
                    )
                });
                Self::from_le_bytes(bytes)
            }

            fn append_to(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }

            fn to_bytes(&self) -> Vec<u8> {
                self.to_le_bytes().to_vec()
            }

            fn maximum() -> Self {
                Self::MAX
            }

            fn zero() -> Self {
                0
            }
        }
    )*};
}

byte_view_of_integers!(u8, u16, u32, u64, u128, usize);

/// `b` without its first `v` bytes; empty if it has no more than that.
///
/// ```
/// use metashrew_support::byte_view::shrink_back;
///
/// assert_eq!(shrink_back(b"/at/7".to_vec(), 4), b"7");
/// ```
pub fn shrink_back(b: Vec<u8>, v: usize) -> Vec<u8> {
    let mut rest = b;
    rest.drain(..v.min(rest.len()));
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn zero_and_maximum_are_the_bounds() {
        assert_eq!((u8::zero(), u8::maximum()), (0, u8::MAX));
        assert_eq!((u128::zero(), u128::maximum()), (0, u128::MAX));
        assert_eq!((usize::zero(), usize::maximum()), (0, usize::MAX));
    }

    #[test]
    #[should_panic(expected = "incorrect length: a u16 has 2 bytes, not 3")]
    fn a_wrong_length_panics() {
        u16::from_bytes(vec![1, 2, 3]);
    }

    #[test]
    fn shrinking_drops_from_the_front() {
        assert_eq!(shrink_back(vec![1, 2, 3], 0), [1, 2, 3]);
        assert_eq!(shrink_back(vec![1, 2, 3], 2), [3]);
        assert_eq!(shrink_back(vec![1, 2, 3], 3), [0u8; 0]);
        assert_eq!(shrink_back(vec![1, 2, 3], 9), [0u8; 0]);
    }

    proptest! {
        #[test]
        fn integers_come_back(a: u8, b: u16, c: u32, d: u64, e: u128) {
            prop_assert_eq!(u8::from_bytes(a.to_bytes()), a);
            prop_assert_eq!(u16::from_bytes(b.to_bytes()), b);
            prop_assert_eq!(u32::from_bytes(c.to_bytes()), c);
            prop_assert_eq!(u64::from_bytes(d.to_bytes()), d);
            prop_assert_eq!(u128::from_bytes(e.to_bytes()), e);
        }

        #[test]
        fn bytes_are_little_endian(value: u64) {
            let mut bytes = value.to_bytes();
            bytes.reverse();
            prop_assert_eq!(bytes, value.to_be_bytes());
        }
    }
}
