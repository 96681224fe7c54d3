//! What a JSON Schema says of the members of an input: which of them may be texts.
//!
//! A member may be named by the schema itself, by what it refers to, and by each of its alternatives. Where several
//! say something, a member may be a text if one of them says so.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// How deep schemas are read that stand in others, or are referred to.
const MAX_DEPTH: usize = 16;

/// Schemas read of one input: references may name the same part again and again.
const MAX_READ: usize = 10_000;

/// Members of an input.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Of those that the schema names, whether they may be texts, if it tells.
    named: BTreeMap<String, Option<bool>>,
    /// Of all others.
    others: Option<bool>,
}

impl Members {
    /// Of the objects that a schema describes.
    pub(super) fn of(schema: &Value) -> Self {
        let mut members = Self::default();
        let mut reader = Reader {
            root: schema,
            left: MAX_READ,
        };
        reader.object(schema, MAX_DEPTH, &mut members);
        members
    }

    /// Whether a member may be a text, if the schema tells.
    pub(super) fn may_be_text(&self, name: &str) -> Option<bool> {
        self.named.get(name).copied().unwrap_or(self.others)
    }
}

struct Reader<'a> {
    root: &'a Value,
    /// Schemas that may still be read.
    left: usize,
}

impl<'a> Reader<'a> {
    /// Adds the members of the objects that a schema describes.
    fn object(&mut self, schema: &'a Value, depth: usize, members: &mut Members) {
        let Some(depth) = self.enter(depth) else {
            return;
        };
        for (name, member) in entries(schema, "properties") {
            let told = self.may_be_text(member, depth);
            let known = members.named.entry(name.clone()).or_default();
            *known = either(*known, told);
        }
        let patterns = entries(schema, "patternProperties").map(|(_, member)| member);
        for member in patterns.chain(schema.get("additionalProperties")) {
            let told = self.may_be_text(member, depth);
            members.others = either(members.others, told);
        }
        if let Some(referred) = self.referred(schema) {
            self.object(referred, depth, members);
        }
        for part in ["allOf", "anyOf", "oneOf"]
            .into_iter()
            .flat_map(|word| parts(schema, word))
        {
            self.object(part, depth, members);
        }
    }

    /// Whether a schema takes texts, if it tells.
    fn may_be_text(&mut self, schema: &'a Value, depth: usize) -> Option<bool> {
        let depth = self.enter(depth)?;
        match schema.get("type") {
            Some(Value::Array(types)) => return Some(types.iter().any(|ty| ty == "string")),
            Some(ty) => return Some(ty == "string"),
            None => {}
        }
        if let Some(value) = schema.get("const") {
            return Some(value.is_string());
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            return Some(values.iter().any(Value::is_string));
        }
        if let Some(referred) = self.referred(schema) {
            return self.may_be_text(referred, depth);
        }
        let alternatives = ["anyOf", "oneOf"].map(|word| {
            let told = parts(schema, word).filter_map(|part| self.may_be_text(part, depth));
            told.reduce(|one, other| one || other)
        });
        let all = parts(schema, "allOf").filter_map(|part| self.may_be_text(part, depth));
        let all = all.reduce(|one, other| one && other);
        let told = alternatives.into_iter().chain([all]).flatten();
        told.reduce(|one, other| one && other)
    }

    /// Pays for one more schema: how deep may be gone from there, if it may be read.
    fn enter(&mut self, depth: usize) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        depth.checked_sub(1)
    }

    /// The part of the document that a schema refers to.
    fn referred(&self, schema: &Value) -> Option<&'a Value> {
        let pointer = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
        self.root
            .pointer(&percent_decode_str(pointer).decode_utf8().ok()?)
    }
}

/// Whether one of two says so, if one says anything.
fn either(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    one.into_iter()
        .chain(other)
        .reduce(|one, other| one || other)
}

/// The members of an object under a word of a schema.
fn entries<'a>(schema: &'a Value, word: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    schema
        .get(word)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

/// The schemas of a list under a word of a schema.
fn parts<'a>(schema: &'a Value, word: &str) -> impl Iterator<Item = &'a Value> {
    schema
        .get(word)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(schema: &Value, expect: &[(&str, Option<bool>)]) {
        let members = Members::of(schema);
        for (name, may_be_text) in expect {
            assert_eq!(members.may_be_text(name), *may_be_text, "{name}");
        }
    }

    #[test]
    fn a_schema_may_name_members_anywhere() {
        let only = |name: &str, ty: &str| json!({ "properties": { name: { "type": ty } } });
        check(
            &json!({
                "$ref": "#/$defs/a%20b",
                "$defs": { "a b": { "properties": { "text": { "$ref": "#/$defs/Text" } } }, "Text": { "type": "string" } }
            }),
            &[("text", Some(true)), ("other", None)],
        );
        check(
            &json!({
                "properties": { "limit": { "type": "integer" }, "any": {} },
                "oneOf": [only("script", "string"), only("either", "integer"), only("either", "string")],
                "allOf": [{ "anyOf": [only("before", "integer"), only("after", "integer")] }],
            }),
            &[
                ("limit", Some(false)),
                ("script", Some(true)),
                ("either", Some(true)),
                ("before", Some(false)),
                ("after", Some(false)),
                ("any", None),
            ],
        );
        check(
            &json!({
                "properties": { "whole": { "type": "integer" }, "any": {} },
                "additionalProperties": { "type": "string" },
            }),
            &[("whole", Some(false)), ("any", None), ("other", Some(true))],
        );
        check(
            &json!({ "patternProperties": { "^x": { "type": "integer" } }, "additionalProperties": false }),
            &[("x1", Some(false))],
        );
    }

    #[test]
    fn a_member_may_be_told_by_words_of_all_kinds() {
        let text = json!({ "type": "string" });
        let whole = json!({ "type": "integer" });
        check(
            &json!({ "properties": {
                "const": { "const": "a" },
                "number": { "const": 1 },
                "all": { "allOf": [text, { "minLength": 1 }] },
                "beside": { "anyOf": [text, whole], "allOf": [whole] },
                "none": { "allOf": [true] },
            } }),
            &[
                ("const", Some(true)),
                ("number", Some(false)),
                ("all", Some(true)),
                ("beside", Some(false)),
                ("none", None),
            ],
        );
    }

    /// Read without a bound, each of these takes longer than anybody waits.
    #[test]
    fn references_to_the_same_part_end() {
        let many = |pointer: &str| vec![json!({ "$ref": pointer }); 2_000];
        check(&json!({ "anyOf": many("#") }), &[("x", None)]);
        check(
            &json!({ "properties": { "x": { "anyOf": many("#/properties/x") } } }),
            &[("x", None)],
        );
    }
}
