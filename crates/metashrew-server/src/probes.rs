//! `GET /health`, `/ready` and `/metrics`: answered whatever calls of views may fill up.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;

use crate::connections::Connection;
use crate::front::{Answered, Shared};
use crate::held::Held;
use crate::metrics;

const JSON: &str = "application/json";

/// Bytes that answers to probes may hold together: those of dozens, since all metrics
/// take some ten thousand bytes.
pub(crate) const MEMORY: usize = 8 * 1024 * 1024;

impl Shared {
    /// The answer of the probe at a path, if there is one.
    pub(crate) fn probe(&self, path: &str, connection: &Arc<Connection>) -> Option<Answered> {
        let text = match path {
            "/health" => Full::from(r#"{"status":"alive"}"#),
            "/ready" => return Some(self.ready()),
            "/metrics" => return Some(self.metrics(connection)),
            _ => return None,
        };
        Some(answer(StatusCode::OK, JSON, text))
    }

    fn ready(&self) -> Answered {
        let readiness = self.telemetry.readiness();
        let status = if readiness.ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let text = serde_json::to_string(&readiness).expect("it has only texts as keys");
        answer(status, JSON, Full::from(text))
    }

    fn metrics(&self, connection: &Arc<Connection>) -> Answered {
        let text = metrics::render(self.telemetry.read());
        let lease = self.probes.lease(connection);
        match lease.charge(text.len()) {
            Ok(()) => {
                let body = Held::new(Full::<Bytes>::from(text), lease);
                answer(StatusCode::OK, metrics::CONTENT_TYPE, body)
            }
            Err(error) => self.refuse(error.into(), connection, false),
        }
    }
}

fn answer(
    status: StatusCode,
    kind: &'static str,
    body: impl Body<Data = Bytes, Error = Infallible> + Send + 'static,
) -> Answered {
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
