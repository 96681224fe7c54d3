//! What subscriptions tell, over WebSockets and as server-sent events.
//!
//! Nothing is queued here: an event is asked for when the one before is written, so that a
//! client that does not read costs one event at most, until it is closed.

mod conversation;
mod counts;
mod event_stream;
mod frames;
mod heartbeat;
mod incoming;
mod outgoing;
mod parting;
mod subscriptions;
mod upgrade;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::conversation::converse;
pub(crate) use self::counts::PushCounts;
use self::counts::{Pushing, Way};
pub(crate) use self::event_stream::is_asked as is_event_stream;
pub(crate) use self::subscriptions::Subscribing;
pub(crate) use self::upgrade::{Upgrade, is_asked as is_upgrade};
use crate::clients::{Clients, What};
use crate::connections::{Connection, Connections};
use crate::refusal::{Reason, Refusal};

/// How long clients may take to be told the last event, and to leave, once the server stops.
pub(crate) const GOODBYE: Duration = Duration::from_secs(2);

/// How it is pushed.
pub(crate) struct Push {
    pub(crate) connections: Arc<Connections>,
    pub(crate) counts: Arc<PushCounts>,
    pub(crate) clients: Arc<Clients>,
    /// How often something is sent over each connection, if only to see that it lives. Zero for
    /// never.
    pub(crate) heartbeat: Duration,
}

impl Push {
    /// One more connection to push over.
    fn begin(&self, way: Way, connection: &Connection) -> Result<Pushing, Refusal> {
        let client = self.clients.at(connection.peer());
        let taken = client.take(What::Streams, 1).map_err(|taken| {
            Refusal::new(Reason::ClientStreams, taken.to_string()).with("limit", taken.limit)
        })?;
        self.counts.begin(way, taken).ok_or_else(|| {
            let limit = self.counts.limit();
            let message = format!(
                "{limit} connections are WebSockets or event streams, as many as may be: try again"
            );
            Refusal::new(Reason::TooManyStreams, message).with("limit", limit)
        })
    }
}
