//! Consumers of subscriptions: clients of both transports, and a replay of what they are told,
//! which notices whatever is lost, comes twice or comes in a wrong order.
#![allow(
    clippy::indexing_slicing,
    reason = "a member that a value lacks is null"
)]

mod events;
mod replay;
mod socket;
mod views;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use std::{fmt, io};

use serde_json::Value;

pub use events::EventStream;
pub use replay::{Applied, Kind, Position, Replay};
pub use socket::Socket;
pub use views::without_sdk;

/// How long a client waits for the next byte. It must come sooner or later; the deadline only
/// turns a test that would hang into one that fails.
const PATIENCE: Duration = Duration::from_mins(2);

fn connect(address: SocketAddr) -> Result<TcpStream, Failed> {
    let connected = TcpStream::connect(address).and_then(|stream| {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    });
    connected.map_err(Failed::gone)
}

/// What has ended a connection.
///
/// # Panics
/// If that is that nothing came: another connection must not hide it.
fn ended(error: &io::Error) -> Failed {
    let is_silent = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    assert!(!is_silent, "nothing has come for {PATIENCE:?}");
    Failed::gone(error)
}

/// A subscription that there is not, or not any more.
#[derive(Debug)]
pub enum Failed {
    /// The connection could not be made, or has ended.
    Gone(String),
    /// The server has answered with this error.
    Refused(Value),
}

impl Failed {
    fn gone(why: impl fmt::Display) -> Self {
        Self::Gone(why.to_string())
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(why) => write!(f, "the connection is gone: {why}"),
            Self::Refused(error) => write!(f, "refused: {error}"),
        }
    }
}

impl std::error::Error for Failed {}
