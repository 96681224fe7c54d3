//! The members of a view's input, an object, that a query can give: `?name=value`.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::components::PLACE;

/// Members that are told as parameters at most.
const MOST_MEMBERS: usize = 20;

/// How deep schemas are read that an input refers to, or is made of.
const MAX_DEPTH: usize = 8;

/// Schemas read of one input: references may name the same part again and again.
const MAX_READ: usize = 1_000;

/// Parameters that mean something else than a member of an input.
const RESERVED: [&str; 10] = [
    "as",
    "block",
    "fresh",
    "guest",
    "history_root",
    "input",
    "json",
    "session",
    "text",
    "timeout_ms",
];

/// Such members as parameters, of the input that is the component called `key`.
pub(super) fn parameters(key: &str, schemas: &Map<String, Value>) -> Vec<Value> {
    let mut reader = Reader {
        schemas,
        left: MAX_READ,
        found: BTreeMap::new(),
    };
    if let Some(input) = schemas.get(key) {
        reader.read(input, MAX_DEPTH);
    }
    let found = reader.found.into_iter();
    let found = found.filter(|(name, _)| !RESERVED.contains(name));
    let parameter = |(name, schema): (&str, Option<&Value>)| {
        json!({
            "name": name,
            "in": "query",
            "description": "a member of the input, in place of `json`",
            "schema": schema.cloned().unwrap_or_else(|| json!({})),
        })
    };
    found.take(MOST_MEMBERS).map(parameter).collect()
}

struct Reader<'a> {
    schemas: &'a Map<String, Value>,
    /// Schemas that may still be read.
    left: usize,
    /// Members that are plain, with their schemas; without one where alternatives differ.
    found: BTreeMap<&'a str, Option<&'a Value>>,
}

impl<'a> Reader<'a> {
    /// Adds the members of the objects that a schema describes.
    fn read(&mut self, schema: &'a Value, depth: usize) {
        let (Some(left), Some(depth)) = (self.left.checked_sub(1), depth.checked_sub(1)) else {
            return;
        };
        self.left = left;
        let members = schema.get("properties").and_then(Value::as_object);
        for (name, member) in members.into_iter().flatten() {
            if is_plain(member) {
                let known = self.found.entry(name).or_insert(Some(member));
                *known = known.filter(|known| *known == member);
            }
        }
        if let Some(referred) = self.referred(schema) {
            self.read(referred, depth);
        }
        for word in ["allOf", "anyOf", "oneOf"] {
            let parts = schema.get(word).and_then(Value::as_array);
            for part in parts.into_iter().flatten() {
                self.read(part, depth);
            }
        }
    }

    /// The part of a component that a schema refers to.
    fn referred(&self, schema: &Value) -> Option<&'a Value> {
        let target = schema.get("$ref")?.as_str()?.strip_prefix(PLACE)?;
        let (component, path) = target.split_at(target.find('/').unwrap_or(target.len()));
        let path = percent_decode_str(path).decode_utf8().ok()?;
        self.schemas.get(component)?.pointer(&path)
    }
}

/// Whether a query has a form for it: a text or a number, or none.
fn is_plain(schema: &Value) -> bool {
    let is_plain = |kind: &str| matches!(kind, "string" | "integer" | "number");
    match schema.get("type") {
        Some(Value::String(kind)) => is_plain(kind),
        Some(Value::Array(kinds)) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str);
            kinds.all(|kind| kind == "null" || is_plain(kind))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(schemas: Value) -> Vec<(String, Value)> {
        let Value::Object(schemas) = schemas else {
            return Vec::new();
        };
        let pair = |parameter: &Value| {
            let name = parameter["name"].as_str().unwrap().to_owned();
            (name, parameter["schema"].clone())
        };
        parameters("i", &schemas).iter().map(pair).collect()
    }

    #[test]
    fn members_are_those_of_all_that_the_input_is_made_of() {
        let (text, whole) = (json!({ "type": "string" }), json!({ "type": "integer" }));
        let maybe = json!({ "type": ["integer", "null"] });
        let found = names(json!({
            "i": { "$ref": "#/components/schemas/d/a%20b" },
            "d": { "a b": {
                "properties": { "limit": maybe, "list": { "type": "array" }, "block": whole },
                "oneOf": [
                    { "properties": { "script": text, "either": text } },
                    { "properties": { "address": text, "either": whole } },
                ],
                "allOf": [{ "$ref": "#/components/schemas/e" }],
            } },
            "e": { "anyOf": [{ "properties": { "after": whole } }, true] },
        }));
        let expect = [
            ("address", text.clone()),
            ("after", whole),
            ("either", json!({})),
            ("limit", maybe),
            ("script", text),
        ];
        assert_eq!(
            found,
            expect.map(|(name, schema)| (name.to_owned(), schema))
        );
    }

    #[test]
    fn references_to_the_same_part_end() {
        let many = vec![json!({ "$ref": "#/components/schemas/i" }); 2_000];
        assert!(names(json!({ "i": { "anyOf": many } })).is_empty());
    }
}
