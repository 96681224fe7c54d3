//! Views by their own paths: `POST /view/NAME` with the input as its body, and
//! `GET /view/NAME?…` with the input in its query. The answer is the body.

mod asked;
mod described;
mod etag;
mod members;
mod negotiation;

use std::sync::Arc;

use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, ETAG, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use metashrew_runtime::{Basis, CallContext, ViewCall};

use self::asked::Asked;
use self::etag::Condition;
use crate::answer::Answer;
use crate::budget::Lease;
use crate::compression;
use crate::connections::Connection;
use crate::fault::{self, RpcError};
use crate::form::Form;
use crate::front::{Answered, Shared, check_encoding, json};
use crate::method::look_up;
use crate::refusal::{Reason, Refusal};
use crate::{origin, wire};

pub(crate) use self::described::Described;

/// What the paths of views begin with.
const PREFIX: &str = "/view/";

/// The method that these calls are counted as.
const COUNTED_AS: &str = "metashrew_view";

/// What an answer depends on besides the target of its request.
const VARIES: &str = "accept, accept-encoding, metashrew-block, origin";

/// The name in the path of a view, as it stands there.
pub(crate) fn name(path: &str) -> Option<&str> {
    path.strip_prefix(PREFIX)
}

/// What is answered to a view that did not fail.
enum Outcome {
    Answer {
        form: Form,
        answer: Answer,
    },
    /// The client has the answer already.
    NotModified,
}

impl Shared {
    /// The answer to a request at the path of a view.
    pub(crate) async fn view(
        &self,
        name: &str,
        request: Request<Incoming>,
        connection: &Arc<Connection>,
    ) -> Answered {
        let (head, body) = request.into_parts();
        let unread = !body.is_end_stream();
        let is_read = matches!(head.method, Method::GET | Method::HEAD);
        let checked = if is_read || head.method == Method::POST {
            origin::check(&head.headers, &self.cors).and_then(|()| check_encoding(&head.headers))
        } else {
            let message = format!(
                "a view is asked by GET or POST: the method is {}",
                head.method
            );
            Err(Refusal::new(Reason::Method, message))
        };
        if let Err(refusal) = checked {
            let mut response = self.refuse(refusal, connection, unread);
            if response.headers().contains_key(ALLOW) {
                let allowed = HeaderValue::from_static("GET, HEAD, POST");
                response.headers_mut().insert(ALLOW, allowed);
            }
            return response;
        }
        let mut asked = match Asked::read(name, &head, &self.described, unread) {
            Ok(asked) => asked,
            Err(error) => return self.failed(error, connection, unread),
        };
        let lease = Arc::new(self.budget.lease(connection));
        if !is_read {
            match self.bodies.receive(body, &lease, connection).await {
                Ok(body) => asked.input = body,
                Err(refusal) => return self.refuse(refusal, connection, true),
            }
        }
        connection.answers();
        let answered = self
            .answer_view(&asked, &head.headers, lease, connection)
            .await;
        answered.unwrap_or_else(|refusal| self.refuse(refusal, connection, false))
    }

    async fn answer_view(
        &self,
        asked: &Asked,
        headers: &HeaderMap,
        lease: Arc<Lease>,
        connection: &Connection,
    ) -> Result<Answered, Refusal> {
        let _permit = self.permit()?;
        let mut told = HeaderMap::new();
        let outcome = self.outcome(asked, headers, &mut told);
        let mut response = match self.rpc.counted(COUNTED_AS, outcome).await {
            Ok(Outcome::NotModified) => {
                let mut response = Response::new(Empty::new().boxed_unsync());
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                response
            }
            Ok(Outcome::Answer { form, answer }) => {
                lease.settle(answer.held())?;
                let mut marks = Extensions::new();
                let body = compression::body(answer, lease, headers, &mut marks);
                let mut response = Response::new(body);
                *response.extensions_mut() = marks;
                told.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(form)));
                told.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
                response
            }
            Err(error) => {
                told.remove(ETAG);
                told.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                self.failed(error, connection, false)
            }
        };
        response.headers_mut().extend(told);
        Ok(response)
    }

    /// Runs the view, unless the client has its answer. `told` gets the headers that say what
    /// the answer, or the error, stands on.
    async fn outcome(
        &self,
        asked: &Asked,
        headers: &HeaderMap,
        told: &mut HeaderMap,
    ) -> Result<Outcome, RpcError> {
        told.insert(VARY, HeaderValue::from_static(VARIES));
        told.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let rpc = self.rpc.context();
        let chain = rpc.runtime.chain();
        let stands_on = look_up(&chain, asked.at, asked.options.timeout).await;
        let stands_on = stands_on.map_err(|error| fault::of_view(&error))?;
        tell(&stands_on, told);
        let guest = stands_on.guest_sha256();
        if asked.guest.is_some_and(|asked| asked != guest) {
            return Err(fault::other_guest(&guest));
        }
        let root = stands_on.block().history_root;
        let is_other = |asked: [u8; 32]| asked != *root.as_bytes();
        if asked.history_root.is_some_and(is_other) {
            return Err(fault::other_history_root(&root));
        }
        let mut condition = Condition::None;
        if asked.is_cacheable {
            let tag = etag::of(asked, &stands_on);
            condition = Condition::of(headers, &tag);
            told.insert(ETAG, tag);
            told.insert(
                CACHE_CONTROL,
                HeaderValue::from_static(asked.cache_control()),
            );
        }
        if condition == Condition::Same {
            return Ok(Outcome::NotModified);
        }
        let call = ViewCall {
            at: Basis::Resolved(&stands_on),
            route: asked.options.route(),
            timeout: asked.options.timeout,
            ..ViewCall::new(&asked.name, &asked.input)
        };
        let answer = rpc.runtime.call(call).await;
        let answer = answer.map_err(|error| fault::of_view(&error))?;
        let form = asked.form;
        let answer = form.body(answer.bytes, &rpc.offload).await?;
        let (length, limit) = (answer.len(), rpc.bounds.max_length);
        if length > limit {
            return Err(fault::answer_too_long(length, limit));
        }
        if condition == Condition::Any {
            return Ok(Outcome::NotModified);
        }
        Ok(Outcome::Answer { form, answer })
    }

    /// The answer to a call that failed: the error as JSON-RPC has it.
    pub(crate) fn failed(
        &self,
        error: RpcError,
        connection: &Connection,
        unread: bool,
    ) -> Answered {
        let status = error.http_status();
        let mut response = json(status, self.rpc.refusal(error));
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if unread {
            connection.refuse();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// The headers that say what an answer stands on.
fn tell(stands_on: &CallContext, told: &mut HeaderMap) {
    let mut insert = |name, value: String| {
        // All of them are digits and letters.
        if let Ok(value) = HeaderValue::try_from(value) {
            told.insert(name, value);
        }
    };
    let block = stands_on.block();
    insert(wire::HEIGHT, block.height.to_string());
    insert(wire::BLOCK_HASH, wire::block_hash(&block.hash));
    insert(wire::HISTORY_ROOT, wire::history_root(&block.history_root));
    insert(wire::GUEST, hex::encode_prefixed(stands_on.guest_sha256()));
    if let Some(pending) = stands_on.pending() {
        let hash = wire::block_hash(&pending.hash);
        insert(wire::PENDING, format!("{}:{hash}", pending.height));
    }
}

fn content_type(form: Form) -> &'static str {
    match form {
        Form::Json => "application/json; charset=utf-8",
        Form::Text | Form::Hex => "text/plain; charset=utf-8",
        Form::Bytes => "application/octet-stream",
    }
}
