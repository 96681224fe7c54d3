//! Server-sent events: what one subscription tells, as the body of an answer without an end.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Body, Frame, Incoming};

use super::heartbeat::Heartbeat;
use super::{Pushing, Way};
use crate::budget::{BudgetExhausted, Lease};
use crate::connections::Connection;
use crate::fault::RpcError;
use crate::feed::{Event, Receiver, Subscribe, Subscriber};
use crate::front::{Answered, Shared};
use crate::origin;
use crate::params::invalid;
use crate::query::{Query, decoded};
use crate::refusal::Refusal;

/// What comes before the name of a subscription's kind.
const PATH: &str = "/subscribe/";

/// Where a client that reconnects says what it had last.
const LAST_EVENT_ID: &str = "last-event-id";

/// Has proxies pass on what comes as it comes.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What a stream begins with: how long a browser waits until it connects again.
const BEGINNING: &[u8] = b"retry: 1000\n\n";

/// A comment, which means nothing.
const HEARTBEAT: &[u8] = b":\n\n";

/// Bytes of data that are copied to be written in one piece with what goes around them.
const COPIED: usize = 16 * 1024;

/// Whether a path is that of an event stream.
pub(crate) fn is_asked(path: &str) -> bool {
    path.starts_with(PATH)
}

/// Why there is no stream.
enum Refused {
    Request(Refusal),
    Subscription(RpcError),
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Request(refusal)
    }
}

impl From<RpcError> for Refused {
    fn from(error: RpcError) -> Self {
        Self::Subscription(error)
    }
}

impl Shared {
    /// The answer to a request for an event stream. Its body, if it has one, is not read.
    pub(crate) async fn event_stream(
        &self,
        request: Request<Incoming>,
        connection: &Arc<Connection>,
    ) -> Answered {
        let (head, body) = request.into_parts();
        let unread = !body.is_end_stream();
        drop(body);
        match self.begin_stream(&head, connection).await {
            Ok(answered) => answered,
            Err(Refused::Request(refusal)) => self.refuse(refusal, connection, unread),
            Err(Refused::Subscription(error)) => self.failed(error, connection, unread),
        }
    }

    async fn begin_stream(
        &self,
        head: &Parts,
        connection: &Arc<Connection>,
    ) -> Result<Answered, Refused> {
        // Browsers ask nobody before they send a GET.
        origin::check(&head.headers, &self.cors)?;
        let wanted = wanted(head)?;
        let pushing = self.push.begin(Way::EventStream, connection)?;
        let receiver = Receiver::new(pushing.client(), &self.budget, connection);
        let subscriber = self.feed.subscribe(wanted, &Arc::new(receiver)).await?;
        if head.method == Method::HEAD {
            return Ok(answered(Response::new(Empty::new().boxed_unsync())));
        }
        let stream = EventStream::new(subscriber, pushing, self.push.heartbeat, connection);
        let pieces = unfold(stream, |mut stream| async move {
            let piece = stream.next().await?;
            Some((Ok::<_, Infallible>(Frame::data(piece)), stream))
        });
        // A stream is pinned where it is, and moves between threads.
        let body = StreamBody::new(Box::pin(pieces));
        Ok(answered(Response::new(body.boxed_unsync())))
    }
}

/// What a request subscribes to.
fn wanted(head: &Parts) -> Result<Subscribe, RpcError> {
    let path = head.uri.path().strip_prefix(PATH).unwrap_or_default();
    let (kind, view) = match path.split_once('/') {
        Some((kind, view)) => {
            let view = decoded(view).map_err(|reason| invalid(Some("view"), reason))?;
            (kind, Some(view))
        }
        None => (path, None),
    };
    let query = Query::parse(head.uri.query().unwrap_or_default())?;
    let last = head.headers.get(LAST_EVENT_ID);
    let last = last.map(|last| last.to_str().unwrap_or("\u{fffd}"));
    Subscribe::from_query(kind, view.as_deref(), query, last)
}

fn answered(mut response: Answered) -> Answered {
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// What is written of one subscription.
struct EventStream {
    events: Events,
    pushing: Pushing,
    heartbeat: Heartbeat,
    /// The memory of the event that is being written.
    lease: Option<Lease>,
    connection: Arc<Connection>,
    /// What comes before the next event.
    pieces: VecDeque<Bytes>,
    state: State,
}

/// What a subscription tells, to its last event. An event that is being made is not begun
/// anew at each heartbeat.
type Events = Pin<Box<dyn Stream<Item = Result<Event, BudgetExhausted>> + Send>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    /// Its last event is written.
    Ended,
}

impl EventStream {
    fn new(
        subscriber: Subscriber,
        pushing: Pushing,
        every: Duration,
        connection: &Arc<Connection>,
    ) -> Self {
        let events = unfold(subscriber, |mut subscriber| async {
            Some((subscriber.next().await, subscriber))
        });
        Self {
            events: Box::pin(events),
            pushing,
            heartbeat: Heartbeat::new(every),
            lease: None,
            connection: Arc::clone(connection),
            pieces: VecDeque::new(),
            state: State::New,
        }
    }

    /// What is written next; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.state == State::New {
            self.state = State::Open;
            self.connection.pushes();
            return Some(Bytes::from_static(BEGINNING));
        }
        if let Some(piece) = self.pieces.pop_front() {
            return Some(piece);
        }
        // The connection has what was written of the last event.
        self.lease = None;
        if self.state == State::Ended {
            return None;
        }
        let told = tokio::select! {
            told = self.events.next() => told?,
            () = self.heartbeat.tick() => return Some(Bytes::from_static(HEARTBEAT)),
        };
        self.heartbeat.reset();
        let mut event = match told {
            Ok(event) => event,
            Err(none) => {
                // The client connects again, and resumes from what it has.
                tracing::debug!("an event stream ends: {none}");
                return None;
            }
        };
        if event.end {
            self.state = State::Ended;
        }
        self.lease = event.lease.take();
        self.pushing.wrote(event.data.len());
        self.pieces = written(event);
        self.pieces.pop_front()
    }
}

/// An event as it is written. Its JSON has no ends of lines: so its `data` is one line.
fn written(event: Event) -> VecDeque<Bytes> {
    let mut text = String::new();
    if let Some(cursor) = event.cursor {
        text.push_str("id: ");
        text.push_str(&cursor.to_string());
        text.push('\n');
    }
    text.push_str("event: ");
    text.push_str(event.kind);
    text.push_str("\ndata: ");
    if event.data.len() > COPIED {
        return [text.into(), event.data, Bytes::from_static(b"\n\n")].into();
    }
    let mut whole = text.into_bytes();
    whole.extend_from_slice(&event.data);
    whole.extend_from_slice(b"\n\n");
    [whole.into()].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cursor: Option<&str>, data: &str, expect: &str) {
        let event = Event {
            cursor: cursor.map(|cursor| cursor.parse().unwrap()),
            kind: "block",
            data: Bytes::copy_from_slice(data.as_bytes()),
            end: false,
            lease: None,
        };
        let pieces: Vec<_> = written(event).into();
        assert_eq!(pieces.concat(), expect.as_bytes());
    }

    #[test]
    fn events_are_lines() {
        let cursor = format!("7:0x{}", "ab".repeat(32));
        let expect = format!("id: {cursor}\nevent: block\ndata: {{}}\n\n");
        check(Some(&cursor), "{}", &expect);
        check(None, "{}", "event: block\ndata: {}\n\n");
        let long = "x".repeat(2 * COPIED);
        check(None, &long, &format!("event: block\ndata: {long}\n\n"));
    }
}
