//! A position in bytes that moves forward, or not at all.

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// Why reading went no further; [`ParseError`](super::ParseError) without what
/// only the whole block tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    Short,
    Trailing { bytes: usize },
    WitnessFlag { flag: u8 },
    NoWitness,
    NonMinimal,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Flaw> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Flaw::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Flaw> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Flaw::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Bitcoin's integer of variable length, as a count of things here: a larger
    /// one than memory can hold reads as the largest.
    pub(super) fn length(&mut self) -> Result<usize, Flaw> {
        let [first] = *self.array()?;
        let (long, least): (u64, u64) = match first {
            0xff => (u64::from_le_bytes(*self.array()?), 1 << 32),
            0xfe => (u32::from_le_bytes(*self.array()?).into(), 1 << 16),
            0xfd => (u16::from_le_bytes(*self.array()?).into(), 0xfd),
            small => return Ok(small.into()),
        };
        if long < least {
            return Err(Flaw::NonMinimal);
        }
        Ok(usize::try_from(long).unwrap_or(usize::MAX))
    }

    /// Bytes with their length in front.
    pub(super) fn sized(&mut self) -> Result<&'a [u8], Flaw> {
        let length = self.length()?;
        self.take(length)
    }

    /// What lies between here and `later`, a later position in the same bytes.
    pub(super) fn until(&self, later: &Self) -> &'a [u8] {
        let length = self.rest.len().saturating_sub(later.rest.len());
        self.rest.get(..length).unwrap_or_default()
    }
}
