//! What a view's run read, to tell which blocks may change what came of it.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::ranges::Ranges;

/// Bytes that a key counts for beside its own: its place in a sorted set, and the allocation.
pub(super) const KEY_OVERHEAD: usize = 64;

/// Bytes that a range counts for beside those of its bounds.
pub(super) const RANGE_OVERHEAD: usize = 2 * KEY_OVERHEAD;

/// A range of keys from the first to the second, which is not in it; none is the end of all
/// keys.
type Range = (Box<[u8]>, Option<Box<[u8]>>);

/// What a call of a view read: see
/// [`MetashrewRuntime::recorded_call`](crate::MetashrewRuntime::recorded_call).
///
/// The same call has the same outcome on another state, as long as nothing was written to any of
/// these keys between the two, and the height is the same or [does not
/// matter](ViewReads::has_height).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ViewReads {
    /// In order, and in none of the ranges.
    keys: Vec<Box<[u8]>>,
    /// In order, each apart from the next.
    ranges: Vec<Range>,
    has_height: bool,
    bytes: usize,
}

impl ViewReads {
    pub(super) fn new(keys: BTreeSet<Vec<u8>>, ranges: &Ranges, has_height: bool) -> Self {
        let single = keys.into_iter().filter(|key| !ranges.contain(key));
        let keys: Vec<_> = single.map(Vec::into_boxed_slice).collect();
        let listed = ranges.iter();
        let ranges: Vec<Range> = listed
            .map(|(start, end)| (start.into(), end.map(Into::into)))
            .collect();
        let of_keys = keys.iter().map(|key| key.len() + KEY_OVERHEAD);
        let of_ranges = ranges.iter().map(|(start, end)| {
            start.len() + end.as_ref().map_or(0, |end| end.len()) + RANGE_OVERHEAD
        });
        Self {
            bytes: of_keys.chain(of_ranges).sum(),
            keys,
            ranges,
            has_height,
        }
    }

    /// The keys that were read one by one, in order, absent ones too, but for those in a range.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.keys.iter().map(|key| &**key)
    }

    /// The ranges that were walked over, as far as they were, in order and apart from each
    /// other: from a key to another one, which is not in the range, or to the end of all keys.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = (&[u8], Option<&[u8]>)> {
        self.ranges
            .iter()
            .map(|(start, end)| (&**start, end.as_deref()))
    }

    /// Whether the height may matter: the view loaded its input, which begins with it. A view
    /// that did not answers at every height from the keys alone, whatever its guest promises.
    pub fn has_height(&self) -> bool {
        self.has_height
    }

    /// The memory that they take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether one of the keys that were read is among `written`, which are in order. It takes
    /// as many steps as the shorter list is long, each of them a search in the longer one.
    pub fn touched_by<K: AsRef<[u8]>>(&self, written: &[K]) -> bool {
        meet(&self.keys, written, |read, written| {
            (**read).cmp(written.as_ref())
        }) || meet(&self.ranges, written, order_of_range)
    }
}

/// Where a range is, seen from a key: equal if the key is in it.
fn order_of_range<K: AsRef<[u8]>>((start, end): &Range, key: &K) -> Ordering {
    let key = key.as_ref();
    if **start > *key {
        Ordering::Greater
    } else if end.as_ref().is_some_and(|end| **end <= *key) {
        Ordering::Less
    } else {
        Ordering::Equal
    }
}

/// Whether one of these is equal to one of the others. Both are in order.
fn meet<A, B>(these: &[A], others: &[B], order: impl Fn(&A, &B) -> Ordering) -> bool {
    if these.len() <= others.len() {
        are_found(these, others, |other, this| order(this, other).reverse())
    } else {
        are_found(others, these, order)
    }
}

/// Whether one of the few is found among the many.
fn are_found<A, B>(few: &[A], mut many: &[B], order: impl Fn(&B, &A) -> Ordering) -> bool {
    few.iter().any(|one| {
        let found = many.binary_search_by(|other| order(other, one));
        // The next of the few is behind this one.
        let behind = found.err().unwrap_or_default();
        many = many.get(behind..).unwrap_or_default();
        found.is_ok()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Keys of up to two bytes of four values.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(0_u8..4, 0..3)
    }

    proptest! {
        /// One by one, the keys say the same.
        #[test]
        fn reads_are_touched_by_the_keys_that_are_in_them(
            keys in proptest::collection::btree_set(key(), 0..6),
            added in proptest::collection::vec((key(), proptest::option::of(key())), 0..3),
            written in proptest::collection::btree_set(key(), 0..6),
        ) {
            let mut ranges = Ranges::default();
            for (start, end) in &added {
                ranges.add(start, end.as_deref());
            }
            let reads = ViewReads::new(keys.clone(), &ranges, false);
            let is_in = |key: &Vec<u8>| keys.contains(key) || ranges.contain(key);
            let expect = written.iter().any(is_in);
            let written: Vec<_> = written.into_iter().collect();
            prop_assert_eq!(reads.touched_by(&written), expect, "{:?}", reads);
            let listed: Vec<_> = reads.keys().collect();
            prop_assert!(listed.is_sorted_by(|one, next| one < next));
            prop_assert!(listed.iter().all(|key| !ranges.contain(key)));
        }
    }
}
