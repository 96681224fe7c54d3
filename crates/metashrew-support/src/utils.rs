//! Reading bytes from a cursor, and keys for people.

use crate::byte_view::ByteView;
use crate::compat;
use anyhow::{Result, bail};
use std::fmt::Write;
use std::io::Cursor;

/// `v` in Bitcoin's consensus encoding.
///
/// ```
/// use metashrew_support::utils::consensus_encode;
///
/// let coin = bitcoin::OutPoint::null();
/// assert_eq!(consensus_encode(&coin)?.len(), 36);
/// # anyhow::Ok(())
/// ```
#[cfg(feature = "bitcoin")]
pub fn consensus_encode<T: bitcoin::consensus::Encodable>(v: &T) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    v.consensus_encode(&mut bytes)?;
    Ok(bytes)
}

/// Reads a value in Bitcoin's consensus encoding and moves past it.
///
/// ```
/// use bitcoin::Amount;
/// use metashrew_support::utils::consensus_decode;
///
/// let mut cursor = std::io::Cursor::new(vec![7, 0, 0, 0, 0, 0, 0, 0, 9]);
/// assert_eq!(consensus_decode::<Amount>(&mut cursor)?, Amount::from_sat(7));
/// assert_eq!(cursor.position(), 8);
/// # anyhow::Ok(())
/// ```
#[cfg(feature = "bitcoin")]
pub fn consensus_decode<T: bitcoin::consensus::Decodable>(
    cursor: &mut Cursor<Vec<u8>>,
) -> Result<T> {
    let (value, length) = bitcoin::consensus::deserialize_partial(remaining_slice(cursor))?;
    advance(cursor, length);
    Ok(value)
}

/// Reads an integer of its own size and moves past it.
///
/// ```
/// use metashrew_support::utils::consume_sized_int;
///
/// let mut cursor = std::io::Cursor::new(vec![2, 1, 9]);
/// assert_eq!(consume_sized_int::<u16>(&mut cursor)?, 258);
/// # anyhow::Ok(())
/// ```
pub fn consume_sized_int<T: ByteView>(cursor: &mut Cursor<Vec<u8>>) -> Result<T> {
    Ok(T::from_bytes(consume_exact(cursor, size_of::<T>())?))
}

/// Everything from the cursor on, which moves to the end.
///
/// ```
/// use metashrew_support::utils::{consume_exact, consume_to_end};
///
/// let mut cursor = std::io::Cursor::new(b"key=value".to_vec());
/// consume_exact(&mut cursor, 4)?;
/// assert_eq!(consume_to_end(&mut cursor)?, b"value");
/// # anyhow::Ok(())
/// ```
pub fn consume_to_end(cursor: &mut Cursor<Vec<u8>>) -> Result<Vec<u8>> {
    let rest = remaining_slice(cursor).to_vec();
    advance(cursor, rest.len());
    Ok(rest)
}

/// The next `n` bytes; the cursor moves past them.
///
/// ```
/// use metashrew_support::utils::consume_exact;
///
/// let mut cursor = std::io::Cursor::new(b"abc".to_vec());
/// assert_eq!(consume_exact(&mut cursor, 2)?, b"ab");
/// assert!(consume_exact(&mut cursor, 2).is_err());
/// # anyhow::Ok(())
/// ```
///
/// # Errors
/// If there are fewer; the cursor stays where it is then, and nothing of that
/// size is allocated.
pub fn consume_exact(cursor: &mut Cursor<Vec<u8>>, n: usize) -> Result<Vec<u8>> {
    let rest = remaining_slice(cursor);
    let Some(taken) = rest.get(..n) else {
        bail!("wanted {n} bytes, but {} are left", rest.len());
    };
    let taken = taken.to_vec();
    advance(cursor, n);
    Ok(taken)
}

/// Reads Bitcoin's integer of variable length: one byte, or `0xfd`, `0xfe`,
/// `0xff` and two, four or eight more.
///
/// ```
/// use metashrew_support::utils::consume_varint;
///
/// let mut cursor = std::io::Cursor::new(vec![7, 0xfd, 0, 1]);
/// assert_eq!(consume_varint(&mut cursor)?, 7);
/// assert_eq!(consume_varint(&mut cursor)?, 256);
/// # anyhow::Ok(())
/// ```
pub fn consume_varint(cursor: &mut Cursor<Vec<u8>>) -> Result<u64> {
    Ok(match consume_sized_int::<u8>(cursor)? {
        0xff => consume_sized_int::<u64>(cursor)?,
        0xfe => consume_sized_int::<u32>(cursor)?.into(),
        0xfd => consume_sized_int::<u16>(cursor)?.into(),
        small => small.into(),
    })
}

/// Reads 16 bytes as an integer, little-endian.
///
/// ```
/// use metashrew_support::utils::consume_u128;
///
/// let mut cursor = std::io::Cursor::new(258u128.to_le_bytes().to_vec());
/// assert_eq!(consume_u128(&mut cursor)?, 258);
/// # anyhow::Ok(())
/// ```
pub fn consume_u128(cursor: &mut Cursor<Vec<u8>>) -> Result<u128> {
    consume_sized_int(cursor)
}

/// Whether nothing is left.
///
/// ```
/// use metashrew_support::utils::{consume_to_end, is_empty};
///
/// let mut cursor = std::io::Cursor::new(vec![1]);
/// assert!(!is_empty(&mut cursor));
/// consume_to_end(&mut cursor)?;
/// assert!(is_empty(&mut cursor));
/// # anyhow::Ok(())
/// ```
pub fn is_empty(cursor: &mut Cursor<Vec<u8>>) -> bool {
    remaining_slice(cursor).is_empty()
}

/// Everything from the cursor on; the cursor stays.
///
/// ```
/// use metashrew_support::utils::remaining_slice;
///
/// let mut cursor = std::io::Cursor::new(b"abc".to_vec());
/// cursor.set_position(1);
/// assert_eq!(remaining_slice(&mut cursor), b"bc");
/// ```
pub fn remaining_slice(cursor: &mut Cursor<Vec<u8>>) -> &[u8] {
    let start = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
    cursor.get_ref().get(start..).unwrap_or_default()
}

/// A copy of the buffer whose data starts at `ptr`; its length stands before it.
///
/// ```
/// use metashrew_support::compat::export_bytes;
/// use metashrew_support::utils::ptr_to_vec;
///
/// assert_eq!(ptr_to_vec(export_bytes(b"answer".to_vec())), b"answer");
/// ```
///
/// # Panics
/// If `ptr` names no buffer.
#[allow(
    unsafe_code,
    reason = "the signature is fixed; the host vouches for the pointers it hands out"
)]
pub fn ptr_to_vec(ptr: i32) -> Vec<u8> {
    // SAFETY: a guest calls this with a pointer of its own or its host's making.
    let data = unsafe { compat::read_buffer(ptr) };
    data.unwrap_or_else(|| panic!("the pointer {ptr:#x} names no buffer"))
}

/// A key for people: split at `/`, parts that are not ASCII as hex.
///
/// ```
/// use metashrew_support::utils::format_key;
///
/// assert_eq!(format_key(&b"blocks/\x01\xff/hash".to_vec()), "/blocks/01ff/hash");
/// ```
#[allow(clippy::ptr_arg, reason = "the signature is fixed")]
pub fn format_key(v: &Vec<u8>) -> String {
    let mut text = String::new();
    for part in v
        .split(|&byte| byte == b'/')
        .filter(|part| !part.is_empty())
    {
        text.push('/');
        match std::str::from_utf8(part) {
            Ok(part) if part.is_ascii() => text.push_str(part),
            _ => part
                .iter()
                .for_each(|byte| write!(text, "{byte:02x}").expect("writing to a string succeeds")),
        }
    }
    text
}

fn advance(cursor: &mut Cursor<Vec<u8>>, by: usize) {
    cursor.set_position(cursor.position() + by as u64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compat::{to_arraybuffer_layout, to_passback_ptr};

    fn cursor(bytes: &[u8]) -> Cursor<Vec<u8>> {
        Cursor::new(bytes.to_vec())
    }

    #[test]
    fn bytes_are_consumed_in_order() {
        let mut c = cursor(&[1, 2, 0, 3, 4, 5]);
        assert_eq!(consume_sized_int::<u8>(&mut c).unwrap(), 1);
        assert_eq!(consume_sized_int::<u16>(&mut c).unwrap(), 2);
        assert_eq!(remaining_slice(&mut c), [3, 4, 5]);
        assert_eq!(consume_exact(&mut c, 1).unwrap(), [3]);
        assert!(!is_empty(&mut c));
        assert_eq!(consume_to_end(&mut c).unwrap(), [4, 5]);
        assert!(is_empty(&mut c));
        assert_eq!(consume_to_end(&mut c).unwrap(), [0u8; 0]);
    }

    #[test]
    fn too_few_bytes_are_an_error_and_leave_the_cursor() {
        let mut c = cursor(&[1, 2, 3]);
        let error = consume_exact(&mut c, usize::MAX).unwrap_err();
        assert!(error.to_string().ends_with("but 3 are left"), "{error}");
        assert!(consume_u128(&mut c).is_err());
        assert_eq!(c.position(), 0);
    }

    #[test]
    fn a_cursor_past_the_end_is_empty() {
        let mut c = cursor(&[1]);
        c.set_position(9);
        assert!(is_empty(&mut c));
        assert_eq!(remaining_slice(&mut c), [0u8; 0]);
    }

    #[test]
    fn varints_have_four_sizes() {
        let check = |bytes: &[u8], expect: u64| {
            let mut c = cursor(bytes);
            assert_eq!(consume_varint(&mut c).unwrap(), expect);
            assert!(is_empty(&mut c));
        };
        check(&[0xfc], 0xfc);
        check(&[0xfd, 0, 1], 256);
        check(&[0xfe, 0, 0, 1, 0], 65536);
        check(&[0xff, 0, 0, 0, 0, 1, 0, 0, 0], 1 << 32);
        assert!(consume_varint(&mut cursor(&[0xfd, 0])).is_err());
    }

    #[test]
    fn a_u128_is_little_endian() {
        let mut bytes = [0; 16];
        bytes[15] = 1;
        assert_eq!(consume_u128(&mut cursor(&bytes)).unwrap(), 1 << 120);
    }

    #[test]
    fn a_pointer_becomes_its_bytes() {
        let mut buffer = to_arraybuffer_layout(b"value");
        assert_eq!(ptr_to_vec(to_passback_ptr(&mut buffer)), b"value");
    }

    #[test]
    #[should_panic(expected = "names no buffer")]
    fn a_pointer_to_nothing_panics() {
        ptr_to_vec(0);
    }

    #[test]
    fn keys_are_split_at_slashes() {
        let check = |key: &[u8], expect: &str| assert_eq!(format_key(&key.to_vec()), expect);
        check(b"", "");
        check(b"a", "/a");
        check(b"/a//b/", "/a/b");
        check(b"a/\xff\x00/b", "/a/ff00/b");
        check("a/ü".as_bytes(), "/a/c3bc");
    }

    #[cfg(feature = "bitcoin")]
    #[test]
    fn consensus_values_come_back_and_the_cursor_moves() {
        use bitcoin::OutPoint;
        let value = OutPoint::new("11".repeat(32).parse().unwrap(), 7);
        let mut bytes = consensus_encode(&value).unwrap();
        assert_eq!(bytes.len(), 36);
        bytes.push(9);
        let mut c = Cursor::new(bytes);
        assert_eq!(consensus_decode::<OutPoint>(&mut c).unwrap(), value);
        assert_eq!(remaining_slice(&mut c), [9]);
        assert!(consensus_decode::<OutPoint>(&mut c).is_err());
    }
}
