//! Answers `GET /health`, `/ready` and `/metrics`.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use http_body_util::Full;
use http_body_util::combinators::UnsyncBoxBody;

use crate::front::HttpResponse;
use crate::metrics;
use crate::telemetry::Telemetry;

const JSON: &str = "application/json";

/// None if there is no such probe.
pub(crate) fn answer(telemetry: &Telemetry, path: &str) -> Option<HttpResponse> {
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
    let mut response = HttpResponse::new(UnsyncBoxBody::new(Full::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(response)
}
