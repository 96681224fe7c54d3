//! Arrays whose values are counted while they are read: what is too many is not kept.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// How many values the array `text` has. Each is passed to `take` until this takes no
/// more (and says `false`); those that follow are no more than counted.
pub(crate) fn each<'a>(
    text: &'a str,
    take: impl FnMut(&'a RawValue) -> bool,
) -> serde_json::Result<usize> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let count = parser.deserialize_seq(Each(take))?;
    parser.end()?;
    Ok(count)
}

struct Each<F>(F);

impl<'de, F: FnMut(&'de RawValue) -> bool> Visitor<'de> for Each<F> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut listed: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while let Some(value) = listed.next_element()? {
            count += 1;
            if !(self.0)(value) {
                break;
            }
        }
        while listed.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, most: usize, expect: &[&str], count: usize) {
        let mut taken = Vec::new();
        let counted = each(text, |value| {
            taken.push(value.get());
            taken.len() < most
        });
        assert_eq!(counted.unwrap(), count, "{text}");
        assert_eq!(taken, expect, "{text}");
    }

    #[test]
    fn what_follows_is_counted() {
        check("[]", 2, &[], 0);
        check("[1]", 2, &["1"], 1);
        check(r#"[ 1 , {"a": []} ]"#, 2, &["1", r#"{"a": []}"#], 2);
        check("[1,2,[3,4],5]", 2, &["1", "2"], 4);
    }

    #[test]
    fn what_is_no_array_is_an_error() {
        for text in [
            "",
            "[",
            "[1",
            "[1,]",
            "[1]2",
            "{}",
            "7",
            "[1,2,3,",
            "[1,2,3 4]",
        ] {
            assert!(each(text, |_| false).is_err(), "{text}");
        }
    }
}
