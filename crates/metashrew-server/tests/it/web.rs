//! Calls from web pages.

use crate::harness::{Served, status};

const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"metashrew_height"}"#;

/// The origin that the server allows to a page of `origin`.
fn allowed(served: &Served, origin: &str) -> Option<String> {
    let headers = [("content-type", "application/json"), ("origin", origin)];
    let (head, body) = served.send("POST", &headers, BODY);
    assert_eq!(status(&head), 200);
    assert!(body.contains("104"));
    head.lines()
        .find_map(|line| line.strip_prefix("access-control-allow-origin: "))
        .map(str::to_owned)
}

#[test]
fn pages_of_the_origins_allowed_may_read() {
    let check = |cors: &str, origin: &str, expect: Option<&str>| {
        let served = Served::with_cors(cors);
        assert_eq!(allowed(&served, origin).as_deref(), expect, "{cors}");
    };
    check("*", "https://a.example", Some("*"));
    check("off", "http://localhost:3000", None);
    let extension = "moz-extension://0f6a2a5e-5b1d-4d0a-9d9a-2f4f3d1c8b7e";
    check(extension, extension, Some(extension));
    check("localhost", extension, None);
    check(
        "localhost",
        "https://localhost:3000",
        Some("https://localhost:3000"),
    );
    check(
        "localhost",
        "http://localhost:3000",
        Some("http://localhost:3000"),
    );
    check("localhost", "https://a.example", None);
    let two = "https://a.example,https://b.example";
    check(two, "https://b.example", Some("https://b.example"));
    check(two, "https://c.example", None);
}

#[test]
fn a_preflight_request_is_answered() {
    let served = Served::with_cors("*");
    let headers = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "content-type,x-request-id",
        ),
        ("access-control-request-private-network", "true"),
    ];
    let (head, _) = served.send("OPTIONS", &headers, "");
    assert_eq!(status(&head), 200);
    assert!(
        head.contains("access-control-allow-methods: get,head,post"),
        "{head}"
    );
    assert!(
        head.contains("access-control-allow-headers: content-type,x-request-id"),
        "{head}"
    );
    assert!(
        head.contains("access-control-allow-private-network: true"),
        "{head}"
    );
}

#[test]
fn a_page_that_may_call_can_read_why_it_is_refused() {
    let served = Served::with_cors("localhost");
    let headers = [
        ("content-type", "text/plain"),
        ("origin", "http://localhost:3000"),
    ];
    let (head, body) = served.send("POST", &headers, BODY);
    assert_eq!(status(&head), 415);
    assert!(
        head.contains("access-control-allow-origin: http://localhost:3000"),
        "{head}"
    );
    assert!(body.contains("content_type"), "{body}");
}
