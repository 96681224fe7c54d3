//! The documents over HTTP.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{Extensions, HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::page;
use super::views::Description;
use crate::answer::Answer;
use crate::compression;
use crate::connections::Connection;
use crate::front::{Answered, Shared};

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// The address that a page shows to a client that names none.
const NOWHERE: &str = "localhost:8080";

/// What a document depends on besides its path: its encoding, and which pages may read it.
const VARIES: &str = "accept-encoding, origin";

/// What the page at `/` depends on.
const PAGE_VARIES: &str = "accept, accept-encoding, host, origin";

/// Bytes of an address that a page repeats.
const LONGEST_ADDRESS: usize = 255;

/// A body, and what it is.
pub(super) struct Document {
    body: Bytes,
    kind: &'static str,
    tag: HeaderValue,
}

impl Document {
    pub(super) fn json(body: Bytes) -> Self {
        Self::new(body, JSON)
    }

    fn new(body: Bytes, kind: &'static str) -> Self {
        let mut hash = hex::encode(Sha256::digest(&body));
        hash.truncate(32);
        // It is weak: the bytes sent may be compressed.
        let tag = HeaderValue::try_from(format!("W/\"{hash}\"")).expect("it is hex in quotes");
        Self { body, kind, tag }
    }

    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }
}

/// What is at `/`, in each form. In that for people, [`page::BASE`] stands for the address.
pub(super) struct Pages {
    html: Document,
    json: Document,
    text: Document,
    policy: HeaderValue,
}

impl Pages {
    pub(super) fn of(views: &Description) -> Self {
        let policy = HeaderValue::try_from(page::policy());
        Self {
            html: Document::new(page::html(views).into(), HTML),
            json: Document::json(links(views)),
            text: Document::new(page::text(views).into(), TEXT),
            policy: policy.expect("it is ASCII"),
        }
    }

    /// The form that a client takes; who does not say gets text.
    fn chosen(&self, headers: &HeaderMap) -> &Document {
        let accepted = headers.get_all(ACCEPT).into_iter();
        let accepted: Vec<_> = accepted.filter_map(|value| value.to_str().ok()).collect();
        let takes = |kind: &str| accepted.iter().any(|accepted| accepted.contains(kind));
        if takes("text/html") {
            &self.html
        } else if takes(JSON) {
            &self.json
        } else {
            &self.text
        }
    }
}

/// The page as JSON.
fn links(views: &Description) -> Bytes {
    let names = views.views.iter();
    let views =
        names.map(|view| json!({ "name": view.name, "path": super::openapi::path(&view.name) }));
    super::json_of(&json!({
        "metashrew": super::VERSION,
        "views": views.collect::<Vec<_>>(),
        "jsonrpc": "/",
        "openapi": "/openapi.json",
        "openrpc": "/openrpc.json",
        "subscribe": ["/subscribe/heads", "/subscribe/writes", "/subscribe/view/{view}", "/subscribe/pending"],
        "probes": ["/health", "/ready", "/metrics"],
    }))
}

impl Shared {
    /// The answer to a `GET` or `HEAD` of a document, if there is one at its path.
    pub(crate) fn document<B>(
        &self,
        request: &Request<B>,
        connection: &Arc<Connection>,
    ) -> Option<Answered> {
        let discovery = self.rpc.discovery();
        let headers = request.headers();
        let document = match request.uri().path() {
            "/" => return Some(self.page(&discovery.pages, request, connection)),
            "/openapi.json" => &discovery.openapi,
            "/openrpc.json" => &discovery.openrpc,
            _ => return None,
        };
        let answer = answer(document, headers);
        Some(self.filled(answer, Answer::written(&document.body), headers, connection))
    }

    /// The page, with the address that the client asks in it.
    fn page<B>(
        &self,
        pages: &Pages,
        request: &Request<B>,
        connection: &Arc<Connection>,
    ) -> Answered {
        let document = pages.chosen(request.headers());
        let mut answer = answer(document, request.headers());
        let headers = answer.headers_mut();
        headers.insert(VARY, HeaderValue::from_static(PAGE_VARIES));
        headers.insert(CONTENT_SECURITY_POLICY, pages.policy.clone());
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if answer.status() != StatusCode::OK {
            return answer;
        }
        let text = String::from_utf8_lossy(&document.body);
        let text = text.replace(page::BASE, &format!("http://{}", address(request)));
        self.filled(answer, Answer::text(&text), request.headers(), connection)
    }

    /// An answer with its body, unless the client has it; compressed if the client takes that.
    fn filled(
        &self,
        mut answer: Answered,
        body: Answer,
        headers: &HeaderMap,
        connection: &Arc<Connection>,
    ) -> Answered {
        if answer.status() != StatusCode::OK {
            return answer;
        }
        let lease = Arc::new(self.budget.lease(connection));
        if let Err(error) = lease.settle(body.held()) {
            return self.refuse(error.into(), connection, false);
        }
        let mut marks = Extensions::new();
        *answer.body_mut() = compression::body(body, lease, headers, &mut marks);
        *answer.extensions_mut() = marks;
        answer
    }
}

/// The head of an answer: 200, or 304 to a client that has the document.
fn answer(document: &Document, headers: &HeaderMap) -> Answered {
    let mut answer = Response::new(Full::default().boxed_unsync());
    if has(headers, &document.tag) {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(document.kind));
    headers.insert(VARY, HeaderValue::from_static(VARIES));
    headers.insert(ETAG, document.tag.clone());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// Whether the client has what the tag stands for.
fn has(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let tags = headers.get_all(IF_NONE_MATCH).into_iter();
    let mut tags = tags.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    tags.any(|known| {
        let known = known.trim_ascii();
        known == b"*" || opaque(known) == opaque(tag.as_bytes())
    })
}

/// A tag without what says that it is weak.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The address that the request asks, as far as it is one that a page can show.
fn address<B>(request: &Request<B>) -> &str {
    let named = request.uri().authority().map(http::uri::Authority::as_str);
    let host = || request.headers().get(HOST)?.to_str().ok();
    let is_plain = |address: &&str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        (1..=LONGEST_ADDRESS).contains(&address.len()) && address.bytes().all(is_part)
    };
    named.or_else(host).filter(is_plain).unwrap_or(NOWHERE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_addresses_are_shown() {
        let check = |host: &str, expect: &str| {
            let request = Request::builder().header(HOST, host).body(()).unwrap();
            assert_eq!(address(&request), expect, "{host}");
        };
        check("localhost:8080", "localhost:8080");
        check("[::1]:80", "[::1]:80");
        check("a-b.example.org", "a-b.example.org");
        check("'<script>", NOWHERE);
        check("a$(b)", NOWHERE);
        check("", NOWHERE);
        check(&"a".repeat(LONGEST_ADDRESS + 1), NOWHERE);
        assert_eq!(address(&Request::new(())), NOWHERE);
    }

    #[test]
    fn tags_are_compared_as_http_has_it() {
        let check = |given: &'static str, expect: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static(given));
            assert_eq!(
                has(&headers, &HeaderValue::from_static("W/\"a\"")),
                expect,
                "{given}"
            );
        };
        check("\"a\"", true);
        check("W/\"a\"", true);
        check("\"b\" , \"a\"", true);
        check("*", true);
        check("\"b\"", false);
        check("a", false);
        assert!(!has(
            &HeaderMap::new(),
            &HeaderValue::from_static("W/\"a\"")
        ));
    }
}
