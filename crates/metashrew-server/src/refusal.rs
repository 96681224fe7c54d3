//! Why requests are refused before anything is called: each reason with its HTTP status,
//! its word, its error, and how often it was.

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use serde_json::{Value, json};

use crate::budget::BudgetExhausted;
use crate::fault;

/// A reason to refuse a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Its host is not this server's.
    Host,
    /// It comes from a web page that may not call.
    Origin,
    /// It is no `POST`.
    Method,
    /// It is not JSON, or compressed.
    ContentType,
    /// It is too long.
    TooLong,
    /// Its body is no body of HTTP, or ended too early.
    BadBody,
    /// Its body came too slowly.
    TooSlow,
    /// There is no room for it, or for its answer.
    NoRoom,
    /// Too many requests are under way.
    TooMany,
    /// It does not ask for a WebSocket as it should.
    BadUpgrade,
    /// As many connections are WebSockets and event streams as may be.
    TooManyStreams,
    /// As many of them are of one client as may be.
    ClientStreams,
}

impl Reason {
    const ALL: [Self; 12] = [
        Self::Host,
        Self::Origin,
        Self::Method,
        Self::ContentType,
        Self::TooLong,
        Self::BadBody,
        Self::TooSlow,
        Self::NoRoom,
        Self::TooMany,
        Self::BadUpgrade,
        Self::TooManyStreams,
        Self::ClientStreams,
    ];

    /// `data.kind` of the error, and what metrics call it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Method => "http_method",
            Self::ContentType => "content_type",
            Self::TooLong => "request_too_long",
            Self::BadBody => "bad_body",
            Self::TooSlow => "too_slow",
            Self::NoRoom => "no_room",
            Self::TooMany => "too_many_requests",
            Self::BadUpgrade => "bad_upgrade",
            Self::TooManyStreams => "too_many_streams",
            Self::ClientStreams => "client_streams",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Host | Self::Origin => StatusCode::FORBIDDEN,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BadBody | Self::BadUpgrade => StatusCode::BAD_REQUEST,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NoRoom | Self::TooManyStreams => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooMany | Self::ClientStreams => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    const fn code(self) -> i32 {
        match self {
            Self::Host
            | Self::Origin
            | Self::Method
            | Self::ContentType
            | Self::BadBody
            | Self::TooSlow
            | Self::BadUpgrade => fault::INVALID_REQUEST,
            Self::TooLong => fault::INPUT_TOO_LONG,
            Self::NoRoom | Self::TooMany | Self::TooManyStreams | Self::ClientStreams => {
                fault::BUSY
            }
        }
    }
}

/// A request that is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) status: StatusCode,
    message: String,
    /// A member of the error's data besides `kind`.
    detail: Option<(&'static str, Value)>,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            status: reason.status(),
            message: message.into(),
            detail: None,
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.detail = Some((name, value.into()));
        self
    }

    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn too_long(limit: usize) -> Self {
        let message = format!("the request is longer than the limit of {limit} bytes");
        Self::new(Reason::TooLong, message).with("limit", limit)
    }

    /// The error object.
    pub(crate) fn error(self) -> fault::RpcError {
        let mut data = json!({ "kind": self.reason.as_str() });
        if let (Some((name, value)), Some(data)) = (self.detail, data.as_object_mut()) {
            data.insert(name.to_owned(), value);
        }
        fault::object(self.reason.code(), self.message, data)
    }
}

impl From<BudgetExhausted> for Refusal {
    fn from(none: BudgetExhausted) -> Self {
        Self::new(Reason::NoRoom, none.to_string()).with("limit", none.limit)
    }
}

/// How many requests were refused, by reason.
#[derive(Debug, Default)]
pub(crate) struct Refusals([AtomicU64; Reason::ALL.len()]);

impl Refusals {
    pub(crate) fn count(&self, reason: Reason) {
        if let Some(count) = self.0.get(reason as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        Reason::ALL.map(Reason::as_str).into_iter().zip(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_counted_and_documented() {
        let document = include_str!("../../../docs/rpc.md");
        let refusals = Refusals::default();
        for reason in Reason::ALL {
            refusals.count(reason);
            let word = format!("`{}`", reason.as_str());
            assert!(document.contains(&word), "{word}");
        }
        assert!(refusals.by_reason().all(|(_, count)| count == 1));
    }
}
