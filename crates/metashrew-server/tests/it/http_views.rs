//! Views by their own paths: `POST /view/NAME` and `GET /view/NAME?…`.

use std::io::Write;
use std::num::NonZeroUsize;
use std::time::Duration;

use metashrew_runtime::{PendingBlock, ViewOptions};
use metashrew_server::ServerOptions;
use metashrew_testing::announced::announced;
use serde_json::json;

use crate::harness::{Served, Setup, block_ref, header, header_key, status, wait_until};

#[test]
fn a_body_is_the_input_and_the_answer_is_the_body() {
    let served = Served::new();
    let bytes: Vec<u8> = (0..=255).collect();
    for content_type in [
        "application/json",
        "application/octet-stream",
        "text/plain",
        "",
    ] {
        let headers = [("content-type", content_type)];
        let headers = if content_type.is_empty() {
            &[][..]
        } else {
            &headers
        };
        let reply = served.ask("POST", "/view/echo", headers, &bytes);
        assert_eq!(reply.status, 200);
        assert_eq!(reply.body, bytes);
        assert_eq!(reply.header("content-type"), "application/octet-stream");
        assert_eq!(reply.header("content-length"), "256");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("cache-control"), "no-store");
    }
    let reply = served.ask("POST", "/view/echo", &[], b"");
    assert_eq!((reply.status, reply.body), (200, Vec::new()));
    let long = vec![0x5a; 1 << 20];
    assert!(served.ask("POST", "/view/echo", &[], &long).body == long);
}

#[test]
fn a_query_is_the_input() {
    let served = Served::new();
    let check = |query: &str, expect: &str| {
        let reply = served.got(&format!("/view/echo{query}"), &[]);
        assert_eq!((reply.status, reply.text()), (200, expect), "{query}");
    };
    check("", "");
    check("?", "");
    check("?input=0x616263", "abc");
    check("?text=a+b%2Bc", "a b+c");
    check("?json=%7B%20%22a%22%3A%201%7D", r#"{"a":1}"#);
    check("?address=1abc&limit=10", r#"{"address":"1abc","limit":10}"#);
    check(
        "?address=1abc&block=latest&as=text",
        r#"{"address":"1abc"}"#,
    );
}

#[test]
fn the_block_is_a_parameter_or_a_header_and_told_in_headers() {
    let served = Served::new();
    for block in served.chain.blocks() {
        let key = header_key(block.height);
        let target = format!("/view/get?as=hex&input={key}&block={}", block.height);
        let by_parameter = served.got(&target, &[]);
        assert_eq!(by_parameter.text(), header(block));
        let height = block.height.to_string();
        let target = format!("/view/get?as=hex&input={key}");
        let by_header = served.got(&target, &[("metashrew-block", &height)]);
        let hash = format!("0x{}", block_ref(block).hash);
        let posted = served.ask("POST", &format!("/view/height?block={hash}"), &[], b"");
        assert_eq!(posted.body, block.height.to_le_bytes());
        for reply in [by_parameter, by_header, posted] {
            assert_eq!(reply.header("metashrew-height"), height);
            assert_eq!(reply.header("metashrew-block-hash"), hash);
            let guest = hex::encode_prefixed(served.runtime.guest_sha256());
            assert_eq!(reply.header("metashrew-guest"), guest);
            assert_eq!(reply.header("metashrew-pending"), "");
        }
    }
}

#[test]
fn the_pending_block_is_told_in_headers() {
    let mut served = Served::new();
    let next = served.chain.mine(1).to_vec().remove(0);
    let target = format!(
        "/view/get?as=hex&input={}&block=pending",
        header_key(next.height)
    );
    let none = served.got(&target, &[]);
    assert_eq!(
        (none.status, none.error()["data"]["kind"].clone()),
        (404, json!("no_pending"))
    );
    let pending = PendingBlock {
        parent: block_ref(&next).parent,
        block: next.bytes.to_vec().into(),
    };
    served.runtime.set_pending(Some(pending)).unwrap();
    let reply = served.got(&target, &[]);
    assert_eq!(reply.text(), header(&next));
    let hash = block_ref(&next).hash;
    assert_eq!(
        reply.header("metashrew-pending"),
        format!("{}:0x{hash}", next.height)
    );
    assert_eq!(
        reply.header("metashrew-height"),
        served.tip().height.to_string()
    );
}

#[test]
fn the_form_follows_from_what_is_asked() {
    let served = Served::new();
    let check = |query: &str, accept: &str, content_type: &str, body: &str| {
        let headers = [("accept", accept)];
        let reply = served.got(&format!("/view/echo?text=7{query}"), &headers);
        assert_eq!(
            (reply.header("content-type"), reply.text()),
            (content_type, body)
        );
    };
    let bytes = "application/octet-stream";
    let json = "application/json; charset=utf-8";
    let text = "text/plain; charset=utf-8";
    check("", "*/*", bytes, "7");
    check("", "application/json", json, "7");
    check("", "text/plain", text, "7");
    check("&as=json", "text/plain", json, "7");
    check("&as=text", "application/json", text, "7");
    check("&as=hex", "application/json", text, "0x37");
    check("&as=bytes", "application/json", bytes, "7");
    let reply = served.got("/view/echo?text=%7B&as=json", &[]);
    assert_eq!(
        (reply.status, reply.error()["code"].clone()),
        (406, json!(-32017))
    );
}

#[test]
fn failures_have_a_status_and_the_error_of_json_rpc() {
    let served = Setup {
        views: ViewOptions {
            timeout: Duration::from_millis(50),
            max_output: 100,
            max_input: 1000,
            ..ViewOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let tip = served.tip();
    let unknown = "11".repeat(32);
    let other_hash = format!("/view/echo?block={}:{unknown}", tip.height);
    for (target, status, code) in [
        ("/view/echo?block=first", 400, -32602),
        ("/view/echo?as=xml", 400, -32602),
        ("/view/nosuch", 404, -32003),
        ("/view/", 404, -32003),
        ("/view/echo?block=1000", 404, -32001),
        ("/view/echo?block=99", 404, -32001),
        (&format!("/view/echo?block={unknown}"), 409, -32002),
        (&other_hash, 409, -32002),
        (&format!("/view/echo?guest={unknown}"), 409, -32018),
        (
            &format!("/view/echo?text={}", "a".repeat(1001)),
            413,
            -32007,
        ),
        (&format!("/view/echo?text={}", "a".repeat(101)), 500, -32008),
        ("/view/trap", 500, -32004),
        ("/view/spin", 504, -32005),
        ("/view/grow_4gib", 500, -32009),
    ] {
        let reply = served.got(target, &[]);
        assert_eq!(reply.status, status, "{target}");
        assert_eq!(reply.error()["code"], code, "{target}");
        assert_eq!(reply.header("etag"), "", "{target}");
        // It is what the other way of calling answers.
        let post = served.ask("POST", target, &[], b"");
        if !target.contains("text=") {
            assert_eq!(post.error()["code"], code, "{target}");
        }
    }
    // What was found to fail is about a block, too.
    let reply = served.got("/view/trap", &[]);
    assert_eq!(reply.header("metashrew-height"), tip.height.to_string());
    assert!(reply.error()["data"]["backtrace"].is_array());
}

#[test]
fn the_error_of_a_view() {
    let served = Setup {
        wasm: announced(),
        ..Setup::default()
    }
    .serve();
    let reply = served.ask("POST", "/view/fail", &[], b"no such token");
    assert_eq!(reply.status, 422);
    let data = json!({ "kind": "view_error", "message": "no such token" });
    assert_eq!(reply.error()["data"], data);
    assert_eq!(
        reply.header("metashrew-height"),
        served.tip().height.to_string()
    );
}

#[test]
fn an_empty_index_says_so() {
    let served = Setup {
        blocks: 0,
        ..Setup::default()
    }
    .serve();
    let reply = served.got("/view/echo", &[]);
    assert_eq!(
        (reply.status, reply.error()["data"]["kind"].clone()),
        (404, json!("empty"))
    );
}

#[test]
fn names_stand_in_the_path_with_any_characters() {
    let served = Served::new();
    assert_eq!(served.got("/view/%65cho?text=a", &[]).text(), "a");
    for (path, name) in [
        ("/view/a%2Fb/c", "a/b/c"),
        ("/view/%C3%A9+", "é+"),
        ("/view/echo/", "echo/"),
    ] {
        let reply = served.got(path, &[]);
        assert_eq!(reply.status, 404);
        assert_eq!(reply.error()["data"]["function"], name);
    }
}

#[test]
fn json_rpc_is_at_every_other_path() {
    let served = Served::new();
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"metashrew_height"}"#;
    for path in ["/", "/view", "/views/echo", "/x/view/echo"] {
        assert!(served.post_at(path, call).1.contains("104"), "{path}");
    }
    // There it is the input.
    assert_eq!(served.post_at("/view/echo", call).1, call);
}

#[test]
fn head_is_get_without_the_body() {
    let served = Served::new();
    let get = served.got("/view/echo?text=abc", &[]);
    let head = served.ask("HEAD", "/view/echo?text=abc", &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in [
        "etag",
        "content-type",
        "content-length",
        "cache-control",
        "metashrew-height",
    ] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
}

#[test]
fn other_methods_are_told_what_is_right() {
    let served = Served::new();
    for method in ["PUT", "DELETE", "PATCH"] {
        let reply = served.ask(method, "/view/echo", &[], b"");
        assert_eq!(reply.status, 405, "{method}");
        assert_eq!(reply.header("allow"), "GET, HEAD, POST", "{method}");
    }
}

#[test]
fn sessions_and_limits_of_time_are_parameters() {
    let served = Served::new();
    let count = |query: &str| {
        served
            .ask("POST", &format!("/view/counter?{query}"), &[], b"")
            .body
    };
    for call in 1..=3_u32 {
        assert_eq!(count("session=a"), call.to_le_bytes());
    }
    assert_eq!(count("session=b"), 1_u32.to_le_bytes());
    assert_eq!(count("fresh=true"), 1_u32.to_le_bytes());
    let reply = served.got("/view/spin?timeout_ms=20", &[]);
    assert_eq!(
        (reply.status, reply.error()["code"].clone()),
        (504, json!(-32005))
    );
}

#[test]
fn a_client_that_goes_away_ends_its_call() {
    let served = Setup {
        views: ViewOptions {
            instances: NonZeroUsize::MIN,
            timeout: Duration::from_hours(1),
            ..ViewOptions::default()
        },
        server: ServerOptions {
            half_closed_timeout: Duration::from_millis(1),
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    for (method, body) in [("GET", ""), ("POST", "input")] {
        let mut stream = served.open_at(method, "/view/spin", &[], body.len());
        stream.write_all(body.as_bytes()).unwrap();
        wait_until(|| served.runtime.view_stats().busy == 1);
        drop(stream);
        wait_until(|| served.runtime.view_stats().busy == 0);
    }
    assert_eq!(served.got("/view/echo?text=a", &[]).text(), "a");
}

#[test]
fn they_count_as_calls_of_views() {
    let served = Served::new();
    let requests = || served.result("metashrew_stats", &json!([]))["requests"].clone();
    served.got("/view/echo", &[]);
    served.ask("POST", "/view/echo", &[], b"a");
    served.got("/view/nosuch", &[]);
    assert_eq!(requests()["metashrew_view"], 3);
}

#[test]
fn too_many_and_too_long() {
    let served = Setup {
        server: ServerOptions {
            max_request: 1000,
            max_response: 300,
            max_requests: 0,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let reply = served.got("/view/echo", &[]);
    assert_eq!(reply.status, 429);
    assert_eq!(reply.header("retry-after"), "1");
    let mut stream = served.open_at("POST", "/view/echo", &[], 1001);
    let (head, body) = crate::harness::read_answer(&mut stream);
    assert_eq!(status(&head), 413);
    assert!(body.contains("request_too_long"), "{body}");
}
