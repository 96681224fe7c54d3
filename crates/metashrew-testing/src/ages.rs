//! How old the outputs are that blocks spend: a parameter of generated chains.

use crate::proportions::SAME_BLOCK;
use crate::rng::Rng;

/// A distribution of the ages of spent outputs, in blocks.
///
/// Steps of an age and the share of inputs, of a thousand, that spend outputs of at
/// most that age; the spends of the same block are among them. Between two steps
/// every age is as likely as the next. What is beyond the last step, or older than the
/// chain, may be of any age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ages(&'static [(u32, u64)]);

impl Ages {
    /// All outputs of earlier blocks are spent alike, however old they are.
    pub const ANY: Self = Self(&[(0, SAME_BLOCK)]);

    /// As on mainnet.
    ///
    /// - In the same block: as counted, see [`SAME_BLOCK`].
    /// - Within 10 blocks 41%, most within 100: BIP 455 (draft of 2026), "Rationale".
    /// - Within a day (144 blocks) 71% in 74,947 inputs of February 2017
    ///   (monero-project/monero#1673), 80% in all blocks up to February 2021 (Liu,
    ///   Zhang, Zhao: "Deciphering Bitcoin Blockchain Data by Cohort Analysis",
    ///   Scientific Data 9, 2022, figure 3). Here: 76%.
    /// - Within a week 84%, a month 89%, a year 97 to 98% in the former; within a month
    ///   95% in the latter. Here: 87%, 92.5%, 98.5%.
    ///
    /// The other steps are between these on a logarithmic scale.
    pub const MAINNET: Self = Self(&[
        (0, SAME_BLOCK),
        (1, 335),
        (10, 410),
        (36, 580),
        (144, 760),
        (432, 822),
        (1_008, 870),
        (4_320, 925),
        (13_140, 952),
        (52_560, 985),
    ]);

    /// The steps: ages, and shares of a thousand.
    pub fn steps(&self) -> &[(u32, u64)] {
        self.0
    }

    /// The age of an output that is not of the same block; none if it may be any.
    pub(crate) fn draw(&self, rng: &mut Rng) -> Option<u32> {
        let &(mut oldest, mut share) = self.0.first()?;
        let drawn = share + rng.below(1_000 - share.min(1_000));
        for &(age, next) in self.0.iter().skip(1) {
            if (share..next).contains(&drawn) {
                let ages = u64::from(age.saturating_sub(oldest));
                let younger = u32::try_from(rng.below(ages)).unwrap_or(u32::MAX);
                return Some(oldest.saturating_add(1).saturating_add(younger));
            }
            (oldest, share) = (age, next);
        }
        None
    }
}
