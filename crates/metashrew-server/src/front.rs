//! What stands before the methods: the HTTP of a request and of its answer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use tokio::sync::Semaphore;
use tower::Service;

use crate::probes;
use crate::rpc::Rpc;
use crate::telemetry::Telemetry;

pub(crate) type HttpResponse = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Answers every request.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) rpc: Rpc,
    pub(crate) telemetry: Arc<Telemetry>,
    /// A permit for each request that may be under way.
    pub(crate) permits: Arc<Semaphore>,
    /// Bytes of a request's body.
    pub(crate) max_request: usize,
}

impl Service<Request<Incoming>> for Front {
    type Response = HttpResponse;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let front = self.clone();
        Box::pin(async move { front.answer(request).await })
    }
}

impl Front {
    async fn answer(&self, request: Request<Incoming>) -> Result<HttpResponse, hyper::Error> {
        if matches!(*request.method(), Method::GET | Method::HEAD)
            && let Some(answer) = probes::answer(&self.telemetry, request.uri().path())
        {
            return Ok(answer);
        }
        if *request.method() != Method::POST {
            return Ok(empty(StatusCode::METHOD_NOT_ALLOWED));
        }
        if !is_json(request.headers().get(CONTENT_TYPE)) {
            return Ok(empty(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let Ok(_permit) = self.permits.try_acquire() else {
            return Ok(empty(StatusCode::TOO_MANY_REQUESTS));
        };
        let body = Limited::new(request.into_body(), self.max_request);
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Ok(json(StatusCode::PAYLOAD_TOO_LARGE, self.rpc.too_long()));
            }
            Err(error) => match error.downcast() {
                Ok(error) => return Err(*error),
                Err(_) => return Ok(empty(StatusCode::BAD_REQUEST)),
            },
        };
        Ok(match self.rpc.answer(body).await {
            Some(answer) => json(StatusCode::OK, answer),
            None => empty(StatusCode::NO_CONTENT),
        })
    }
}

/// Whether a content type is JSON's, whatever its parameters.
fn is_json(given: Option<&HeaderValue>) -> bool {
    let given = given.and_then(|given| given.to_str().ok());
    let kind = given.and_then(|given| given.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn empty(status: StatusCode) -> HttpResponse {
    let mut response = HttpResponse::default();
    *response.status_mut() = status;
    response
}

fn json(
    status: StatusCode,
    body: impl Body<Data = Bytes, Error = Infallible> + Send + 'static,
) -> HttpResponse {
    let mut response = Response::new(UnsyncBoxBody::new(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
