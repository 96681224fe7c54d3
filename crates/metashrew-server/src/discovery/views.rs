//! What the guest tells of itself and its views, and how these run.

use metashrew_runtime::{MetashrewRuntime, ViewDescription};
use serde::Serialize;
use serde_json::Value;

/// Views that are told of at most: a document has some kilobytes for each.
const MOST: usize = 1_000;

/// How deep a schema of the guest's may nest. Others' parsers end at twice as much, and a
/// document has it some levels down.
const MAX_DEPTH: usize = 64;

/// The result of `metashrew_views`.
#[derive(Debug, Serialize)]
pub(crate) struct Description {
    pub(super) guest: Guest,
    /// By name.
    pub(super) views: Vec<View>,
    /// How many there are besides.
    pub(super) omitted: usize,
    /// The tables.
    pub(super) storage: Vec<Table>,
}

#[derive(Debug, Serialize)]
pub(super) struct Guest {
    pub(super) sha256: String,
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
    /// In the author's words.
    pub(super) doc: Option<String>,
}

/// Some of the guest's keys, and what lies under them.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    name: String,
    /// In the author's words.
    doc: Option<String>,
    /// How all of its keys begin, as hex.
    prefix: String,
    kind: String,
    /// What follows the prefix, in order.
    key: Vec<KeyPart>,
    value: String,
}

#[derive(Debug, Serialize)]
struct KeyPart {
    name: String,
    #[serde(rename = "type")]
    ty: String,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct View {
    pub(super) name: String,
    /// In the author's words.
    pub(super) doc: Option<String>,
    pub(super) input: Told,
    pub(super) output: Told,
    pub(super) instances: &'static str,
    pub(super) answers_from_memory: bool,
    pub(super) height_independent: bool,
}

/// What is told of a view's inputs, or of its answers.
#[derive(Debug, Default, Serialize)]
pub(super) struct Told {
    /// In the guest's words.
    #[serde(rename = "type")]
    pub(super) ty: Option<String>,
    pub(super) form: Option<Form>,
    pub(super) schema: Option<Value>,
    /// Why the guest's schema is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schema_error: Option<String>,
}

/// What bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    Json,
    Text,
    Bytes,
    Nothing,
}

impl Description {
    pub(super) fn of(runtime: &MetashrewRuntime) -> Self {
        let id = runtime.guest_id();
        let described = runtime.views();
        let told = described.iter().take(MOST);
        let storage = runtime.storages().iter().map(|told| {
            let key = told.key.iter().map(|part| KeyPart {
                name: part.name.clone(),
                ty: part.ty.clone(),
            });
            Table {
                name: told.name.clone(),
                doc: said(&told.doc),
                prefix: hex::encode_prefixed(&told.prefix),
                kind: told.kind.clone(),
                key: key.collect(),
                value: told.value.clone(),
            }
        });
        Self {
            guest: Guest {
                sha256: hex::encode_prefixed(id.sha256),
                name: id.name.clone(),
                version: id.version.clone(),
                doc: said(runtime.guest_doc()),
            },
            views: told.map(|view| View::of(view, runtime)).collect(),
            omitted: described.len().saturating_sub(MOST),
            storage: storage.collect(),
        }
    }
}

impl Description {
    /// What a document about them is called.
    pub(super) fn title(&self) -> String {
        self.guest
            .name
            .clone()
            .unwrap_or_else(|| "metashrew".to_owned())
    }
}

impl View {
    fn of(told: &ViewDescription, runtime: &MetashrewRuntime) -> Self {
        Self {
            name: told.name.clone(),
            doc: said(&told.doc),
            input: Told::of(&told.input_type, told.input_schema.as_deref()),
            output: Told::of(&told.output_type, told.output_schema.as_deref()),
            instances: runtime.instances_of(&told.name).as_str(),
            answers_from_memory: told.answers_from_memory,
            height_independent: told.height_independent,
        }
    }
}

impl Told {
    fn of(ty: &str, schema: Option<&str>) -> Self {
        let (schema, error) = match schema.map(read).transpose() {
            Ok(schema) => (schema, None),
            Err(error) => (None, Some(error)),
        };
        let form = if schema.is_some() {
            Some(Form::Json)
        } else {
            Form::told_by(ty)
        };
        Self {
            ty: said(ty),
            form,
            schema,
            schema_error: error,
        }
    }
}

impl Form {
    /// What a type in the words of the SDK's attributes means, if it is one of them.
    fn told_by(ty: &str) -> Option<Self> {
        match ty {
            "nothing" => Some(Self::Nothing),
            "text" => Some(Self::Text),
            "bytes" => Some(Self::Bytes),
            _ if ty.ends_with("(JSON)") => Some(Self::Json),
            _ if ty.ends_with("(protobuf)") => Some(Self::Bytes),
            _ => None,
        }
    }
}

fn said(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The guest's text as a JSON Schema, or why it is none.
fn read(text: &str) -> Result<Value, String> {
    let schema: Value =
        serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    if !matches!(schema, Value::Object(_) | Value::Bool(_)) {
        return Err("it is no JSON Schema, which is an object or a boolean".to_owned());
    }
    if depth(&schema) > MAX_DEPTH {
        return Err(format!("it nests deeper than {MAX_DEPTH}"));
    }
    Ok(schema)
}

/// How deep arrays and objects nest. A parser has bounded it.
fn depth(value: &Value) -> usize {
    let within = match value {
        Value::Array(list) => list.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        _ => return 0,
    };
    1 + within.unwrap_or_default()
}

#[cfg(test)]
impl Description {
    /// A guest that tells of these views and of nothing else.
    pub(super) fn with(views: Vec<View>) -> Self {
        Self {
            guest: Guest {
                sha256: "0x00".to_owned(),
                name: None,
                version: None,
                doc: None,
            },
            views,
            omitted: 0,
            storage: Vec::new(),
        }
    }
}

#[cfg(test)]
impl View {
    /// One of that name, with a schema of its input if that is not empty.
    pub(super) fn with(name: &str, schema: &str) -> Self {
        Self {
            name: name.to_owned(),
            input: Told::of("", Some(schema).filter(|schema| !schema.is_empty())),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn forms_follow_from_types_and_schemas() {
        let check = |ty: &str, schema: Option<&str>, expect: Option<Form>| {
            assert_eq!(Told::of(ty, schema).form, expect, "{ty} {schema:?}");
        };
        check("", None, None);
        check("height: u32", None, None);
        check("nothing", None, Some(Form::Nothing));
        check("text", None, Some(Form::Text));
        check("bytes", None, Some(Form::Bytes));
        check("Query (protobuf)", None, Some(Form::Bytes));
        check("Query (JSON)", None, Some(Form::Json));
        check("Query", Some("{}"), Some(Form::Json));
        check("Query", Some("{"), None);
    }

    #[test]
    fn a_schema_is_an_object_or_a_boolean() {
        let told = Told::of("A (JSON)", Some(r#"{"type": "string"}"#));
        assert_eq!(told.schema, Some(json!({ "type": "string" })));
        assert_eq!(told.schema_error, None);
        assert_eq!(Told::of("", Some("true")).schema, Some(json!(true)));
        let nested = |levels: usize| {
            let (open, close) = (r#"{"not":"#.repeat(levels), "}".repeat(levels));
            format!("{open}true{close}")
        };
        assert!(Told::of("", Some(&nested(MAX_DEPTH))).schema.is_some());
        for (text, expect) in [
            ("no JSON", "it is not JSON"),
            ("7", "it is no JSON Schema"),
            ("[{}]", "it is no JSON Schema"),
            (&nested(MAX_DEPTH + 1), "it nests deeper than 64"),
            (&nested(100_000), "it is not JSON"),
        ] {
            let told = Told::of("A (JSON)", Some(text));
            assert_eq!(told.schema, None);
            let error = told.schema_error.unwrap();
            assert!(error.starts_with(expect), "{error}");
        }
    }
}
