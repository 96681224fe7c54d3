//! What is told of what there is to call: `metashrew_views`, `rpc.discover`, `/openapi.json` and
//! the page at `/`.

use std::fmt::Write;
use std::path::Path;

use metashrew_abi::proto::{IndexerMetadata, ViewFunction};
use metashrew_runtime::{ViewMode, ViewOptions};
use prost::Message;
use serde_json::{Value, json};

use crate::harness::{Served, Setup, status};

/// An example guest, as it is kept.
fn guest(name: &str) -> Vec<u8> {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/wasm");
    std::fs::read(guests.join(name).with_extension("wasm")).unwrap()
}

fn serving(wasm: Vec<u8>) -> Served {
    Setup {
        wasm,
        blocks: 0,
        ..Setup::default()
    }
    .serve()
}

/// A guest whose views answer nothing, and whose `__meta` tells of them.
fn telling(views: &[ViewFunction]) -> Vec<u8> {
    let meta = IndexerMetadata {
        name: "telling".to_owned(),
        view_functions: views.to_vec(),
        ..IndexerMetadata::default()
    };
    let message = meta.encode_to_vec();
    let mut text = r#"(module (memory (export "memory") 8) (func (export "_start"))"#.to_owned();
    text.push_str(r#"(data (i32.const 8) ""#);
    let length = u32::try_from(message.len()).unwrap().to_le_bytes();
    push_bytes(&mut text, &length);
    push_bytes(&mut text, &message);
    text.push_str(r#"") (func (export "__meta") (result i32) (i32.const 12))"#);
    for view in views {
        text.push_str(r#"(func (export ""#);
        push_bytes(&mut text, view.name.as_bytes());
        text.push_str(r#"") (result i32) (i32.const 4))"#);
    }
    metashrew_testing::guests::from_wat(&(text + ")"))
}

fn push_bytes(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(text, "\\{byte:02x}").unwrap();
    }
}

/// A view of that name with a schema of its input.
fn view(name: &str, schema: &str) -> ViewFunction {
    ViewFunction {
        name: name.to_owned(),
        input_schema: schema.to_owned(),
        ..ViewFunction::default()
    }
}

fn document(served: &Served, path: &str) -> Value {
    let (status, head, body) = served.get(path);
    assert_eq!(status, 200, "{body}");
    assert!(head.contains("content-type: application/json"), "{head}");
    serde_json::from_str(&body).unwrap()
}

/// Checks that every reference in a document leads somewhere, and that components are called
/// as they may be.
fn check_references(document: &Value) {
    let mut left = vec![document];
    while let Some(value) = left.pop() {
        match value {
            Value::Array(values) => left.extend(values),
            Value::Object(members) => {
                left.extend(members.values());
                if let Some(Value::String(reference)) = members.get("$ref") {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
            }
            _ => {}
        }
    }
    for components in document["components"].as_object().unwrap().values() {
        for name in components.as_object().unwrap().keys() {
            let is_part = |char: char| char.is_ascii_alphanumeric() || ".-_".contains(char);
            assert!(name.chars().all(is_part), "{name}");
        }
    }
}

#[test]
fn views_are_told_with_their_schemas_and_modes() {
    let served = Setup {
        wasm: guest("typed"),
        blocks: 0,
        views: ViewOptions {
            modes: [("echo".to_owned(), ViewMode::Fresh)].into(),
            ..ViewOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let told = served.result("metashrew_views", &json!([]));
    assert_eq!(told["guest"]["name"], "typed");
    assert_eq!(told["omitted"], 0);
    let views = told["views"].as_array().unwrap();
    let names: Vec<_> = views
        .iter()
        .map(|view| view["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["counts", "echo", "message", "text"]);
    let counts = &views[0];
    assert_eq!(
        counts["doc"],
        "How many transactions some blocks have, each."
    );
    assert_eq!(counts["input"]["type"], "Blocks (JSON)");
    assert_eq!(counts["input"]["form"], "json");
    assert_eq!(counts["input"]["schema"]["required"], json!(["from"]));
    assert_eq!(counts["output"]["schema"]["title"], "Counts");
    assert_eq!(counts["instances"], "shared");
    assert_eq!(counts["answers_from_memory"], false);
    assert_eq!(counts["height_independent"], false);
    let echo = &views[1];
    assert_eq!(echo["instances"], "fresh");
    assert_eq!(
        echo["input"],
        json!({ "type": "bytes", "form": "bytes", "schema": null })
    );
    assert_eq!(views[2]["input"]["form"], "bytes");
    assert_eq!(views[3]["input"]["form"], "nothing");
    assert_eq!(views[3]["output"]["form"], "text");
}

#[test]
fn a_guest_that_tells_nothing_has_views_all_the_same() {
    let served = serving(metashrew_testing::guests::chained());
    let told = served.result("metashrew_views", &json!([]));
    assert_eq!(told["guest"]["name"], Value::Null);
    let views = told["views"].as_array().unwrap();
    let echo = views.iter().find(|view| view["name"] == "echo").unwrap();
    assert_eq!(echo["doc"], Value::Null);
    assert_eq!(
        echo["input"],
        json!({ "type": null, "form": null, "schema": null })
    );
    assert_eq!(echo["instances"], "pinned");
    check_references(&served.result("rpc.discover", &json!([])));
    check_references(&document(&served, "/openapi.json"));
}

#[test]
fn openrpc_has_every_method_and_the_guests_views() {
    let served = serving(guest("typed"));
    let openrpc = served.result("rpc.discover", &json!([]));
    assert_eq!(openrpc, document(&served, "/openrpc.json"));
    assert_eq!(openrpc["info"]["title"], "typed");
    let methods = openrpc["methods"].as_array().unwrap();
    for method in methods.iter().filter(|it| it.get("x-transport").is_none()) {
        // Whatever is wrong with it, it is there.
        let answer = served.answer(method["name"].as_str().unwrap(), &json!([]));
        assert_ne!(answer["error"]["code"], -32601, "{method}");
    }
    assert_eq!(
        openrpc["components"]["schemas"]["ViewName"]["enum"],
        json!(["counts", "echo", "message", "text"])
    );
    let schema = &openrpc["x-views"][0]["input"]["schema"]["$ref"];
    assert_eq!(schema, "#/components/schemas/view.counts.input");
    check_references(&openrpc);
}

#[test]
fn openapi_has_a_path_for_each_view() {
    let served = serving(guest("typed"));
    let openapi = document(&served, "/openapi.json");
    let paths = openapi["paths"].as_object().unwrap();
    for path in [
        "/health",
        "/ready",
        "/metrics",
        "/subscribe/heads",
        "/view/counts",
        "/view/text",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    let counts = &paths["/view/counts"];
    assert_eq!(
        counts["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/view.counts.input"
    );
    assert_eq!(
        counts["post"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/view.counts.output"
    );
    let parameters = counts["get"]["parameters"].as_array().unwrap();
    let names: Vec<_> = parameters
        .iter()
        .filter_map(|it| it["name"].as_str())
        .collect();
    assert_eq!(names, ["count", "from"]);
    assert!(paths["/view/text"]["post"].get("requestBody").is_none());
    check_references(&openapi);
}

/// Names and schemas that a document has to stand.
fn odd_views() -> Vec<ViewFunction> {
    let long = "x".repeat(5_000);
    let mut views = vec![
        view("", "{}"),
        view("..", "true"),
        view(
            "a/b?c#d{e}%20",
            r##"{"$defs": {"~ /": {}}, "$ref": "#/$defs/~0%20~1"}"##,
        ),
        view("<script>alert(1)</script>", r#"{"default": "</script>"}"#),
        view("'\"\u{1b}[2J\u{202e}\n", "no JSON"),
        view("elsewhere", r#"{"$ref": "http://127.0.0.1:1/"}"#),
        view(&long, r##"{"properties": {"a": {"$ref": "#"}}}"##),
        view(
            &format!("{long}y"),
            &format!("{{\"not\":{}}}", "[".repeat(200)),
        ),
    ];
    for odd in &mut views {
        odd.doc.clone_from(&odd.name);
        odd.input_type.clone_from(&odd.name);
    }
    views
}

#[test]
fn odd_names_and_schemas_break_no_document() {
    let views = odd_views();
    let served = serving(telling(&views));
    let told = served.result("metashrew_views", &json!([]));
    assert_eq!(told["views"].as_array().unwrap().len(), views.len());
    for view in told["views"].as_array().unwrap() {
        let is_left_out = view["input"].get("schema_error").is_some();
        assert_eq!(view["input"]["schema"].is_null(), is_left_out, "{view}");
    }
    check_references(&served.result("rpc.discover", &json!([])));
    let openapi = document(&served, "/openapi.json");
    check_references(&openapi);
    let paths = openapi["paths"].as_object().unwrap();
    assert!(paths.contains_key("/view/a%2Fb%3Fc%23d%7Be%7D%2520"));
    assert!(!paths.contains_key("/view/.."));
    let elsewhere = &paths["/view/elsewhere"]["post"]["description"];
    assert!(
        elsewhere
            .as_str()
            .unwrap()
            .contains("refers to what is not within it")
    );
    assert!(!openapi.to_string().contains("127.0.0.1:1"));
}

#[test]
fn the_page_shows_what_a_guest_says_harmlessly() {
    let served = serving(telling(&odd_views()));
    for accept in ["text/html,*/*;q=0.8", "*/*"] {
        let (head, body) = served.send("GET", &[("accept", accept)], "");
        assert_eq!(status(&head), 200);
        assert!(!body.contains('\u{1b}') && !body.contains('\u{202e}') && !body.contains('\0'));
        if accept.starts_with("text/html") {
            assert!(!body.contains("<script"), "{body}");
            assert!(body.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        }
    }
}

#[test]
fn the_page_comes_in_the_form_that_is_asked() {
    let served = serving(guest("typed"));
    let url = served.url();
    let get = |accept: &str| served.send("GET", &[("accept", accept)], "");
    let (head, html) = get("text/html,application/xhtml+xml,*/*;q=0.8");
    assert!(
        head.contains("content-type: text/html; charset=utf-8"),
        "{head}"
    );
    assert!(
        head.contains("content-security-policy: default-src 'none'; style-src 'sha256-"),
        "{head}"
    );
    assert!(head.contains("x-content-type-options: nosniff"), "{head}");
    assert!(
        head.contains("vary: accept, accept-encoding, host, origin"),
        "{head}"
    );
    assert!(html.starts_with("<!doctype html>"));
    assert!(html.contains("<a href=\"/openapi.json\">"));
    let (head, text) = get("*/*");
    assert!(
        head.contains("content-type: text/plain; charset=utf-8"),
        "{head}"
    );
    assert!(
        text.contains(&format!("$ curl -s {url}/view/text\n")),
        "{text}"
    );
    let (head, json) = get("application/json");
    assert!(head.contains("content-type: application/json"), "{head}");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        json["views"][0],
        json!({ "name": "counts", "path": "/view/counts" })
    );
}

#[test]
fn who_has_a_document_is_told_so() {
    let served = serving(guest("typed"));
    for path in ["/", "/openapi.json", "/openrpc.json"] {
        let (_, head, body) = served.get(path);
        let reply = served.got(path, &[]);
        let tag = reply.header("etag");
        assert!(head.contains("cache-control: no-cache"), "{head}");
        // Whether a page may read it is told to pages only: a cache may not give one the other's.
        let varies = head.lines().find_map(|line| line.strip_prefix("vary: "));
        assert!(
            varies.unwrap().ends_with("accept-encoding, origin")
                || varies.unwrap().ends_with("accept-encoding, host, origin"),
            "{head}"
        );
        assert!(!body.is_empty());
        let headers = [("if-none-match", tag)];
        let (head, body) = served.send_at("GET", path, &headers, "");
        assert_eq!((status(&head), body.as_str()), (304, ""), "{path}");
        assert!(head.contains(&tag.to_ascii_lowercase()), "{head}");
        assert!(head.contains("vary: "), "{head}");
    }
}

#[test]
fn documents_are_for_pages_that_may_call() {
    let served = Served::with_cors("https://a.example");
    let check = |origin: &str, expect: bool| {
        let (head, _) = served.send_at("GET", "/openapi.json", &[("origin", origin)], "");
        assert_eq!(
            head.contains("access-control-allow-origin"),
            expect,
            "{head}"
        );
    };
    check("https://a.example", true);
    check("https://b.example", false);
    let headers = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "GET"),
    ];
    let (head, _) = served.send_at("OPTIONS", "/openapi.json", &headers, "");
    let allowed = head
        .lines()
        .find_map(|line| line.strip_prefix("access-control-allow-methods: "));
    assert!(
        allowed.unwrap().split(',').any(|method| method == "get"),
        "{head}"
    );
}

#[test]
fn json_rpc_is_where_documents_are() {
    let served = serving(guest("typed"));
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"metashrew_snapshot"}"#;
    for path in ["/", "/openapi.json", "/openrpc.json"] {
        let (status, answer) = served.post_at(path, body);
        assert_eq!(status, 200);
        assert!(answer.contains("guest_sha256"), "{answer}");
    }
    assert_eq!(served.get("/openapi.json/").0, 405);
}

#[test]
fn the_view_that_may_have_been_meant_is_named() {
    let served = serving(guest("typed"));
    let error = served.error("metashrew_view", &json!(["count"]));
    assert_eq!(
        error,
        json!({
            "code": -32003,
            "message": "the guest has no view `count`; did you mean `counts`?",
            "data": { "kind": "no_such_view", "function": "count", "nearest": "counts" },
        })
    );
}
