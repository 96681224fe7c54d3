//! Why a node gave no answer that can be used. All of it may pass.

use super::auth::CookieError;
use super::method::Method;
use crate::failure_kind::FailureKind;
use crate::node::NodeError;

/// `RPC_INVALID_ADDRESS_OR_KEY`: no such block.
const NOT_FOUND: i64 = -5;

/// `RPC_INVALID_PARAMETER`: no such height.
const OUT_OF_RANGE: i64 = -8;

/// `RPC_METHOD_NOT_FOUND`.
const UNKNOWN_METHOD: i64 = -32_601;

/// Characters of an unexpected answer that are shown.
const SHOWN: usize = 100;

/// Characters of an error's own message that are kept: it is told wherever the state is, also to whoever asks
/// often. Those of Core have a line or two.
const MESSAGE: usize = 1_000;

#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeFault {
    #[error("no whole answer from {address}")]
    Transport {
        address: String,
        source: ureq::Error,
    },
    #[error(
        "the certificate of {address} is not trusted: name the file with the one that signed it (`--rpc-ca`)"
    )]
    Untrusted {
        address: String,
        source: ureq::Error,
    },
    #[error(transparent)]
    Cookie(#[from] CookieError),
    #[error(
        "{address} refuses the login (HTTP 401): give user and password, or the node's cookie file"
    )]
    Unauthorized { address: String },
    #[error(
        "{address} forbids `{method}` (HTTP 403): its `rpcwhitelist` lacks the method, or its `rpcallowip` leaves us out"
    )]
    Forbidden {
        address: String,
        method: &'static str,
    },
    #[error("{address} is overloaded (HTTP {status}): {said}")]
    Busy {
        address: String,
        status: u16,
        said: String,
    },
    #[error("{address} answered with HTTP status {status}: {said}")]
    Status {
        address: String,
        status: u16,
        said: String,
    },
    #[error("{address} answered what is no JSON-RPC: {said}")]
    NotJsonRpc { address: String, said: String },
    #[error("{address} answered another question than `{method}`")]
    OtherAnswer {
        address: String,
        method: &'static str,
    },
    #[error("{address} answered `{method}` with what is no answer to it: {said}")]
    OtherResult {
        address: String,
        method: &'static str,
        said: String,
    },
    #[error("the node is not ready: {message}")]
    Starting { message: String },
    #[error("`{method}` failed: {message} (code {code})")]
    Refused {
        method: &'static str,
        code: i64,
        message: String,
    },
}

impl From<NodeFault> for NodeError {
    fn from(fault: NodeFault) -> Self {
        match fault {
            NodeFault::NotJsonRpc { .. }
            | NodeFault::OtherAnswer { .. }
            | NodeFault::OtherResult { .. } => Self::BadAnswer {
                what: fault.to_string(),
            },
            fault => Self::Unavailable(Box::new(fault)),
        }
    }
}

impl NodeFault {
    pub(crate) fn kind(&self) -> FailureKind {
        match self {
            Self::Transport { .. } | Self::Untrusted { .. } => FailureKind::Unreachable,
            Self::Cookie(_) | Self::Unauthorized { .. } => FailureKind::Unauthorized,
            Self::Forbidden { .. } => FailureKind::Forbidden,
            Self::Busy { .. } => FailureKind::Overloaded,
            Self::Starting { .. } => FailureKind::Starting,
            Self::Refused { .. } => FailureKind::Refused,
            Self::Status { .. }
            | Self::NotJsonRpc { .. }
            | Self::OtherAnswer { .. }
            | Self::OtherResult { .. } => FailureKind::BadAnswer,
        }
    }

    /// Whether the same may be answered if it is asked in another form.
    pub(super) fn may_be_of_form(&self) -> bool {
        match self {
            Self::Transport { .. }
            | Self::Forbidden { .. }
            | Self::Status { .. }
            | Self::NotJsonRpc { .. }
            | Self::OtherAnswer { .. }
            | Self::OtherResult { .. }
            | Self::Refused { .. } => true,
            Self::Untrusted { .. }
            | Self::Cookie(_)
            | Self::Unauthorized { .. }
            | Self::Busy { .. }
            | Self::Starting { .. } => false,
        }
    }

    /// Whether a fault that another form did not have was certainly one of the form:
    /// the node itself said no.
    pub(super) fn is_certain(&self) -> bool {
        match self {
            Self::Status { status, .. } => (400..500).contains(status),
            Self::Forbidden { .. } | Self::OtherAnswer { .. } | Self::Refused { .. } => true,
            _ => false,
        }
    }

    /// Whether there is no block at that height.
    pub(super) fn is_out_of_range(&self) -> bool {
        matches!(self, Self::Refused { code, message, .. }
            if *code == OUT_OF_RANGE || message.to_ascii_lowercase().contains("out of range"))
    }

    /// Whether there is no block of that hash.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == NOT_FOUND)
    }

    /// Whether the block was deleted.
    pub(super) fn is_pruned(&self) -> bool {
        matches!(self, Self::Refused { message, .. } if message.contains("pruned"))
    }

    /// Whether the node does not know the method, or not as we do, or keeps it from us.
    pub(super) fn is_of_method(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::OtherResult { .. } | Self::Forbidden { .. } => true,
            Self::Status { status, .. } => matches!(status, 404 | 405 | 501),
            _ => false,
        }
    }

    /// Whether the node may know the method, but not these parameters.
    pub(super) fn may_be_of_parameters(&self) -> bool {
        match self {
            Self::Refused { code, .. } => {
                *code != UNKNOWN_METHOD && !self.is_not_found() && !self.is_pruned()
            }
            Self::OtherResult { .. } => true,
            _ => false,
        }
    }

    /// What an HTTP status says, if it is not that of an answer.
    pub(super) fn of_status(
        address: &str,
        method: Method,
        status: u16,
        body: &[u8],
    ) -> Option<Self> {
        let address = address.to_owned();
        match status {
            200..=299 => None,
            401 => Some(Self::Unauthorized { address }),
            403 => Some(Self::Forbidden {
                address,
                method: method.as_str(),
            }),
            429 | 503 => Some(Self::Busy {
                address,
                status,
                said: start_of(body),
            }),
            _ => Some(Self::Status {
                address,
                status,
                said: start_of(body),
            }),
        }
    }
}

/// How an answer begins, in one line, for a message.
pub(super) fn start_of(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let words: Vec<_> = text.split_whitespace().collect();
    let line = words.join(" ");
    let start: String = line.chars().take(SHOWN).collect();
    match start.len() {
        0 => "nothing".to_owned(),
        length if length < line.len() => format!("`{start}…`"),
        _ => format!("`{start}`"),
    }
}

/// What a node's error says, as far as it is told.
pub(super) fn said_in(message: &str) -> String {
    match message.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut() {
        assert_eq!(said_in("pruned"), "pruned");
        assert_eq!(said_in(&"é".repeat(1_000)), "é".repeat(1_000));
        assert_eq!(
            said_in(&"é".repeat(1_001)),
            format!("{}…", "é".repeat(1_000))
        );
    }

    #[test]
    fn answers_are_shown_by_their_beginning() {
        assert_eq!(start_of(b""), "nothing");
        assert_eq!(start_of(b"<html>\r\n  <b>x</b>"), "`<html> <b>x</b>`");
        assert_eq!(start_of(&[b'a'; 101]), format!("`{}…`", "a".repeat(100)));
        assert_eq!(start_of(&[0xff, b'a']), "`\u{fffd}a`");
    }
}
