//! Values as bytes: fixed sizes, little-endian.

mod collections;
mod compact;
mod tuples;

pub use compact::Compact;

use super::EncodingError;

/// What a table can hold without an encoding of its own.
///
/// | type | bytes |
/// |---|---|
/// | `u8` … `u128`, `i8` … `i128` | little-endian, as [`ByteView`](metashrew_support::byte_view::ByteView) has them |
/// | [`Compact`] of these | seven bits a byte, signed ones folded |
/// | `bool` | `00` or `01` |
/// | `()` | `01` |
/// | `[T; N]` | the elements |
/// | `String`, `Vec<T>` | the bytes or elements; before other values, their number first, compact |
/// | `Option<T>` | `00`, or `01` and the value |
/// | tuples of two to six | their parts |
///
/// A struct is a value by [`record!`](crate::record), or by hand: it writes its fields one after
/// the other, and reads them back. What a value is written as before others has one byte at
/// least.
///
/// ```
/// use metashrew_core::storage::{EncodingError, Map, Value};
///
/// #[derive(Debug, PartialEq)]
/// struct Satoshi(u64);
///
/// impl Value for Satoshi {
///     fn encode(&self, bytes: &mut Vec<u8>) {
///         self.0.encode(bytes);
///     }
///
///     fn decode(input: &mut &[u8]) -> Result<Self, EncodingError> {
///         u64::decode(input).map(Self)
///     }
///
///     fn type_name() -> String {
///         "satoshi".to_owned()
///     }
/// }
///
/// const FEES: Map<u32, Satoshi> = Map::new("fees");
/// FEES.set(840_000, &Satoshi(3_762_561_499))?;
/// assert_eq!(FEES.get(840_000)?, Some(Satoshi(3_762_561_499)));
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
pub trait Value: Sized {
    /// Whether [`encode_last`](Self::encode_last) may write nothing.
    const MAY_BE_EMPTY: bool = false;

    /// Appends the value so that others can follow.
    ///
    /// ```
    /// # use metashrew_core::storage::Value;
    /// let mut bytes = Vec::new();
    /// ("ann".to_owned(), 7u8).encode(&mut bytes);
    /// assert_eq!(bytes, b"\x03ann\x07");
    /// ```
    fn encode(&self, bytes: &mut Vec<u8>);

    /// Takes a value off the front of `input`.
    ///
    /// ```
    /// # use metashrew_core::storage::Value;
    /// let mut input = &[7, 0, 1][..];
    /// assert_eq!(u16::decode(&mut input)?, 7);
    /// assert_eq!(input, [1]);
    /// # Ok::<_, metashrew_core::storage::EncodingError>(())
    /// ```
    ///
    /// # Errors
    /// If the bytes are no such value.
    fn decode(input: &mut &[u8]) -> Result<Self, EncodingError>;

    /// Appends the value where none follows. Only text and lists are shorter so.
    ///
    /// ```
    /// # use metashrew_core::storage::Value;
    /// let mut bytes = Vec::new();
    /// "ann".to_owned().encode_last(&mut bytes);
    /// assert_eq!(bytes, b"ann");
    /// ```
    fn encode_last(&self, bytes: &mut Vec<u8>) {
        self.encode(bytes);
    }

    /// Reads a value of all of `input`.
    ///
    /// ```
    /// # use metashrew_core::storage::Value;
    /// assert_eq!(String::decode_last(b"ann")?, "ann");
    /// assert!(u8::decode_last(&[7, 8]).is_err());
    /// # Ok::<_, metashrew_core::storage::EncodingError>(())
    /// ```
    ///
    /// # Errors
    /// If the bytes are no such value, or more than one.
    fn decode_last(input: &[u8]) -> Result<Self, EncodingError> {
        let mut rest = input;
        let value = Self::decode(&mut rest)?;
        nothing_left(rest)?;
        Ok(value)
    }

    /// What `__meta` calls the type.
    ///
    /// ```
    /// # use metashrew_core::storage::Value;
    /// assert_eq!(<(u32, bool)>::type_name(), "(u32, bool)");
    /// ```
    fn type_name() -> String;

    /// Appends many, one after the other.
    #[doc(hidden)]
    fn encode_each(values: &[Self], bytes: &mut Vec<u8>) {
        for value in values {
            value.encode(bytes);
        }
    }

    /// Takes as many off the front of `input`.
    #[doc(hidden)]
    fn decode_each(input: &mut &[u8], count: usize) -> Result<Vec<Self>, EncodingError> {
        let mut values = Vec::with_capacity(count.min(input.len()));
        for _ in 0..count {
            values.push(Self::decode(input)?);
        }
        Ok(values)
    }

    /// Takes an array off the front of `input`.
    #[doc(hidden)]
    fn decode_array<const N: usize>(input: &mut &[u8]) -> Result<[Self; N], EncodingError> {
        let available = input.len();
        let values = Self::decode_each(input, N)?;
        values.try_into().map_err(|_| too_few(available))
    }

    /// Reads all of `input` as values.
    #[doc(hidden)]
    fn decode_all(mut input: &[u8]) -> Result<Vec<Self>, EncodingError> {
        let mut values = Vec::new();
        while !input.is_empty() {
            values.push(Self::decode(&mut input)?);
        }
        Ok(values)
    }

    /// What a list of them is called.
    #[doc(hidden)]
    fn list_name() -> String {
        format!("[{}]", Self::type_name())
    }
}

/// Takes so many bytes off the front of `input`.
fn take_chunk<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], EncodingError> {
    let Some((bytes, rest)) = input.split_first_chunk() else {
        return Err(too_few(input.len()));
    };
    *input = rest;
    Ok(*bytes)
}

/// Takes `count` bytes off the front of `input`.
fn take<'a>(input: &mut &'a [u8], count: usize) -> Result<&'a [u8], EncodingError> {
    let Some((first, rest)) = input.split_at_checked(count) else {
        return Err(too_few(input.len()));
    };
    *input = rest;
    Ok(first)
}

fn too_few(bytes: usize) -> EncodingError {
    EncodingError::new(format!("{bytes} bytes, which is too few"))
}

fn nothing_left(input: &[u8]) -> Result<(), EncodingError> {
    match input.len() {
        0 => Ok(()),
        bytes => Err(EncodingError::new(format!(
            "{bytes} bytes more than it has"
        ))),
    }
}

fn take_byte(input: &mut &[u8]) -> Result<u8, EncodingError> {
    take_chunk(input).map(|[byte]| byte)
}

macro_rules! integers {
    ($($integer:ident),*) => {$(
        impl Value for $integer {
            fn encode(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }

            fn decode(input: &mut &[u8]) -> Result<Self, EncodingError> {
                take_chunk(input).map(Self::from_le_bytes)
            }

            fn type_name() -> String {
                stringify!($integer).to_owned()
            }
        }
    )*};
}

integers!(u16, u32, u64, u128, i8, i16, i32, i64, i128);

impl Value for u8 {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(*self);
    }

    fn decode(input: &mut &[u8]) -> Result<Self, EncodingError> {
        take_byte(input)
    }

    fn type_name() -> String {
        "u8".to_owned()
    }

    // Bytes are copied all at once.
    fn encode_each(values: &[Self], bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(values);
    }

    fn decode_each(input: &mut &[u8], count: usize) -> Result<Vec<Self>, EncodingError> {
        take(input, count).map(<[u8]>::to_vec)
    }

    fn decode_array<const N: usize>(input: &mut &[u8]) -> Result<[Self; N], EncodingError> {
        take_chunk(input)
    }

    fn decode_all(input: &[u8]) -> Result<Vec<Self>, EncodingError> {
        Ok(input.to_vec())
    }

    fn list_name() -> String {
        "bytes".to_owned()
    }
}

impl Value for bool {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(*self));
    }

    fn decode(input: &mut &[u8]) -> Result<Self, EncodingError> {
        match take_byte(input)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(EncodingError::new(format!("{other} is neither 0 nor 1"))),
        }
    }

    fn type_name() -> String {
        "bool".to_owned()
    }
}

impl Value for () {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(1);
    }

    fn decode(input: &mut &[u8]) -> Result<Self, EncodingError> {
        match take_byte(input)? {
            1 => Ok(()),
            other => Err(EncodingError::new(format!("{other} is not 1"))),
        }
    }

    fn type_name() -> String {
        "()".to_owned()
    }
}

impl<T: Value> Value for Option<T> {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.encode(bytes);
        }
    }

    fn decode(input: &mut &[u8]) -> Result<Self, EncodingError> {
        let is_some = bool::decode(input)?;
        is_some.then(|| T::decode(input)).transpose()
    }

    fn encode_last(&self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.encode_last(bytes);
        }
    }

    fn decode_last(mut input: &[u8]) -> Result<Self, EncodingError> {
        if bool::decode(&mut input)? {
            return T::decode_last(input).map(Some);
        }
        nothing_left(input)?;
        Ok(None)
    }

    fn type_name() -> String {
        format!("{}?", T::type_name())
    }
}

#[cfg(test)]
mod tests;
