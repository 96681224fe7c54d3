//! HTTP/1.1 as clients speak it: half-closed, pipelined, kept alive, `HEAD`; and what is
//! not taken, with the reason in JSON.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::num::NonZeroUsize;
use std::time::Duration;

use metashrew_runtime::ViewOptions;
use metashrew_server::ServerOptions;
use serde_json::{Value, json};

use crate::harness::{Served, Setup, read_answer, status, view_request, wait_until};

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"metashrew_height"}"#;

fn connect(served: &Served) -> TcpStream {
    TcpStream::connect(served.handle.local_addr()).unwrap()
}

fn request(body: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The body of the next answer on a connection that stays open.
fn next_answer(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

#[test]
fn a_client_that_ends_its_half_gets_its_answer() {
    // Its patience is not what ends these.
    let served = Setup {
        server: ServerOptions {
            half_closed_timeout: Duration::from_hours(1),
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let long = "5a".repeat(8 << 20);
    for input in ["2a", &long] {
        let body = view_request(1, &json!(["echo", input])).to_string();
        let mut stream = connect(&served);
        stream.write_all(request(&body).as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let (head, body) = read_answer(&mut stream);
        assert_eq!(status(&head), 200);
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["result"], format!("0x{input}"));
    }
    // The connection is over by then.
    wait_until(|| served.result("metashrew_stats", &json!([]))["connections"]["open"] == 1);
}

#[test]
fn an_answer_is_written_to_its_end_for_a_client_that_ended_its_half() {
    let served = Setup {
        server: ServerOptions {
            half_closed_timeout: Duration::from_millis(1),
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let input = "5a".repeat(8 << 20);
    let body = view_request(1, &json!(["echo", input])).to_string();
    let mut stream = connect(&served);
    stream.write_all(request(&body).as_bytes()).unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let (_, answer) = read_answer(&mut stream);
    assert!(answer.ends_with("5a\"}"), "{} bytes came", answer.len());
    assert!(answer.len() > input.len());
}

#[test]
fn requests_may_be_pipelined() {
    let served = Served::new();
    let mut stream = connect(&served);
    let bodies: Vec<_> = (0..50)
        .map(|id| view_request(id, &json!(["echo", format!("{id:04x}")])).to_string())
        .collect();
    let requests: String = bodies.iter().map(|body| request(body)).collect();
    stream.write_all(requests.as_bytes()).unwrap();
    for id in 0..50 {
        let answer: Value = serde_json::from_str(&next_answer(&mut stream)).unwrap();
        assert_eq!(answer["id"], id);
        assert_eq!(answer["result"], format!("0x{id:04x}"));
    }
    // It is kept, also over a refusal whose request was read.
    for _ in 0..3 {
        stream
            .write_all(b"GET /x HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .unwrap();
        assert!(next_answer(&mut stream).contains("http_method"));
        stream.write_all(request(CALL).as_bytes()).unwrap();
        assert!(next_answer(&mut stream).contains("104"));
    }
}

#[test]
fn heads_are_answered_without_a_body() {
    let served = Served::new();
    for path in ["/health", "/ready", "/metrics"] {
        let mut stream = connect(&served);
        let head = format!("HEAD {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let (head, body) = read_answer(&mut stream);
        assert_eq!((status(&head), body.as_str()), (200, ""), "{head}");
        assert!(head.contains("content-length: "), "{head}");
    }
}

#[test]
fn content_types_may_have_parameters() {
    let served = Served::new();
    let post = |kind: &str| served.send("POST", &[("content-type", kind)], CALL);
    for kind in [
        "application/json; charset=utf-8; x=y",
        "Application/JSON;charset=\"utf-8\"",
        "application/json ; q=1",
        "application/json-rpc",
        "application/jsonrequest",
    ] {
        assert_eq!(status(&post(kind).0), 200, "{kind}");
    }
    for kind in [
        "text/plain",
        "application/jsonp",
        "application/x-www-form-urlencoded",
        "",
    ] {
        let (head, body) = post(kind);
        assert_eq!(status(&head), 415, "{kind}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["error"]["data"]["kind"], "content_type");
    }
}

#[test]
fn what_is_compressed_is_refused_with_what_would_be_taken() {
    let served = Served::new();
    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
    ];
    let (head, body) = served.send("POST", &headers, "\u{1f}");
    assert_eq!(status(&head), 415);
    assert!(head.contains("accept-encoding: identity"), "{head}");
    assert!(body.contains("content-encoding"), "{body}");
    let mut stream = connect(&served);
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                transfer-encoding: gzip, chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(b"0\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(status(&read_answer(&mut stream).0), 415);
    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", "identity"),
    ];
    assert_eq!(status(&served.send("POST", &headers, CALL).0), 200);
}

#[test]
fn another_method_is_told_which_is_right() {
    let served = Served::new();
    let (head, body) = served.send("PUT", &[("content-type", "application/json")], CALL);
    assert_eq!(status(&head), 405);
    assert!(head.contains("allow: post"), "{head}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["error"]["data"]["kind"], "http_method");
}

#[test]
fn one_request_too_many_is_told_so_in_json() {
    let served = Setup {
        views: ViewOptions {
            instances: NonZeroUsize::MIN,
            timeout: Duration::from_hours(1),
            ..ViewOptions::default()
        },
        server: ServerOptions {
            max_requests: 1,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let _running = served.start(&view_request(1, &json!(["spin"])));
    wait_until(|| served.runtime.view_stats().busy == 1);
    let (head, body) = served.send("POST", &[("content-type", "application/json")], CALL);
    assert_eq!(status(&head), 429);
    assert!(head.contains("retry-after: 1"), "{head}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["error"]["code"], -32006);
    let data = json!({ "kind": "too_many_requests", "limit": 1 });
    assert_eq!(answer["error"]["data"], data);
}

#[test]
fn http_2_is_not_spoken() {
    let served = Served::new();
    let mut stream = connect(&served);
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
        "{answer:?}"
    );
}

#[test]
fn a_head_that_is_too_long_is_told_so() {
    let served = Served::new();
    let mut stream = connect(&served);
    let head = format!("POST / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    stream.write_all(head.as_bytes()).unwrap();
    let (head, _) = read_answer(&mut stream);
    assert_eq!(status(&head), 431, "{head}");
}

#[test]
fn clients_that_take_too_long_are_closed() {
    let served = Setup {
        server: ServerOptions {
            head_timeout: Duration::from_millis(300),
            idle_timeout: Duration::from_millis(300),
            send_timeout: Duration::from_millis(300),
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let silent = connect(&served);
    let mut used = connect(&served);
    used.write_all(request(CALL).as_bytes()).unwrap();
    let mut slow = connect(&served);
    slow.write_all(b"POST / HT").unwrap();
    let mut rest = String::new();
    used.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("104"), "{rest}");
    for mut stream in [silent, slow] {
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    }
    let body = view_request(1, &json!(["echo", "5a".repeat(8 << 20)])).to_string();
    let request = request(&body);
    let mut reader = connect(&served);
    reader.write_all(request.as_bytes()).unwrap();
    // Nothing is read of its answer.
    let closed = |reason: &str| {
        served.result("metashrew_stats", &json!([]))["connections"]["closed"][reason]
            .as_u64()
            .unwrap()
    };
    wait_until(|| closed("send_timeout") >= 1);
    assert!(closed("idle") >= 2 && closed("head_timeout") >= 1);
}
