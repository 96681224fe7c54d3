//! The path and the query of a request's target: percent-encoding, and pairs of names and
//! values. What is not as it should be is an error, not a guess.

use metashrew_runtime::ViewAt;
use percent_encoding::percent_decode_str;
use serde::de::IgnoredAny;

use crate::fault::RpcError;
use crate::input;
use crate::params::{hex_of_text, invalid, view_at};
use crate::request::is_shallow;

/// Pairs that a query may have.
const MAX_PAIRS: usize = 100;

/// The parameters that give a view's input as it is.
const INPUTS: [&str; 3] = ["input", "json", "text"];

/// The pairs of a query in their order. No name is there twice.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what stands behind `?`.
    pub(crate) fn parse(query: &str) -> Result<Self, RpcError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = form_decoded(name).map_err(|reason| invalid(Some(name), reason))?;
            let value = form_decoded(value).map_err(|reason| invalid(Some(&name), reason))?;
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(invalid(Some(&name), "it is given twice"));
            }
            if pairs.len() == MAX_PAIRS {
                let reason = format!("more than {MAX_PAIRS} parameters are given");
                return Err(invalid(None, &reason));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// Takes a pair out, and answers its value.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(place).1)
    }

    /// As [`Self::take`], of a value that `read` reads or says what is wrong with.
    pub(crate) fn take_as<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, RpcError> {
        let value = self.take(name);
        let value = value.map(|value| read(&value)).transpose();
        value.map_err(|reason| invalid(Some(name), &reason))
    }

    /// Takes out the block named, or `pending`.
    pub(crate) fn take_block(&mut self) -> Result<Option<ViewAt>, RpcError> {
        self.take_as("block", view_at)
    }

    /// Takes out a view's input, if it is given as it is: `input`, `json` or `text`.
    pub(crate) fn take_input(&mut self) -> Result<Option<Vec<u8>>, RpcError> {
        let mut input = None;
        for name in INPUTS {
            let given = self.take_as(name, |value| match name {
                "input" => hex_of_text(value),
                "json" => json_of(value),
                _ => Ok(value.as_bytes().to_vec()),
            })?;
            if given.is_some() && input.is_some() {
                let reason =
                    "an input is given already: one of `input`, `json` and `text` is taken";
                return Err(invalid(Some(name), reason));
            }
            input = input.or(given);
        }
        Ok(input)
    }

    /// What is left.
    pub(crate) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }
}

fn json_of(text: &str) -> Result<Vec<u8>, String> {
    if !is_shallow(text) {
        return Err("it nests too deep".to_owned());
    }
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| {
        format!("it must be JSON, but: {error}. A text is given as `text`, bytes in hex as `input`")
    })?;
    Ok(input::compact(text))
}

fn form_decoded(text: &str) -> Result<String, &'static str> {
    decoded(&text.replace('+', " "))
}

/// A part of a path or a query without its percent-encoding, or what is wrong with it.
pub(crate) fn decoded(text: &str) -> Result<String, &'static str> {
    let mut parts = text.split('%');
    parts.next();
    let is_byte = |part: &str| {
        let digits = part.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !parts.all(is_byte) {
        return Err("`%` must be followed by two hex digits; `%25` stands for itself");
    }
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| "it must be UTF-8 in percent-encoding")?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use metashrew_store::BlockId;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    fn pairs(query: &str) -> Vec<(String, String)> {
        Query::parse(query).unwrap().into_pairs()
    }

    #[test]
    fn pairs_are_read_in_their_order() {
        let check = |query: &str, expect: &[(&str, &str)]| {
            let expect = expect
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
            assert_eq!(pairs(query), expect.collect::<Vec<_>>(), "{query}");
        };
        check("", &[]);
        check("&&", &[]);
        check("b=2&a=1", &[("b", "2"), ("a", "1")]);
        check("a", &[("a", "")]);
        check("=x", &[("", "x")]);
        check("a=b=c", &[("a", "b=c")]);
        check("a%3Db=%26+%2B%C3%A9é", &[("a=b", "& +éé")]);
    }

    fn error(result: Result<impl std::fmt::Debug, RpcError>) -> String {
        result.unwrap_err().message.into_owned()
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |query: &str, expect: &str| {
            let message = error(Query::parse(query));
            assert!(message.contains(expect), "{query}: {message}");
        };
        for wrong in ["a=%", "a=%4", "a=%4g", "a=%%41", "a=%+1", "a=%é"] {
            check(wrong, "`a`: `%` must be followed by two hex digits");
        }
        check("%zz=1", "`%zz`: `%` must be");
        check("a=%ff", "`a`: it must be UTF-8");
        check("block=1&a=2&block=1", "`block`: it is given twice");
        check("a=1&%61=1", "`a`: it is given twice");
        let many: Vec<_> = (0..=MAX_PAIRS).map(|pair| pair.to_string()).collect();
        check(&many.join("&"), "more than 100 parameters");
    }

    #[test]
    fn an_input_is_given_in_one_way() {
        let input = |query: &str| Query::parse(query).unwrap().take_input();
        let check = |query: &str, expect: Option<&str>| {
            let expect = expect.map(|expect| expect.as_bytes().to_vec());
            assert_eq!(input(query).unwrap(), expect, "{query}");
        };
        check("a=1", None);
        check("input=0x6162", Some("ab"));
        check("input=", Some(""));
        check("text=a%20b", Some("a b"));
        check("json=%7B%22a%22%3A+1%7D", Some(r#"{"a":1}"#));
        check("json=null", Some("null"));
        assert!(error(input("input=0xq")).contains("`input`: it must be hex"));
        assert!(error(input("json=abc")).contains("`json`: it must be JSON"));
        assert!(error(input("json=1+2")).contains("`json`: it must be JSON"));
        let deep = format!("json={}", "[".repeat(100));
        assert!(error(input(&deep)).contains("`json`: it nests too deep"));
        for two in ["text=a&json=1", "input=&text=", "json=1&input=00"] {
            assert!(error(input(two)).contains("an input is given already"));
        }
    }

    #[test]
    fn what_is_taken_is_gone() {
        let mut query = Query::parse("a=1&block=170&b=2").unwrap();
        let at = ViewAt::Block(BlockId::Height(170));
        assert_eq!(query.take_block(), Ok(Some(at)));
        assert_eq!(query.take_block(), Ok(None));
        assert_eq!(query.take("a").as_deref(), Some("1"));
        assert_eq!(query.into_pairs(), [("b".to_owned(), "2".to_owned())]);
        let mut pending = Query::parse("block=pending").unwrap();
        assert_eq!(pending.take_block(), Ok(Some(ViewAt::Pending)));
        let mut wrong = Query::parse("block=first").unwrap();
        assert!(error(wrong.take_block()).contains("`first` names no block"));
    }

    proptest! {
        #[test]
        fn any_pairs_come_back(given in prop::collection::btree_map(any::<String>(), any::<String>(), 0..8)) {
            let encoded = |text: &String| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            let query: Vec<_> = given.iter().map(|(n, v)| format!("{}={}", encoded(n), encoded(v))).collect();
            prop_assert_eq!(pairs(&query.join("&")), given.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = Query::parse(&text).map(|mut query| query.take_input());
            let _ = decoded(&text);
        }
    }
}
