//! What a guest tells of its interface: its module, or a server that runs it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail};
use metashrew_abi::proto::{IndexerMetadata, ViewFunction};
use serde::Deserialize;
use serde_json::{Value, json};

use super::model::{Api, Form, Type, View};
use super::names::pascal;
use super::schema::Schemas;
use crate::cli::ServerUrl;
use crate::client::Client;
use crate::command::database;

/// How long a server may take: it has it all in memory.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer of a server, in bytes: a description has 256 KiB, of which each byte may take six in JSON.
const MAX_ANSWER: u64 = 16 << 20;

/// As `metashrew_views` answers it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Told {
    guest: Guest,
    views: Vec<ToldView>,
    #[serde(default)]
    storage: Vec<Table>,
}

#[derive(Debug, Default, Deserialize)]
struct Guest {
    name: Option<String>,
    version: Option<String>,
    doc: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct ToldView {
    name: String,
    doc: Option<String>,
    #[serde(default)]
    input: ToldType,
    #[serde(default)]
    output: ToldType,
}

#[derive(Debug, Default, Deserialize)]
struct ToldType {
    #[serde(rename = "type")]
    ty: Option<String>,
    schema: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Table {
    name: String,
}

/// What a module tells of itself.
pub(super) fn of_guest(path: &Path) -> Result<Told> {
    let wasm = database::read_guest(path)?;
    let report = metashrew_runtime::inspect(&wasm)
        .with_context(|| format!("`{}` is no guest", path.display()))?;
    let meta = match report.meta {
        Some(Ok(meta)) => meta,
        Some(Err(error)) => {
            tracing::warn!("`__meta` of the guest fails, so its views have no types: {error}");
            IndexerMetadata::default()
        }
        None => IndexerMetadata::default(),
    };
    Ok(of_meta(&report.views, meta))
}

/// Of the views that a module exports, what it says of them.
fn of_meta(exported: &[String], meta: IndexerMetadata) -> Told {
    let mut described = BTreeMap::new();
    for view in meta.view_functions {
        described.entry(view.name.clone()).or_insert(view);
    }
    let views = exported.iter().map(|name| {
        let view = described.remove(name).unwrap_or_default();
        let ViewFunction {
            doc,
            input_type,
            output_type,
            input_schema,
            output_schema,
            ..
        } = view;
        ToldView {
            name: name.clone(),
            doc: Some(doc),
            input: told_type(name, input_type, &input_schema),
            output: told_type(name, output_type, &output_schema),
        }
    });
    Told {
        views: views.collect(),
        guest: Guest {
            name: Some(meta.name),
            version: Some(meta.version),
            doc: Some(meta.doc),
        },
        storage: meta
            .storage
            .into_iter()
            .map(|table| Table { name: table.name })
            .collect(),
    }
}

fn told_type(view: &str, ty: String, schema: &str) -> ToldType {
    let schema = match serde_json::from_str(schema) {
        Ok(schema) => Some(schema),
        Err(_) if schema.is_empty() => None,
        Err(error) => {
            tracing::warn!("a schema of the view `{view}` is no JSON: {error}");
            Some(Value::Bool(true))
        }
    };
    ToldType {
        ty: Some(ty),
        schema,
    }
}

/// What a server tells of its guest.
pub(super) fn of_server(url: &ServerUrl) -> Result<Told> {
    let client = Client::new(url, PATIENCE, MAX_ANSWER)?;
    let answer = client.call("metashrew_views", &json!([]));
    match answer.with_context(|| format!("the server at `{url}` does not answer"))? {
        Ok(told) => Ok(told),
        Err(error) => bail!(Error::msg(error.message).context("it does not tell its views")),
    }
}

impl Told {
    /// The interface. `untold` is the form of what the guest says nothing about.
    pub(super) fn into_api(self, untold: &Form) -> Api {
        let mut schemas = Schemas::new();
        let views = self.views.into_iter().map(|view| {
            let ToldView {
                name,
                doc,
                input,
                output,
            } = view;
            let view_name = pascal(&name);
            let mut form = |told: &ToldType, suffix| {
                told.form(&mut schemas, &format!("{view_name}{suffix}"))
                    .unwrap_or_else(|| untold.clone())
            };
            View {
                input: form(&input, "Input"),
                output: form(&output, "Output"),
                told: [input.ty.unwrap_or_default(), output.ty.unwrap_or_default()],
                doc: doc.unwrap_or_default(),
                name,
            }
        });
        let mut views: Vec<_> = views.collect();
        views.sort_by(|one, other| one.name.cmp(&other.name));
        if schemas.is_exhausted() {
            tracing::warn!("the schemas of the guest are too large: what is beyond has no types");
        }
        let mut storage: Vec<_> = self.storage.into_iter().map(|table| table.name).collect();
        storage.sort();
        storage.dedup();
        let mut api = Api {
            name: self.guest.name.unwrap_or_default(),
            version: self.guest.version.unwrap_or_default(),
            doc: self.guest.doc.unwrap_or_default(),
            views,
            storage,
            types: schemas.types,
        };
        api.settle();
        api
    }
}

impl ToldType {
    /// How it is written; none if the guest does not say.
    fn form(&self, schemas: &mut Schemas, name: &str) -> Option<Form> {
        if let Some(schema) = &self.schema {
            return Some(Form::Json(schemas.read(schema, name)));
        }
        let ty = self.ty.as_deref().unwrap_or_default();
        match ty {
            "nothing" => Some(Form::Nothing),
            "bytes" => Some(Form::Bytes),
            "text" => Some(Form::Text),
            _ if ty.ends_with("(protobuf)") => Some(Form::Bytes),
            _ if ty.ends_with("(JSON)") => Some(Form::Json(Type::Unknown)),
            _ => None,
        }
    }
}
