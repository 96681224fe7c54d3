//! A range entry by entry.

use super::merge::{Merge, Want};
use super::{Entry, MAX_BYTES, Range, RangeError};
use crate::cache;

/// What the host is asked for first; later as much as was answered before, up to the most. So
/// the first entry of a long range costs little, and so does each of many.
const LEAST: Want = Want {
    count: 16,
    bytes: 16 << 10,
};
const MOST: Want = Want {
    count: 4096,
    bytes: 1 << 20,
};

/// The entries of a range, in its order: made by [`Range::iter`]. It ends after an error.
///
/// ```
/// # use metashrew_core::range::{Range, RangeError};
/// let mut entries = Range::prefix("").max_bytes(usize::MAX).iter();
/// assert!(matches!(entries.next(), Some(Err(RangeError::MaxBytes { .. }))));
/// assert!(entries.next().is_none());
/// ```
#[derive(Debug)]
pub struct Entries {
    /// An error is told once.
    merge: Result<Merge, Option<RangeError>>,
    /// How many more may come.
    left: usize,
    max_bytes: usize,
    answered: Want,
}

impl Entries {
    pub(super) fn new(range: &Range) -> Self {
        let max_bytes = range.page_bytes();
        Self {
            left: range.limit.unwrap_or(usize::MAX),
            max_bytes: *max_bytes.as_ref().unwrap_or(&MAX_BYTES),
            merge: max_bytes.and_then(|_| range.merge()).map_err(Some),
            answered: Want::default(),
        }
    }

    fn advance(&mut self) -> Result<Option<Entry>, RangeError> {
        let merge = match &mut self.merge {
            Ok(merge) => merge,
            Err(error) => return error.take().map_or(Ok(None), Err),
        };
        if self.left == 0 {
            return Ok(None);
        }
        let most = self.max_bytes;
        let want = Want {
            count: self
                .answered
                .count
                .clamp(LEAST.count, MOST.count)
                .min(self.left),
            bytes: self.answered.bytes.clamp(LEAST.bytes, MOST.bytes).min(most),
        };
        let entry = cache::with_own(|own| {
            let entry = merge.next(own, want);
            // An entry that is larger than what one would like to hold is fetched alone.
            entry.or_else(|_| {
                merge.next(
                    own,
                    Want {
                        count: 1,
                        bytes: most,
                    },
                )
            })
        });
        let Some(entry) = entry.map_err(|large| large.error(most))? else {
            return Ok(None);
        };
        if entry.counted() > most {
            return Err(RangeError::EntryTooLarge {
                bytes: entry.counted(),
                max_bytes: most,
                key: entry.key,
            });
        }
        self.left -= 1;
        self.answered.count += 1;
        self.answered.bytes = self.answered.bytes.saturating_add(entry.counted());
        Ok(Some(entry))
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, RangeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.advance().transpose();
        if !matches!(entry, Some(Ok(_))) {
            self.left = 0;
        }
        entry
    }
}
