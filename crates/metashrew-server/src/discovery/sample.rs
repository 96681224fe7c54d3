//! A value that fits a JSON Schema, roughly: what a reader may start from.

use std::io;

use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Values that a sample has at most: a schema may refer to itself.
const MOST: usize = 64;

/// Bytes of JSON that a sample repeats of its schema at most: it is for people to read, and one
/// value may be named again and again.
const MOST_BYTES: usize = 4 * 1024;

/// How deep a sample nests at most.
const DEPTH: usize = 8;

/// Such a value. Objects have the members that they must have, or all if they need none.
pub(super) fn of(schema: &Value) -> Value {
    Sampler {
        root: schema,
        left: MOST,
        room: Room(MOST_BYTES),
    }
    .sample(schema, DEPTH)
}

struct Sampler<'a> {
    root: &'a Value,
    /// Values that there may be yet.
    left: usize,
    /// For what is repeated of the schema.
    room: Room,
}

/// Bytes that may still be written: a writer that takes no more.
#[derive(Clone, Copy)]
struct Room(usize);

impl Room {
    /// Takes the bytes of a value's JSON, if there is room for it.
    fn take(&mut self, value: &impl Serialize) -> bool {
        let mut left = *self;
        let fits = serde_json::to_writer(&mut left, value).is_ok();
        if fits {
            *self = left;
        }
        fits
    }
}

impl io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.0.checked_sub(bytes.len());
        self.0 = left.ok_or(io::ErrorKind::WriteZero)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> Sampler<'a> {
    fn sample(&mut self, schema: &'a Value, depth: usize) -> Value {
        let (Some(left), Some(depth), Value::Object(members)) =
            (self.left.checked_sub(1), depth.checked_sub(1), schema)
        else {
            return Value::Null;
        };
        self.left = left;
        if let Some(value) = given(members)
            && self.room.take(value)
        {
            return value.clone();
        }
        let mut object = self.object(members, depth);
        let mut is_object = kind(members) == Some("object");
        for part in self.elsewhere(members) {
            match self.sample(part, depth) {
                Value::Object(more) => {
                    is_object = true;
                    object.extend(more);
                }
                Value::Null => {}
                value => return value,
            }
        }
        match kind(members) {
            _ if is_object => Value::Object(object),
            Some("array") => {
                let is_empty = members.get("minItems").and_then(Value::as_u64).unwrap_or(0) == 0;
                let item = members.get("items").filter(|_| !is_empty);
                item.map_or_else(|| json!([]), |item| json!([self.sample(item, depth)]))
            }
            Some("string") => json!("string"),
            Some("integer" | "number") => {
                let minimum = members.get("minimum");
                let minimum = minimum.filter(|least| self.room.take(least));
                minimum.cloned().unwrap_or(json!(0))
            }
            Some("boolean") => json!(false),
            _ => Value::Null,
        }
    }

    /// The schemas that this one says it is, or may be: of alternatives the first.
    fn elsewhere(&self, members: &'a Map<String, Value>) -> Vec<&'a Value> {
        let reference = members.get("$ref").and_then(Value::as_str);
        let pointer = reference.and_then(|reference| reference.strip_prefix('#'));
        let pointer = pointer.and_then(|pointer| percent_decode_str(pointer).decode_utf8().ok());
        let referred = pointer.and_then(|pointer| self.root.pointer(&pointer));
        let of = |keyword: &str| members.get(keyword).and_then(Value::as_array);
        let is_null = |schema: &&Value| schema.get("type").is_some_and(|ty| ty == "null");
        let choices = ["anyOf", "oneOf"].into_iter().filter_map(of);
        let chosen = choices.filter_map(|choices| choices.iter().find(|one| !is_null(one)));
        let all = of("allOf").into_iter().flatten();
        referred.into_iter().chain(all).chain(chosen).collect()
    }

    fn object(&mut self, members: &'a Map<String, Value>, depth: usize) -> Map<String, Value> {
        let properties = members.get("properties").and_then(Value::as_object);
        let required = members.get("required").and_then(Value::as_array);
        let is_needed = |name: &str| {
            required.is_none_or(|names| names.is_empty() || names.iter().any(|it| it == name))
        };
        let mut object = Map::new();
        for (name, schema) in properties.into_iter().flatten() {
            if is_needed(name) && self.left > 0 && self.room.take(name) {
                object.insert(name.clone(), self.sample(schema, depth));
            }
        }
        object
    }
}

/// A value that the schema itself gives.
fn given(members: &Map<String, Value>) -> Option<&Value> {
    let first = |keyword: &str| members.get(keyword)?.as_array()?.first();
    let value = members.get("const").or_else(|| first("examples"));
    value
        .or_else(|| members.get("default").filter(|value| !value.is_null()))
        .or_else(|| first("enum"))
}

/// The first type that is not null.
fn kind(members: &Map<String, Value>) -> Option<&str> {
    match members.get("type") {
        Some(Value::String(kind)) => Some(kind),
        Some(Value::Array(kinds)) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str);
            kinds.find(|kind| *kind != "null")
        }
        _ => members.contains_key("properties").then_some("object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_what_must_be_there() {
        let check = |schema: Value, expect: Value| assert_eq!(of(&schema), expect, "{schema}");
        check(json!(true), Value::Null);
        check(json!({}), Value::Null);
        check(json!({ "type": "string" }), json!("string"));
        check(
            json!({ "type": ["null", "integer"], "minimum": 3 }),
            json!(3),
        );
        check(json!({ "type": "string", "default": "a" }), json!("a"));
        check(json!({ "examples": [7] }), json!(7));
        check(
            json!({
                "properties": { "limit": { "type": "integer" } },
                "oneOf": [{ "properties": { "script": { "type": "string" } } }, { "properties": { "address": {} } }],
                "allOf": [{ "$ref": "#/$defs/a%20b" }],
                "$defs": { "a b": { "properties": { "after": { "type": "boolean" } } } },
            }),
            json!({ "limit": 0, "after": false, "script": "string" }),
        );
        check(
            json!({ "type": "string", "allOf": [{ "minLength": 1 }] }),
            json!("string"),
        );
        check(json!({ "allOf": [{ "type": "object" }] }), json!({}));
        check(json!({ "enum": ["a", "b"] }), json!("a"));
        check(
            json!({ "anyOf": [{ "type": "null" }, { "const": 1 }] }),
            json!(1),
        );
        check(
            json!({
                "properties": { "a": { "$ref": "#/$defs/A" }, "b": { "type": "string" } },
                "required": ["a"],
                "$defs": { "A": { "type": "array", "minItems": 1, "items": { "type": "boolean" } } },
            }),
            json!({ "a": [false] }),
        );
        check(
            json!({ "properties": { "a": { "type": "number" } } }),
            json!({ "a": 0 }),
        );
    }

    #[test]
    fn what_is_long_is_not_repeated() {
        let long = "\u{1}".repeat(MOST_BYTES);
        let half = "a".repeat(MOST_BYTES / 2);
        for schema in [
            json!({ "type": "string", "default": long }),
            json!({ "type": "string", "enum": [long] }),
            json!({ "type": "integer", "minimum": long }),
            json!({ "properties": { "a": { "const": long }, (long.clone()): true } }),
            json!({ "examples": [{ (long.clone()): 1 }], "type": "object" }),
        ] {
            let text = of(&schema).to_string();
            assert!(text.len() <= 10, "{text}");
        }
        assert_eq!(of(&json!({ "default": half })), half);
        let members: Map<_, _> = (0..MOST)
            .map(|n| (format!("m{n}"), json!({ "$ref": "#/$defs/A" })))
            .collect();
        let text = of(&json!({ "properties": members, "$defs": { "A": { "const": half } } }));
        let text = text.to_string();
        assert!(text.contains(&half), "{text}");
        assert!(text.len() < MOST_BYTES + 16 * MOST, "{}", text.len());
    }

    #[test]
    fn a_schema_within_itself_has_an_end() {
        let member = json!({ "$ref": "#" });
        let members: Map<_, _> = (0..100)
            .map(|n| (format!("m{n}"), member.clone()))
            .collect();
        let text = of(&json!({ "properties": members })).to_string();
        assert!(text.len() < 100 * MOST, "{text}");
    }
}
