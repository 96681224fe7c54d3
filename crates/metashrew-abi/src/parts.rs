//! What the requests and answers of the module `metashrew` are made of: numbers, and parts
//! with their length in front (both u32, little-endian).

/// Keys or pairs that one call asks for at most.
///
/// ```
/// # use metashrew_abi::{MAX_PAIRS, many};
/// let request = many::encode(vec![&b""[..]; MAX_PAIRS + 1]);
/// assert!(many::Keys::decode(&request).is_err());
/// ```
pub const MAX_PAIRS: usize = 65_536;

/// Bytes that are no request, or no answer, of the kind expected.
///
/// ```
/// # use metashrew_abi::many;
/// let refused = many::decode_answer(&[9]).err().unwrap();
/// assert_eq!(refused.to_string(), "malformed: it ends within a number");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed: {0}")]
pub struct Malformed(pub(crate) &'static str);

/// Bytes of a length.
pub(crate) const LENGTH_BYTES: usize = 4;

/// Adds `number` to `bytes`.
pub(crate) fn put_number(bytes: &mut Vec<u8>, number: u32) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

/// Adds `part`, its length in front, to `bytes`.
pub(crate) fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    put_number(bytes, length(part));
    bytes.extend_from_slice(part);
}

/// The length of `part`.
pub(crate) fn length(part: &[u8]) -> u32 {
    u32::try_from(part.len()).expect("keys and values are far below 4 GiB")
}

/// The memory for `length` bytes, in bytes: what there is, if it is enough, else twice as much,
/// if that is not more than `limit`. So one that grows is seldom moved.
pub(crate) fn room(capacity: usize, length: usize, limit: usize) -> usize {
    if length <= capacity {
        return capacity;
    }
    length.max(limit.min(capacity.saturating_mul(2).max(LEAST_ROOM)))
}

/// Bytes that an answer begins with.
const LEAST_ROOM: usize = 1024;

/// Takes one byte from the front of `bytes`.
pub(crate) fn take_byte(bytes: &mut &[u8]) -> Result<u8, Malformed> {
    let (byte, rest) = bytes
        .split_first()
        .ok_or(Malformed("it ends before a byte that must be there"))?;
    *bytes = rest;
    Ok(*byte)
}

/// Takes a number from the front of `bytes`.
pub(crate) fn take_number(bytes: &mut &[u8]) -> Result<u32, Malformed> {
    let (number, rest) = bytes
        .split_first_chunk::<LENGTH_BYTES>()
        .ok_or(Malformed("it ends within a number"))?;
    *bytes = rest;
    Ok(u32::from_le_bytes(*number))
}

/// Takes a part with its length in front from the front of `bytes`.
pub(crate) fn take<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = take_number(bytes)?;
    let (part, rest) = usize::try_from(length)
        .ok()
        .and_then(|length| bytes.split_at_checked(length))
        .ok_or(Malformed("a length reaches beyond the end"))?;
    *bytes = rest;
    Ok(part)
}

/// The parts that `bytes` consist of, as far as they are well-formed.
pub(crate) fn all(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || take(&mut bytes).ok())
}
