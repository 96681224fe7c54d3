//! Types from JSON Schemas, as `schemars` and others write them.
//!
//! A guest may say anything here. What is not understood, or larger than the limits, is a type that
//! holds any value: a type may be too wide, and never too narrow for what its schema allows.

mod flat;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::model::{Declared, Field, Object, Type};
use super::names::pascal;
use flat::combinations;

/// Schemas within schemas.
const MAX_DEPTH: usize = 64;

/// Schemas and their members read for one guest. Its description has 256 KiB at most, and references may
/// name the same part again and again.
const MAX_READ: usize = 50_000;

/// Combinations of one alternative from each of several lists, each of which is a type.
const MAX_COMBINATIONS: usize = 64;

/// The largest whole number up to which a double holds every one.
const SAFE: f64 = 9_007_199_254_740_991.0;

/// What is more than a remark.
const STRUCTURE: [&str; 12] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "enum",
    "const",
    "oneOf",
    "anyOf",
    "allOf",
    "items",
    "prefixItems",
];

/// Reads the schemas of one guest.
pub(super) struct Schemas {
    pub(super) types: Vec<Declared>,
    left: usize,
}

/// One document, whose references are to its own parts.
struct Document<'a> {
    root: &'a Value,
    schemas: &'a mut Schemas,
    /// Where each part that was named stands among the types.
    known: BTreeMap<String, usize>,
    /// Those whose types are still to be read.
    waiting: Vec<(String, usize)>,
}

type Schema = Map<String, Value>;

impl Schemas {
    pub(super) fn new() -> Self {
        Self {
            types: Vec::new(),
            left: MAX_READ,
        }
    }

    /// Whether something was too large to be read.
    pub(super) fn is_exhausted(&self) -> bool {
        self.left == 0
    }

    /// The type of a document. `name` is what it is called if it does not say.
    pub(super) fn read(&mut self, root: &Value, name: &str) -> Type {
        let mut document = Document {
            root,
            schemas: self,
            known: BTreeMap::new(),
            waiting: Vec::new(),
        };
        let name = text(root, "title").map_or_else(|| name.to_owned(), pascal);
        let ty = document.reference("#", &name);
        while let Some((reference, at)) = document.waiting.pop() {
            document.settle(&reference, at);
        }
        // A short one that has a name only because it is the whole document is written where it stands.
        match ty {
            Type::Declared(at) => match self.types.get(at) {
                Some(Declared { ty, .. }) if !matches!(ty, Type::Object(_) | Type::Union(_)) => {
                    ty.clone()
                }
                _ => ty,
            },
            other => other,
        }
    }

    fn spend(&mut self, cost: usize) -> bool {
        self.left = self.left.saturating_sub(cost);
        self.left > 0
    }
}

impl Document<'_> {
    /// The type of a part of the document, read later.
    fn reference(&mut self, reference: &str, name: &str) -> Type {
        if let Some(at) = self.known.get(reference) {
            return Type::Declared(*at);
        }
        let at = self.declare(name, "", Type::Unknown);
        self.known.insert(reference.to_owned(), at);
        self.waiting.push((reference.to_owned(), at));
        Type::Declared(at)
    }

    fn declare(&mut self, name: &str, doc: &str, ty: Type) -> usize {
        let (name, doc) = (name.to_owned(), doc.to_owned());
        self.schemas.types.push(Declared { name, doc, ty });
        self.schemas.types.len() - 1
    }

    /// Reads the type of a part that was named.
    fn settle(&mut self, reference: &str, at: usize) {
        let schema = self.resolve(reference).cloned().unwrap_or_default();
        let name = self
            .schemas
            .types
            .get(at)
            .map(|declared| declared.name.clone());
        let ty = self.shape(&schema, &name.unwrap_or_default(), 0);
        if let Some(declared) = self.schemas.types.get_mut(at) {
            declared.ty = ty;
            let doc = text(&schema, "description").unwrap_or_default();
            doc.clone_into(&mut declared.doc);
        }
    }

    /// The part that a reference names: a JSON pointer behind a `#`.
    fn resolve(&self, reference: &str) -> Option<&Value> {
        let pointer = reference.strip_prefix('#')?;
        let pointer = percent_encoding::percent_decode_str(pointer)
            .decode_utf8()
            .ok()?;
        self.root.pointer(&pointer)
    }

    /// A type, with a name if it is an object.
    fn ty(&mut self, schema: &Value, name: &str, depth: usize) -> Type {
        match self.shape(schema, name, depth) {
            object @ Type::Object(_) => {
                let name = text(schema, "title").map_or_else(|| name.to_owned(), pascal);
                let doc = text(schema, "description").unwrap_or_default();
                Type::Declared(self.declare(&name, doc, object))
            }
            other => other,
        }
    }

    fn shape(&mut self, schema: &Value, name: &str, depth: usize) -> Type {
        let Some(schema) = schema.as_object() else {
            return Type::Unknown;
        };
        if depth > MAX_DEPTH || !self.schemas.spend(1) {
            return Type::Unknown;
        }
        let is_nullable = |schema: &Schema| schema.get("nullable") == Some(&Value::Bool(true));
        let (ty, is_nullable) = if let Some(Value::String(reference)) = schema.get("$ref")
            && !has_any(schema, &STRUCTURE)
        {
            let name = reference.rsplit('/').next().unwrap_or_default();
            let ty = self.reference(reference, &pascal(&name.replace("%20", " ")));
            (ty, is_nullable(schema))
        } else {
            let schema = self.flat(schema.clone(), depth);
            let ty = self.flat_shape(&schema, name, depth);
            (ty, is_nullable(&schema))
        };
        if is_nullable {
            let ty = self.named(ty, name);
            return Type::union([ty, Type::Null]);
        }
        ty
    }

    /// An object within another type needs a name.
    fn named(&mut self, ty: Type, name: &str) -> Type {
        match ty {
            object @ Type::Object(_) => Type::Declared(self.declare(name, "", object)),
            other => other,
        }
    }

    /// The type of a schema without `$ref` and `allOf`.
    fn flat_shape(&mut self, schema: &Schema, name: &str, depth: usize) -> Type {
        if let Some(value) = schema.get("const") {
            return literal(value);
        }
        if let Some(Value::Array(values)) = schema.get("enum") {
            if !self.schemas.spend(values.len()) {
                return Type::Unknown;
            }
            return Type::union(values.iter().map(literal));
        }
        for word in ["oneOf", "anyOf"] {
            if let Some(Value::Array(alternatives)) = schema.get(word) {
                return self.alternatives(schema, word, alternatives, name, depth);
            }
        }
        match schema.get("type") {
            Some(Value::String(ty)) => self.of_type(schema, ty, name, depth),
            Some(Value::Array(types)) => {
                let types: Vec<_> = types.iter().filter_map(Value::as_str).collect();
                let types = types.into_iter().map(|ty| {
                    let ty = self.of_type(schema, ty, name, depth);
                    self.named(ty, name)
                });
                Type::union(types.collect::<Vec<_>>())
            }
            _ if has_any(
                schema,
                &["properties", "additionalProperties", "patternProperties"],
            ) =>
            {
                self.object(schema, name, depth)
            }
            _ if has_any(schema, &["items", "prefixItems"]) => self.list(schema, name, depth),
            _ => Type::Unknown,
        }
    }

    fn of_type(&mut self, schema: &Schema, ty: &str, name: &str, depth: usize) -> Type {
        match ty {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "integer" => integer(schema),
            "number" => Type::Number,
            "string" => Type::Text,
            "array" => self.list(schema, name, depth),
            "object" => self.object(schema, name, depth),
            _ => Type::Unknown,
        }
    }

    /// One of several, which stand under `word`, each with what stands beside them: other alternatives, too.
    fn alternatives(
        &mut self,
        schema: &Schema,
        word: &str,
        of: &[Value],
        name: &str,
        depth: usize,
    ) -> Type {
        let mut beside = schema.clone();
        beside.retain(|beside, _| STRUCTURE.contains(&beside.as_str()) && beside != word);
        let others = combinations(&beside);
        if others > 1 && others.saturating_mul(of.len()) > MAX_COMBINATIONS {
            return Type::Unknown;
        }
        let types = of.iter().zip(1..).map(|(alternative, number)| {
            let name = format!("{name}{}", variant(alternative, number));
            if beside.is_empty() {
                return self.ty(alternative, &name, depth + 1);
            }
            let Some(alternative) = alternative.as_object() else {
                return Type::Unknown;
            };
            let mut whole = self.flat(alternative.clone(), depth + 1);
            self.merge(&mut whole, &beside);
            self.ty(&Value::Object(whole), &name, depth + 1)
        });
        Type::union(types.collect::<Vec<_>>())
    }

    fn list(&mut self, schema: &Schema, name: &str, depth: usize) -> Type {
        let (items, first) = (schema.get("items"), schema.get("prefixItems"));
        let tuple = first.or(items).and_then(Value::as_array);
        let length = |word| schema.get(word).and_then(Value::as_u64);
        if let Some(tuple) = tuple {
            let types = tuple.iter().zip(1..);
            let types = types
                .map(|(item, number)| self.ty(item, &format!("{name}Item{number}"), depth + 1));
            let types: Vec<_> = types.collect();
            let count = u64::try_from(types.len()).ok();
            let is_closed = first.is_none() || items == Some(&Value::Bool(false));
            if length("minItems") == count && (length("maxItems") == count || is_closed) {
                return Type::Tuple(types);
            }
            return Type::List(Box::new(Type::Unknown));
        }
        let item = items.map_or(Type::Unknown, |items| {
            self.ty(items, &format!("{name}Item"), depth + 1)
        });
        Type::List(Box::new(item))
    }

    fn object(&mut self, schema: &Schema, name: &str, depth: usize) -> Type {
        let empty = Schema::new();
        let properties = schema
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let required: Vec<_> = array(schema, "required")
            .filter_map(Value::as_str)
            .collect();
        let more = schema.get("additionalProperties");
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        if properties.is_empty()
            && required.is_empty()
            && (more != Some(&Value::Bool(false)) || patterns.is_some())
        {
            // Where nothing is said of other members, they may hold anything.
            let patterns = patterns.into_iter().flat_map(Schema::values);
            let others = more.unwrap_or(&Value::Bool(true));
            let of = patterns.chain([others].into_iter().filter(|of| **of != Value::Bool(false)));
            let of = of.map(|value| self.ty(value, &format!("{name}Value"), depth + 1));
            return Type::Map(Box::new(Type::union(of.collect::<Vec<_>>())));
        }
        if !self.schemas.spend(properties.len() + required.len()) {
            return Type::Unknown;
        }
        let mut fields: Vec<_> = properties
            .iter()
            .map(|(field, schema)| Field {
                name: field.clone(),
                doc: text(schema, "description").unwrap_or_default().to_owned(),
                ty: self.ty(schema, &format!("{name}{}", pascal(field)), depth + 1),
                is_required: required.contains(&field.as_str()),
            })
            .collect();
        for field in required {
            if !properties.contains_key(field) && !fields.iter().any(|known| known.name == field) {
                fields.push(Field {
                    name: field.to_owned(),
                    doc: String::new(),
                    ty: Type::Unknown,
                    is_required: true,
                });
            }
        }
        let is_allowed = |more: &Value| *more != Value::Bool(false);
        let is_open = patterns.is_some()
            || more.is_some_and(is_allowed)
            || schema.get("unevaluatedProperties").is_some_and(is_allowed)
            || has_any(schema, &["then", "else", "dependentSchemas"]);
        Type::Object(Object { fields, is_open })
    }
}

fn has_any(schema: &Schema, words: &[&str]) -> bool {
    words.iter().any(|word| schema.contains_key(*word))
}

fn text<'a>(schema: &'a Value, word: &str) -> Option<&'a str> {
    schema.get(word).and_then(Value::as_str)
}

fn array<'a>(schema: &'a Schema, word: &str) -> impl Iterator<Item = &'a Value> {
    schema
        .get(word)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn literal(value: &Value) -> Type {
    match value {
        Value::Null => Type::Null,
        Value::Bool(_) | Value::String(_) => Type::Literal(value.clone()),
        Value::Number(number) => match number.as_i64() {
            Some(_) if number.as_f64().is_some_and(|number| number.abs() <= SAFE) => {
                Type::Literal(value.clone())
            }
            _ if number.is_f64() => Type::Number,
            _ => Type::Integer,
        },
        Value::Array(_) | Value::Object(_) => Type::Unknown,
    }
}

/// A whole number, small if its schema says so. A guest's `usize` has 32 bits.
fn integer(schema: &Schema) -> Type {
    const SMALL: [&str; 8] = [
        "int8", "int16", "int32", "uint8", "uint16", "uint32", "int", "uint",
    ];
    let is_small = schema
        .get("format")
        .and_then(Value::as_str)
        .is_some_and(|format| SMALL.contains(&format));
    let bound = |words: [&str; 2]| {
        let bounds = words
            .iter()
            .filter_map(|word| schema.get(*word).and_then(Value::as_f64));
        bounds.into_iter().any(|bound| bound.abs() <= SAFE)
    };
    if is_small
        || (bound(["minimum", "exclusiveMinimum"]) && bound(["maximum", "exclusiveMaximum"]))
    {
        Type::SmallInteger
    } else {
        Type::Integer
    }
}

/// What tells an alternative from the others, to name it by: its only member, or the value of a tag.
fn variant(schema: &Value, number: usize) -> String {
    let properties = schema.get("properties").and_then(Value::as_object);
    let tag = properties
        .into_iter()
        .flatten()
        .find_map(|(_, schema)| text(schema, "const"));
    let only = properties.and_then(|properties| match properties.len() {
        1 => properties.keys().next().map(String::as_str),
        _ => None,
    });
    tag.or(only).map_or_else(|| number.to_string(), pascal)
}
