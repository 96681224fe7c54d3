//! Failures as JSON-RPC errors: a code, a message, and structured `data`.
//!
//! `docs/rpc.md` lists them; codes and `kind`s are part of the contract.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use metashrew_runtime::{GuestBacktrace, GuestFault, HostFault, PendingError, ViewError};
use metashrew_store::{HistoryRoot, ReadError, ResolveError};
use serde::Serialize;
use serde_json::{Value, json};

use crate::form::Form;
use crate::parallel::Stopped;
use crate::refusal::Refusal;
use crate::wire;

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

/// A view or preview that failed.
pub(crate) fn of_view(error: &ViewError) -> RpcError {
    let (code, data) = match error {
        ViewError::Block(error) => return of_block(error),
        ViewError::Guest(fault) => return of_guest(fault),
        ViewError::Host(fault) => return of_host(fault),
        ViewError::NoSuchView { name, nearest } => {
            (NO_SUCH_VIEW, no_such_view(name, nearest.as_deref()))
        }
        ViewError::InputTooLong { length, limit } => (
            INPUT_TOO_LONG,
            json!({ "kind": "input_too_long", "length": length, "limit": limit }),
        ),
        ViewError::OutputTooLong { length, limit } => (
            ANSWER_TOO_LONG,
            json!({ "kind": "answer_too_long", "length": length, "limit": limit }),
        ),
        ViewError::Returned { message } => (
            VIEW_ERROR,
            json!({ "kind": "view_error", "message": message }),
        ),
        ViewError::SessionLost { session, reason } => (
            SESSION,
            json!({ "kind": "session_lost", "session": session, "reason": reason.kind() }),
        ),
        ViewError::SessionUnavailable => (SESSION, json!({ "kind": "session_unavailable" })),
        ViewError::SessionName { length, limit } => (
            SESSION,
            json!({ "kind": "session_name", "length": length, "limit": limit }),
        ),
        ViewError::NoPending => (NO_PENDING, json!({ "kind": "no_pending" })),
        ViewError::PendingFailed(cause) => return of_pending(error, cause),
        ViewError::Busy { queue } => (BUSY, json!({ "kind": "busy", "queue": queue })),
        ViewError::Waited { limit, .. } => (
            BUSY,
            json!({ "kind": "waited", "limit_ms": millis(*limit) }),
        ),
        ViewError::MemoryBusy {
            wanted,
            available,
            limit,
        } => (
            BUSY,
            json!({
                "kind": "memory_busy", "wanted": wanted, "available": available, "limit": limit,
            }),
        ),
        ViewError::SessionsFull { limit } => {
            (BUSY, json!({ "kind": "sessions_full", "limit": limit }))
        }
        ViewError::GuestTooLarge { least, limit } => (
            MEMORY_LIMIT,
            json!({ "kind": "guest_too_large", "least": least, "limit": limit }),
        ),
        ViewError::Timeout { limit, backtrace } => {
            let limit_ms = millis(*limit);
            let data = json!({ "kind": "timeout", "limit_ms": limit_ms });
            return with_frames(TIMEOUT, error, data, backtrace);
        }
        ViewError::MemoryLimit {
            wanted,
            limit,
            backtrace,
        } => {
            let data = json!({ "kind": "memory_limit", "wanted": wanted, "limit": limit });
            return with_frames(MEMORY_LIMIT, error, data, backtrace);
        }
    };
    object(code, chain(error), data)
}

/// The data of the error of a view that there is not, with the name that may have been meant.
fn no_such_view(name: &str, nearest: Option<&str>) -> Value {
    let mut data = json!({ "kind": "no_such_view", "function": name });
    if let (Some(nearest), Some(data)) = (nearest, data.as_object_mut()) {
        data.insert("nearest".to_owned(), json!(nearest));
    }
    data
}

/// The database could not be read.
pub(crate) fn of_read(error: &ReadError) -> RpcError {
    object(HOST_FAULT, chain(error), json!({ "kind": "store" }))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A pending block that failed: with the error that a view would have had.
fn of_pending(error: &ViewError, cause: &PendingError) -> RpcError {
    let mut data = json!({ "kind": "pending_failed" });
    let PendingError::Execution(execution) = cause else {
        return object(NO_PENDING, chain(error), data);
    };
    let execution = of_view(execution);
    let message = format!("{error}: {cause}: {}", execution.message);
    if let Some(data) = data.as_object_mut() {
        data.insert("cause".to_owned(), json!(execution.data));
    }
    object(NO_PENDING, message, data)
}

/// A block that cannot be answered for.
pub(crate) fn of_block(error: &ResolveError) -> RpcError {
    let (code, data) = match error {
        ResolveError::Empty => (BLOCK_NOT_INDEXED, json!({ "kind": "empty" })),
        ResolveError::NotIndexed { height, tip } => (
            BLOCK_NOT_INDEXED,
            json!({ "kind": "not_indexed", "height": height, "tip": tip }),
        ),
        ResolveError::BelowFirst { height, first } => (
            BLOCK_NOT_INDEXED,
            json!({ "kind": "below_first", "height": height, "first": first }),
        ),
        ResolveError::UnknownHash { hash } => (
            BLOCK_NOT_IN_CHAIN,
            json!({ "kind": "unknown_hash", "hash": wire::block_hash(hash) }),
        ),
        ResolveError::NotInChain {
            height,
            hash,
            actual,
        } => (
            BLOCK_NOT_IN_CHAIN,
            json!({
                "kind": "not_in_chain",
                "height": height,
                "hash": wire::block_hash(hash),
                "actual": actual.as_ref().map(wire::block_hash),
            }),
        ),
        ResolveError::Backend(_) => (HOST_FAULT, json!({ "kind": "store" })),
    };
    object(code, chain(error), data)
}

fn of_guest(fault: &GuestFault) -> RpcError {
    let data = match fault {
        GuestFault::Trap { trap, backtrace } => {
            let data = json!({ "kind": "trap", "trap": trap });
            return with_frames(GUEST_FAULT, fault, data, backtrace);
        }
        GuestFault::BadPointer {
            function,
            pointer,
            backtrace,
        } => {
            let data = json!({ "kind": "bad_pointer", "function": function, "pointer": pointer });
            return with_frames(GUEST_FAULT, fault, data, backtrace);
        }
        GuestFault::UnknownImport {
            module,
            name,
            backtrace,
        } => {
            let data = json!({ "kind": "unknown_import", "module": module, "name": name });
            return with_frames(GUEST_FAULT, fault, data, backtrace);
        }
        GuestFault::Abort {
            message,
            file,
            line,
            column,
            backtrace,
        } => {
            let data = json!({
                "kind": "abort", "message": message, "file": file, "line": line, "column": column,
            });
            return with_frames(GUEST_FAULT, fault, data, backtrace);
        }
        GuestFault::BadRequest {
            function,
            reason,
            backtrace,
        } => {
            let data = json!({
                "kind": "bad_request", "function": function, "reason": reason.to_string(),
            });
            return with_frames(GUEST_FAULT, fault, data, backtrace);
        }
        GuestFault::NoAnswer { backtrace } => {
            let data = json!({ "kind": "no_answer" });
            return with_frames(GUEST_FAULT, fault, data, backtrace);
        }
        GuestFault::NoFlush => json!({ "kind": "no_flush" }),
        GuestFault::BadFlush(_) => json!({ "kind": "bad_flush" }),
        GuestFault::TooLong(_) => json!({ "kind": "entry_too_long" }),
        GuestFault::MissingExport { name, expected } => {
            json!({ "kind": "missing_export", "name": name, "expected": expected })
        }
    };
    object(GUEST_FAULT, chain(fault), data)
}

fn of_host(fault: &HostFault) -> RpcError {
    let kind = match fault {
        HostFault::Store(_) => "store",
        HostFault::Resources(_) => "resources",
        HostFault::Stack { .. } => "stack",
        HostFault::Panic(_) => "panic",
        HostFault::Observer(_) => "observer",
        HostFault::TimedOut { .. } => "timeout",
    };
    object(HOST_FAULT, chain(fault), json!({ "kind": kind }))
}

/// The guest's frames go into `data`, not into the message.
fn with_frames(
    code: i32,
    error: &dyn Error,
    mut data: Value,
    backtrace: &GuestBacktrace,
) -> RpcError {
    if let Some(data) = data.as_object_mut() {
        data.insert("backtrace".to_owned(), json!(backtrace.frames()));
    }
    let printed = error.to_string();
    let message = printed
        .strip_suffix(&backtrace.to_string())
        .unwrap_or(&printed);
    object(code, message.to_owned(), data)
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

    #[test]
    fn the_message_is_one_line_with_all_causes() {
        let error = HostFault::Store(metashrew_store::ReadError::Corrupt {
            what: "a record".to_owned(),
        });
        let object = of_view(&ViewError::Host(error));
        assert_eq!(object.code, HOST_FAULT);
        assert_eq!(
            object.message,
            "the store could not be read: the database is damaged: a record"
        );
        assert_eq!(object.data, Some(json!({ "kind": "store" })));
    }
}
