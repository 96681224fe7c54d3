//! The OpenAPI document: all that is asked by path. `routes.json` has the paths that are the
//! same for every guest; each view has one of its own.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::components::{ViewSchemas, view_key};
use super::put;
use super::query;
use super::sample;
use super::views::{Description, Form, Told, View};

const ROUTES: &str = include_str!("routes.json");

/// What [`ROUTES`] has.
#[derive(Deserialize)]
struct Routes {
    paths: Map<String, Value>,
    components: Parts,
}

#[derive(Serialize, Deserialize)]
struct Parts {
    schemas: Map<String, Value>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// What may stand in a segment of a path as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Parameters of every view, by their components.
const COMMON: [&str; 8] = [
    "Block",
    "BlockHeader",
    "As",
    "Guest",
    "HistoryRoot",
    "Session",
    "Fresh",
    "TimeoutMs",
];

/// The path of a view, if it can have one: clients take `.` and `..` for folders.
pub(super) fn path(view: &str) -> Option<String> {
    let is_name = !matches!(view, "" | "." | "..");
    is_name.then(|| format!("/view/{}", utf8_percent_encode(view, SEGMENT)))
}

/// The document; `schemas` are those of [`super::openrpc`].
pub(super) fn document(
    views: &Description,
    placed: &[ViewSchemas],
    schemas: &Map<String, Value>,
) -> Value {
    let mut routes: Routes = serde_json::from_str(ROUTES).expect("the routes are JSON");
    let described = views.views.iter().zip(placed).enumerate();
    routes
        .paths
        .extend(described.filter_map(|(number, (view, placed))| {
            let key = view_key(number, &view.name);
            Some((path(&view.name)?, item(&key, view, placed, schemas)))
        }));
    routes.components.schemas.extend(schemas.clone());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": views.title(),
            "version": super::VERSION,
            "description": views.guest.doc.as_deref().unwrap_or("An index of Bitcoin's blocks."),
        },
        "servers": [{ "url": "/" }],
        "tags": [
            { "name": "views", "description": "the guest's views" },
            { "name": "subscriptions", "description": "server-sent events" },
            { "name": "json-rpc" },
            { "name": "discovery" },
            { "name": "probes" },
        ],
        "paths": routes.paths,
        "components": routes.components,
    })
}

fn item(key: &str, view: &View, placed: &ViewSchemas, schemas: &Map<String, Value>) -> Value {
    let parameter = |name: &str| json!({ "$ref": format!("#/components/parameters/{name}") });
    let mut post = operation(view, placed);
    put(&mut post, "operationId", json!(format!("post.{key}")));
    put(&mut post, "parameters", COMMON.map(parameter).into());
    if let Some((kind, schema)) = content(&view.input, placed.input.as_ref()) {
        let mut content = json!({ "schema": schema });
        if let Some(schema) = &view.input.schema {
            put(&mut content, "example", sample::of(schema));
        }
        let is_needed = view.input.form.is_some();
        let body = json!({ "required": is_needed, "content": { kind: content } });
        put(&mut post, "requestBody", body);
    }
    let mut get = operation(view, placed);
    put(&mut get, "operationId", json!(format!("get.{key}")));
    let input = match view.input.form {
        Some(Form::Nothing) => &[][..],
        Some(Form::Json) => &["Json"],
        Some(Form::Text) => &["Text"],
        Some(Form::Bytes) => &["Input"],
        None => &["Input", "Json", "Text"],
    };
    let parameters = COMMON.iter().chain(input).map(|name| parameter(name));
    let parameters = parameters
        .chain(query::parameters(&format!("{key}.input"), schemas))
        .collect();
    put(&mut get, "parameters", parameters);
    json!({ "post": post, "get": get })
}

/// What reading a view has in common, however it is asked.
fn operation(view: &View, placed: &ViewSchemas) -> Value {
    let mut description: Vec<String> = view.doc.iter().cloned().collect();
    let sides = [
        ("input", &view.input, &placed.input),
        ("output", &view.output, &placed.output),
    ];
    for (side, told, placed) in sides {
        if let Some(ty) = &told.ty {
            description.push(format!("{side}: {ty}"));
        }
        let left_out = placed.as_ref().and_then(|placed| placed.as_ref().err());
        if let Some(why) = told.schema_error.as_ref().or(left_out) {
            description.push(format!("The schema of its {side} is left out: {why}"));
        }
    }
    let mut answer = json!({
        "description": "the view's answer",
        "headers": {
            "Metashrew-Height": { "$ref": "#/components/headers/Height" },
            "Metashrew-Block-Hash": { "$ref": "#/components/headers/BlockHash" },
            "Metashrew-History-Root": { "$ref": "#/components/headers/HistoryRoot" },
            "Metashrew-Guest": { "$ref": "#/components/headers/Guest" },
            "ETag": { "$ref": "#/components/headers/ETag" },
        },
    });
    if let Some((kind, schema)) = content(&view.output, placed.output.as_ref()) {
        put(
            &mut answer,
            "content",
            json!({ kind: { "schema": schema } }),
        );
    }
    json!({
        "tags": ["views"],
        "summary": view.name,
        "description": description.join("\n\n"),
        "responses": {
            "200": answer,
            "304": { "$ref": "#/components/responses/NotModified" },
            "default": { "$ref": "#/components/responses/Error" },
        },
    })
}

/// What bytes are called, and their schema; none if there are none.
fn content(told: &Told, placed: Option<&Result<Value, String>>) -> Option<(&'static str, Value)> {
    let schema = placed.and_then(|placed| placed.as_ref().ok());
    let schema = || schema.cloned().unwrap_or_else(|| json!({}));
    Some(match told.form {
        None => ("*/*", schema()),
        Some(Form::Nothing) => return None,
        Some(Form::Json) => ("application/json", schema()),
        Some(Form::Text) => ("text/plain", json!({ "type": "string" })),
        Some(Form::Bytes) => {
            let bytes = json!({ "type": "string", "format": "binary" });
            ("application/octet-stream", bytes)
        }
    })
}
