//! Server-sent events.

use std::io::Read;
use std::net::Shutdown;

use serde_json::{Value, json};

use super::{EventStream, get, stat};
use crate::harness::{Served, status, wait_until};

#[test]
fn a_stream_tells_what_comes() {
    let mut served = Served::new();
    let mut stream = EventStream::open(&served, "/subscribe/heads", &[]);
    for header in [
        "content-type: text/event-stream",
        "cache-control: no-store",
        "x-accel-buffering: no",
        "transfer-encoding: chunked",
    ] {
        assert!(stream.head.contains(header), "{}", stream.head);
    }
    assert!(!stream.head.contains("content-encoding"), "{}", stream.head);
    let position = stream.event().unwrap();
    assert_eq!(position.kind, "position");
    served.grow(2);
    for height in [105, 106] {
        let came = stream.event().unwrap();
        assert_eq!(
            (came.kind.as_str(), &came.data["height"]),
            ("block", &json!(height))
        );
        let id = came.id.unwrap();
        assert!(id.starts_with(&format!("{height}:0x")), "{id}");
    }
    served.runtime.store().rollback(Some(105)).unwrap();
    let came = stream.event().unwrap();
    assert_eq!(came.kind, "undo");
    assert_eq!(came.data["undone"][0]["height"], 106);
}

#[test]
fn the_last_event_id_goes_before_the_cursor() {
    let served = Served::new();
    let mut stream = EventStream::open(&served, "/subscribe/heads?from=first", &[]);
    let ids: Vec<_> = (0..5)
        .map(|_| stream.next_block().unwrap().id.unwrap())
        .collect();
    let first = |target: &str, headers: &[(&str, &str)]| {
        let mut stream = EventStream::open(&served, target, headers);
        stream.next_block().unwrap().data["height"].clone()
    };
    let cursor = format!("/subscribe/heads?cursor={}", ids[0]);
    assert_eq!(first(&cursor, &[]), 101);
    assert_eq!(first(&cursor, &[("last-event-id", &ids[2])]), 103);
    let last = [("last-event-id", ids[1].as_str())];
    assert_eq!(first("/subscribe/heads", &last), 102);
    assert_eq!(first("/subscribe/heads?from=first", &last), 102);
    assert_eq!(
        first("/subscribe/heads?from=first", &[("last-event-id", "")]),
        100
    );
}

#[test]
fn what_cannot_be_is_told_before_a_stream_begins() {
    let served = Served::new();
    let check = |target: &str, expect: u16, kind: &str| {
        let (status, head, body) = served.get(target);
        assert_eq!(status, expect, "{target}: {body}");
        assert!(head.contains("content-type: application/json"), "{head}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["error"]["data"]["kind"], kind, "{body}");
        assert_eq!(body["id"], Value::Null);
    };
    check("/subscribe/tails", 400, "invalid_params");
    check("/subscribe/", 400, "invalid_params");
    check("/subscribe/heads?tail=1", 400, "invalid_params");
    check("/subscribe/heads?cursor=%zz", 400, "invalid_params");
    check("/subscribe/heads?cursor=104", 400, "invalid_params");
    let unknown = format!("/subscribe/heads?cursor=101:0x{}", "ab".repeat(32));
    check(&unknown, 410, "cursor_too_old");
    assert_eq!(stat(&served, &["push", "open", "event_stream"]), 0);
    // What is posted there is JSON-RPC, as everywhere.
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"metashrew_height"}"#;
    let (status, body) = served.post_at("/subscribe/heads", call);
    assert_eq!(status, 200);
    assert!(body.contains("104"), "{body}");
}

#[test]
fn a_head_is_answered_without_a_stream() {
    let served = Served::new();
    let head = |target: &str| {
        let mut stream = get(&served, target, &[]);
        let mut answer = String::new();
        stream.shutdown(Shutdown::Write).unwrap();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let _ = head("/subscribe/heads");
    wait_until(|| stat(&served, &["push", "open", "event_stream"]) == 0);
    let (status, body) = {
        use std::io::Write;
        let address = served.handle.local_addr();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let head = format!(
            "HEAD /subscribe/heads HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let (head, body) = crate::harness::read_answer(&mut stream);
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        (status(&head), body)
    };
    assert_eq!((status, body.as_str()), (200, ""));
    assert_eq!(stat(&served, &["push", "open", "event_stream"]), 0);
}

#[test]
fn pages_read_one_as_cors_says() {
    let check = |cors: &str, origin: &str, expect: u16| {
        let served = Served::with_cors(cors);
        let mut stream = get(&served, "/subscribe/heads", &[("origin", origin)]);
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        let head = String::from_utf8(answer).unwrap().to_ascii_lowercase();
        assert_eq!(status(&head), expect, "{cors} {origin}: {head}");
        let allowed = head.contains("access-control-allow-origin");
        assert_eq!(allowed, expect == 200, "{head}");
    };
    check("localhost", "http://localhost:3000", 200);
    check("localhost", "https://evil.example", 403);
    check("*", "https://evil.example", 200);
    check("off", "http://localhost:3000", 403);
}

#[test]
fn a_client_that_leaves_ends_its_stream() {
    let served = Served::new();
    for half in [true, false] {
        let mut stream = get(&served, "/subscribe/heads", &[]);
        stream.read_exact(&mut [0; 12]).unwrap();
        wait_until(|| stat(&served, &["push", "open", "event_stream"]) == 1);
        if half {
            stream.shutdown(Shutdown::Write).unwrap();
        } else {
            drop(stream);
        }
        wait_until(|| stat(&served, &["push", "open", "event_stream"]) == 0);
    }
}

#[test]
fn a_server_that_stops_ends_its_streams() {
    let served = Served::new();
    let mut stream = EventStream::open(&served, "/subscribe/heads", &[]);
    assert_eq!(stream.event().unwrap().kind, "position");
    let Served { handle, tokio, .. } = served;
    let reads = std::thread::spawn(move || {
        let end = stream.event().unwrap();
        assert_eq!(
            (end.kind.as_str(), &end.data["reason"]),
            ("end", &json!("shutdown"))
        );
        assert!(end.id.unwrap().starts_with("104:0x"));
        assert_eq!(stream.event(), None);
    });
    tokio.block_on(handle.stop());
    reads.join().unwrap();
}
