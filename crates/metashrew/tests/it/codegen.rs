//! `metashrew codegen`: files for guests of all kinds, as kept in `codegen/`. `UPDATE_SNAPSHOTS=1` writes them after a
//! change that is meant. `scripts/check-clients.sh` compiles and runs such files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use metashrew_testing::guests;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::harness::{Place, fail, guest, project, succeed};

/// One view of a guest that tells all that can be told.
#[derive(Clone, Deserialize)]
struct View {
    name: String,
    doc: String,
    types: [String; 2],
    /// Of its input and of its answer.
    schema: Value,
    /// In place of the input.
    answer: Option<String>,
}

/// A field of a protobuf message that has a length.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        field.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    field.push(u8::try_from(length).unwrap());
    field.extend_from_slice(bytes);
    field
}

/// A guest that flushes nothing at each block, and describes itself by an `IndexerMetadata`.
fn telling(name: &str, doc: &str, tables: &[&str], views: &[View]) -> Vec<u8> {
    let mut meta = [
        field(4, name.as_bytes()),
        field(5, b"1.0"),
        field(7, doc.as_bytes()),
    ]
    .concat();
    for table in tables {
        meta.extend(field(6, &field(1, table.as_bytes())));
    }
    let mut exports = String::new();
    let mut place = 200_000;
    for view in views {
        let schema = match &view.schema {
            Value::Null => String::new(),
            schema => schema.to_string(),
        };
        let [input, output] = &view.types;
        let told = [&view.name, input, output, &view.doc, &schema, &schema];
        let told = (1..)
            .zip(told)
            .map(|(number, text)| field(number, text.as_bytes()));
        meta.extend(field(3, &told.collect::<Vec<_>>().concat()));
        let name = escaped(view.name.as_bytes());
        let export = match &view.answer {
            None => format!("(export \"{name}\" (func $echo))"),
            Some(answer) => {
                let at = place + 4;
                let data = data(place, answer.as_bytes());
                place += 4_096;
                format!("{data}(func (export \"{name}\") (result i32) (i32.const {at}))")
            }
        };
        exports.push_str(&export);
    }
    let meta = data(4, &meta);
    guests::from_wat(&format!(
        r#"(module
             (import "env" "__host_len" (func $len (result i32)))
             (import "env" "__load_input" (func $load (param i32)))
             (import "env" "__flush" (func $flush (param i32)))
             (memory (export "memory") 8)
             {meta}
             (func (export "__meta") (result i32) (i32.const 8))
             (func (export "_start") (call $flush (i32.const 400008)))
             (func $echo (result i32) (local $length i32)
               (local.set $length (call $len))
               (call $load (i32.const 404096))
               (i32.store (i32.const 404096) (i32.sub (local.get $length) (i32.const 4)))
               (i32.const 404100))
             {exports})"#
    ))
}

fn data(place: u32, bytes: &[u8]) -> String {
    let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    format!(
        "(data (i32.const {place}) \"{}{}\")",
        escaped(&length),
        escaped(bytes)
    )
}

fn escaped(bytes: &[u8]) -> String {
    let escaped: Vec<_> = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    escaped.concat()
}

/// Schemas of every form that `schemars` writes, and some more.
fn shapes() -> Vec<u8> {
    let views: Vec<View> = serde_json::from_str(include_str!("codegen/shapes.json")).unwrap();
    telling(
        "shapes",
        "Types of all kinds.\nIn two lines.",
        &["balances", "tokens"],
        &views,
    )
}

/// What would get out of comments and texts, means something to a tool, or has no end.
#[derive(Deserialize)]
struct Hostile {
    text: String,
    views: Vec<String>,
    members: Vec<String>,
    types: Vec<String>,
    circles: BTreeMap<String, Value>,
    bomb: Value,
}

impl Hostile {
    /// Members and types with names that are something else.
    fn named(&self) -> Value {
        let text = &self.text;
        let member = |name: &String| {
            let values = [text, "\u{7f}\u{1f600}", name];
            (name.clone(), json!({ "description": text, "enum": values }))
        };
        let names = self.members.iter().chain([text]);
        let mut members: serde_json::Map<_, _> = names.map(member).collect();
        let mut definitions = BTreeMap::new();
        for (index, name) in self.types.iter().chain([text]).enumerate() {
            let field = format!("field{index}");
            members.insert(field.clone(), reference(name));
            let definition = json!({ "description": text, "type": "object", "required": [field], "title": text });
            definitions.insert(name, definition);
        }
        let mut deep = json!({ "title": text, "type": "object", "required": [text] });
        for _ in 0..50 {
            deep = json!({ "type": "array", "items": deep });
        }
        members.insert("deep".to_owned(), deep);
        json!({ "title": text, "type": "object", "properties": members, "$defs": definitions })
    }

    /// Types that are made of nothing but themselves.
    fn circles(&self) -> Value {
        let parts: Vec<_> = self.circles.keys().map(|name| reference(name)).collect();
        json!({ "title": "Circles", "oneOf": parts, "$defs": self.circles })
    }
}

/// A reference to a definition.
fn reference(name: &str) -> Value {
    let pointer = name.replace('~', "~0").replace('/', "~1");
    json!({ "$ref": format!("#/$defs/{pointer}") })
}

fn hostile() -> Vec<u8> {
    let hostile: Hostile = serde_json::from_str(include_str!("codegen/hostile.json")).unwrap();
    let text = &hostile.text;
    let view = |name: &str, schema: Value| View {
        name: name.to_owned(),
        doc: text.clone(),
        types: [text.clone(), text.clone()],
        schema,
        answer: None,
    };
    let mut views: Vec<_> = hostile
        .views
        .iter()
        .map(|name| view(name, Value::Null))
        .collect();
    views.push(view(text, hostile.named()));
    views.push(view("circles", hostile.circles()));
    views.push(view("empty_schema", json!({})));
    views.push(view("zz_bomb", hostile.bomb.clone()));
    telling(text, text, &[text, "\"", ""], &views)
}

/// A kept file, written first where that is asked for.
fn kept(name: &str, now: &[u8]) -> PathBuf {
    let path = project("crates/metashrew/tests/it/codegen").join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, now).unwrap();
    }
    assert!(
        std::fs::read(&path).unwrap() == now,
        "{} is not up to date",
        path.display()
    );
    path
}

fn generate(place: &Place, language: &str, flags: &[&str]) -> String {
    let mut args = vec!["codegen", language, "--indexer", "guest.wasm"];
    args.extend(flags);
    succeed(&mut place.metashrew(&args))
}

/// Compares what is generated, but for what every client has.
fn check(name: &str, wasm: &[u8], flags: &[&str]) {
    let place = Place::with(wasm, 0);
    for (language, ending) in [("typescript", "ts"), ("python", "py")] {
        let text = generate(&place, language, flags);
        let runtime =
            project("crates/metashrew/src/command/codegen").join(format!("runtime.{ending}"));
        let runtime = std::fs::read_to_string(runtime).unwrap();
        let (head, tail) = text.split_once(&runtime).unwrap();
        kept(
            &format!("{name}.{ending}.txt"),
            format!("{head}…\n{tail}").as_bytes(),
        );
        assert_eq!(text, generate(&place, language, flags));
    }
}

#[test]
fn the_clients_of_guests_are_as_kept() {
    let read = |name: &str| std::fs::read(guest(name)).unwrap();
    check("typed", &read("typed"), &[]);
    check("addresses", &read("addresses"), &["--untold", "json"]);
    check("untold", &guests::chained(), &[]);
    kept("shapes.wasm", &shapes());
    check("shapes", &shapes(), &[]);
    kept("hostile.wasm", &hostile());
    check("hostile", &hostile(), &[]);
}

/// No text of a guest is anywhere but within the comment or the text where it was put.
#[test]
fn a_guest_gets_out_of_nothing() {
    let place = Place::with(&hostile(), 0);
    let text = generate(&place, "typescript", &[]);
    let is_comment = |line: &&str| line.trim_start().starts_with(['*', '/']);
    for line in text.lines().filter(is_comment) {
        let inner = line.trim_start().trim_end_matches("*/");
        assert!(!inner.contains("*/") && !line.contains("@ts-"), "{line}");
    }
    let text = text + &generate(&place, "python", &[]);
    for line in text.lines() {
        assert!(
            !line.starts_with("# mypy:") && !line.starts_with("throw"),
            "{line}"
        );
        assert!(
            !line.contains(['\u{2028}', '\u{202e}', '\r', '\0']),
            "{line}"
        );
    }
}

#[test]
fn a_file_is_written_and_what_is_no_guest_is_told() {
    let place = Place::new(0);
    assert_eq!(generate(&place, "python", &["--out", "client.py"]), "");
    let written = std::fs::read_to_string(place.path("client.py")).unwrap();
    assert_eq!(written, generate(&place, "python", &[]));
    let stderr = fail(&mut place.metashrew(&["codegen", "python"]), 2);
    assert!(stderr.contains("--indexer <FILE>"), "{stderr}");
    let stderr = fail(
        &mut place.metashrew(&["codegen", "python", "--indexer", "blocks.dat"]),
        1,
    );
    assert!(stderr.contains("`blocks.dat` is no guest"), "{stderr}");
}
