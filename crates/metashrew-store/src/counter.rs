//! A counter that many threads add to without disturbing each other.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// More than there are cores to use them on most machines.
const STRIPES: usize = 16;

/// One part of a counter, alone in its cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(AtomicU64);

/// The sum of its stripes; each thread adds to one.
#[derive(Debug, Default)]
pub(crate) struct Counter([Stripe; STRIPES]);

static NEXT_STRIPE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static STRIPE: usize = NEXT_STRIPE.fetch_add(1, Ordering::Relaxed) % STRIPES;
}

impl Counter {
    /// Adds one.
    pub(crate) fn add(&self) {
        let stripe = STRIPE.with(|stripe| *stripe);
        if let Some(Stripe(count)) = self.0.get(stripe) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.0
            .iter()
            .map(|Stripe(count)| count.load(Ordering::Relaxed))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_threads() {
        let counter = Counter::default();
        std::thread::scope(|scope| {
            for _ in 0..STRIPES + 3 {
                scope.spawn(|| (0..1_000).for_each(|_| counter.add()));
            }
        });
        assert_eq!(counter.total(), 1_000 * (STRIPES as u64 + 3));
    }
}
