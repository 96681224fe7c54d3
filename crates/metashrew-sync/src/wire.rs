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

    /// A length or count (`CompactSize`).
    pub(crate) fn compact(&mut self) -> Option<u64> {
        let [first] = self.array()?;
        match first {
            0xfd => self.array().map(u16::from_le_bytes).map(u64::from),
            0xfe => self.array().map(u32::from_le_bytes).map(u64::from),
            0xff => self.array().map(u64::from_le_bytes),
            small => Some(u64::from(small)),
        }
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
