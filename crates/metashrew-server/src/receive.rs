//! Reads a request's body as it comes: within its length, its time, and the room there is.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout_at};

use crate::budget::{Lease, Rank, SMALL};
use crate::connections::Connection;
use crate::refusal::{Reason, Refusal};

/// A long body is kept in pieces of so many bytes at most until it is whole.
pub(crate) const PIECE: usize = 1024 * 1024;

/// What bodies may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bodies {
    /// Bytes.
    pub(crate) max: usize,
    /// Within this time, so much of a body must come as `min_rate` says, or its end.
    pub(crate) timeout: Duration,
    /// Bytes a second.
    pub(crate) min_rate: usize,
}

impl Bodies {
    /// Bytes that must come within the time.
    pub(crate) fn enough(&self) -> usize {
        let milliseconds = usize::try_from(self.timeout.as_millis()).unwrap_or(usize::MAX);
        self.min_rate.saturating_mul(milliseconds) / 1000
    }

    /// All of a body. The lease then holds what it takes, and as much again for what is made
    /// of it: numbers and texts are decoded to half their length.
    pub(crate) async fn receive(
        &self,
        mut body: Incoming,
        lease: &Lease,
        connection: &Connection,
    ) -> Result<Bytes, Refusal> {
        if body.size_hint().lower() > self.max as u64 {
            return Err(Refusal::too_long(self.max));
        }
        let length = body
            .size_hint()
            .upper()
            .and_then(|length| usize::try_from(length).ok());
        let rank = Rank::Comes(length.unwrap_or(self.max));
        let mut window = Window::new(self);
        let mut received = Received::default();
        loop {
            let frame = tokio::select! {
                biased;
                frame = timeout_at(window.end, body.frame()) => frame,
                () = connection.stops_receiving() => return Err(too_slow("others needed its room")),
            };
            let data = match frame {
                Ok(None) => break,
                Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
                Ok(Some(Err(_))) => {
                    let what = "the body of the request is not as HTTP has it, or ended too early";
                    return Err(Refusal::new(Reason::BadBody, what));
                }
                Err(_) if window.is_enough() => {
                    window = Window::new(self);
                    continue;
                }
                Err(_) => return Err(too_slow("it came too slowly")),
            };
            if received.length + data.len() > self.max {
                return Err(Refusal::too_long(self.max));
            }
            if received.length == 0 && body.is_end_stream() && data.len() <= SMALL {
                lease.grow(data.len(), rank).await?;
                return Ok(data);
            }
            window.bytes += data.len();
            if received.push(&data, lease, rank).await? {
                // Waiting for room was not the client's doing.
                window = Window::new(self);
            }
        }
        received.into_bytes(lease).await
    }
}

fn too_slow(why: &str) -> Refusal {
    Refusal::new(
        Reason::TooSlow,
        format!("the body of the request was given up: {why}"),
    )
}

/// A time within which enough must come.
struct Window {
    end: Instant,
    enough: usize,
    bytes: usize,
}

impl Window {
    fn new(bodies: &Bodies) -> Self {
        Self {
            end: Instant::now() + bodies.timeout,
            enough: bodies.enough(),
            bytes: 0,
        }
    }

    fn is_enough(&self) -> bool {
        self.bytes > 0 && self.bytes >= self.enough
    }
}

/// What came of a body so far.
#[derive(Default)]
struct Received {
    pieces: Vec<Vec<u8>>,
    length: usize,
}

impl Received {
    /// Answers whether there was need of room.
    async fn push(&mut self, mut data: &[u8], lease: &Lease, rank: Rank) -> Result<bool, Refusal> {
        let mut grown = false;
        while !data.is_empty() {
            let last = self.pieces.last_mut();
            let Some(piece) = last.filter(|piece| piece.len() < piece.capacity()) else {
                // What comes is copied: a frame may hold a buffer many times its size.
                let size = self.length.clamp(SMALL / 2, PIECE);
                lease.grow(size, rank).await?;
                self.pieces.push(Vec::with_capacity(size));
                grown = true;
                continue;
            };
            let room = piece.capacity() - piece.len();
            let (now, later) = data.split_at(room.min(data.len()));
            piece.extend_from_slice(now);
            self.length += now.len();
            data = later;
        }
        Ok(grown)
    }

    async fn into_bytes(mut self, lease: &Lease) -> Result<Bytes, Refusal> {
        let pieces: usize = self.pieces.iter().map(Vec::capacity).sum();
        if self.pieces.len() <= 1 {
            return Ok(self.pieces.pop().unwrap_or_default().into());
        }
        lease.grow(self.length, Rank::Whole(self.length)).await?;
        let mut whole = Vec::with_capacity(self.length);
        for piece in self.pieces {
            whole.extend_from_slice(&piece);
        }
        // The room of the pieces is now that of what is made of the whole.
        lease.release(pieces.saturating_sub(self.length));
        Ok(whole.into())
    }
}
