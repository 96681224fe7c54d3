//! What the guest says of its views, as far as their routes depend on it: in which form they
//! answer, of what types the members of their inputs are, and whether an answer can be kept.

use std::collections::BTreeMap;

use metashrew_runtime::MetashrewRuntime;
use serde_json::Value;

use super::members::Members;
use crate::form::Form;

/// The largest whole number that every reader of JSON has exactly.
const MAX_NUMBER: i64 = (1 << 53) - 1;

/// The views that the guest describes, by name.
#[derive(Debug, Default)]
pub(crate) struct Described {
    views: BTreeMap<String, View>,
    /// Any other: `__meta`, too, which runs on the same instances and may say otherwise the
    /// next time.
    unknown: View,
}

/// What is known of a view.
#[derive(Debug)]
pub(super) struct View {
    /// What it answers.
    pub(super) form: Form,
    /// Whether calls about one block get the same answer, as far as the guest says.
    pub(super) is_repeatable: bool,
    /// Those of its input.
    members: Members,
}

impl Default for View {
    fn default() -> Self {
        Self {
            form: Form::Bytes,
            is_repeatable: false,
            members: Members::default(),
        }
    }
}

impl Described {
    /// Of the guest of a runtime.
    pub(crate) fn new(runtime: &MetashrewRuntime) -> Self {
        let views = runtime.views().iter().map(|view| {
            let described = View::new(
                &view.output_type,
                view.output_schema.is_some(),
                view.input_schema.as_deref(),
                !view.answers_from_memory,
            );
            (view.name.clone(), described)
        });
        Self {
            views: views.collect(),
            unknown: View::default(),
        }
    }

    /// A view; one of which nothing is known if the guest describes none of that name.
    pub(super) fn view(&self, name: &str) -> &View {
        self.views.get(name).unwrap_or(&self.unknown)
    }
}

impl View {
    /// Of the type and the schemas that `__meta` has.
    fn new(
        output_type: &str,
        has_output_schema: bool,
        input_schema: Option<&str>,
        is_repeatable: bool,
    ) -> Self {
        let form = if has_output_schema || output_type.ends_with("(JSON)") {
            Form::Json
        } else if output_type == "text" {
            Form::Text
        } else {
            Form::Bytes
        };
        let schema = input_schema.and_then(|schema| serde_json::from_str(schema).ok());
        Self {
            form,
            is_repeatable,
            members: schema.as_ref().map(Members::of).unwrap_or_default(),
        }
    }

    /// The JSON object that pairs of a query make: a member may be a text if the schema of
    /// the view's input says so; else it is JSON, if it reads as such. Where no schema says
    /// anything, whole numbers are numbers, and all else are texts.
    pub(super) fn members(&self, pairs: &[(String, String)]) -> Vec<u8> {
        let mut object = String::from("{");
        for (index, (name, value)) in pairs.iter().enumerate() {
            if index > 0 {
                object.push(',');
            }
            object.push_str(&Value::from(name.as_str()).to_string());
            object.push(':');
            let is_json = match self.members.may_be_text(name) {
                Some(may_be_text) => !may_be_text && serde_json::from_str::<Value>(value).is_ok(),
                None => is_whole_number(value),
            };
            if is_json {
                object.push_str(value);
            } else {
                object.push_str(&Value::from(value.as_str()).to_string());
            }
        }
        object.push('}');
        object.into_bytes()
    }
}

/// Whether it is a whole number as JSON writes it, that every reader has exactly.
fn is_whole_number(text: &str) -> bool {
    text.parse::<i64>()
        .is_ok_and(|number| number.abs() <= MAX_NUMBER && number.to_string() == text)
}

#[cfg(test)]
impl Described {
    /// One view, of which the guest says no more than its name.
    pub(super) fn with(name: &str) -> Self {
        let view = View::new("", false, None, true);
        Self {
            views: [(name.to_owned(), view)].into(),
            unknown: View::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_described_can_be_kept() {
        let described = Described::with("f");
        assert!(described.view("f").is_repeatable);
        assert!(!described.view("__meta").is_repeatable);
    }

    fn members_of(view: &View, pairs: &[(&str, &str)]) -> String {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let pairs: Vec<_> = pairs.iter().map(owned).collect();
        String::from_utf8(view.members(&pairs)).unwrap()
    }

    #[test]
    fn without_a_schema_whole_numbers_are_numbers() {
        let view = View::default();
        let check = |value: &str, expect: &str| {
            let expect = format!(r#"{{"a":{expect}}}"#);
            assert_eq!(members_of(&view, &[("a", value)]), expect);
        };
        for number in ["0", "-1", "170", "9007199254740991"] {
            check(number, number);
        }
        for text in [
            "",
            "00",
            "+1",
            "-0",
            "1.5",
            "1e3",
            "true",
            "null",
            "9007199254740992",
            "0x7",
        ] {
            check(text, &format!("{text:?}"));
        }
        check("a\"\\é", r#""a\"\\é""#);
        let all = members_of(&view, &[("b\"", "x"), ("a", "1")]);
        assert_eq!(all, r#"{"b\"":"x","a":1}"#);
    }

    #[test]
    fn a_schema_says_what_members_are() {
        let schema = r##"{
            "properties": {
                "address": { "type": "string" },
                "name": { "type": ["string", "null"] },
                "limit": { "type": "integer" },
                "all": { "type": "boolean" },
                "ids": { "type": "array" },
                "order": { "enum": ["up", "down"] },
                "page": { "$ref": "#/$defs/Page" },
                "cursor": { "anyOf": [{ "$ref": "#/$defs/Page" }, { "type": "null" }] },
                "loop": { "$ref": "#/properties/loop" },
                "any": {}
            },
            "$defs": { "Page": { "type": "integer" } }
        }"##;
        let view = View::new("", false, Some(schema), true);
        let check = |name: &str, value: &str, expect: &str| {
            let expect = format!(r#"{{"{name}":{expect}}}"#);
            assert_eq!(members_of(&view, &[(name, value)]), expect);
        };
        check("address", "170", r#""170""#);
        check("name", "170", r#""170""#);
        check("limit", "170", "170");
        check("limit", "x", r#""x""#);
        check("all", "true", "true");
        check("ids", "[1,2]", "[1,2]");
        check("order", "1", r#""1""#);
        check("page", "7", "7");
        check("cursor", "null", "null");
        for unknown in ["loop", "any", "other"] {
            check(unknown, "7", "7");
            check(unknown, "true", r#""true""#);
        }
    }

    #[test]
    fn the_form_follows_from_the_type() {
        let form = |output: &str, has_schema| View::new(output, has_schema, None, true).form;
        assert_eq!(form("Balance (JSON)", false), Form::Json);
        assert_eq!(form("Balance", true), Form::Json);
        assert_eq!(form("text", false), Form::Text);
        assert_eq!(form("bytes", false), Form::Bytes);
        assert_eq!(form("Block (protobuf)", false), Form::Bytes);
        assert_eq!(form("", false), Form::Bytes);
    }

    #[test]
    fn a_schema_that_cannot_be_read_says_nothing() {
        for schema in ["", "{", "1", r#"{"properties": 1}"#] {
            let view = View::new("", false, Some(schema), true);
            assert!(view.is_repeatable, "{schema}");
            assert_eq!(members_of(&view, &[("a", "1")]), r#"{"a":1}"#, "{schema}");
        }
    }
}
