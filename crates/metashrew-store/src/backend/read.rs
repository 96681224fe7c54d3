//! Reads that are answered at once or later, and scans made of them.

use std::fmt;
use std::future::{Ready, ready};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::future::Either;

use super::{BackendError, Space, View};

/// An answer that takes a while.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, BackendError>> + Send + 'a>>;

/// What an engine was asked: answered at once, which costs nothing but the answer, or to be
/// awaited.
///
/// Either way it can be awaited; [`wait`] has the thread wait for it.
#[must_use]
pub enum Read<'a, T> {
    /// The answer.
    Ready(Result<T, BackendError>),
    /// The answer, later. Nothing is promised to happen before it is polled.
    Pending(Pending<'a, T>),
}

impl<T> Read<'_, T> {
    /// The answer; the thread waits for it.
    pub fn wait(self) -> Result<T, BackendError> {
        match self {
            Self::Ready(answer) => answer,
            Self::Pending(answer) => wait(answer),
        }
    }
}

impl<'a, T> IntoFuture for Read<'a, T> {
    type Output = Result<T, BackendError>;
    type IntoFuture = Either<Ready<Self::Output>, Pending<'a, T>>;

    fn into_future(self) -> Self::IntoFuture {
        match self {
            Self::Ready(answer) => Either::Left(ready(answer)),
            Self::Pending(answer) => Either::Right(answer),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Read<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(answer) => formatter.debug_tuple("Ready").field(answer).finish(),
            Self::Pending(_) => formatter.write_str("Pending"),
        }
    }
}

/// Runs a future to its end; the thread waits where it has to. One that never has to wait
/// costs nothing more than its content, if it is pinned where it is made: moving a large
/// one costs more than a read from memory.
#[inline]
pub fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => output,
        Poll::Pending => pollster::block_on(future),
    }
}

/// A key and its value.
pub type Entry = (Bytes, Bytes);

/// Where a walk over entries goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the first key to the last.
    Forward,
    /// From the last key to the first.
    Back,
}

/// A walk over entries in key order, or the other way round, one after the other.
///
/// An engine gets them in chunks: what is left of a chunk is ready, and only the first
/// entry of the next one may have to be awaited. One that has to look for long may give way
/// meanwhile. Every iterator is a cursor.
pub trait Cursor: Send {
    /// The next entry; none at the end. After the end, or an error, nobody asks again.
    fn next_entry(&mut self) -> Read<'_, Option<Entry>>;
}

impl<I: Iterator<Item = Result<Entry, BackendError>> + Send> Cursor for I {
    fn next_entry(&mut self) -> Read<'_, Option<Entry>> {
        Read::Ready(self.next().transpose())
    }
}

/// Entries in an order: to be awaited one by one, or an iterator that waits.
pub struct Scan(Box<dyn Cursor>);

impl Scan {
    /// The entries that `cursor` walks over.
    pub fn new(cursor: impl Cursor + 'static) -> Self {
        Self(Box::new(cursor))
    }

    /// A scan that failed before it began.
    pub fn failed(error: BackendError) -> Self {
        Self::new(std::iter::once(Err(error)))
    }

    /// The next entry; none at the end.
    pub fn next_entry(&mut self) -> Read<'_, Option<Entry>> {
        self.0.next_entry()
    }
}

impl Iterator for Scan {
    type Item = Result<Entry, BackendError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_entry().wait().transpose()
    }
}

impl fmt::Debug for Scan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Scan").finish_non_exhaustive()
    }
}

/// Reads one key after the other.
pub(super) fn one_by_one<'a, V: View + ?Sized>(
    view: &'a V,
    space: Space,
    keys: &'a [&'a [u8]],
) -> Read<'a, Vec<Option<Bytes>>> {
    let mut values = Vec::with_capacity(keys.len());
    let mut rest = keys.iter();
    while let Some(key) = rest.next() {
        match view.get(space, key) {
            Read::Ready(Ok(value)) => values.push(value),
            Read::Ready(Err(error)) => return Read::Ready(Err(error)),
            Read::Pending(first) => {
                return Read::Pending(Box::pin(async move {
                    values.push(first.await?);
                    for key in rest {
                        values.push(view.get(space, key).await?);
                    }
                    Ok(values)
                }));
            }
        }
    }
    Read::Ready(Ok(values))
}
