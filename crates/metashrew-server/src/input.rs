//! A view's input in JSON: hex, or JSON or a text as they are.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::params::hex_of;

/// What is right, for those who gave something else.
const RIGHT: &str = r#"it must be hex (`"0x…"`), JSON (`{"json": …}`) or a text (`{"text": "…"}`)"#;

/// `{"json": …}` or `{"text": "…"}`.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Plain<'a> {
    #[serde(borrow)]
    Json(&'a RawValue),
    #[serde(borrow)]
    Text(Cow<'a, str>),
}

/// The bytes that the guest gets, or what is wrong.
pub(crate) fn read(value: &RawValue) -> Result<Vec<u8>, String> {
    if value.get().starts_with('"') {
        return hex_of(value).map_err(|reason| {
            format!(r#"{reason}. JSON is given as `{{"json": …}}`, a text as `{{"text": "…"}}`"#)
        });
    }
    if !value.get().starts_with('{') {
        return Err(RIGHT.to_owned());
    }
    match serde_json::from_str(value.get()) {
        Ok(Plain::Json(json)) => Ok(compact(json.get())),
        Ok(Plain::Text(text)) => Ok(text.into_owned().into_bytes()),
        Err(_) => Err(RIGHT.to_owned()),
    }
}

/// JSON without the white space between its parts; all else is as the caller wrote it:
/// numbers, escapes, members and their order.
pub(crate) fn compact(json: &str) -> Vec<u8> {
    let mut compacted = Vec::with_capacity(json.len());
    Compact::default().push(json.as_bytes(), &mut compacted);
    compacted
}

/// Takes white space out of JSON that comes in pieces.
#[derive(Debug, Default)]
pub(crate) struct Compact {
    in_text: bool,
    escaped: bool,
}

impl Compact {
    /// Appends what is left of the next piece.
    pub(crate) fn push(&mut self, json: &[u8], compacted: &mut Vec<u8>) {
        for byte in json {
            if self.in_text || !byte.is_ascii_whitespace() {
                compacted.push(*byte);
            }
            if self.in_text {
                self.in_text = self.escaped || *byte != b'"';
                self.escaped = !self.escaped && *byte == b'\\';
            } else {
                self.in_text = *byte == b'"';
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn of(json: &str) -> Result<Vec<u8>, String> {
        read(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn inputs_of_every_form() {
        let check = |json: &str, expect: &str| {
            assert_eq!(of(json).as_deref(), Ok(expect.as_bytes()), "{json}");
        };
        check(r#""0x6162""#, "ab");
        check(r#""6162""#, "ab");
        check(r#""""#, "");
        check(r#"{"text": "a\u0062\n\"é\""}"#, "ab\n\"é\"");
        check(r#"{ "text" : "" }"#, "");
        check(
            r#"{"json": { "b" : [1, 2.50 , 1e3 ], "a" : " x\" y ", "a": null } }"#,
            r#"{"b":[1,2.50,1e3],"a":" x\" y ","a":null}"#,
        );
        check(r#"{"json": "\\"}"#, r#""\\""#);
        check(r#"{"json": "\u00e9é\ud83e"}"#, r#""\u00e9é\ud83e""#);
        check(
            r#"{"json": 123456789012345678901234567890}"#,
            "123456789012345678901234567890",
        );
        check(r#"{"json": null}"#, "null");
        check(r#"{"js\u006fn": false}"#, "false");
        check(r#"{"json": {"text": "a"}}"#, r#"{"text":"a"}"#);
    }

    #[test]
    fn a_wrong_input_is_told_what_is_right() {
        for wrong in [
            "{}",
            "12",
            "true",
            "[]",
            r#"{"hex": "0x"}"#,
            r#"{"text": 1}"#,
            r#"{"text": null}"#,
            r#"{"text": "\ud800"}"#,
            r#"{"json": 1, "text": "a"}"#,
            r#"{"json": 1, "json": 1}"#,
        ] {
            assert_eq!(of(wrong), Err(RIGHT.to_owned()), "{wrong}");
        }
        let given = of(r#""{\"address\":\"1\"}""#).unwrap_err();
        assert!(given.starts_with("it must be hex, but: "), "{given}");
        assert!(given.contains(r#"{"json": …}"#), "{given}");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>())
                    .prop_map(Value::from),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_given_without_white_space(value in any_json()) {
            let pretty = serde_json::to_string_pretty(&json!({ "json": value })).unwrap();
            prop_assert_eq!(of(&pretty).unwrap(), value.to_string().into_bytes());
        }

        #[test]
        fn so_is_json_in_pieces(value in any_json(), length in 1..9_usize) {
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            let (mut compact, mut compacted) = (Compact::default(), Vec::new());
            for piece in pretty.as_bytes().chunks(length) {
                compact.push(piece, &mut compacted);
            }
            prop_assert_eq!(compacted, value.to_string().into_bytes());
        }

        #[test]
        fn any_text_is_given_as_it_is(text in any::<String>()) {
            let given = json!({ "text": text }).to_string();
            prop_assert_eq!(of(&given).unwrap(), text.into_bytes());
        }
    }
}
