//! The memory that all instances have together, and how much of it each may count
//! on.

use parking_lot::Mutex;

/// What every busy instance gets at least, in bytes, whatever the others take; half of
/// its share if that is less.
const MAX_ASSURED: usize = 64 * 1024 * 1024;

/// Bytes within a limit. What an instance has beyond the assured part comes from what
/// is left when every place has its assured part: so a view that hoards memory fails
/// before another one does.
pub(super) struct Budget {
    limit: usize,
    assured: usize,
    limit_beyond: usize,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    all: usize,
    /// What instances have beyond their assured parts.
    beyond: usize,
}

impl Budget {
    pub(super) fn new(limit: usize, instances: usize) -> Self {
        let assured = (limit / instances / 2).min(MAX_ASSURED);
        Self {
            limit,
            assured,
            limit_beyond: limit - assured * instances,
            used: Mutex::default(),
        }
    }

    /// Takes `bytes` for an instance that `has` some; false if there are not so many.
    pub(super) fn take(&self, has: usize, bytes: usize) -> bool {
        let mut used = self.used.lock();
        let beyond = self.beyond(has.saturating_add(bytes)) - self.beyond(has);
        let (all, beyond) = (
            used.all.saturating_add(bytes),
            used.beyond.saturating_add(beyond),
        );
        let fits = all <= self.limit && beyond <= self.limit_beyond;
        if fits {
            *used = Used { all, beyond };
        }
        fits
    }

    /// As [`Budget::take`], beyond the limit too.
    pub(super) fn overdraw(&self, has: usize, bytes: usize) {
        let mut used = self.used.lock();
        used.all += bytes;
        used.beyond += self.beyond(has + bytes) - self.beyond(has);
    }

    /// Takes all back that an instance `has`.
    pub(super) fn give_back(&self, has: usize) {
        let mut used = self.used.lock();
        used.all -= has;
        used.beyond -= self.beyond(has);
    }

    pub(super) fn used(&self) -> usize {
        self.used.lock().all
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    fn beyond(&self, bytes: usize) -> usize {
        bytes.saturating_sub(self.assured)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_that_hoards_leaves_the_others_their_part() {
        let budget = Budget::new(1000, 4);
        assert!(budget.take(0, 125) && budget.take(125, 500));
        assert!(!budget.take(625, 1), "the rest is assured to others");
        for _ in 0..3 {
            assert!(budget.take(0, 125));
        }
        assert!(!budget.take(0, 1));
        budget.give_back(625);
        assert!(budget.take(125, 500));
    }

    proptest! {
        #[test]
        fn whoever_is_within_the_assured_part_is_never_refused(
            limit in 0..10_000_usize,
            steps in proptest::collection::vec((0..4_usize, 1..3_000_usize, any::<bool>()), 0..100),
        ) {
            let budget = Budget::new(limit, 4);
            let mut has = [0_usize; 4];
            for (which, bytes, leaves) in steps {
                if leaves {
                    budget.give_back(has[which]);
                    has[which] = 0;
                } else if budget.take(has[which], bytes) {
                    has[which] += bytes;
                } else {
                    prop_assert!(has[which] + bytes > budget.assured);
                }
                prop_assert_eq!(budget.used(), has.iter().sum::<usize>());
                prop_assert!(budget.used() <= limit);
            }
        }
    }
}
