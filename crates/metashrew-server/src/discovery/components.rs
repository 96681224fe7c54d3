//! Schemas of the guest's as components of a document of ours.
//!
//! A guest's schema stands on its own: what it refers to is within it. In a document, a
//! reference is about the whole document. So each schema and each of its definitions becomes
//! a component, and its references become those to these.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::views::{Description, Told};

/// Bytes of a view's name, escaped, that its components are called by; longer ones are
/// called by their number.
const LONGEST: usize = 64;

/// What may stand in a fragment as it is.
const FRAGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b'$');

/// Keywords whose value maps names to schemas.
const NAMED: [&str; 6] = [
    "$defs",
    "definitions",
    "dependencies",
    "dependentSchemas",
    "patternProperties",
    "properties",
];

/// Keywords whose value is data, whatever it looks like.
const DATA: [&str; 5] = ["const", "default", "enum", "example", "examples"];

/// Keywords that change what references mean.
const ANCHORS: [&str; 7] = [
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveAnchor",
    "$recursiveRef",
    "id",
];

/// The guest's schemas, by the names of their components.
#[derive(Debug, Default)]
pub(super) struct Components(Map<String, Value>);

/// The schemas of one view in a document: a reference to each, or why it is left out.
#[derive(Debug, Default)]
pub(super) struct ViewSchemas {
    pub(super) input: Option<Result<Value, String>>,
    pub(super) output: Option<Result<Value, String>>,
}

impl Components {
    /// The schemas of all views, and for each view where they are.
    pub(super) fn of(views: &Description) -> (Self, Vec<ViewSchemas>) {
        let mut components = Self::default();
        let mut place = |key: String, told: &Told| {
            let schema = told.schema.as_ref()?;
            Some(components.place(&key, schema))
        };
        let views = views.views.iter().enumerate();
        let placed = views.map(|(number, view)| {
            let name = view_key(number, &view.name);
            ViewSchemas {
                input: place(format!("{name}.input"), &view.input),
                output: place(format!("{name}.output"), &view.output),
            }
        });
        let placed = placed.collect();
        (components, placed)
    }

    pub(super) fn into_map(self) -> Map<String, Value> {
        self.0
    }

    /// Puts `schema` here by the name `key`, its definitions beside it, and returns a schema
    /// that refers to it.
    fn place(&mut self, key: &str, schema: &Value) -> Result<Value, String> {
        let mut moved = Moved {
            key,
            targets: Vec::new(),
        };
        let mut placed = schema.clone();
        let mut parts = Map::new();
        if let Value::Object(members) = &mut placed {
            members.remove("$schema");
            members.remove("$id");
            for keyword in ["$defs", "definitions"] {
                let Some(Value::Object(definitions)) = members.remove(keyword) else {
                    continue;
                };
                for (name, mut definition) in definitions {
                    moved.refer(&mut definition)?;
                    if parts
                        .insert(definition_key(key, &name), definition)
                        .is_some()
                    {
                        return Err("it defines a name twice".to_owned());
                    }
                }
            }
        }
        moved.refer(&mut placed)?;
        parts.insert(key.to_owned(), placed);
        let is_there = |(component, path): &(String, String)| {
            let found = parts.get(component).and_then(|part| part.pointer(path));
            matches!(found, Some(Value::Object(_) | Value::Bool(_)))
        };
        if !moved.targets.iter().all(is_there) {
            return Err(NOT_WITHIN.to_owned());
        }
        self.0.extend(parts);
        Ok(json!({ "$ref": format!("{PLACE}{key}") }))
    }
}

const NOT_WITHIN: &str = "it refers to what is not within it";

/// Where a document has its schemas.
pub(super) const PLACE: &str = "#/components/schemas/";

/// What the components of a view are called by. No two views share one.
pub(super) fn view_key(number: usize, name: &str) -> String {
    let name = escaped(name);
    if name.len() <= LONGEST {
        format!("view.{name}")
    } else {
        format!("view-{number}")
    }
}

/// A name of letters, digits, `_` and `-` as it is; of all else each byte as `.` and two
/// digits: components may be called by nothing else.
fn escaped(name: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => char::from(byte).to_string(),
        _ => format!(".{byte:02X}"),
    };
    name.bytes().map(escape).collect()
}

fn definition_key(key: &str, name: &str) -> String {
    format!("{key}.{}", escaped(name))
}

/// References of a schema whose component is called `key`.
struct Moved<'a> {
    key: &'a str,
    /// What they refer to: a component, and a path in it.
    targets: Vec<(String, String)>,
}

impl Moved<'_> {
    /// Has all references in `part` mean the components.
    fn refer(&mut self, part: &mut Value) -> Result<(), String> {
        let Value::Object(members) = part else {
            return Ok(());
        };
        // Before 2020 a tuple was an array of `items`.
        if let Some(Value::Array(_)) = members.get("items") {
            let rest = members.remove("additionalItems");
            if let Some(tuple) = members.remove("items") {
                members.insert("prefixItems".to_owned(), tuple);
            }
            members.extend(rest.map(|rest| ("items".to_owned(), rest)));
        }
        for (keyword, value) in members {
            let keyword = keyword.as_str();
            match value {
                Value::String(target) if keyword == "$ref" => *target = self.target(target)?,
                _ if keyword == "$ref" => return Err("a reference in it is no text".to_owned()),
                Value::String(_) | Value::Bool(true) if ANCHORS.contains(&keyword) => {
                    return Err(format!(
                        "`{keyword}` is in it: what refers to it could not be told"
                    ));
                }
                Value::Object(named) if NAMED.contains(&keyword) => {
                    named.values_mut().try_for_each(|part| self.refer(part))?;
                }
                _ if DATA.contains(&keyword) => {}
                Value::Array(parts) => parts.iter_mut().try_for_each(|part| self.refer(part))?,
                part => self.refer(part)?,
            }
        }
        Ok(())
    }

    /// What a reference in the guest's schema is in the document.
    fn target(&mut self, reference: &str) -> Result<String, String> {
        let not_within = || NOT_WITHIN.to_owned();
        let pointer = reference.strip_prefix('#').ok_or_else(not_within)?;
        let pointer = percent_decode_str(pointer).decode_utf8();
        let pointer = pointer.map_err(|_| not_within())?;
        let defined = ["/$defs/", "/definitions/"];
        let defined = defined.iter().find_map(|start| pointer.strip_prefix(start));
        let (component, path) = match defined {
            Some(path) => {
                let (name, path) = path.split_at(path.find('/').unwrap_or(path.len()));
                let name = name.replace("~1", "/").replace("~0", "~");
                (definition_key(self.key, &name), path)
            }
            None => (self.key.to_owned(), &*pointer),
        };
        let target = format!("{PLACE}{component}{}", utf8_percent_encode(path, FRAGMENT));
        self.targets.push((component, path.to_owned()));
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(schema: &Value) -> Result<Map<String, Value>, String> {
        let mut components = Components::default();
        let reference = components.place("view.f.input", schema)?;
        assert_eq!(
            reference,
            json!({ "$ref": "#/components/schemas/view.f.input" })
        );
        Ok(components.into_map())
    }

    #[test]
    fn definitions_become_components_and_references_follow() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": "https://example.org/f",
            "properties": {
                "a": { "$ref": "#/$defs/One" },
                "$ref": { "$ref": "#" },
                "c": { "$ref": "#/properties/a" },
                "d": { "const": { "$ref": "data" } },
                "e": { "$ref": "#/$defs/a~1b%20c/items" },
            },
            "anyOf": [{ "$ref": "#/$defs/One" }, true],
            "$defs": {
                "One": { "not": { "$ref": "#/$defs/a~1b%20c" } },
                "a/b c": { "items": {} },
            },
        });
        let components = placed(&schema).unwrap();
        let expect = json!({
            "view.f.input": {
                "properties": {
                    "a": { "$ref": "#/components/schemas/view.f.input.One" },
                    "$ref": { "$ref": "#/components/schemas/view.f.input" },
                    "c": { "$ref": "#/components/schemas/view.f.input/properties/a" },
                    "d": { "const": { "$ref": "data" } },
                    "e": { "$ref": "#/components/schemas/view.f.input.a.2Fb.20c/items" },
                },
                "anyOf": [{ "$ref": "#/components/schemas/view.f.input.One" }, true],
            },
            "view.f.input.One": {
                "not": { "$ref": "#/components/schemas/view.f.input.a.2Fb.20c" },
            },
            "view.f.input.a.2Fb.20c": { "items": {} },
        });
        assert_eq!(Value::Object(components), expect);
    }

    #[test]
    fn tuples_are_those_of_2020() {
        let schema = json!({ "items": [{}, true], "additionalItems": false });
        let components = placed(&schema).unwrap();
        let expect = json!({ "prefixItems": [{}, true], "items": false });
        assert_eq!(components["view.f.input"], expect);
    }

    #[test]
    fn what_refers_elsewhere_is_left_out() {
        for schema in [
            json!({ "$ref": "https://example.org/schema" }),
            json!({ "$ref": "other.json#/a" }),
            json!({ "$ref": "#anchor" }),
            json!({ "$ref": "#/$defs/none" }),
            json!({ "$ref": "#/$defs", "$defs": {} }),
            json!({ "$ref": "#/items/0", "items": [true] }),
            json!({ "$ref": "#/title", "title": "a text" }),
            json!({ "not": { "$ref": 7 } }),
            json!({ "not": { "$id": "https://example.org/" } }),
            json!({ "items": { "$dynamicRef": "#a" } }),
            json!({ "$defs": { "a": true }, "definitions": { "a": true } }),
        ] {
            assert!(placed(&schema).is_err(), "{schema}");
        }
    }

    #[test]
    fn no_two_views_share_components() {
        assert_eq!(view_key(7, "balance"), "view.balance");
        assert_eq!(view_key(7, "a.b é"), "view.a.2Eb.20.C3.A9");
        assert_eq!(view_key(7, &"x".repeat(65)), "view-7");
    }
}
