//! What a guest says of itself in `__meta`, as `inspect` prints it.

use metashrew_abi::proto::{IndexerMetadata, Storage, ViewFunction};
use serde_json::{Value, json};

use crate::printable;

pub(super) fn as_json(meta: &IndexerMetadata) -> Value {
    json!({
        "name": meta.name,
        "version": meta.version,
        "doc": meta.doc,
        "compiler_version": meta.compiler_version,
        "rustc_version": meta.rustc_version,
        "view_functions": meta.view_functions.iter().map(view_json).collect::<Vec<_>>(),
        "storage": meta.storage.iter().map(storage_json).collect::<Vec<_>>(),
    })
}

fn view_json(view: &ViewFunction) -> Value {
    json!({
        "name": view.name,
        "doc": view.doc,
        "input_type": view.input_type,
        "output_type": view.output_type,
        "input_schema": schema(&view.input_schema),
        "output_schema": schema(&view.output_schema),
    })
}

/// A schema as JSON; null if there is none, and its text if it is not JSON.
fn schema(text: &str) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

fn storage_json(storage: &Storage) -> Value {
    let key = |part: &metashrew_abi::proto::KeyPart| json!({ "name": part.name, "type": part.ty });
    json!({
        "name": storage.name,
        "doc": storage.doc,
        "prefix": hex::encode(&storage.prefix),
        "kind": storage.kind,
        "key": storage.key.iter().map(key).collect::<Vec<_>>(),
        "value": storage.value,
    })
}

pub(super) fn as_text(meta: &IndexerMetadata) -> String {
    let mut text = "__meta:\n".to_owned();
    let mut line = |indent: &str, line: &str| {
        // All of it is the guest's.
        text.push_str(indent);
        text.push_str(&printable::line(line));
        text.push('\n');
    };
    for (what, said) in [
        ("name", &meta.name),
        ("version", &meta.version),
        ("compiler", &meta.compiler_version),
        ("rustc", &meta.rustc_version),
    ] {
        if !said.is_empty() {
            line("  ", &format!("{what} {said}"));
        }
    }
    for doc in meta.doc.lines() {
        line("    ", doc);
    }
    for view in &meta.view_functions {
        let (input, output) = (&view.input_type, &view.output_type);
        line("  ", &format!("{}: {input} -> {output}", view.name));
        for doc in view.doc.lines() {
            line("    ", doc);
        }
    }
    for storage in &meta.storage {
        let parts = storage.key.iter();
        let key: Vec<_> = parts
            .map(|part| format!("{}: {}", part.name, part.ty))
            .collect();
        let (name, kind, value) = (&storage.name, &storage.kind, &storage.value);
        let prefix = hex::encode(&storage.prefix);
        let key = key.join(", ");
        line(
            "  ",
            &format!("{kind} {name} at {prefix}: ({key}) -> {value}"),
        );
        for doc in storage.doc.lines() {
            line("    ", doc);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use metashrew_abi::proto::KeyPart;

    fn meta() -> IndexerMetadata {
        IndexerMetadata {
            name: "tokens".to_owned(),
            doc: "Tokens.\nAll of them.".to_owned(),
            view_functions: vec![ViewFunction {
                name: "balance".to_owned(),
                input_type: "Owner".to_owned(),
                output_type: "u64".to_owned(),
                doc: "What an owner has.\n\x1b[2J".to_owned(),
                input_schema: r#"{"type":"string"}"#.to_owned(),
                output_schema: "no JSON".to_owned(),
            }],
            storage: vec![Storage {
                name: "balances".to_owned(),
                prefix: vec![0x62, 0xff],
                kind: "map".to_owned(),
                key: vec![KeyPart {
                    name: "owner".to_owned(),
                    ty: "bytes".to_owned(),
                }],
                value: "u64".to_owned(),
                doc: "By owner.".to_owned(),
            }],
            ..IndexerMetadata::default()
        }
    }

    #[test]
    fn all_that_a_guest_says_is_printed_harmlessly() {
        assert_eq!(
            as_text(&meta()),
            "__meta:\n  name tokens\n    Tokens.\n    All of them.\n  balance: Owner -> u64\n    \
             What an owner has.\n    \\u{1b}[2J\n  map balances at 62ff: (owner: bytes) -> u64\n    \
             By owner.\n"
        );
    }

    #[test]
    fn schemas_are_json_where_they_are() {
        let json = as_json(&meta());
        let view = &json["view_functions"][0];
        assert_eq!(view["input_schema"]["type"], "string");
        assert_eq!(view["output_schema"], "no JSON");
        assert_eq!(json["storage"][0]["prefix"], "62ff");
        assert_eq!(json["storage"][0]["key"][0]["type"], "bytes");
        let none = as_json(&IndexerMetadata {
            view_functions: vec![ViewFunction::default()],
            ..IndexerMetadata::default()
        });
        assert_eq!(none["view_functions"][0]["input_schema"], Value::Null);
    }
}
