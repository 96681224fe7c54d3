//! What fails in the runtime and the store, as JSON-RPC errors.

use std::error::Error;
use std::time::Duration;

use metashrew_runtime::{GuestBacktrace, GuestFault, HostFault, PendingError, ViewError};
use metashrew_store::{ReadError, ResolveError};
use serde_json::{Value, json};

use super::{
    ANSWER_TOO_LONG, BLOCK_NOT_IN_CHAIN, BLOCK_NOT_INDEXED, BUSY, GUEST_FAULT, HOST_FAULT,
    INPUT_TOO_LONG, MEMORY_LIMIT, NO_PENDING, NO_SUCH_VIEW, RpcError, SESSION, TIMEOUT, VIEW_ERROR,
    chain, object,
};
use crate::wire;

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

#[cfg(test)]
mod tests {
    use super::*;

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
