//! The message that comes over a WebSocket: the room it takes, and how fast it has to come.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::time::{Sleep, sleep};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::frames::{self, Frames};
use super::parting::Parting;
use crate::answer::Answer;
use crate::budget::{Budget, BudgetExhausted, Lease, Rank};
use crate::caller::Caller;
use crate::connections::Connection;
use crate::front::Shared;
use crate::receive::{Bodies, PIECE};
use crate::refusal::Refusal;

/// What is known of the message that comes.
pub(super) struct Incoming {
    budget: Arc<Budget>,
    connection: Arc<Connection>,
    bodies: Bodies,
    /// Bytes of each message and its answer that need no room.
    free: usize,
    /// What a long one holds: twice what may be read of it, since as much is made of it.
    lease: Option<Arc<Lease>>,
    /// Bytes that may be read of it.
    allowed: usize,
    /// Room for more, and for how much.
    room: Option<(Room, usize)>,
    pace: Option<Pace>,
}

type Room = Pin<Box<dyn Future<Output = Result<(), BudgetExhausted>> + Send>>;

/// How much had come of a message when it was last looked at, and when it is looked at again.
struct Pace {
    number: u64,
    bytes: u64,
    look: Pin<Box<Sleep>>,
}

impl Incoming {
    pub(super) fn new(shared: &Shared, connection: &Arc<Connection>, free: usize) -> Self {
        Self {
            budget: Arc::clone(&shared.budget),
            connection: Arc::clone(connection),
            bodies: shared.bodies,
            free,
            lease: None,
            allowed: frames::FREE,
            room: None,
            pace: None,
        }
    }

    /// Whether it waits for room.
    pub(super) fn waits(&self) -> bool {
        self.room.is_some()
    }

    /// Finds room for what is to be read, if there is need of any.
    pub(super) fn poll_room<S>(
        &mut self,
        frames: &mut Frames<S>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Parting>> {
        if self.room.is_none() && frames.waits() {
            let budget = &self.budget;
            let lease = self.lease.get_or_insert_with(|| {
                // It counts as a transfer that may stall.
                self.connection.takes_message(true);
                Arc::new(budget.lease_of(&self.connection, self.free))
            });
            let lease = Arc::clone(lease);
            let more = self.allowed.min(PIECE);
            let first = if self.allowed == frames::FREE {
                self.allowed
            } else {
                0
            };
            let rank = Rank::Comes(self.bodies.max);
            let room = async move { lease.grow(2 * (first + more), rank).await };
            self.room = Some((Box::pin(room), more));
        }
        let Some((room, more)) = &mut self.room else {
            return Poll::Ready(Ok(()));
        };
        if let Err(none) = ready!(room.as_mut().poll(context)) {
            return Poll::Ready(Err(Parting::close(CloseCode::Again, none.to_string())));
        }
        self.allowed += *more;
        self.room = None;
        frames.allow(self.allowed as u64);
        Poll::Ready(Ok(()))
    }

    /// That nothing comes is not the client's doing.
    pub(super) fn pause(&mut self) {
        self.pace = None;
    }

    /// Looks whether enough comes, where all that came was read. Ready if there is need of
    /// room.
    pub(super) fn poll_pace<S>(
        &mut self,
        frames: &Frames<S>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Parting>> {
        if frames.waits() {
            self.pace = None;
            return Poll::Ready(Ok(()));
        }
        let Some(message) = frames.unfinished() else {
            self.pace = None;
            return Poll::Pending;
        };
        let timeout = self.bodies.timeout;
        let begin = || Pace {
            number: message.number,
            bytes: message.bytes,
            look: Box::pin(sleep(timeout)),
        };
        let pace = self.pace.get_or_insert_with(begin);
        if pace.number != message.number {
            *pace = begin();
        }
        while pace.look.as_mut().poll(context).is_ready() {
            let came = message.bytes - pace.bytes;
            if came == 0 || came < self.bodies.enough() as u64 {
                let reason = "a message came too slowly";
                return Poll::Ready(Err(Parting::close(CloseCode::Policy, reason)));
            }
            *pace = begin();
        }
        Poll::Pending
    }

    /// The lease of the message that has come, and how much of it that holds.
    pub(super) fn take(&mut self) -> (Arc<Lease>, usize) {
        let allowed = std::mem::replace(&mut self.allowed, frames::FREE);
        if let Some(lease) = self.lease.take() {
            self.connection.takes_message(false);
            return (lease, allowed);
        }
        let lease = self.budget.lease_of(&self.connection, self.free);
        (Arc::new(lease), 0)
    }
}

impl Shared {
    /// The answer to a message, of which the lease holds so many bytes.
    pub(super) async fn message(
        &self,
        body: Bytes,
        held: usize,
        caller: &Caller,
    ) -> Option<Answer> {
        let length = body.len();
        let more = length.saturating_sub(held);
        if let Err(none) = caller.lease.grow(more, Rank::Whole(length)).await {
            let refusal = Refusal::from(none);
            self.refusals.count(refusal.reason);
            return Some(self.rpc.refused(&body, refusal.error()));
        }
        // As many as may be are under way: it waits, and what comes after it is not read.
        let _permit = self.permits.acquire().await;
        self.rpc.answer(body, caller).await
    }
}
