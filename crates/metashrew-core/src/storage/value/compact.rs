//! Integers in as few bytes as their value needs.

use super::{EncodingError, Value, take_byte};

/// An integer stored seven bits a byte, the lowest first: LEB128. Signed ones are folded first, so
/// that numbers near zero are short: 0, -1, 1, -2, …
///
/// ```
/// use metashrew_core::storage::{Compact, Map};
///
/// const AMOUNTS: Map<u32, Compact<u128>> = Map::new("amounts");
/// AMOUNTS.set(1, &Compact(300))?;
/// assert_eq!(AMOUNTS.get(1)?, Some(Compact(300)));
/// assert_eq!(*metashrew_core::get(AMOUNTS.stored_key(1).into()), [0xac, 0x02]);
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Compact<T>(pub T);

impl<T> From<T> for Compact<T> {
    fn from(number: T) -> Self {
        Self(number)
    }
}

const DATA: u8 = 0x7f;
const MORE: u8 = 0x80;

pub(super) fn encode(mut number: u128, bytes: &mut Vec<u8>) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            bytes.push(low & DATA);
            return;
        }
        bytes.push(low | MORE);
    }
}

pub(super) fn decode(input: &mut &[u8]) -> Result<u128, EncodingError> {
    let mut number = 0;
    for shift in (0..u128::BITS).step_by(7) {
        let byte = take_byte(input)?;
        let data = u128::from(byte & DATA);
        let shifted = data << shift;
        if shifted >> shift != data {
            break;
        }
        number |= shifted;
        if byte & MORE == 0 {
            // One form a number: no zeros at its end.
            if byte == 0 && shift > 0 {
                return Err(EncodingError::new(
                    "a compact number is longer than it need be",
                ));
            }
            return Ok(number);
        }
    }
    Err(EncodingError::new(
        "a compact number has more than 128 bits",
    ))
}

fn too_large(name: &str) -> EncodingError {
    EncodingError::new(format!("a compact number is no {name}"))
}

macro_rules! compact_unsigned {
    ($($integer:ident),*) => {$(
        impl Value for Compact<$integer> {
            fn encode(&self, bytes: &mut Vec<u8>) {
                encode(self.0.into(), bytes);
            }

            fn decode(input: &mut &[u8]) -> Result<Self, EncodingError> {
                let number = $integer::try_from(decode(input)?);
                number.map(Self).map_err(|_| too_large(stringify!($integer)))
            }

            fn type_name() -> String {
                concat!("compact ", stringify!($integer)).to_owned()
            }
        }
    )*};
}

macro_rules! compact_signed {
    ($($integer:ident),*) => {$(
        impl Value for Compact<$integer> {
            fn encode(&self, bytes: &mut Vec<u8>) {
                encode(fold(self.0.into()), bytes);
            }

            fn decode(input: &mut &[u8]) -> Result<Self, EncodingError> {
                let number = $integer::try_from(unfold(decode(input)?));
                number.map(Self).map_err(|_| too_large(stringify!($integer)))
            }

            fn type_name() -> String {
                concat!("compact ", stringify!($integer)).to_owned()
            }
        }
    )*};
}

compact_unsigned!(u8, u16, u32, u64, u128);
compact_signed!(i8, i16, i32, i64, i128);

/// 0, -1, 1, -2, … as 0, 1, 2, 3, …
fn fold(number: i128) -> u128 {
    let doubled = u128::from_le_bytes((number << 1).to_le_bytes());
    let sign = u128::from_le_bytes((number >> 127).to_le_bytes());
    doubled ^ sign
}

fn unfold(folded: u128) -> i128 {
    let half = i128::from_le_bytes((folded >> 1).to_le_bytes());
    if folded & 1 == 0 { half } else { !half }
}
