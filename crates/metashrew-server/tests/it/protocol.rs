//! JSON-RPC 2.0 to the letter, in raw HTTP.

use serde_json::{Value, json};

use crate::harness::{Served, status};

fn check(served: &Served, body: &str, expect: &Value) {
    let (status, answer) = served.post(body);
    assert_eq!(status, 200, "{body}: {answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer, *expect, "{body}");
}

fn invalid(id: &Value) -> Value {
    json!({
        "jsonrpc": "2.0", "id": id, "error": { "code": -32600, "message": "Invalid request" },
    })
}

fn parse_error() -> Value {
    json!({
        "jsonrpc": "2.0", "id": null, "error": { "code": -32700, "message": "Parse error" },
    })
}

#[test]
fn ids_are_echoed() {
    let served = Served::new();
    for id in [
        "0",
        "-1",
        "1.5",
        "1e3",
        "18446744073709551615",
        "18446744073709551616",
        "null",
        r#""""#,
        r#""a \"quoted\" \u0069d""#,
    ] {
        let request = format!(r#"{{"jsonrpc":"2.0","id": {id} ,"method":"metashrew_height"}}"#);
        let expect = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"104"}}"#);
        assert_eq!(served.post(&request), (200, expect.clone()));
        let batch = format!("[{request}]");
        assert_eq!(served.post(&batch), (200, format!("[{expect}]")));
    }
}

#[test]
fn unknown_methods_are_not_found() {
    let served = Served::new();
    check(
        &served,
        r#"{"jsonrpc":"2.0","id":"x","method":"metashrew_nothing","params":[]}"#,
        &json!({
            "jsonrpc": "2.0", "id": "x",
            "error": { "code": -32601, "message": "Method not found" },
        }),
    );
}

#[test]
fn what_is_no_json_is_a_parse_error() {
    let served = Served::new();
    for body in [
        "",
        "nonsense",
        r#"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#,
        r#"[{"jsonrpc": "2.0", "method": "metashrew_height", "id": "1"},{"jsonrpc": "2.0", "method"]"#,
    ] {
        check(&served, body, &parse_error());
    }
}

#[test]
fn what_is_no_request_is_an_invalid_request() {
    let served = Served::new();
    for body in [
        "1",
        "\"metashrew_height\"",
        "null",
        "[]",
        "{}",
        r#"{"jsonrpc": "2.0", "method": 1, "params": "bar"}"#,
        r#"{"jsonrpc":"2.0","method":"metashrew_height","id":[]}"#,
        r#"{"jsonrpc":"2.0","method":"metashrew_height","id":true}"#,
    ] {
        check(&served, body, &invalid(&Value::Null));
    }
    check(
        &served,
        r#"{"method":"metashrew_height","id":9}"#,
        &invalid(&json!(9)),
    );
}

#[test]
fn notifications_get_no_answer() {
    let served = Served::new();
    for body in [
        r#"{"jsonrpc":"2.0","method":"metashrew_height"}"#,
        r#"{"jsonrpc":"2.0","method":"metashrew_view","params":["spin"]}"#,
        r#"{"jsonrpc":"2.0","method":"no_such_method"}"#,
        r#"[{"jsonrpc":"2.0","method":"metashrew_height"},{"jsonrpc":"2.0","method":"x"}]"#,
    ] {
        assert_eq!(served.post(body), (204, String::new()), "{body}");
    }
}

#[test]
fn the_batch_of_the_specification() {
    let served = Served::new();
    let batch = r#"[
        {"jsonrpc": "2.0", "method": "metashrew_height", "params": [], "id": "1"},
        {"jsonrpc": "2.0", "method": "metashrew_height", "params": [7]},
        {"jsonrpc": "2.0", "method": "metashrew_view", "params": ["echo", "42"], "id": "2"},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
        {"jsonrpc": "2.0", "method": "metashrew_height", "id": -9},
        1
    ]"#;
    check(
        &served,
        batch,
        &json!([
            { "jsonrpc": "2.0", "id": "1", "result": "104" },
            { "jsonrpc": "2.0", "id": "2", "result": "0x42" },
            invalid(&Value::Null),
            {
                "jsonrpc": "2.0", "id": "5",
                "error": { "code": -32601, "message": "Method not found" },
            },
            { "jsonrpc": "2.0", "id": -9, "result": "104" },
            invalid(&Value::Null),
        ]),
    );
    check(
        &served,
        "[1,2,3]",
        &json!([
            invalid(&Value::Null),
            invalid(&Value::Null),
            invalid(&Value::Null)
        ]),
    );
}

#[test]
fn only_posted_json_is_read() {
    let served = Served::new();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"metashrew_height"}"#;
    let (head, _) = served.send("PUT", &[], "");
    assert_eq!(status(&head), 405);
    let (head, _) = served.send("POST", &[("content-type", "text/plain")], body);
    assert_eq!(status(&head), 415);
    let (head, answer) = served.send(
        "POST",
        &[("content-type", "application/json; charset=utf-8")],
        body,
    );
    assert_eq!(status(&head), 200);
    assert_eq!(answer, r#"{"jsonrpc":"2.0","id":1,"result":"104"}"#);
}
