//! How a connection becomes a WebSocket, and whose may.

use std::io::{Read, Write};
use std::net::TcpStream;

use metashrew_server::ServerOptions;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

use super::{Client, stat};
use crate::harness::{Served, Setup, status};

/// Status and body of the answer to a client of these headers; 101 if it may.
async fn opened(served: &Served, headers: &[(&'static str, &str)]) -> (u16, Value) {
    match Client::open(served, "/", headers).await {
        Ok((_, response)) => (response.status().as_u16(), Value::Null),
        Err(Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            let body = serde_json::from_slice(body).unwrap_or_default();
            (response.status().as_u16(), body)
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn pages_of_other_origins_may_open_one_as_cors_says() {
    let check = |cors: &str, origin: &str, expect: u16| {
        let served = Served::with_cors(cors);
        let address = served.handle.local_addr().to_string();
        let origin = origin.replace("SERVER", &address);
        served.block_on(async {
            let (status, body) = opened(&served, &[("origin", &origin)]).await;
            assert_eq!(status, expect, "{cors} {origin} {body}");
            if expect == 403 {
                assert_eq!(body["error"]["data"]["kind"], "origin", "{body}");
            }
        });
    };
    check("localhost", "http://localhost:3000", 101);
    check("localhost", "https://evil.example", 403);
    check("localhost", "null", 403);
    check("*", "https://evil.example", 101);
    check("off", "http://localhost:3000", 403);
    // A page of the server itself may call it, whatever `--cors` says.
    check("off", "http://SERVER", 101);
    check("https://a.example", "https://a.example", 101);
    check("https://a.example", "https://b.example", 403);
    // A program is no page.
    let served = Served::with_cors("off");
    assert_eq!(served.block_on(opened(&served, &[])).0, 101);
}

#[test]
fn a_page_whose_own_name_points_here_may_not() {
    let served = Served::with_cors("*");
    let headers = [("host", "evil.example"), ("origin", "http://evil.example")];
    let (status, body) = served.block_on(opened(&served, &headers));
    assert_eq!(status, 403, "{body}");
}

/// Head and body of the answer to a request that is to be refused.
fn refused(served: &Served, method: &str, replaced: &str, by: &str) -> (String, Value) {
    let address = served.handle.local_addr();
    let head = format!(
        "{method} / HTTP/1.1\r\nhost: {address}\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    assert!(head.contains(replaced));
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(head.replace(replaced, by).as_bytes())
        .unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (
        head.to_ascii_lowercase(),
        serde_json::from_str(body).unwrap_or_default(),
    )
}

#[test]
fn what_asks_wrongly_is_told_what_is_wrong() {
    let served = Served::new();
    let check = |replaced: &str, by: &str, expect: u16| {
        let (head, body) = refused(&served, "GET", replaced, by);
        assert_eq!(status(&head), expect, "{by}: {head}");
        assert_eq!(body["error"]["data"]["kind"], "bad_upgrade", "{body}");
        assert_eq!(body["id"], Value::Null);
        head
    };
    let head = check("version: 13", "version: 8", 426);
    assert!(head.contains("sec-websocket-version: 13"), "{head}");
    check("sec-websocket-key", "x-key", 400);
    check("dGhlIHNhbXBsZSBub25jZQ==", "short", 400);
    check("keep-alive, Upgrade", "keep-alive", 400);
    check("\r\n\r\n", "\r\ncontent-length: 1\r\n\r\nx", 400);
    assert!(stat(&served, &["refused", "bad_upgrade"]) >= 5);
}

#[test]
fn other_protocols_are_not_spoken_and_what_asks_for_them_is_answered() {
    let served = Served::new();
    // As `curl --http2` asks.
    let headers = [
        ("content-type", "application/json"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
    ];
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"metashrew_height"}"#;
    let (head, body) = served.send("POST", &headers, call);
    assert_eq!(status(&head), 200);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["result"], "104");
    let (head, _) = refused(&served, "GET", "upgrade: websocket", "upgrade: h2c");
    // The page that is there for browsers.
    assert_eq!(status(&head), 200);
    // A POST opens none.
    let (head, body) = refused(&served, "POST", "upgrade: websocket", "upgrade: websocket");
    assert_eq!(status(&head), 415, "{body}");
}

#[test]
fn a_quarter_of_the_connections_is_kept_for_calls() {
    let served = Setup {
        server: ServerOptions {
            max_open_connections: 8,
            client_share: 100,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let open = served.block_on(async {
        let mut open = Vec::new();
        for _ in 0..6 {
            open.push(Client::connect(&served).await);
        }
        let (status, body) = opened(&served, &[]).await;
        assert_eq!(status, 503);
        let data = json!({ "kind": "too_many_streams", "limit": 6 });
        assert_eq!(body["error"]["data"], data);
        open
    });
    let (status, head, _) = served.get("/subscribe/heads");
    assert_eq!(status, 503);
    assert!(head.contains("retry-after: 1"), "{head}");
    for _ in 0..20 {
        assert_eq!(served.result("metashrew_height", &json!([])), "104");
    }
    drop(open);
}
