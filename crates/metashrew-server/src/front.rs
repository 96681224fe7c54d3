//! What stands before the methods: which requests are taken, and the HTTP of their answers.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, ORIGIN,
    RETRY_AFTER, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use tokio::sync::{Semaphore, SemaphorePermit};
use tower::{Layer, Service};
use tower_http::cors;

use crate::accept::Stop;
use crate::budget::Budget;
use crate::caller::Caller;
use crate::compression;
use crate::connections::Connection;
use crate::cors::Cors;
use crate::feed::Feed;
use crate::hosts::AllowedHosts;
use crate::push::{self, Push, Upgrade};
use crate::receive::Bodies;
use crate::refusal::{Reason, Refusal, Refusals};
use crate::rpc::Rpc;
use crate::telemetry::Telemetry;
use crate::view_route::{self, Described};

/// What bodies of requests may be called; the last two are names of older drafts of
/// JSON-RPC over HTTP. A page of another origin has to ask before it sends any of them.
const JSON_TYPES: [&str; 3] = [
    "application/json",
    "application/json-rpc",
    "application/jsonrequest",
];

/// An answer over HTTP.
pub(crate) type Answered = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Answers every request.
pub(crate) struct Front {
    hosts: AllowedHosts,
    shared: Arc<Shared>,
    cors: cors::CorsLayer,
}

/// What requests are answered with.
pub(crate) struct Shared {
    pub(crate) rpc: Rpc,
    pub(crate) telemetry: Arc<Telemetry>,
    /// A permit for each request that may be answered at a time.
    pub(crate) permits: Semaphore,
    pub(crate) max_requests: usize,
    pub(crate) bodies: Bodies,
    /// The memory of requests and their answers.
    pub(crate) budget: Arc<Budget>,
    /// The memory of probes' answers: others' may not keep them waiting.
    pub(crate) probes: Arc<Budget>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) feed: Feed,
    /// Which pages may call.
    pub(crate) cors: Cors,
    /// What the guest says of its views.
    pub(crate) described: Described,
    pub(crate) push: Push,
}

impl Front {
    pub(crate) fn new(shared: Shared, hosts: AllowedHosts) -> Self {
        Self {
            hosts,
            cors: shared.cors.layer(),
            shared: Arc::new(shared),
        }
    }

    /// The answer to a request that came over `connection`.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        connection: &Arc<Connection>,
    ) -> Answered {
        if let Err(refusal) = self.hosts.check(&request) {
            let unread = !request.body().is_end_stream();
            return self.shared.refuse(refusal, connection, unread);
        }
        if push::is_upgrade(&request) {
            return self.shared.upgrade(request, connection);
        }
        let routes = Routes {
            shared: Arc::clone(&self.shared),
            connection: Arc::clone(connection),
        };
        // Only a web page has an origin, or asks before it sends.
        if !request.headers().contains_key(ORIGIN) && *request.method() != Method::OPTIONS {
            return routes.answer(request).await;
        }
        // It is always ready.
        match self.cors.layer(routes).call(request).await {
            Ok(answered) => answered.map(BodyExt::boxed_unsync),
            Err(never) => match never {},
        }
    }
}

impl Front {
    /// What is said over a WebSocket, until either side ends it.
    pub(crate) async fn converse(
        &self,
        upgrade: Upgrade,
        connection: &Arc<Connection>,
        stop: Stop,
    ) {
        push::converse(&self.shared, upgrade, connection, stop).await;
    }
}

/// Answers what comes over one connection: views by their paths, `GET` at the paths of
/// probes and documents, and JSON-RPC at every other path.
#[derive(Clone)]
struct Routes {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
}

impl Service<Request<Incoming>> for Routes {
    type Response = Answered;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answered, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let answered = self.clone().answer(request);
        Box::pin(async { Ok(answered.await) })
    }
}

impl Routes {
    /// In a box: a connection that nothing is asked over keeps no room for it.
    fn answer(self, request: Request<Incoming>) -> Pin<Box<dyn Future<Output = Answered> + Send>> {
        Box::pin(async move {
            let Self { shared, connection } = self;
            if let Some(name) = view_route::name(request.uri().path()) {
                let name = name.to_owned();
                return shared.view(&name, request, &connection).await;
            }
            let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
            if is_get && push::is_event_stream(request.uri().path()) {
                return shared.event_stream(request, &connection).await;
            }
            let probe = is_get.then(|| {
                let probe = shared.probe(request.uri().path(), &connection);
                probe.or_else(|| shared.document(&request, &connection))
            });
            match probe.flatten() {
                Some(answered) => answered,
                None => shared.call(request, &connection).await,
            }
        })
    }
}

impl Shared {
    /// The answer to what is to be JSON-RPC.
    async fn call(&self, request: Request<Incoming>, connection: &Arc<Connection>) -> Answered {
        let (head, body) = request.into_parts();
        if let Err(refusal) = check(&head) {
            let unread = !body.is_end_stream();
            return self.refuse(refusal, connection, unread);
        }
        let caller = Caller::over_http(self.budget.lease(connection));
        let body = match self.bodies.receive(body, &caller.lease, connection).await {
            Ok(body) => body,
            Err(refusal) => return self.refuse(refusal, connection, true),
        };
        connection.answers();
        let answer = self.answer(body, caller, &head.headers).await;
        answer.unwrap_or_else(|refusal| self.refuse(refusal, connection, false))
    }

    /// A permit to answer one request.
    pub(crate) fn permit(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.permits.try_acquire().map_err(|_| {
            let limit = self.max_requests;
            let message = format!("{limit} requests are under way, as many as may be: try again");
            Refusal::new(Reason::TooMany, message).with("limit", limit)
        })
    }

    async fn answer(
        &self,
        body: Bytes,
        caller: Caller,
        headers: &HeaderMap,
    ) -> Result<Answered, Refusal> {
        let _permit = self.permit()?;
        let Some(answer) = self.rpc.answer(body, &caller).await else {
            let mut response = Response::new(Empty::new().boxed_unsync());
            *response.status_mut() = StatusCode::NO_CONTENT;
            return Ok(response);
        };
        caller.lease.settle(answer.held())?;
        let mut marks = Extensions::new();
        let body = compression::body(answer, caller.lease, headers, &mut marks);
        let mut response = json(StatusCode::OK, body);
        *response.extensions_mut() = marks;
        Ok(response)
    }

    /// The answer to a request that is refused. If its body is not read, the connection is
    /// over once the client has ended it: what it still sends is read and dropped.
    pub(crate) fn refuse(
        &self,
        refusal: Refusal,
        connection: &Connection,
        unread: bool,
    ) -> Answered {
        self.refusals.count(refusal.reason);
        let (reason, status) = (refusal.reason, refusal.status);
        let answer = self.rpc.refusal(refusal.error());
        let mut response = json(status, answer);
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if unread {
            connection.refuse();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let (name, value) = match reason {
            Reason::Method => (ALLOW, "POST"),
            Reason::ContentType => (ACCEPT_ENCODING, "identity"),
            Reason::NoRoom | Reason::TooMany | Reason::TooManyStreams | Reason::ClientStreams => {
                (RETRY_AFTER, "1")
            }
            Reason::Host
            | Reason::Origin
            | Reason::TooLong
            | Reason::BadBody
            | Reason::TooSlow
            | Reason::BadUpgrade => return response,
        };
        headers.insert(name, HeaderValue::from_static(value));
        response
    }
}

/// Refuses what is no JSON-RPC by its head.
fn check(head: &Parts) -> Result<(), Refusal> {
    if head.method != Method::POST {
        let message = format!("JSON-RPC is posted: the method is {}", head.method);
        return Err(Refusal::new(Reason::Method, message));
    }
    if !is_json(&head.headers) {
        let message = "the content type of the request is not application/json";
        return Err(Refusal::new(Reason::ContentType, message));
    }
    check_encoding(&head.headers)
}

/// Refuses a compressed body.
pub(crate) fn check_encoding(headers: &HeaderMap) -> Result<(), Refusal> {
    let is_plain = |encoding: &HeaderValue| encoding.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(CONTENT_ENCODING).iter().all(is_plain) {
        let message = "compressed requests are not taken: send it without content-encoding";
        return Err(Refusal::new(Reason::ContentType, message));
    }
    // HTTP has joined its chunks by then, but a coding below them is as good as the above.
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if !headers.get_all(TRANSFER_ENCODING).iter().all(is_chunked) {
        let message = "compressed requests are not taken: no transfer-encoding but `chunked` is";
        return Err(Refusal::new(Reason::ContentType, message));
    }
    Ok(())
}

/// Whether the content type is one of [`JSON_TYPES`], with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let name = value
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    name.is_some_and(|name| {
        JSON_TYPES
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
    })
}

pub(crate) fn json(
    status: StatusCode,
    body: impl Body<Data = Bytes, Error = Infallible> + Send + 'static,
) -> Answered {
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    response
}
