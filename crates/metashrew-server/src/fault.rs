//! Failures as JSON-RPC errors: a code, a message, and structured `data`.
//!
//! `docs/rpc.md` lists them; codes and `kind`s are part of the contract.

mod runtime;

use std::borrow::Cow;
use std::error::Error;

use metashrew_store::HistoryRoot;
use serde::Serialize;
use serde_json::{Value, json};

use crate::form::Form;
use crate::parallel::Stopped;
use crate::refusal::Refusal;
use crate::wire;

pub(crate) use runtime::{of_block, of_read, of_view};

// Those of the JSON-RPC 2.0 specification.
const PARSE_ERROR: i32 = -32700;
pub(crate) const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
pub(crate) const INVALID_PARAMS: i32 = -32602;
const INTERNAL_ERROR: i32 = -32603;

// Ours.
const BLOCK_NOT_INDEXED: i32 = -32001;
const BLOCK_NOT_IN_CHAIN: i32 = -32002;
const NO_SUCH_VIEW: i32 = -32003;
const GUEST_FAULT: i32 = -32004;
pub(crate) const TIMEOUT: i32 = -32005;
pub(crate) const BUSY: i32 = -32006;
pub(crate) const INPUT_TOO_LONG: i32 = -32007;
const ANSWER_TOO_LONG: i32 = -32008;
const MEMORY_LIMIT: i32 = -32009;
const BATCH_TOO_LONG: i32 = -32010;
const BATCH_ANSWER_TOO_LONG: i32 = -32011;
pub(crate) const HOST_FAULT: i32 = -32012;
const SESSION: i32 = -32013;
const NO_PENDING: i32 = -32014;
const VIEW_ERROR: i32 = -32015;
pub(crate) const CURSOR_TOO_OLD: i32 = -32016;
const ANSWER_FORM: i32 = -32017;
const OTHER_GUEST: i32 = -32018;
const NOT_PUSHABLE: i32 = -32019;

/// The error object of an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RpcError {
    pub(crate) code: i32,
    pub(crate) message: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<Value>,
}

impl RpcError {
    const fn plain(code: i32, message: &'static str) -> Self {
        Self {
            code,
            message: Cow::Borrowed(message),
            data: None,
        }
    }

    /// The body is not JSON.
    pub(crate) const PARSE: Self = Self::plain(PARSE_ERROR, "Parse error");
    /// It is no JSON-RPC 2.0 request.
    pub(crate) const INVALID: Self = Self::plain(INVALID_REQUEST, "Invalid request");
    /// There is no such method.
    pub(crate) const NOT_FOUND: Self = Self::plain(METHOD_NOT_FOUND, "Method not found");
    /// A defect of the server.
    pub(crate) const INTERNAL: Self = Self::plain(INTERNAL_ERROR, "Internal error");
}

/// The error and its causes on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    message
}

/// A batch or a multicall of too many calls.
pub(crate) fn batch_too_long(what: &str, length: usize, limit: usize) -> RpcError {
    object(
        BATCH_TOO_LONG,
        format!("the {what} has {length} entries, the limit is {limit}"),
        json!({ "kind": "batch_too_long", "length": length, "limit": limit }),
    )
}

/// A batch or a multicall whose answers are too long together.
pub(crate) fn batch_answer_too_long(limit: usize) -> RpcError {
    object(
        BATCH_ANSWER_TOO_LONG,
        format!("the answers are longer than the limit of {limit} bytes together"),
        json!({ "kind": "batch_answer_too_long", "limit": limit }),
    )
}

/// A batch or a multicall whose calls were not all answered.
pub(crate) fn of_stopped(stopped: Stopped, max_length: usize) -> RpcError {
    match stopped {
        Stopped::TooLong => batch_answer_too_long(max_length),
        Stopped::Exhausted(none) => Refusal::from(none).error(),
    }
}

/// An answer that is longer than an answer may be.
pub(crate) fn answer_too_long(length: usize, limit: usize) -> RpcError {
    object(
        ANSWER_TOO_LONG,
        format!("the answer has {length} bytes, the limit is {limit}"),
        json!({ "kind": "answer_too_long", "length": length, "limit": limit }),
    )
}

/// A view's answer that does not have the form it was asked for in.
pub(crate) fn answer_form(form: Form, reason: &str) -> RpcError {
    let what = if form == Form::Json { "JSON" } else { "UTF-8" };
    object(
        ANSWER_FORM,
        format!("the view's answer is not {what}: {reason}; ask for it in another form"),
        json!({ "kind": "answer_form", "as": form.as_str(), "reason": reason }),
    )
}

/// A call that is for another guest than the one that answers.
pub(crate) fn other_guest(guest_sha256: &[u8; 32]) -> RpcError {
    let guest = hex::encode_prefixed(guest_sha256);
    object(
        OTHER_GUEST,
        format!("another guest answers: {guest}"),
        json!({ "kind": "other_guest", "guest": guest }),
    )
}

/// A call about a block as another history of writes left it.
pub(crate) fn other_history_root(root: &HistoryRoot) -> RpcError {
    let root = wire::history_root(root);
    object(
        OTHER_GUEST,
        format!("the block has another history root: {root}"),
        json!({ "kind": "other_history_root", "history_root": root }),
    )
}

/// A subscription over what only brings answers.
pub(crate) fn not_pushable() -> RpcError {
    object(
        NOT_PUSHABLE,
        "subscriptions need a WebSocket, which this address is, too; or GET one as server-sent events: \
         `/subscribe/heads`, `/subscribe/writes`, `/subscribe/view/NAME` or `/subscribe/pending`"
            .to_owned(),
        json!({ "kind": "not_pushable" }),
    )
}

/// An error of ours.
pub(crate) fn object(code: i32, message: String, data: Value) -> RpcError {
    RpcError {
        code,
        message: Cow::Owned(message),
        data: Some(data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::MethodTable;

    #[test]
    fn every_code_is_documented() {
        let document = include_str!("../../../docs/rpc.md");
        // Some are no method's: they come before it, or over HTTP alone.
        let described = MethodTable::read().errors;
        let described: Vec<_> = described.values().map(|error| &error["code"]).collect();
        let of_all = [PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, OTHER_GUEST];
        for code in [
            PARSE_ERROR,
            INVALID_REQUEST,
            METHOD_NOT_FOUND,
            INVALID_PARAMS,
            INTERNAL_ERROR,
            BLOCK_NOT_INDEXED,
            BLOCK_NOT_IN_CHAIN,
            NO_SUCH_VIEW,
            GUEST_FAULT,
            TIMEOUT,
            BUSY,
            INPUT_TOO_LONG,
            ANSWER_TOO_LONG,
            MEMORY_LIMIT,
            BATCH_TOO_LONG,
            BATCH_ANSWER_TOO_LONG,
            HOST_FAULT,
            SESSION,
            NO_PENDING,
            VIEW_ERROR,
            CURSOR_TOO_OLD,
            ANSWER_FORM,
            OTHER_GUEST,
            NOT_PUSHABLE,
        ] {
            assert!(document.contains(&format!("\n| {code} | ")), "{code}");
            let is_described = described.iter().any(|known| **known == code);
            assert!(
                is_described || of_all.contains(&code),
                "{code} is not in methods.json"
            );
        }
    }
}
