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

/// Keys that are read one after the other until whoever asked has its turn.
const KEYS_AT_A_TIME: usize = 16;

/// Reads some of `keys`, one after the other.
pub(super) fn one_by_one<'a, V: View + ?Sized>(
    view: &'a V,
    space: Space,
    keys: &'a [&'a [u8]],
    max_bytes: usize,
) -> Read<'a, Vec<Option<Bytes>>> {
    let keys = keys.get(..KEYS_AT_A_TIME).unwrap_or(keys);
    let mut answer = Answer {
        keys: keys.iter(),
        values: Vec::with_capacity(keys.len()),
        bytes: 0,
        max_bytes,
    };
    while let Some(key) = answer.next_key() {
        match view.get(space, key) {
            Read::Ready(Ok(value)) => answer.push(value),
            Read::Ready(Err(error)) => return Read::Ready(Err(error)),
            Read::Pending(first) => {
                return Read::Pending(Box::pin(async move {
                    answer.push(first.await?);
                    while let Some(key) = answer.next_key() {
                        answer.push(view.get(space, key).await?);
                    }
                    Ok(answer.values)
                }));
            }
        }
    }
    Read::Ready(Ok(answer.values))
}

/// Values that are read until there are enough.
struct Answer<'a> {
    /// Those that are not read yet.
    keys: std::slice::Iter<'a, &'a [u8]>,
    values: Vec<Option<Bytes>>,
    bytes: usize,
    max_bytes: usize,
}

impl<'a> Answer<'a> {
    fn next_key(&mut self) -> Option<&'a [u8]> {
        let is_enough = self.bytes >= self.max_bytes && !self.values.is_empty();
        if is_enough {
            return None;
        }
        self.keys.next().copied()
    }

    fn push(&mut self, value: Option<Bytes>) {
        self.bytes += value.as_ref().map_or(0, Bytes::len);
        self.values.push(value);
    }
}

/// As [`View::get_many`], of an engine that is not taken at its word.
pub(crate) async fn get_some(
    view: &dyn View,
    space: Space,
    keys: &[&[u8]],
    max_bytes: usize,
) -> Result<Vec<Option<Bytes>>, BackendError> {
    let values = view.get_many(space, keys, max_bytes).await?;
    if values.is_empty() && !keys.is_empty() || values.len() > keys.len() {
        let what = format!("{} values for {} keys", values.len(), keys.len());
        return Err(BackendError::new("reading many keys", what));
    }
    Ok(values)
}

/// The value at each of `keys`, which are in key order, and each there once. The thread waits.
pub(crate) fn get_all(
    view: &dyn View,
    space: Space,
    keys: &[&[u8]],
) -> Result<Vec<Option<Bytes>>, BackendError> {
    let mut values = Vec::with_capacity(keys.len());
    let mut rest = keys;
    while !rest.is_empty() {
        let some = wait(pin!(get_some(view, space, rest, usize::MAX)))?;
        rest = rest.get(some.len()..).unwrap_or_default();
        values.extend(some);
    }
    Ok(values)
}
