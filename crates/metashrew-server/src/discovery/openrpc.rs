//! The OpenRPC document: all methods of JSON-RPC, with the guest's views.

use serde_json::{Map, Value, json};

use super::components::ViewSchemas;
use super::put;
use super::sample;
use super::table::Table;
use super::views::{Description, Form, View};

/// The version of OpenRPC that the document is of.
const VERSION: &str = "1.3.2";

/// The document; `schemas` are all components, the table's among them.
pub(super) fn document(
    views: &Description,
    placed: &[ViewSchemas],
    table: &Table,
    schemas: &Map<String, Value>,
) -> Value {
    let mut methods = table.methods.clone();
    let described = views.views.iter().zip(placed);
    for method in &mut methods {
        if method
            .get("name")
            .is_some_and(|name| name == "metashrew_view")
        {
            let examples = described.clone().map(|(view, _)| example(view));
            put(method, "examples", examples.collect());
        }
    }
    json!({
        "openrpc": VERSION,
        "info": {
            "title": views.title(),
            "version": super::VERSION,
            "description": "JSON-RPC of metashrew. Where a block is not named, it is the last committed one; every answer stands on one consistent snapshot.",
        },
        "methods": methods,
        "components": { "schemas": schemas, "errors": table.errors },
        "x-guest": views.guest,
        "x-views": described.map(|(view, placed)| told(view, placed)).collect::<Vec<_>>(),
    })
}

/// A call of `view`.
fn example(view: &View) -> Value {
    let named = |name: &str, value: Value| json!({ "name": name, "value": value });
    let function = named("function", json!(view.name));
    let input = match view.input.form {
        Some(Form::Json) => {
            let schema = view.input.schema.as_ref();
            Some(json!({ "json": schema.map_or(Value::Null, sample::of) }))
        }
        Some(Form::Text) => Some(json!({ "text": "" })),
        Some(Form::Bytes) => Some(json!("0x")),
        Some(Form::Nothing) | None => None,
    };
    let input = input.map(|input| named("input", input));
    let params: Vec<_> = [Some(function), input].into_iter().flatten().collect();
    json!({ "name": view.name, "params": params })
}

/// A view, with references to its schemas.
fn told(view: &View, placed: &ViewSchemas) -> Value {
    let schema = |placed: &Option<Result<Value, String>>| match placed {
        Some(Ok(reference)) => reference.clone(),
        Some(Err(_)) | None => Value::Null,
    };
    json!({
        "name": view.name,
        "doc": view.doc,
        "input": { "type": view.input.ty, "form": view.input.form, "schema": schema(&placed.input) },
        "output": { "type": view.output.ty, "form": view.output.form, "schema": schema(&placed.output) },
        "instances": view.instances,
        "answers_from_memory": view.answers_from_memory,
        "height_independent": view.height_independent,
    })
}
