//! A bounded amount of something: who takes of it gives it back.

use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
pub(crate) struct Meter {
    limit: usize,
    taken: AtomicUsize,
}

impl Meter {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            taken: AtomicUsize::new(0),
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes so much, unless that makes more than there may be. Answers whether it did.
    #[must_use]
    pub(crate) fn take(&self, amount: usize) -> bool {
        let added = |taken: usize| {
            let sum = taken.checked_add(amount);
            sum.filter(|sum| *sum <= self.limit)
        };
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, added)
            .is_ok()
    }

    /// Gives back what was taken.
    pub(crate) fn give_back(&self, amount: usize) {
        self.taken.fetch_sub(amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_may_be() {
        let meter = Meter::new(10);
        assert!(meter.take(7) && !meter.take(4) && !meter.take(usize::MAX));
        assert!(meter.take(3) && meter.take(0));
        assert_eq!((meter.taken(), meter.limit()), (10, 10));
        meter.give_back(7);
        assert!(meter.take(4));
        assert_eq!(meter.taken(), 7);
    }
}
