//! What a client sends over its WebSocket, on its way to the protocol: frames in short pieces,
//! and no more of a message than there is room for.
//!
//! The protocol makes room for a whole frame when it sees its length, and keeps that room
//! afterwards. So a long frame is passed on as the fragments that it might as well have come
//! in: it then costs what has come of it. Everything else is passed on as it is, so that the
//! protocol judges it.

mod pieces;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) use self::pieces::PIECE;
use self::pieces::{Pieces, Unfinished};

/// Bytes that are read at once.
pub(super) const READ: usize = 4 * 1024;

/// Bytes of each message that are read without asking.
pub(super) const FREE: usize = 8 * 1024;

/// A socket whose frames are read in pieces.
pub(super) struct Frames<S> {
    stream: S,
    pieces: Pieces,
    /// Bytes of what is ready that were passed on.
    passed: usize,
    /// Bytes of a message that may be read.
    allowed: u64,
    /// More of the message could be read than may be.
    waits: bool,
    /// Bytes read since the start.
    received: u64,
}

impl<S> Frames<S> {
    /// `first` was read of it already.
    pub(super) fn new(stream: S, first: &[u8]) -> Self {
        let mut frames = Self {
            stream,
            pieces: Pieces::default(),
            passed: 0,
            allowed: FREE as u64,
            waits: false,
            received: 0,
        };
        frames.take(first);
        frames
    }

    pub(super) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The message that comes, if a part of it has.
    pub(super) fn unfinished(&self) -> Option<Unfinished> {
        let message = self.pieces.message;
        message.begun.then_some(message)
    }

    /// Bytes that came, of whatever.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Whether it waits until more of the message may be read.
    pub(super) fn waits(&self) -> bool {
        self.waits
    }

    /// So many bytes of the message that comes may be read.
    pub(super) fn allow(&mut self, bytes: u64) {
        self.allowed = bytes;
        self.waits = false;
    }

    /// Takes what was read.
    fn take(&mut self, bytes: &[u8]) {
        self.received += bytes.len() as u64;
        let before = self.pieces.message.number;
        self.pieces.take(bytes);
        if self.pieces.message.number != before {
            self.allowed = FREE as u64;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Frames<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let frames = &mut *self;
        while frames.pieces.ready.is_empty() {
            if frames.pieces.message.bytes >= frames.allowed && frames.pieces.message.begun {
                // Whoever reads looks whether it waits, and reads on once there is room.
                frames.waits = true;
                return Poll::Pending;
            }
            let mut bytes = [0; READ];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut frames.stream).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            frames.take(read.filled());
        }
        let left = frames.pieces.ready.get(frames.passed..).unwrap_or_default();
        let now = left.len().min(buffer.remaining());
        buffer.put_slice(left.get(..now).unwrap_or_default());
        frames.passed += now;
        if frames.passed == frames.pieces.ready.len() {
            frames.pieces.ready = Vec::new();
            frames.passed = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of so many bytes, in one frame.
    fn message(length: u32) -> Vec<u8> {
        let mut frame = vec![0x81, 0xff];
        frame.extend_from_slice(&u64::from(length).to_be_bytes());
        frame.extend_from_slice(&[1, 2, 3, 4]);
        frame.resize(frame.len() + length as usize, b'x');
        frame
    }

    #[tokio::test]
    async fn no_more_of_a_message_is_read_than_there_is_room_for() {
        let bytes = message(100_000);
        let mut frames = Frames::new(bytes.as_slice(), &[]);
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut buffer = vec![0; 200_000];
        let mut read = ReadBuf::new(&mut buffer);
        let mut poll = |frames: &mut Frames<&[u8]>| {
            while Pin::new(&mut *frames)
                .poll_read(&mut context, &mut read)
                .is_ready()
            {
                if frames.unfinished().is_none() {
                    return;
                }
            }
        };
        for allowed in [FREE, 50_000] {
            frames.allow(allowed as u64);
            poll(&mut frames);
            assert!(frames.waits());
            let came = usize::try_from(frames.unfinished().unwrap().bytes).unwrap();
            assert!((allowed..allowed + READ).contains(&came), "{came}");
        }
        frames.allow(100_000);
        poll(&mut frames);
        assert_eq!(frames.unfinished(), None);
    }
}
