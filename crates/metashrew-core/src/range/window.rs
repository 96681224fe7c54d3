//! The keys between two keys, as far as they are still to come.

use crate::host::MAX_KEY_BYTES;
use std::ops::Bound;

/// The keys from `start` on and before `end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start: Vec<u8>,
    /// `None`: to the end of all keys.
    pub(crate) end: Option<Vec<u8>>,
    pub(crate) descending: bool,
}

impl Window {
    pub(crate) fn of_prefix(prefix: &[u8]) -> Self {
        // The first key behind the prefix's: its last byte that can be raised is.
        let raised = prefix.iter().rposition(|byte| *byte < u8::MAX);
        let end = raised.and_then(|at| {
            let (last, rest) = prefix.get(..=at)?.split_last()?;
            Some([rest, &[last + 1]].concat())
        });
        Self {
            start: prefix.to_vec(),
            end,
            descending: false,
        }
    }

    pub(crate) fn between(start: Vec<u8>, end: Vec<u8>) -> Self {
        Self {
            start,
            end: (!end.is_empty()).then_some(end),
            descending: false,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }

    /// Whether a key of the state may be in it.
    pub(crate) fn may_have(&self, key: &[u8]) -> bool {
        let below = match &self.end {
            Some(end) => key < &**end,
            None => true,
        };
        *self.start <= *key && below && key.len() <= MAX_KEY_BYTES
    }

    /// Goes on behind a key that is in it.
    pub(crate) fn pass(&mut self, key: &[u8]) {
        if self.descending {
            self.end.get_or_insert_with(Vec::new).clear();
            self.end.get_or_insert_with(Vec::new).extend(key);
            return;
        }
        self.start.clear();
        self.start.extend(key);
        self.start.push(0);
    }

    /// Whether `a` comes before `b` in its order.
    pub(crate) fn is_before(&self, a: &[u8], b: &[u8]) -> bool {
        if self.descending { b < a } else { a < b }
    }

    /// Its bounds, for the map that is asked; it must not be empty, which maps do not take.
    pub(crate) fn bounds(&self) -> (Bound<&Vec<u8>>, Bound<&Vec<u8>>) {
        let end = self.end.as_ref();
        (
            Bound::Included(&self.start),
            end.map_or(Bound::Unbounded, Bound::Excluded),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_end_of_a_prefix_is_the_first_key_behind_it() {
        let check = |prefix: &[u8], end: Option<&[u8]>| {
            assert_eq!(Window::of_prefix(prefix).end.as_deref(), end, "{prefix:?}");
        };
        check(b"", None);
        check(b"a", Some(b"b"));
        check(b"a\xff\xff", Some(b"b"));
        check(b"\xff", None);
        check(b"\xff\xfe", Some(b"\xff\xff"));
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![Just(0), Just(1), Just(254), Just(255)], 0..4)
    }

    proptest! {
        #[test]
        fn a_prefix_has_the_keys_that_begin_with_it(prefix in key(), key in key()) {
            let window = Window::of_prefix(&prefix);
            prop_assert_eq!(window.may_have(&key), key.starts_with(&prefix));
        }

        #[test]
        fn what_was_passed_does_not_come_again(
            start in key(), end in key(), passed in key(), key in key(), descending: bool,
        ) {
            let mut window = Window::between(start, end);
            window.descending = descending;
            prop_assume!(window.may_have(&passed));
            let before = window.clone();
            window.pass(&passed);
            let expect = before.may_have(&key) && before.is_before(&passed, &key);
            prop_assert_eq!(!window.is_empty() && window.may_have(&key), expect);
        }
    }
}
