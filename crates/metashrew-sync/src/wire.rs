//! Reads the consensus encoding in place. Whatever does not fit is none.

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.0.len()
    }

    /// The next bytes, without taking them.
    pub(crate) fn peek(&self, length: usize) -> Option<&'a [u8]> {
        self.0.get(..length)
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A length or count (`CompactSize`); none if it is written in more bytes than it
    /// takes: no node writes it so, and nothing commits to how a count is written.
    pub(crate) fn compact(&mut self) -> Option<u64> {
        let [first] = self.array()?;
        let (value, least) = match first {
            0xfd => (self.array().map(u16::from_le_bytes)?.into(), 0xfd),
            0xfe => (self.array().map(u32::from_le_bytes)?.into(), 1 << 16),
            0xff => (self.array().map(u64::from_le_bytes)?, 1 << 32),
            small => (small.into(), 0),
        };
        (value >= least).then_some(value)
    }

    /// Bytes with their length before them.
    pub(crate) fn sized(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.compact()?).ok()?;
        self.take(length)
    }

    /// What was read between this place and a later one.
    pub(crate) fn until(&self, later: &Self) -> &'a [u8] {
        self.0
            .get(..self.0.len() - later.0.len())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_their_shortest_form_only() {
        let check = |bytes: &[u8], expected: Option<u64>| {
            assert_eq!(Wire::new(bytes).compact(), expected, "{bytes:02x?}");
        };
        check(&[0xfc], Some(0xfc));
        check(&[0xfd, 0xfc, 0], None);
        check(&[0xfd, 0xfd, 0], Some(0xfd));
        check(&[0xfe, 0xff, 0xff, 0, 0], None);
        check(&[0xfe, 0, 0, 1, 0], Some(0x1_0000));
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], None);
        check(&[0xff, 0, 0, 0, 0, 1, 0, 0, 0], Some(1 << 32));
        check(&[0xfe, 0, 0, 1], None);
        check(&[], None);
    }
}
