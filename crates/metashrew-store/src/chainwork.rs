//! The work in a chain of blocks: a number of 256 bits.

use std::fmt;

/// How many hashes a chain took to make, on average: a number of 256 bits.
///
/// `Display` and `Debug` print 64 hex digits, as Bitcoin Core's `chainwork` does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Chainwork([u8; 32]);

impl Chainwork {
    /// No work.
    pub const ZERO: Self = Self([0; 32]);

    /// The largest number that fits.
    pub const MAX: Self = Self([u8::MAX; 32]);

    /// The number whose bytes, the most significant one first, are `bytes`.
    pub const fn from_be_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, the most significant one first.
    pub const fn as_be_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The sum; none if it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let mut sum = [0; 32];
        let mut carry = false;
        let digits = self.0.into_iter().zip(other.0).rev();
        for (target, (left, right)) in sum.iter_mut().rev().zip(digits) {
            let (partial, first) = left.overflowing_add(right);
            let (total, second) = partial.overflowing_add(u8::from(carry));
            *target = total;
            carry = first || second;
        }
        (!carry).then_some(Self(sum))
    }

    /// The sum, or [`Chainwork::MAX`] if it does not fit.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        self.checked_add(other).unwrap_or(Self::MAX)
    }
}

impl fmt::Display for Chainwork {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(hex::Buffer::<32>::new().format(&self.0))
    }
}

impl fmt::Debug for Chainwork {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn small(value: u128) -> Chainwork {
        let mut bytes = [0; 32];
        bytes[16..].copy_from_slice(&value.to_be_bytes());
        Chainwork::from_be_bytes(bytes)
    }

    #[test]
    fn it_prints_all_digits() {
        let genesis = small(0x1_0001_0001);
        assert_eq!(genesis.to_string(), format!("{:0>64}", "100010001"));
        assert_eq!(format!("{genesis:?}"), genesis.to_string());
    }

    #[test]
    fn carries_go_all_the_way_up() {
        let one = small(1);
        assert_eq!(Chainwork::MAX.checked_add(one), None);
        assert_eq!(Chainwork::MAX.saturating_add(one), Chainwork::MAX);
        assert_eq!(
            Chainwork::MAX.checked_add(Chainwork::ZERO),
            Some(Chainwork::MAX)
        );
        let mut carried = [0; 32];
        carried[15] = 1;
        assert_eq!(
            small(u128::MAX).checked_add(one),
            Some(Chainwork::from_be_bytes(carried))
        );
    }

    proptest! {
        #[test]
        fn it_adds_and_orders_as_numbers_do(left in any::<u64>(), right in any::<u64>()) {
            let (a, b) = (small(left.into()), small(right.into()));
            prop_assert_eq!(a.checked_add(b), Some(small(u128::from(left) + u128::from(right))));
            prop_assert_eq!(a.cmp(&b), left.cmp(&right));
        }

        #[test]
        fn it_adds_any_two_in_either_order(left in any::<[u8; 32]>(), right in any::<[u8; 32]>()) {
            let (a, b) = (Chainwork::from_be_bytes(left), Chainwork::from_be_bytes(right));
            let sum = a.checked_add(b);
            prop_assert_eq!(sum, b.checked_add(a));
            prop_assert_eq!(sum.is_none(), left.map(|byte| !byte) < right);
            prop_assert!(sum.is_none_or(|sum| sum >= a && sum >= b));
        }
    }
}
