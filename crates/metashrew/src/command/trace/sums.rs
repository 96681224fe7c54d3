//! What a run did, summed up by the guest's functions.

use std::collections::BTreeMap;
use std::time::Duration;

/// What one function of the guest asked the host for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    /// Calls of host functions.
    pub(super) calls: u64,
    /// Keys read.
    pub(super) reads: u64,
    /// Ranges walked over.
    pub(super) ranges: u64,
    /// Keys found in them.
    pub(super) found: u64,
    /// Keys written.
    pub(super) writes: u64,
    /// The time in the host.
    pub(super) host: Duration,
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.reads += other.reads;
        self.ranges += other.ranges;
        self.found += other.found;
        self.writes += other.writes;
        self.host += other.host;
    }
}

/// The sums of all functions. There are no more than the guest has functions.
#[derive(Debug, Default)]
pub(super) struct Sums(BTreeMap<String, Sum>);

impl Sums {
    pub(super) fn add(&mut self, function: &str, what: &Sum) {
        match self.0.get_mut(function) {
            Some(sum) => sum.add(what),
            None => {
                self.0.insert(function.to_owned(), *what);
            }
        }
    }

    /// The functions, those with the most time in the host first.
    pub(super) fn by_time(&self) -> Vec<(&str, &Sum)> {
        let mut sums: Vec<_> = self.0.iter().map(|(name, sum)| (&**name, sum)).collect();
        sums.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.host));
        sums
    }

    /// All together.
    pub(super) fn total(&self) -> Sum {
        let mut total = Sum::default();
        self.0.values().for_each(|sum| total.add(sum));
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_add_up() {
        let mut sums = Sums::default();
        let read = |millis| Sum {
            calls: 1,
            reads: 1,
            host: Duration::from_millis(millis),
            ..Sum::default()
        };
        sums.add("a", &read(1));
        sums.add("b", &read(5));
        sums.add("a", &read(2));
        let by_time = sums.by_time();
        assert_eq!(by_time[0], ("b", &read(5)));
        let twice = Sum {
            calls: 2,
            reads: 2,
            ..read(3)
        };
        assert_eq!(by_time[1], ("a", &twice));
        assert_eq!(sums.total().host, Duration::from_millis(8));
    }
}
