//! Which hosts a request may name.

use std::io::Write;
use std::net::TcpStream;

use metashrew_server::{Cors, ServerOptions};
use serde_json::Value;

use crate::harness::{Served, Setup, read_answer, status};

const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"metashrew_height"}"#;

fn with(allowed: &str) -> Served {
    Setup {
        server: ServerOptions {
            cors: Cors::Any,
            allowed_hosts: allowed.parse().unwrap(),
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve()
}

/// Status and body of the answer to a call with this target and these lines in its head.
fn ask(served: &Served, target: &str, lines: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(served.handle.local_addr()).unwrap();
    let head = format!(
        "POST {target} HTTP/1.1\r\n{lines}connection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let (head, body) = read_answer(&mut stream);
    (status(&head), body)
}

#[test]
fn a_rebound_name_reaches_nothing() {
    let served = with("indexer.example");
    let evil = "host: evil.example:8080\r\norigin: http://evil.example:8080\r\n";
    for (target, lines) in [
        ("/", evil),
        ("/metrics", evil),
        ("http://evil.example/", "host: localhost\r\n"),
    ] {
        let (status, body) = ask(&served, target, lines);
        assert_eq!(status, 403, "{target}: {body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["error"]["code"], -32600);
        assert_eq!(body["error"]["data"]["kind"], "host");
        assert_eq!(body["id"], Value::Null);
    }
    for path in ["/health", "/ready", "/metrics"] {
        let mut stream = TcpStream::connect(served.handle.local_addr()).unwrap();
        let get = format!("GET {path} HTTP/1.1\r\n{evil}connection: close\r\n\r\n");
        stream.write_all(get.as_bytes()).unwrap();
        assert_eq!(status(&read_answer(&mut stream).0), 403, "{path}");
    }
}

#[test]
fn this_machine_addresses_and_names_allowed_are_served() {
    let served = with("indexer.example");
    for lines in [
        "host: localhost:1\r\n",
        "host: 127.0.0.1\r\n",
        "host: [::1]:8080\r\n",
        "host: 192.0.2.7:8080\r\n",
        "host: Indexer.Example:8080\r\n",
    ] {
        assert_eq!(ask(&served, "/", lines).0, 200, "{lines}");
    }
    let lines = "host: evil.example\r\n";
    assert_eq!(ask(&served, "http://localhost:8080/", lines).0, 200);
    assert_eq!(ask(&with("*"), "/", lines).0, 200);
}

#[test]
fn a_request_names_one_host() {
    let served = with("indexer.example");
    for lines in ["", "host: localhost\r\nhost: localhost\r\n", "host:\r\n"] {
        let (status, body) = ask(&served, "/", lines);
        assert_eq!(status, 400, "{lines}");
        assert!(body.contains("\"host\""), "{body}");
    }
}
