//! An HTTP layer that holds requests to the letter of JSON-RPC 2.0.
//!
//! Behind it, jsonrpsee answers notifications with `null`, takes a request with
//! an unusable id for a notification, a request without an id and a method for a
//! parse error, and arrays for requests. Here such requests are answered, or, in
//! a batch, replaced by ones that jsonrpsee refuses as the specification says.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jsonrpsee::core::BoxError;
use jsonrpsee::server::http::content_type_is_json;
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use jsonrpsee::types::{ErrorCode, ErrorObjectOwned, Id, Response, ResponsePayload};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use serde_json::value::RawValue;
use tower::{Layer, Service};

use crate::fault::{self, INPUT_TOO_LONG};
use crate::params::text_of;

/// What a request may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strict {
    /// Bytes of its body.
    pub(crate) max_request: u32,
    /// Entries of its batch.
    pub(crate) max_batch: usize,
}

impl<S> Layer<S> for Strict {
    type Service = StrictService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        StrictService {
            limits: *self,
            inner,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct StrictService<S> {
    limits: Strict,
    inner: S,
}

impl<S> Service<HttpRequest> for StrictService<S>
where
    S: Service<HttpRequest, Response = HttpResponse, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = HttpResponse;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        let limits = self.limits;
        // The clone takes over for the next call; this one was polled ready.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            if *request.method() != Method::POST || !content_type_is_json(&request) {
                return inner.call(request).await;
            }
            let (mut head, body) = request.into_parts();
            let body = match Limited::new(body, limits.max_request as usize)
                .collect()
                .await
            {
                Ok(body) => body.to_bytes(),
                Err(error) if error.is::<LengthLimitError>() => {
                    return Ok(limits.too_long());
                }
                Err(error) => return Err(error),
            };
            let body = match limits.check(&body) {
                Verdict::Pass => HttpBody::new(http_body_util::Full::new(body)),
                Verdict::PassInstead(text) => HttpBody::from(text),
                Verdict::Silence => return Ok(no_content()),
                Verdict::Refuse(id, error) => {
                    return Ok(refusal(StatusCode::OK, &id, error));
                }
            };
            // What follows reads the body to its end, whatever its length was announced to be.
            head.headers.remove(CONTENT_LENGTH);
            inner.call(HttpRequest::from_parts(head, body)).await
        })
    }
}

/// What to do with a request's body.
#[derive(Debug, PartialEq)]
enum Verdict<'a> {
    /// It is a call or a batch.
    Pass,
    /// It is a batch in which these words stand for invalid entries.
    PassInstead(String),
    /// It is nothing but notifications: no answer, and nothing to do, since no
    /// method changes anything.
    Silence,
    /// It gets an error for all of it.
    Refuse(Id<'a>, ErrorObjectOwned),
}

/// One request, of a batch or alone.
enum Entry<'a> {
    Call,
    Notification,
    Invalid { id: Id<'a> },
}

impl Strict {
    fn check<'a>(&self, body: &'a [u8]) -> Verdict<'a> {
        let refuse = |id, code: ErrorCode| Verdict::Refuse(id, ErrorObjectOwned::from(code));
        let Ok(text) = std::str::from_utf8(body) else {
            return refuse(Id::Null, ErrorCode::ParseError);
        };
        // Most bodies are one valid call: they are read once.
        if text.starts_with('{') && matches!(Entry::parse(text), Entry::Call) {
            return Verdict::Pass;
        }
        let Ok(request) = serde_json::from_str::<&'a RawValue>(text) else {
            return refuse(Id::Null, ErrorCode::ParseError);
        };
        if !request.get().starts_with('[') {
            return match Entry::parse(request.get()) {
                Entry::Call => Verdict::Pass,
                Entry::Notification => Verdict::Silence,
                Entry::Invalid { id } => refuse(id, ErrorCode::InvalidRequest),
            };
        }
        let Ok(batch) = serde_json::from_str::<Vec<&'a RawValue>>(request.get()) else {
            return refuse(Id::Null, ErrorCode::ParseError);
        };
        if batch.is_empty() {
            return refuse(Id::Null, ErrorCode::InvalidRequest);
        }
        if batch.len() > self.max_batch {
            let error = fault::batch_too_long("batch", batch.len(), self.max_batch);
            return Verdict::Refuse(Id::Null, error);
        }
        check_batch(&batch)
    }

    fn too_long(&self) -> HttpResponse {
        let limit = self.max_request;
        let error = fault::object(
            INPUT_TOO_LONG,
            format!("the request is longer than the limit of {limit} bytes"),
            json!({ "kind": "request_too_long", "limit": limit }),
        );
        refusal(StatusCode::PAYLOAD_TOO_LARGE, &Id::Null, error)
    }
}

fn check_batch<'a>(batch: &[&'a RawValue]) -> Verdict<'a> {
    let mut invalid = false;
    let mut silent = true;
    let mut words = Vec::with_capacity(batch.len());
    for entry in batch {
        let word = match Entry::parse(entry.get()) {
            Entry::Notification => Cow::Borrowed(entry.get()),
            Entry::Call => {
                silent = false;
                Cow::Borrowed(entry.get())
            }
            Entry::Invalid { id } => {
                silent = false;
                invalid = true;
                // Without a method, jsonrpsee answers it as an invalid request of that id.
                Cow::Owned(json!({ "id": id }).to_string())
            }
        };
        words.push(word);
    }
    if silent {
        Verdict::Silence
    } else if invalid {
        Verdict::PassInstead(format!("[{}]", words.join(",")))
    } else {
        Verdict::Pass
    }
}

impl<'a> Entry<'a> {
    fn parse(request: &'a str) -> Self {
        #[derive(Deserialize)]
        struct Members<'a> {
            #[serde(default, borrow, deserialize_with = "present")]
            jsonrpc: Option<&'a RawValue>,
            #[serde(default, borrow, deserialize_with = "present")]
            method: Option<&'a RawValue>,
            #[serde(default, borrow, deserialize_with = "present")]
            params: Option<&'a RawValue>,
            #[serde(default, borrow, deserialize_with = "present")]
            id: Option<&'a RawValue>,
        }
        let null = Self::Invalid { id: Id::Null };
        if !request.starts_with('{') {
            return null;
        }
        let Ok(members) = serde_json::from_str::<Members<'a>>(request) else {
            return null;
        };
        let id = match members.id.map(|id| serde_json::from_str(id.get())) {
            Some(Err(_)) => return null,
            Some(Ok(id)) => Some(id),
            None => None,
        };
        let is_ours = |version: &RawValue| text_of(version).is_ok_and(|text| text == "2.0");
        let valid = members.jsonrpc.is_some_and(is_ours)
            && members.method.is_some_and(|method| text_of(method).is_ok())
            && members.params.is_none_or(|params| {
                params.get() == "null" || params.get().starts_with(['[', '{'])
            });
        match id {
            Some(_) if valid => Self::Call,
            None if valid => Self::Notification,
            id => Self::Invalid {
                id: id.unwrap_or(Id::Null),
            },
        }
    }
}

/// A member that is there, even if it is `null`.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

fn no_content() -> HttpResponse {
    let mut response = HttpResponse::new(HttpBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn refusal(status: StatusCode, id: &Id<'_>, error: ErrorObjectOwned) -> HttpResponse {
    let answer = Response::new(ResponsePayload::<()>::error(error), id.clone());
    let text = serde_json::to_string(&answer).expect("an answer has only texts as keys");
    let mut response = HttpResponse::new(HttpBody::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Strict = Strict {
        max_request: 1000,
        max_batch: 3,
    };

    fn check(body: &str, expect: &Verdict<'_>) {
        assert_eq!(LIMITS.check(body.as_bytes()), *expect, "{body}");
    }

    fn refused(id: Id<'static>, code: ErrorCode) -> Verdict<'static> {
        Verdict::Refuse(id, code.into())
    }

    #[test]
    fn calls_pass() {
        check(r#"{"jsonrpc":"2.0","method":"m","id":1}"#, &Verdict::Pass);
        check(
            r#" {"jsonrpc":"2.0","method":"m","id":null,"params":[1]} "#,
            &Verdict::Pass,
        );
        check(
            r#"{"jsonrpc":"2.0","method":"m","id":"a","params":{}}"#,
            &Verdict::Pass,
        );
        check(
            r#"[{"jsonrpc":"2.0","method":"m","id":1},{"jsonrpc":"2.0","method":"m"}]"#,
            &Verdict::Pass,
        );
    }

    #[test]
    fn notifications_are_not_answered() {
        check(r#"{"jsonrpc":"2.0","method":"m"}"#, &Verdict::Silence);
        check(
            r#"[{"jsonrpc":"2.0","method":"m"},{"jsonrpc":"2.0","method":"n","params":[]}]"#,
            &Verdict::Silence,
        );
    }

    #[test]
    fn what_is_no_json_is_a_parse_error() {
        let call = r#"{"jsonrpc":"2.0","method":"m","id":1}"#;
        let longer = format!("{call}{call}");
        for body in ["", "{", "[1", "\u{feff}{}", r#"{"a":1}x"#, &longer] {
            check(body, &refused(Id::Null, ErrorCode::ParseError));
        }
        for body in [
            &b"\"\xff\""[..],
            b"{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":1,\"x\":\"\xff\"}",
        ] {
            let error = refused(Id::Null, ErrorCode::ParseError);
            assert_eq!(LIMITS.check(body), error);
        }
    }

    #[test]
    fn what_is_json_but_no_request_is_an_invalid_request() {
        let invalid = refused(Id::Null, ErrorCode::InvalidRequest);
        for body in [
            "1",
            "null",
            "\"text\"",
            "{}",
            "[]",
            r#"{"jsonrpc":"2.0","method":1,"params":"bar"}"#,
            r#"{"jsonrpc":"2.0","method":"m","id":{}}"#,
            r#"{"jsonrpc":"2.0","method":"m","id":1.5}"#,
            r#"{"jsonrpc":"2.0","method":"m","id":true}"#,
            r#"{"jsonrpc":"2.0","method":"m","params":5}"#,
        ] {
            check(body, &invalid);
        }
        for body in [
            r#"{"id":7}"#,
            r#"{"jsonrpc":"1.0","method":"m","id":7}"#,
            r#"{"method":"m","id":7}"#,
            r#"{"jsonrpc":"2.0","id":7}"#,
            r#"{"jsonrpc":"2.0","method":"m","params":"x","id":7}"#,
        ] {
            check(body, &refused(Id::Number(7), ErrorCode::InvalidRequest));
        }
    }

    #[test]
    fn invalid_entries_of_a_batch_keep_their_place_and_id() {
        check("[1]", &Verdict::PassInstead(r#"[{"id":null}]"#.to_owned()));
        check(
            r#"[{"jsonrpc":"2.0","method":"m","id":-1},{"jsonrpc":"2.0","method":"m","id":2},["2.0",3,"m"]]"#,
            &Verdict::PassInstead(
                r#"[{"id":null},{"jsonrpc":"2.0","method":"m","id":2},{"id":null}]"#.to_owned(),
            ),
        );
        check(
            r#"[{"id":"x"}]"#,
            &Verdict::PassInstead(r#"[{"id":"x"}]"#.to_owned()),
        );
    }

    #[test]
    fn a_batch_has_a_limit() {
        let Verdict::Refuse(Id::Null, error) = LIMITS.check(b"[1,2,3,4]") else {
            panic!("not refused");
        };
        assert_eq!(error.code(), fault::BATCH_TOO_LONG);
        assert_eq!(error.message(), "the batch has 4 entries, the limit is 3");
    }
}
