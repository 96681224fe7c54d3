//! How a conversation over a WebSocket ends.

use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Bytes of a reason that fit into a control frame.
const REASON: usize = 123;

/// Why a conversation is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parting {
    /// The client has closed it, or its connection is broken.
    Gone,
    /// Nothing comes, not even answers to pings.
    Silent,
    /// The client is told why.
    Close(CloseCode, String),
}

impl Parting {
    pub(super) fn close(code: CloseCode, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(REASON));
        Self::Close(code, reason)
    }
}

impl From<Error> for Parting {
    fn from(error: Error) -> Self {
        match error {
            Error::Capacity(CapacityError::MessageTooLong { max_size, .. }) => {
                let reason = format!("a message is longer than the limit of {max_size} bytes");
                Self::close(CloseCode::Size, reason)
            }
            Error::Utf8(_) => Self::close(CloseCode::Invalid, "a text is not UTF-8"),
            Error::Protocol(
                ProtocolError::ResetWithoutClosingHandshake
                | ProtocolError::SendAfterClosing
                | ProtocolError::ReceivedAfterClosing,
            ) => Self::Gone,
            Error::Protocol(error) => Self::close(CloseCode::Protocol, error.to_string()),
            error => {
                tracing::debug!("a WebSocket ended: {error}");
                Self::Gone
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_fit_into_a_control_frame() {
        let long = "ä".repeat(100);
        let Parting::Close(_, reason) = Parting::close(CloseCode::Away, long) else {
            panic!("it is told");
        };
        assert_eq!(reason, "ä".repeat(61));
    }
}
