//! An HTTP layer that answers `GET /health`, `/ready` and `/metrics` itself, before
//! anything that calls of views may fill up.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use jsonrpsee::core::BoxError;
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use tower::{Layer, Service};

use crate::metrics;
use crate::telemetry::Telemetry;

const JSON: &str = "application/json";

type Answer = Pin<Box<dyn Future<Output = Result<HttpResponse, BoxError>> + Send>>;

/// Answers probes from what `Telemetry` sees.
#[derive(Clone)]
pub(crate) struct Probes(pub(crate) Arc<Telemetry>);

impl<S> Layer<S> for Probes {
    type Service = ProbesService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ProbesService {
            telemetry: Arc::clone(&self.0),
            inner,
        }
    }
}

#[derive(Clone)]
pub(crate) struct ProbesService<S> {
    telemetry: Arc<Telemetry>,
    inner: S,
}

impl<S> Service<HttpRequest> for ProbesService<S>
where
    S: Service<HttpRequest, Response = HttpResponse, Error = BoxError, Future = Answer>,
{
    type Response = HttpResponse;
    type Error = BoxError;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        if matches!(*request.method(), Method::GET | Method::HEAD)
            && let Some(answer) = answer(&self.telemetry, request.uri().path())
        {
            return Box::pin(std::future::ready(Ok(answer)));
        }
        self.inner.call(request)
    }
}

/// None if there is no such probe.
fn answer(telemetry: &Telemetry, path: &str) -> Option<HttpResponse> {
    let (status, kind, body) = match path {
        "/health" => (StatusCode::OK, JSON, r#"{"status":"alive"}"#.to_owned()),
        "/ready" => {
            let readiness = telemetry.readiness();
            let status = if readiness.ready {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            let body = serde_json::to_string(&readiness).expect("it has only texts as keys");
            (status, JSON, body)
        }
        "/metrics" => {
            let body = metrics::render(telemetry.read());
            (StatusCode::OK, metrics::CONTENT_TYPE, body)
        }
        _ => return None,
    };
    let mut response = HttpResponse::new(HttpBody::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(response)
}
