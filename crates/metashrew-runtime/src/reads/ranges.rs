//! Ranges of keys, none of which touches another.

use std::collections::BTreeMap;
use std::ops::Bound;

/// The end of a range, which is not in it; none is the end of all keys.
pub(crate) type End = Option<Vec<u8>>;

/// Ranges of keys, in order, each apart from the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ranges(BTreeMap<Vec<u8>, End>);

/// Whether `end` is at or behind `other`.
fn reaches(end: Option<&[u8]>, other: Option<&[u8]>) -> bool {
    match (end, other) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(end), Some(other)) => end >= other,
    }
}

/// Whether there can be a key from `start` to `end`.
pub(crate) fn is_range(start: &[u8], end: Option<&[u8]>) -> bool {
    end.is_none_or(|end| start < end)
}

impl Ranges {
    /// The last range that begins at or before `key`.
    fn at_or_before(&self, key: &[u8]) -> Option<(&Vec<u8>, &End)> {
        let up_to = (Bound::Unbounded, Bound::Included(key));
        self.0.range::<[u8], _>(up_to).next_back()
    }

    /// Adds the keys from `start` to `end`.
    pub(crate) fn add(&mut self, start: &[u8], end: Option<&[u8]>) {
        if !is_range(start, end) || self.covers(start, end) {
            return;
        }
        let (mut first, mut last) = (start.to_vec(), end.map(<[u8]>::to_vec));
        if let Some((before, its_end)) = self.at_or_before(start)
            && reaches(its_end.as_deref(), Some(start))
        {
            first.clone_from(before);
        }
        // Those that begin within the new one, or where it ends, become a part of it.
        loop {
            let within = (Bound::Included(&first[..]), Bound::Unbounded);
            let next = self.0.range::<[u8], _>(within).next();
            let Some((begin, _)) = next.filter(|next| reaches(last.as_deref(), Some(next.0)))
            else {
                break;
            };
            let begin = begin.clone();
            if let Some(its_end) = self.0.remove(&begin)
                && !reaches(last.as_deref(), its_end.as_deref())
            {
                last = its_end;
            }
        }
        self.0.insert(first, last);
    }

    /// Whether every key from `start` to `end` is in one of them.
    pub(crate) fn covers(&self, start: &[u8], end: Option<&[u8]>) -> bool {
        if !is_range(start, end) {
            return true;
        }
        let range = self.at_or_before(start);
        range.is_some_and(|(_, its_end)| reaches(its_end.as_deref(), end))
    }

    /// Whether `key` is in one of them.
    pub(crate) fn contain(&self, key: &[u8]) -> bool {
        let range = self.at_or_before(key);
        range.is_some_and(|(_, end)| is_range(key, end.as_deref()))
    }

    /// Each, in order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], Option<&[u8]>)> {
        let ranges = self.0.iter();
        ranges.map(|(start, end)| (&start[..], end.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Keys of up to two bytes of three values.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(0_u8..3, 0..3)
    }

    fn all_keys() -> Vec<Vec<u8>> {
        let mut keys = vec![vec![]];
        for first in 0..3 {
            keys.push(vec![first]);
            keys.extend((0..3).map(|second| vec![first, second]));
        }
        keys
    }

    proptest! {
        /// The keys that may be, one by one, say the same.
        #[test]
        fn ranges_are_sets_of_keys(
            added in proptest::collection::vec((key(), proptest::option::of(key())), 0..6),
            asked in (key(), proptest::option::of(key())),
        ) {
            let is_in = |key: &Vec<u8>, (start, end): &(Vec<u8>, End)| {
                key >= start && end.as_ref().is_none_or(|end| key < end)
            };
            let mut ranges = Ranges::default();
            for (start, end) in &added {
                ranges.add(start, end.as_deref());
            }
            let model = |key: &Vec<u8>| added.iter().any(|range| is_in(key, range));
            for key in all_keys() {
                prop_assert_eq!(ranges.contain(&key), model(&key), "{:?}", key);
            }
            if ranges.covers(&asked.0, asked.1.as_deref()) {
                prop_assert!(all_keys().iter().filter(|key| is_in(key, &asked)).all(model));
            }
            for (start, end) in &added {
                prop_assert!(ranges.covers(start, end.as_deref()));
            }
            let listed: Vec<_> = ranges.iter().collect();
            for pair in listed.windows(2) {
                let (Some(end), next) = (pair[0].1, pair[1].0) else {
                    return Err(TestCaseError::fail("one without end is not the last"));
                };
                prop_assert!(end < next, "they touch");
            }
            prop_assert!(listed.iter().all(|(start, end)| is_range(start, *end)));
        }
    }
}
