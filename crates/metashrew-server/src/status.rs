//! The HTTP status of an error of ours, where a route answers with one call's own status.

use http::StatusCode;
use serde_json::Value;

use crate::fault::{RpcError, TIMEOUT};

impl RpcError {
    /// The word of `data.kind`; empty if it has none.
    pub(crate) fn kind(&self) -> &str {
        let data = self.data.as_ref();
        data.and_then(|data| data.get("kind"))
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The HTTP status that says the same.
    pub(crate) fn http_status(&self) -> StatusCode {
        match self.kind() {
            "invalid_params" | "session_name" | "invalid_request" => StatusCode::BAD_REQUEST,
            "empty" | "not_indexed" | "below_first" | "no_such_view" | "no_pending" => {
                StatusCode::NOT_FOUND
            }
            "answer_form" => StatusCode::NOT_ACCEPTABLE,
            "unknown_hash"
            | "not_in_chain"
            | "other_guest"
            | "other_history_root"
            | "session_lost"
            | "session_unavailable" => StatusCode::CONFLICT,
            "request_too_long" | "input_too_long" => StatusCode::PAYLOAD_TOO_LARGE,
            "view_error" => StatusCode::UNPROCESSABLE_ENTITY,
            "cursor_too_old" => StatusCode::GONE,
            "too_many_requests"
            | "client_streams"
            | "client_subscriptions"
            | "client_subscription_memory" => StatusCode::TOO_MANY_REQUESTS,
            "cursor_ahead"
            | "too_many_subscriptions"
            | "subscription_memory"
            | "busy"
            | "waited"
            | "memory_busy"
            | "sessions_full"
            | "no_room"
            | "pending_failed" => StatusCode::SERVICE_UNAVAILABLE,
            // Of the guest, not of the machine: that is -32012.
            "timeout" if self.code == TIMEOUT => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use metashrew_runtime::{GuestBacktrace, ViewError};
    use metashrew_store::{BlockHash, HistoryRoot, ResolveError};

    use super::*;
    use crate::fault;
    use crate::params::invalid;

    fn check(error: &RpcError, expect: u16) {
        assert_eq!(error.http_status(), expect, "{error:?}");
    }

    #[test]
    fn every_failure_of_a_view_has_a_status() {
        let hash = BlockHash::from_bytes([1; 32]);
        let backtrace = GuestBacktrace::default();
        let (height, limit) = (7, Duration::from_secs(1));
        for (error, expect) in [
            (ResolveError::Empty.into(), 404),
            (ResolveError::NotIndexed { height, tip: 6 }.into(), 404),
            (ResolveError::BelowFirst { height, first: 8 }.into(), 404),
            (ResolveError::UnknownHash { hash }.into(), 409),
            (
                ResolveError::NotInChain {
                    height,
                    hash,
                    actual: None,
                }
                .into(),
                409,
            ),
            (
                ViewError::InputTooLong {
                    length: 2,
                    limit: 1,
                },
                413,
            ),
            (
                ViewError::OutputTooLong {
                    length: 2,
                    limit: 1,
                },
                500,
            ),
            (
                ViewError::Returned {
                    message: String::new(),
                },
                422,
            ),
            (ViewError::SessionUnavailable, 409),
            (
                ViewError::SessionName {
                    length: 0,
                    limit: 1,
                },
                400,
            ),
            (ViewError::NoPending, 404),
            (ViewError::Busy { queue: 1 }, 503),
            (ViewError::SessionsFull { limit: 1 }, 503),
            (ViewError::Timeout { limit, backtrace }, 504),
        ] {
            check(&fault::of_view(&error), expect);
        }
    }

    #[test]
    fn so_has_every_other() {
        check(&invalid(None, ""), 400);
        check(&RpcError::INTERNAL, 500);
        check(&fault::other_guest(&[0; 32]), 409);
        let root = HistoryRoot::from_bytes([0; 32]);
        check(&fault::other_history_root(&root), 409);
        check(&fault::answer_form(crate::form::Form::Json, ""), 406);
        check(&fault::answer_too_long(2, 1), 500);
    }
}
