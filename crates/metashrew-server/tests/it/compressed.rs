//! Long answers in gzip and brotli, for clients that take them.

use std::io::Read;

use metashrew_server::ServerOptions;
use serde_json::{Value, json};

use crate::harness::{Reply, Served, Setup, view_request, wait_until};

fn decompressed(reply: &Reply) -> Vec<u8> {
    let mut whole = Vec::new();
    match reply.header("content-encoding") {
        "" => whole.extend_from_slice(&reply.body),
        "gzip" => {
            let mut decoder = flate2::read::GzDecoder::new(&reply.body[..]);
            decoder.read_to_end(&mut whole).unwrap();
        }
        "br" => {
            let mut decoder = brotli::Decompressor::new(&reply.body[..], 4096);
            decoder.read_to_end(&mut whole).unwrap();
        }
        other => panic!("{other}"),
    }
    whole
}

/// Bytes that compress a little, of any length.
fn bytes(length: usize) -> Vec<u8> {
    (0..length as u64)
        .map(|index| (index * index / 7).to_le_bytes()[0] & 0x3f)
        .collect()
}

fn accepting(encodings: &str) -> [(&'static str, &str); 2] {
    [
        ("accept-encoding", encodings),
        ("content-type", "application/json"),
    ]
}

#[test]
fn views_and_json_rpc_alike() {
    let served = Served::new();
    for length in [600, 20_000, 3 << 20] {
        let input = bytes(length);
        let call = view_request(1, &json!(["echo", hex::encode(&input)])).to_string();
        for (accepted, encoding) in [
            ("gzip", "gzip"),
            ("br", "br"),
            ("gzip, deflate, br, zstd", "br"),
            ("br;q=0.1, gzip;q=0.9", "gzip"),
            ("identity", ""),
            ("gzip;q=0", ""),
        ] {
            let reply = served.ask("POST", "/", &accepting(accepted), call.as_bytes());
            assert_eq!(
                reply.header("content-encoding"),
                encoding,
                "{accepted} {length}"
            );
            let answer: Value = serde_json::from_slice(&decompressed(&reply)).unwrap();
            assert!(answer["result"] == hex::encode_prefixed(&input));
            if !encoding.is_empty() {
                assert!(reply.body.len() < 2 * length, "{}", reply.body.len());
                assert_eq!(reply.header("vary"), "accept-encoding");
            }
            let reply = served.ask("POST", "/view/echo", &accepting(accepted), &input);
            let is_short = length < 1024;
            let encoding = if is_short { "" } else { encoding };
            assert_eq!(
                reply.header("content-encoding"),
                encoding,
                "{accepted} {length}"
            );
            assert!(decompressed(&reply) == input);
        }
    }
}

#[test]
fn documents_too() {
    let served = Served::new();
    for (path, accept) in [
        ("/", "text/html"),
        ("/openapi.json", "*/*"),
        ("/openrpc.json", "*/*"),
    ] {
        let plain = served.got(path, &[("accept", accept)]);
        assert_eq!(plain.header("content-encoding"), "", "{path}");
        for encoding in ["br", "gzip"] {
            let taken = [("accept", accept), ("accept-encoding", encoding)];
            let reply = served.got(path, &taken);
            assert_eq!(reply.header("content-encoding"), encoding, "{path}");
            assert!(reply.body.len() < plain.body.len(), "{path}");
            assert!(decompressed(&reply) == plain.body, "{path}");
            assert_eq!(reply.header("etag"), plain.header("etag"));
            let known = [taken[0], taken[1], ("if-none-match", reply.header("etag"))];
            let same = served.got(path, &known);
            assert_eq!((same.status, same.body.len()), (304, 0), "{path}");
        }
    }
}

#[test]
fn what_need_not_be_is_not_compressed() {
    let served = Served::new();
    let reply = served.got("/view/echo?text=a", &accepting("gzip"));
    assert_eq!((reply.header("content-encoding"), reply.text()), ("", "a"));
    let reply = served.got("/metrics", &accepting("gzip"));
    assert_eq!(reply.header("content-encoding"), "");
    let input = bytes(20_000);
    let reply = served.ask("POST", "/view/echo", &[], &input);
    assert_eq!(reply.header("content-encoding"), "");
    assert_eq!(reply.header("content-length"), "20000");
}

#[test]
fn the_tag_is_that_of_any_encoding() {
    let served = Served::new();
    let target = format!("/view/echo?text={}", "a".repeat(5000));
    let plain = served.got(&target, &[]);
    let gzip = served.got(&target, &accepting("gzip"));
    assert_eq!(gzip.header("content-encoding"), "gzip");
    assert_eq!(gzip.header("etag"), plain.header("etag"));
    assert!(gzip.header("vary").contains("accept-encoding"));
    let same = [
        ("accept-encoding", "br"),
        ("if-none-match", plain.header("etag")),
    ];
    assert_eq!(served.got(&target, &same).status, 304);
}

#[test]
fn encoders_are_held_and_given_back() {
    let served = Setup {
        server: ServerOptions {
            request_memory: 4 << 20,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let held = || {
        let stats = served.result("metashrew_stats", &json!([]));
        stats["request_memory"]["bytes"].as_u64().unwrap()
    };
    let input = bytes(64 << 10);
    for _ in 0..20 {
        let reply = served.ask("POST", "/view/echo", &accepting("br"), &input);
        assert!(decompressed(&reply) == input);
        assert_eq!(reply.header("content-encoding"), "br");
        wait_until(|| held() == 0);
    }
}
