//! Values as few bytes: numbers take one byte for every seven bits.

/// A value as it is written.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Writes a number.
    pub fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        let mut rest = number.into();
        while rest > 0x7f {
            self.bytes.push(low_bits(rest) | 0x80);
            rest >>= 7;
        }
        self.bytes.push(low_bits(rest));
        self
    }

    /// Writes a number that may be negative; small ones of either sign are short.
    pub fn signed(&mut self, number: i64) -> &mut Self {
        let folded = (number << 1) ^ (number >> 63);
        self.number(u64::from_le_bytes(folded.to_le_bytes()))
    }

    /// Writes bytes; their count is known to who reads them.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The value.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

/// The seven lowest bits.
fn low_bits(number: u64) -> u8 {
    (number & 0x7f) as u8
}

/// A value as it is read. Reading panics if the value is not what was written: a
/// guest meets no values but its own.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `value` from its start.
    pub fn new(value: &'a [u8]) -> Self {
        Self { rest: value }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads a number.
    ///
    /// # Panics
    /// If the value ends, or the number is too large for its type.
    pub fn number<T: TryFrom<u64>>(&mut self) -> T {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.raw();
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        T::try_from(number).unwrap_or_else(|_| panic!("a stored number is too large: {number}"))
    }

    /// Reads a number that may be negative.
    pub fn signed(&mut self) -> i64 {
        let number: u64 = self.number();
        let unfolded = (number >> 1) ^ (number & 1).wrapping_neg();
        i64::from_le_bytes(unfolded.to_le_bytes())
    }

    /// Reads bytes.
    ///
    /// # Panics
    /// If the value ends.
    pub fn raw<const N: usize>(&mut self) -> [u8; N] {
        let (bytes, rest) = self
            .rest
            .split_first_chunk()
            .expect("a stored value is whole");
        self.rest = rest;
        *bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in [
            0,
            1,
            0x7f,
            0x80,
            0x3fff,
            0x4000,
            u64::from(u32::MAX),
            u64::MAX,
        ] {
            let value = Writer::default().number(number).raw(b"x").finish();
            let mut reader = Reader::new(&value);
            assert_eq!(reader.number::<u64>(), number);
            assert_eq!(reader.raw(), *b"x");
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn signed_numbers_come_back_and_are_short() {
        for (number, length) in [
            (0, 1),
            (-1, 1),
            (63, 1),
            (-64, 1),
            (64, 2),
            (i64::MIN, 10),
            (i64::MAX, 10),
        ] {
            let value = Writer::default().signed(number).finish();
            assert_eq!(Reader::new(&value).signed(), number);
            assert_eq!(value.len(), length, "{number}");
        }
    }

    #[test]
    #[should_panic(expected = "too large: 256")]
    fn a_number_too_large_for_its_type_panics() {
        let value = Writer::default().number(256u32).finish();
        Reader::new(&value).number::<u8>();
    }
}
