//! A connection's socket: tells the connection what moves over it, keeps a client's end
//! from ending its own answer, and lingers so that the answer to a request that was not
//! read to its end is not lost.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::connections::{AtTheEnd, Connection};

/// A client's socket.
pub(crate) struct Socket {
    stream: TcpStream,
    connection: Arc<Connection>,
    /// How long a call goes on for a client that sends no more: it may have closed only
    /// its own half, or all of the connection, which looks the same.
    half_closed: Duration,
    /// The client sends no more.
    ended: bool,
    /// Until when its call goes on.
    patience: Option<Pin<Box<Sleep>>>,
    /// What was sent here is written; the client may still be sending.
    lingers: bool,
}

impl Socket {
    pub(crate) fn new(
        stream: TcpStream,
        connection: Arc<Connection>,
        half_closed: Duration,
    ) -> Self {
        Self {
            stream,
            connection,
            half_closed,
            ended: false,
            patience: None,
            lingers: false,
        }
    }

    /// The client's end is kept from HTTP while it waits for an answer, for a while, and
    /// while one is written.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.connection.at_the_end(context.waker()) {
            AtTheEnd::Sending => Poll::Pending,
            AtTheEnd::Answering => {
                let patience = self
                    .patience
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(self.half_closed)));
                patience.as_mut().poll(context).map(Ok)
            }
            AtTheEnd::Nothing => Poll::Ready(Ok(())),
        }
    }

    /// Reads on until the client ends, if it was sending.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 16 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => self.lingers = true,
                Poll::Pending if self.lingers || self.connection.was_refused() => {
                    return Poll::Pending;
                }
                Poll::Ready(_) | Poll::Pending => return Poll::Ready(Ok(())),
            }
        }
    }

    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(bytes)) => self.connection.wrote(*bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.connection.write_blocked(),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ended {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
            let read = buffer.filled().len() - before;
            if read > 0 || buffer.remaining() == 0 {
                self.connection.read(read);
                return Poll::Ready(Ok(()));
            }
            self.ended = true;
        }
        self.poll_end(context)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Bytes that a client sent and nobody read would have the system drop what was sent
    /// to it, and the client find a broken pipe in place of its answer.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        self.connection.lingers();
        self.poll_linger(context)
    }
}
