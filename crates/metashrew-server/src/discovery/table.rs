//! The methods, as `methods.json` describes them: their parameters, results and errors, and the
//! schemas that these refer to. Tests compare it with what the parser takes.

use serde_json::{Map, Value, json};

const TEXT: &str = include_str!("methods.json");

/// What the table says.
pub(crate) struct Table {
    pub(crate) methods: Vec<Value>,
    pub(crate) schemas: Map<String, Value>,
    /// Errors by name.
    pub(crate) errors: Map<String, Value>,
}

impl Table {
    /// The table, its methods as OpenRPC has them.
    pub(crate) fn read() -> Self {
        let mut table: Value = serde_json::from_str(TEXT).expect("the table is JSON");
        let mut part = |name: &str| table.get_mut(name).map(Value::take).unwrap_or_default();
        let groups = object(part("errors"));
        let mut methods = list(part("methods"));
        for method in &mut methods {
            refer_to_errors(method, &groups);
        }
        let errors = groups.into_iter().flat_map(|(_, group)| object(group));
        Self {
            methods,
            schemas: object(part("schemas")),
            errors: errors.collect(),
        }
    }
}

/// In place of the names of groups of errors, references to the errors.
fn refer_to_errors(method: &mut Value, groups: &Map<String, Value>) {
    let Some(errors) = method.get_mut("errors") else {
        return;
    };
    let of_method = list(errors.take());
    let of_method = of_method.iter().filter_map(Value::as_str);
    let named = ["every"].into_iter().chain(of_method);
    let found = named.filter_map(|name| groups.get(name)?.as_object());
    let found = found.flat_map(Map::keys);
    let found = found.map(|error| json!({ "$ref": format!("#/components/errors/{error}") }));
    *errors = found.collect();
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(list) => list,
        _ => Vec::new(),
    }
}
