//! A request's body as JSON-RPC 2.0 has it: one call, or a batch of them.
//!
//! It is read once, from its text; what is counted is counted meanwhile, so that no
//! body, whatever it has, costs much more memory than its own length.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::fault::{self, RpcError};
use crate::listed;
use crate::params::text_of;

/// How deep arrays and objects may nest: a multicall in a batch has its options at 7.
const MAX_DEPTH: usize = 64;

/// Members that one call's object may have. JSON-RPC has four.
const MAX_MEMBERS: usize = 16;

/// What a body asks.
#[derive(Debug)]
pub(crate) enum Request<T> {
    One(Entry<T>),
    /// At least one.
    Batch(Vec<Entry<T>>),
    /// It gets an error for all of it.
    Refused(RpcError),
}

/// One call, of a batch or alone.
#[derive(Debug)]
pub(crate) enum Entry<T> {
    Call {
        id: Id,
        call: T,
    },
    /// It gets no answer, and nothing is done, since no method changes anything.
    Notification,
    /// It is no request.
    Invalid {
        id: Id,
    },
}

/// A call's id, to be echoed as it came.
#[derive(Debug)]
pub(crate) struct Id(Option<Box<RawValue>>);

impl Id {
    pub(crate) const NULL: Self = Self(None);

    pub(crate) fn as_json(&self) -> &str {
        self.0.as_ref().map_or("null", |id| id.get())
    }
}

impl<T> Request<T> {
    /// Reads a body. `read` makes a call of a method's name and parameters (an array or
    /// an object, or none); a batch may have `max_batch` entries.
    pub(crate) fn parse(
        body: &[u8],
        max_batch: usize,
        read: impl Fn(&str, Option<&RawValue>) -> T,
    ) -> Self {
        let Ok(text) = std::str::from_utf8(body) else {
            return Self::Refused(RpcError::PARSE);
        };
        let text = text.trim_matches([' ', '\t', '\n', '\r']);
        if !is_shallow(text) {
            return Self::Refused(RpcError::PARSE);
        }
        if text.starts_with('[') {
            return Self::batch(text, max_batch, read);
        }
        match Entry::parse(text, &read) {
            Some(entry) => Self::One(entry),
            None if serde_json::from_str::<IgnoredAny>(text).is_ok() => {
                Self::One(Entry::Invalid { id: Id::NULL })
            }
            None => Self::Refused(RpcError::PARSE),
        }
    }

    fn batch(text: &str, max: usize, read: impl Fn(&str, Option<&RawValue>) -> T) -> Self {
        let mut entries = Vec::new();
        let length = listed::each(text, |entry| {
            let entry = Entry::parse(entry.get(), &read);
            entries.push(entry.unwrap_or(Entry::Invalid { id: Id::NULL }));
            entries.len() < max
        });
        match length {
            Err(_) => Self::Refused(RpcError::PARSE),
            Ok(0) => Self::Refused(RpcError::INVALID),
            Ok(length) if length > max => {
                Self::Refused(fault::batch_too_long("batch", length, max))
            }
            Ok(_) => Self::Batch(entries),
        }
    }
}

impl<T> Entry<T> {
    /// None if it is no JSON object.
    fn parse(text: &str, read: impl Fn(&str, Option<&RawValue>) -> T) -> Option<Self> {
        let members: Members<'_> = text
            .starts_with('{')
            .then(|| serde_json::from_str(text).ok())
            .flatten()?;
        let id = match members.id {
            Some(id) if !is_id(id) => return Some(Self::Invalid { id: Id::NULL }),
            // Most ids are a few bytes: they outlive the body.
            id => id.map(|id| Id(Some(id.to_owned()))),
        };
        let is_ours = |version: &RawValue| text_of(version).is_ok_and(|text| text == "2.0");
        let params = members.params.filter(|params| params.get() != "null");
        let valid = !members.is_wrong
            && members.jsonrpc.is_some_and(is_ours)
            && params.is_none_or(|params| params.get().starts_with(['[', '{']));
        let method = members.method.and_then(|method| text_of(method).ok());
        Some(match (method, id) {
            (Some(method), Some(id)) if valid => Self::Call {
                id,
                call: read(&method, params),
            },
            (Some(_), None) if valid => Self::Notification,
            (_, id) => Self::Invalid {
                id: id.unwrap_or(Id::NULL),
            },
        })
    }
}

/// Whether a value may be an id: a text, a number or `null`.
fn is_id(value: &RawValue) -> bool {
    let text = value.get();
    text == "null" || text.starts_with(|first: char| matches!(first, '"' | '-' | '0'..='9'))
}

/// What a call's object has.
#[derive(Default)]
struct Members<'a> {
    jsonrpc: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    params: Option<&'a RawValue>,
    /// There even if it is `null`. Which of two it is nobody knows: then there is none.
    id: Option<&'a RawValue>,
    /// A member is there twice, or there are too many.
    is_wrong: bool,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut given: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::default();
        let mut others: Vec<Cow<'de, str>> = Vec::new();
        let mut id_twice = false;
        while let Some(Name(name)) = given.next_key()? {
            let member = match &*name {
                "jsonrpc" => &mut members.jsonrpc,
                "method" => &mut members.method,
                "params" => &mut members.params,
                "id" => &mut members.id,
                _ => {
                    given.next_value::<IgnoredAny>()?;
                    if others.contains(&name) || others.len() + 4 >= MAX_MEMBERS {
                        members.is_wrong = true;
                    } else {
                        others.push(name);
                    }
                    continue;
                }
            };
            let before = member.replace(given.next_value()?);
            members.is_wrong |= before.is_some();
            id_twice |= before.is_some() && name == "id";
        }
        if id_twice {
            members.id = None;
        }
        Ok(members)
    }
}

/// A member's name, borrowed where nothing in it is escaped.
#[derive(Deserialize)]
pub(crate) struct Name<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// Whether arrays and objects nest no deeper than they may.
pub(crate) fn is_shallow(text: &str) -> bool {
    let mut depth = 0_usize;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                while let Some(within) = bytes.next().filter(|within| *within != b'"') {
                    if within == b'\\' {
                        bytes.next();
                    }
                }
            }
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return false;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_BATCH: usize = 3;

    /// What a body is, in short.
    fn short(body: &[u8]) -> String {
        let entry = |entry: &Entry<String>| match entry {
            Entry::Call { id, call } => format!("{}: {call}", id.as_json()),
            Entry::Notification => "notification".to_owned(),
            Entry::Invalid { id } => format!("{}: invalid", id.as_json()),
        };
        let read = |method: &str, params: Option<&RawValue>| {
            format!("{method}{}", params.map_or("", RawValue::get))
        };
        match Request::parse(body, MAX_BATCH, read) {
            Request::One(one) => entry(&one),
            Request::Batch(entries) => {
                let entries: Vec<_> = entries.iter().map(entry).collect();
                format!("[{}]", entries.join(", "))
            }
            Request::Refused(error) => error.message.into_owned(),
        }
    }

    fn check(body: &str, expect: &str) {
        assert_eq!(short(body.as_bytes()), expect, "{body}");
    }

    #[test]
    fn a_call_is_read() {
        check(r#"{"jsonrpc":"2.0","method":"m","id":1}"#, "1: m");
        check(
            r#" {"id": null, "params" : [1, 2], "method":"m","jsonrpc":"2.0"} "#,
            "null: m[1, 2]",
        );
        check(
            r#"{"jsonrpc":"2.0","method":"\u006d","id":"a","params":{},"more":{}}"#,
            r#""a": m{}"#,
        );
        check(
            r#"{"jsonrpc":"2.0","\u0069d":7,"method":"m","params":null}"#,
            "7: m",
        );
        let blanks = " \t\r\n".repeat(100);
        let call = r#"{"jsonrpc":"2.0","method":"m","id":1}"#;
        check(&format!("{blanks}{call}{blanks}"), "1: m");
        check(&format!("{blanks}[{blanks}{call}]"), "[1: m]");
    }

    #[test]
    fn every_legal_id_is_kept_as_it_came() {
        for id in [
            "0",
            "-1",
            "-0",
            "1.5",
            "1e3",
            "1E+3",
            "18446744073709551616",
            "1e999",
            "null",
            r#""""#,
            r#""a \"b\" \u0063 \ud800""#,
            "\"\u{1f980}\"",
        ] {
            let call = format!(r#"{{"jsonrpc":"2.0","method":"m","id": {id} }}"#);
            check(&call, &format!("{id}: m"));
            check(&format!("[{call}]"), &format!("[{id}: m]"));
            check(&format!(r#"{{"id":{id}}}"#), &format!("{id}: invalid"));
        }
        for id in ["true", "[]", "{}", "[1]"] {
            let call = format!(r#"{{"jsonrpc":"2.0","method":"m","id":{id}}}"#);
            check(&call, "null: invalid");
        }
    }

    #[test]
    fn notifications_are_told_from_calls() {
        check(r#"{"jsonrpc":"2.0","method":"m"}"#, "notification");
        check(
            r#"[{"jsonrpc":"2.0","method":"m"},{"jsonrpc":"2.0","method":"n","id":1}]"#,
            "[notification, 1: n]",
        );
    }

    #[test]
    fn what_is_no_json_is_a_parse_error() {
        let call = r#"{"jsonrpc":"2.0","method":"m","id":1}"#;
        let two = format!("{call}{call}");
        let broken = format!("[{call},{{]");
        for body in [
            "",
            " ",
            "{",
            "[",
            "[1",
            "[1,]",
            "[1]2",
            "{]",
            "01",
            "\u{feff}{}",
            r#"{"a":1}x"#,
            r#"{"id":1"#,
            r#"{"id":1,}"#,
            r#"{"id":"\x"}"#,
            &two,
            &broken,
            "[1,2,3,4,5",
        ] {
            check(body, "Parse error");
        }
        for body in [
            &b"\"\xff\""[..],
            b"{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":1,\"x\":\"\xff\"}",
        ] {
            assert_eq!(short(body), "Parse error");
        }
    }

    #[test]
    fn what_is_json_but_no_request_is_invalid() {
        for body in [
            "1",
            "null",
            "\"text\"",
            "{}",
            r#"{"jsonrpc":"2.0","method":1,"params":"bar"}"#,
            r#"{"jsonrpc":"2.0","method":"m","params":5}"#,
        ] {
            check(body, "null: invalid");
        }
        for body in [
            r#"{"id":7}"#,
            r#"{"jsonrpc":"1.0","method":"m","id":7}"#,
            r#"{"jsonrpc":2.0,"method":"m","id":7}"#,
            r#"{"method":"m","id":7}"#,
            r#"{"jsonrpc":"2.0","id":7}"#,
            r#"{"jsonrpc":"2.0","method":null,"id":7}"#,
            r#"{"jsonrpc":"2.0","method":"m","params":"x","id":7}"#,
        ] {
            check(body, "7: invalid");
        }
        check("[]", "Invalid request");
        check(
            r#"[1, {"id":"x"}, ["2.0",3,"m"]]"#,
            r#"[null: invalid, "x": invalid, null: invalid]"#,
        );
    }

    #[test]
    fn a_member_given_twice_is_refused() {
        let rest = r#""jsonrpc":"2.0","method":"m","params":[],"id":7"#;
        for twice in [
            r#""jsonrpc":"2.0""#,
            r#""method":"m""#,
            r#""\u006dethod":"m""#,
            r#""params":[]"#,
            r#""x":1,"x":1"#,
        ] {
            check(&format!("{{{twice},{rest}}}"), "7: invalid");
            check(&format!("[{{{rest},{twice}}}]"), "[7: invalid]");
        }
        check(&format!(r#"{{{rest},"id":7}}"#), "null: invalid");
        check(&format!(r#"{{{rest},"id":null}}"#), "null: invalid");
    }

    #[test]
    fn the_members_of_a_call_are_counted() {
        let with = |others: usize| {
            let others: Vec<_> = (0..others)
                .map(|other| format!(r#""{other}":0,"#))
                .collect();
            let others = others.concat();
            format!(r#"{{{others}"jsonrpc":"2.0","method":"m","params":[],"id":7}}"#)
        };
        check(&with(MAX_MEMBERS - 4), "7: m[]");
        check(&with(MAX_MEMBERS - 3), "7: invalid");
    }

    #[test]
    fn the_entries_of_a_batch_are_counted() {
        check("[1,2,3]", "[null: invalid, null: invalid, null: invalid]");
        check("[1,2,3,4]", "the batch has 4 entries, the limit is 3");
        let many = format!("[{}0]", "0,".repeat(99_999));
        check(&many, "the batch has 100000 entries, the limit is 3");
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            format!(r#"{{"jsonrpc":"2.0","method":"m","id":7,"x":{open}{close}}}"#)
        };
        check(&nested(MAX_DEPTH - 1), "7: m");
        check(&nested(MAX_DEPTH), "Parse error");
        check(&"[".repeat(1_000_000), "Parse error");
        // What stands in a text nests nothing.
        let text = format!(r#"{{"id":"{}\"{}"}}"#, "[{".repeat(200), "[".repeat(200));
        assert!(is_shallow(&text));
    }
}
