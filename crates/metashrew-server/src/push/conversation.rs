//! A conversation over a WebSocket: calls and their answers, and what its subscriptions
//! tell.
//!
//! One task reads and writes, whatever comes first, and no source keeps another waiting for
//! good. While something is being written no further answer or event is taken; while as many
//! calls are under way as may be, or a message waits for room, nothing is read.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::stream::SelectAll;
use futures_util::{Sink, SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWrite;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use super::frames::Frames;
use super::heartbeat::Heartbeat;
use super::incoming::Incoming;
use super::outgoing::{self, Outgoing};
use super::parting::Parting;
use super::subscriptions::{Subscriptions, Told};
use super::{GOODBYE, Pushing, Subscribing, Upgrade};
use crate::accept::Stop;
use crate::answer::Answer;
use crate::budget::SMALL;
use crate::caller::Caller;
use crate::connections::{Closed, Connection};
use crate::feed::Receiver;
use crate::front::Shared;
use crate::socket::Socket;

/// Messages of one connection that are answered at a time. The others wait to be read.
const CALLS: usize = 16;

/// Bytes of each message and its answer that need no room: together as many as those of a
/// request that has a connection for itself.
const FREE: usize = SMALL / CALLS;

/// Bytes that are written at once, where there are so many.
const WRITE: usize = 8 * 1024;

/// How often nothing may have come between two heartbeats before the client is held for gone.
const SILENT: u32 = 2;

type WebSocket = WebSocketStream<Frames<Socket>>;

/// Speaks over the connection that an upgrade was answered on, until either side ends it.
pub(crate) async fn converse(
    shared: &Arc<Shared>,
    upgrade: Upgrade,
    connection: &Arc<Connection>,
    stop: Stop,
) {
    let upgraded = match upgrade.connection.await {
        Ok(upgraded) => upgraded,
        Err(error) => return tracing::debug!("no WebSocket came of a connection: {error}"),
    };
    let Ok(parts) = upgraded.downcast::<TokioIo<Socket>>() else {
        return tracing::error!("a connection is not the one that was accepted");
    };
    connection.pushes();
    let frames = Frames::new(parts.io.into_inner(), &parts.read_buf);
    let mut overdue = stop.clone();
    let overdue = async move {
        overdue.wait().await;
        sleep(GOODBYE).await;
    };
    let conversation = Conversation::new(shared, frames, upgrade.pushing, connection, stop).await;
    tokio::select! {
        () = conversation.run() => {}
        () = connection.closes() => {}
        () = overdue => {}
    }
}

/// A message that was answered.
struct Done {
    /// None if it was nothing but notifications.
    answer: Option<Answer>,
    caller: Caller,
}

struct Conversation {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    web_socket: WebSocket,
    pushing: Arc<Pushing>,
    subscriptions: Arc<Subscriptions>,
    calls: JoinSet<Done>,
    told: SelectAll<Told>,
    incoming: Incoming,
    outgoing: Option<Outgoing>,
    /// Whether something is written that may not be sent yet.
    unsent: bool,
    /// Which source is looked at first.
    turn: usize,
    heartbeat: Heartbeat,
    pings: bool,
    /// Bytes that had come by the last heartbeat, and for how many nothing had.
    heard: (u64, u32),
    stops: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Conversation {
    async fn new(
        shared: &Arc<Shared>,
        frames: Frames<Socket>,
        pushing: Arc<Pushing>,
        connection: &Arc<Connection>,
        mut stop: Stop,
    ) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(super::frames::READ)
            .write_buffer_size(WRITE)
            .max_write_buffer_size(WRITE + 2 * Outgoing::FRAME)
            .max_message_size(Some(shared.bodies.max))
            .max_frame_size(Some(super::frames::PIECE.into()));
        let receiver = Receiver::new(pushing.client(), &shared.budget, connection);
        Self {
            web_socket: WebSocket::from_raw_socket(frames, Role::Server, Some(config)).await,
            subscriptions: Arc::new(Subscriptions::new(shared.feed.clone(), receiver)),
            pushing,
            calls: JoinSet::new(),
            told: SelectAll::new(),
            incoming: Incoming::new(shared, connection, FREE),
            outgoing: None,
            unsent: false,
            turn: 0,
            heartbeat: Heartbeat::new(shared.push.heartbeat),
            pings: false,
            heard: (0, 0),
            stops: Some(Box::pin(async move { stop.wait().await })),
            shared: Arc::clone(shared),
            connection: Arc::clone(connection),
        }
    }

    async fn run(mut self) {
        let parting = poll_fn(|context| self.poll(context)).await;
        let Self {
            mut web_socket,
            connection,
            shared,
            calls,
            told,
            outgoing,
            pushing,
            ..
        } = self;
        drop((calls, told, outgoing, pushing));
        match parting {
            Parting::Gone => {}
            Parting::Silent => return shared.push.connections.count(Closed::Silent),
            Parting::Close(code, reason) => {
                let frame = CloseFrame {
                    code,
                    reason: reason.into(),
                };
                if web_socket.send(Message::Close(Some(frame))).await.is_err() {
                    return;
                }
                // What the client still sends is read, so that it finds the reason and not a
                // broken pipe.
                connection.refuse();
            }
        }
        let socket = web_socket.get_mut().stream();
        let _ = poll_fn(|context| Pin::new(&mut *socket).poll_shutdown(context)).await;
    }

    /// Goes on until there is nothing to do; ready when it is over.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Parting> {
        loop {
            if let Err(parting) = ready!(self.poll_step(context)) {
                return Poll::Ready(parting);
            }
        }
    }

    /// Does one thing that is to be done.
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Parting>> {
        self.poll_times(context)?;
        let written = self.poll_write(context)?;
        self.turn = self.turn.wrapping_add(1);
        for source in 0..3 {
            let done = match (self.turn + source) % 3 {
                0 if written.is_ready() => self.poll_calls(context),
                1 if written.is_ready() => self.poll_told(context),
                2 => self.poll_messages(context),
                _ => Poll::Pending,
            };
            if done.is_ready() {
                return done;
            }
        }
        let is_over = self.stops.is_none() && self.calls.is_empty() && self.told.is_empty();
        if is_over && written.is_ready() {
            let reason = "the server stops";
            return Poll::Ready(Err(Parting::close(CloseCode::Away, reason)));
        }
        if self.unsent {
            ready!(Pin::new(&mut self.web_socket).poll_flush(context))?;
            self.unsent = false;
        }
        Poll::Pending
    }

    fn poll_times(&mut self, context: &mut Context<'_>) -> Result<(), Parting> {
        if let Some(stops) = &mut self.stops
            && stops.as_mut().poll(context).is_ready()
        {
            self.stops = None;
        }
        // Once more after each: else nobody would be woken for the next one.
        while self.heartbeat.poll_tick(context).is_ready() {
            let received = self.web_socket.get_ref().received();
            let is_silent = received == self.heard.0 && self.listens();
            self.heard = (received, if is_silent { self.heard.1 + 1 } else { 0 });
            if self.heard.1 >= SILENT {
                return Err(Parting::Silent);
            }
            self.pings = true;
        }
        Ok(())
    }

    /// Writes what is to be written; ready when nothing is left.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Parting>> {
        while self.pings || self.outgoing.is_some() {
            ready!(Pin::new(&mut self.web_socket).poll_ready(context))?;
            let message = if std::mem::take(&mut self.pings) {
                Message::Ping(Bytes::new())
            } else if let Some(frame) = self.outgoing.as_mut().and_then(Outgoing::next_frame) {
                Message::Frame(frame)
            } else {
                self.wrote();
                continue;
            };
            Pin::new(&mut self.web_socket).start_send(message)?;
            self.unsent = true;
        }
        Poll::Ready(Ok(()))
    }

    /// A message is written: what it tells of may go on.
    fn wrote(&mut self) {
        match self.outgoing.take().map(|written| written.message) {
            Some(outgoing::Message::Answer(_, caller)) => self.begin_told(&caller),
            Some(outgoing::Message::Event { length, lease, .. }) => {
                drop(lease);
                self.pushing.wrote(length);
            }
            None => {}
        }
    }

    fn begin_told(&mut self, caller: &Caller) {
        if let Some(subscribing) = &caller.subscribing {
            self.told.extend(subscribing.take());
        }
    }

    fn poll_calls(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Parting>> {
        let Some(done) = ready!(self.calls.poll_join_next(context)) else {
            return Poll::Pending;
        };
        Poll::Ready(self.answered(done))
    }

    fn answered(&mut self, done: Result<Done, JoinError>) -> Result<(), Parting> {
        let Ok(Done { answer, caller }) = done else {
            return Err(Parting::close(CloseCode::Error, "a defect of the server"));
        };
        match answer {
            Some(answer) => self.outgoing = Some(Outgoing::answer(answer, caller)),
            None => self.begin_told(&caller),
        }
        Ok(())
    }

    fn poll_told(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Parting>> {
        let Some(told) = ready!(self.told.poll_next_unpin(context)) else {
            return Poll::Pending;
        };
        Poll::Ready(match told {
            Ok((id, event)) => {
                self.outgoing = Some(Outgoing::event(id, event));
                Ok(())
            }
            // Its client resumes from what it has.
            Err(none) => Err(Parting::close(CloseCode::Again, none.to_string())),
        })
    }

    /// Whether messages are read at present.
    fn listens(&self) -> bool {
        self.stops.is_some() && self.calls.len() < CALLS && !self.incoming.waits()
    }

    fn poll_messages(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Parting>> {
        let frames = self.web_socket.get_mut();
        ready!(self.incoming.poll_room(frames, context))?;
        if !self.listens() {
            self.incoming.pause();
            return Poll::Pending;
        }
        let Poll::Ready(message) = self.web_socket.poll_next_unpin(context) else {
            let frames = self.web_socket.get_mut();
            return self.incoming.poll_pace(frames, context);
        };
        Poll::Ready(match message {
            None => Err(Parting::Gone),
            Some(Err(error)) => Err(error.into()),
            Some(Ok(Message::Text(text))) => {
                self.begin(text.into());
                Ok(())
            }
            Some(Ok(Message::Binary(bytes))) => {
                self.begin(bytes);
                Ok(())
            }
            // Pings are answered, and closing goes on, when it is read again.
            Some(Ok(_)) => Ok(()),
        })
    }

    /// Begins to answer a message.
    fn begin(&mut self, body: Bytes) {
        let (lease, held) = self.incoming.take();
        let caller = Caller::over_web_socket(lease, Subscribing::new(&self.subscriptions));
        let shared = Arc::clone(&self.shared);
        self.calls.spawn(async move {
            let answer = shared.message(body, held, &caller).await;
            Done { answer, caller }
        });
    }
}
