//! What two runs of a block wrote, compared key by key.

use std::cmp::Ordering;
use std::iter::Peekable;

use metashrew_store::WriteSet;

/// A key that one wrote and the other did not, or with another value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Difference<'a> {
    pub(crate) key: &'a [u8],
    /// What the first wrote there.
    pub(crate) first: Option<&'a [u8]>,
    /// What the second wrote there.
    pub(crate) second: Option<&'a [u8]>,
}

/// Where two write sets differ, in the order of the keys.
pub(crate) fn differences<'a>(
    first: &'a WriteSet,
    second: &'a WriteSet,
) -> impl Iterator<Item = Difference<'a>> {
    let (mut first, mut second) = (first.sorted().peekable(), second.sorted().peekable());
    let both = std::iter::from_fn(move || next(&mut first, &mut second));
    both.filter(|pair| pair.first != pair.second)
}

type Pair<'a> = (&'a [u8], &'a [u8]);

/// The next key of either, with what both wrote there.
fn next<'a>(
    first: &mut Peekable<impl Iterator<Item = Pair<'a>>>,
    second: &mut Peekable<impl Iterator<Item = Pair<'a>>>,
) -> Option<Difference<'a>> {
    let order = match (first.peek(), second.peek()) {
        (None, None) => return None,
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (Some((first, _)), Some((second, _))) => first.cmp(second),
    };
    let of_first = first.next_if(|_| order.is_le());
    let of_second = second.next_if(|_| order.is_ge());
    let key = of_first.or(of_second)?.0;
    Some(Difference {
        key,
        first: of_first.map(|pair| pair.1),
        second: of_second.map(|pair| pair.1),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn writes(pairs: &[(&str, &str)]) -> WriteSet {
        let mut writes = WriteSet::default();
        for (key, value) in pairs {
            writes.insert(key, value).unwrap();
        }
        writes
    }

    #[test]
    fn each_key_that_differs_is_told_with_both_values() {
        let first = writes(&[("d", "1"), ("a", "1"), ("c", "1"), ("f", "")]);
        let second = writes(&[("b", "2"), ("a", "1"), ("c", "2"), ("e", "")]);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let told: BTreeMap<_, _> = differences(&first, &second)
            .map(|it| (text(it.key), (it.first.map(text), it.second.map(text))))
            .collect();
        let some = |value: &str| Some(value.to_owned());
        let expect = BTreeMap::from([
            ("b".to_owned(), (None, some("2"))),
            ("c".to_owned(), (some("1"), some("2"))),
            ("d".to_owned(), (some("1"), None)),
            ("e".to_owned(), (None, some(""))),
            ("f".to_owned(), (some(""), None)),
        ]);
        assert_eq!(told, expect);
        assert_eq!(differences(&first, &first).next(), None);
    }
}
