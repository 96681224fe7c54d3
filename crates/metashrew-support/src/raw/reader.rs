//! A position in bytes that moves forward, or not at all.

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(taken)
    }

    /// Bitcoin's integer of variable length, as a count of things here: a larger
    /// one than memory can hold reads as the largest.
    pub(super) fn length(&mut self) -> Option<usize> {
        let [first] = *self.array()?;
        let long = match first {
            0xff => u64::from_le_bytes(*self.array()?),
            0xfe => u32::from_le_bytes(*self.array()?).into(),
            0xfd => u16::from_le_bytes(*self.array()?).into(),
            small => return Some(small.into()),
        };
        Some(usize::try_from(long).unwrap_or(usize::MAX))
    }

    /// What lies between here and `later`, a later position in the same bytes.
    pub(super) fn until(&self, later: &Self) -> &'a [u8] {
        let length = self.rest.len().saturating_sub(later.rest.len());
        self.rest.get(..length).unwrap_or_default()
    }
}
