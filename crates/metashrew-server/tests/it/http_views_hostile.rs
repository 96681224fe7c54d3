//! Requests for views as nobody should make them, and web pages that make them unasked.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use metashrew_server::ServerOptions;
use serde_json::{Value, json};

use crate::harness::{Served, Setup, read_answer, status, wait_until};

/// The status and the error of the answer to a head as it is sent.
fn answer_to(served: &Served, head: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(served.handle.local_addr()).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let (head, body) = read_answer(&mut stream);
    let answer: Value = serde_json::from_str(&body).unwrap_or_default();
    (status(&head), answer["error"].clone())
}

fn get(served: &Served, target: &str, lines: &str) -> (u16, Value) {
    let head =
        format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{lines}\r\n");
    answer_to(served, &head)
}

#[test]
fn wrong_queries_are_told_what_is_wrong() {
    let served = Served::new();
    for (target, parameter) in [
        ("/view/echo?block=101&block=101", "block"),
        ("/view/echo?a=1&%61=2", "a"),
        ("/view/echo?a=%", "a"),
        ("/view/echo?a=%zz", "a"),
        ("/view/echo?%f=1", "%f"),
        ("/view/echo?a=%ff%fe", "a"),
        ("/view/%zz", "NAME"),
        ("/view/%ff", "NAME"),
        ("/view/echo?json=%7B", "json"),
        ("/view/echo?input=0x1", "input"),
        ("/view/echo?text=a&input=0x11", "text"),
        ("/view/echo?text=a&other=1", "other"),
        ("/view/echo?timeout_ms=-1", "timeout_ms"),
        ("/view/echo?session=a&fresh=true", "fresh"),
    ] {
        let (status, error) = get(&served, target, "");
        assert_eq!(status, 400, "{target}");
        assert_eq!(error["code"], -32602, "{target}");
        assert_eq!(error["data"]["parameter"], parameter, "{target}");
    }
    let many: Vec<_> = (0..2000).map(|pair| format!("p{pair}")).collect();
    let (status, error) = get(&served, &format!("/view/echo?{}", many.join("&")), "");
    assert_eq!((status, error["code"].clone()), (400, json!(-32602)));
    let reply = served.ask("POST", "/view/echo?txt=1", &[], b"x");
    assert_eq!(reply.status, 400);
    let message = reply.error()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("the body is the input"), "{message}");
}

#[test]
fn a_header_that_contradicts_is_an_error() {
    let served = Served::new();
    for (target, lines) in [
        ("/view/echo?block=101", "metashrew-block: 102\r\n"),
        (
            "/view/echo",
            "metashrew-block: 101\r\nmetashrew-block: 101\r\n",
        ),
        ("/view/echo", "metashrew-block: \u{e9}\r\n"),
        ("/view/echo", "metashrew-block:\r\n"),
        ("/view/echo", "content-length: 1\r\n"),
    ] {
        let (status, error) = get(&served, target, lines);
        assert_eq!(status, 400, "{target} {lines}");
        assert_eq!(error["code"], -32602, "{target} {lines}");
    }
    let same = "metashrew-block: 0x65\r\n";
    assert_eq!(get(&served, "/view/echo?block=101", same).0, 200);
}

#[test]
fn bodies_are_checked_as_those_of_json_rpc() {
    let served = Setup {
        server: ServerOptions {
            max_request: 1000,
            body_timeout: Duration::from_millis(1),
            body_min_rate: usize::MAX,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    for (lines, expect) in [
        ("content-length: 1001\r\n", 413),
        ("content-length: 10\r\n", 408),
        ("content-length: 1\r\ncontent-encoding: gzip\r\n", 415),
        ("transfer-encoding: gzip, chunked\r\n", 415),
    ] {
        let head = format!("POST /view/echo HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n");
        let (status, error) = answer_to(&served, &head);
        assert_eq!(status, expect, "{lines}");
        assert!(error["data"]["kind"].is_string(), "{error}");
    }
    let head = "POST /view/echo HTTP/1.1\r\nhost: other.example\r\ncontent-length: 1\r\n\r\n";
    assert_eq!(answer_to(&served, head).0, 403);
}

#[test]
fn what_a_view_holds_is_given_back() {
    // More than the buffers of both sockets hold.
    const LONG: usize = 15 << 20;
    let served = Setup {
        server: ServerOptions {
            request_memory: 4 * LONG,
            request_wait: Duration::ZERO,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let held = || {
        let stats = served.result("metashrew_stats", &json!([]));
        stats["request_memory"]["bytes"].as_u64().unwrap()
    };
    let reply = served.ask("POST", "/view/echo", &[], &vec![0x5a; LONG]);
    assert_eq!(reply.status, 200);
    wait_until(|| held() == 0);
    let reply = served.ask("POST", "/view/echo", &[], &vec![0x5a; 39 << 20]);
    assert_eq!(reply.status, 503);
    assert_eq!(reply.header("retry-after"), "1");
    assert_eq!(reply.error()["data"]["kind"], "no_room");
    // An answer that is not read holds its room until its client goes.
    let mut stream = served.open_at("POST", "/view/echo", &[], LONG);
    stream.write_all(&vec![0x5a; LONG]).unwrap();
    stream.read_exact(&mut [0; 15]).unwrap();
    assert!(held() >= (LONG / 2) as u64);
    drop(stream);
    wait_until(|| held() == 0);
}

fn views_run(served: &Served) -> u64 {
    let counts = served.runtime.view_counts();
    counts.iter().map(|view| view.answered + view.failed).sum()
}

#[test]
fn a_page_that_may_not_call_has_nothing_run() {
    let served = Served::with_cors("localhost");
    let other = ("origin", "https://a.example");
    let before = views_run(&served);
    // What browsers send without asking: plain text, forms, images.
    for headers in [
        &[other, ("content-type", "text/plain")][..],
        &[other, ("content-type", "application/x-www-form-urlencoded")],
        &[other],
        &[("origin", "null")],
        &[
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-dest", "image"),
        ],
        &[
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-dest", "iframe"),
        ],
    ] {
        for method in ["GET", "POST", "HEAD"] {
            let reply = served.ask(method, "/view/echo?as=text", headers, b"a");
            assert_eq!(reply.status, 403, "{method} {headers:?}");
            assert_eq!(reply.header("access-control-allow-origin"), "");
            if method != "HEAD" {
                assert_eq!(reply.error()["data"]["kind"], "origin");
            }
        }
    }
    assert_eq!(views_run(&served), before);
    let refused = served.got("/metrics", &[]).text().to_owned();
    assert!(refused.contains(r#"reason="origin"} 18"#), "{refused}");
}

#[test]
fn a_page_that_may_call_reads_answer_and_headers() {
    let served = Served::with_cors("localhost");
    let local = ("origin", "http://localhost:3000");
    let reply = served.got("/view/echo?text=a", &[local]);
    assert_eq!((reply.status, reply.text()), (200, "a"));
    assert_eq!(
        reply.header("access-control-allow-origin"),
        "http://localhost:3000"
    );
    let exposed = reply
        .header("access-control-expose-headers")
        .to_ascii_lowercase();
    for name in [
        "etag",
        "metashrew-height",
        "metashrew-block-hash",
        "metashrew-guest",
    ] {
        assert!(exposed.contains(name), "{exposed}");
    }
    // The server's own page, whatever name it has; and a link that a user follows.
    let own = served.url();
    for headers in [
        &[("origin", own.as_str())][..],
        &[("sec-fetch-site", "same-origin")],
        &[
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-dest", "document"),
        ],
    ] {
        assert_eq!(with_same_address(&served, headers), 200, "{headers:?}");
    }
    let anybody = Served::with_cors("*");
    let reply = anybody.ask(
        "POST",
        "/view/echo",
        &[("origin", "https://a.example")],
        b"a",
    );
    assert_eq!((reply.status, reply.text()), (200, "a"));
    assert_eq!(reply.header("access-control-allow-origin"), "*");
}

fn with_same_address(served: &Served, headers: &[(&str, &str)]) -> u16 {
    served.ask("POST", "/view/echo", headers, b"a").status
}

#[test]
fn a_preflight_request_for_a_view_is_answered() {
    let served = Served::with_cors("localhost");
    let headers = [
        ("origin", "http://localhost:3000"),
        ("access-control-request-method", "GET"),
        (
            "access-control-request-headers",
            "if-none-match,metashrew-block",
        ),
    ];
    let reply = served.ask("OPTIONS", "/view/echo", &headers, b"");
    assert_eq!(reply.status, 200);
    let methods = reply
        .header("access-control-allow-methods")
        .to_ascii_lowercase();
    assert!(
        methods.contains("get") && methods.contains("post"),
        "{methods}"
    );
}
