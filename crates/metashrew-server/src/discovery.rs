//! What there is to call, told to programs and to people: the guest's views, an OpenRPC and an
//! OpenAPI document, and a page. All of it is made once, since neither the guest nor the version
//! changes while a server runs.

mod components;
mod openapi;
mod openrpc;
mod page;
mod query;
mod sample;
mod serve;
mod table;
mod views;

use bytes::Bytes;
use metashrew_runtime::MetashrewRuntime;
use serde::Serialize;
use serde_json::{Value, json};

use components::Components;
#[cfg(test)]
pub(crate) use table::Table as MethodTable;

use serve::{Document, Pages};
use table::Table;
use views::Description;

/// The version of metashrew.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is told.
pub(crate) struct Discovery {
    /// The result of `metashrew_views`.
    views: Bytes,
    openrpc: Document,
    openapi: Document,
    pages: Pages,
}

impl Discovery {
    pub(crate) fn new(runtime: &MetashrewRuntime) -> Self {
        Self::of(&Description::of(runtime))
    }

    fn of(views: &Description) -> Self {
        let table = Table::read();
        let (components, placed) = Components::of(views);
        let mut schemas = components.into_map();
        schemas.extend(table.schemas.clone());
        schemas.insert("ViewName".to_owned(), view_name(views));
        let openrpc = openrpc::document(views, &placed, &table, &schemas);
        let openapi = openapi::document(views, &placed, &schemas);
        Self {
            views: json_of(views),
            openrpc: Document::json(json_of(&openrpc)),
            openapi: Document::json(json_of(&openapi)),
            pages: Pages::of(views),
        }
    }

    /// The result of `metashrew_views`: JSON.
    pub(crate) fn views(&self) -> &Bytes {
        &self.views
    }

    /// The result of `rpc.discover`: JSON.
    pub(crate) fn openrpc(&self) -> &Bytes {
        self.openrpc.body()
    }
}

/// What a view's name is: one of those told, if they are all.
fn view_name(views: &Description) -> Value {
    let mut schema =
        json!({ "title": "ViewName", "description": "A view of the guest", "type": "string" });
    if !views.views.is_empty() && views.omitted == 0 {
        let names = views.views.iter().map(|view| view.name.as_str());
        put(&mut schema, "enum", names.collect());
    }
    schema
}

/// Puts a member into an object.
fn put(object: &mut Value, name: &str, member: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), member);
    }
}

fn json_of(value: &impl Serialize) -> Bytes {
    let text = serde_json::to_vec(value).expect("it has only texts as keys");
    text.into()
}

#[cfg(test)]
mod tests {
    use metashrew_abi::proto::MAX_METADATA_BYTES;

    use super::*;
    use views::View;

    /// What is made of as much as a guest may tell.
    #[test]
    fn documents_are_as_long_as_what_a_guest_may_tell_makes_them() {
        let part = r##"{"$ref":"#"},"##;
        let parts = part.repeat(MAX_METADATA_BYTES / part.len());
        let schema = format!(r#"{{"anyOf":[{parts}true]}}"#);
        let name = "\u{1}".repeat(21);
        let views = Description::with(vec![View::with(&name, &schema)]);
        let told = Discovery::of(&views);
        for document in [told.openrpc.body(), told.openapi.body()] {
            assert!(document.len() > schema.len());
            assert!(
                document.len() < 16 * MAX_METADATA_BYTES,
                "{}",
                document.len()
            );
        }
        let many = (0..1_000).map(|number| View::with(&number.to_string(), ""));
        let told = Discovery::of(&Description::with(many.collect()));
        for document in [told.openrpc.body(), told.openapi.body()] {
            assert!(
                document.len() < 16 * MAX_METADATA_BYTES,
                "{}",
                document.len()
            );
        }
    }
}
