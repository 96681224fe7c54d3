//! An engine whose every read takes a while: a slow disk, or one at the other end of a
//! network.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use metashrew_store::{
    Backend, BackendError, Batch, BatchNumber, Cursor, Entry, Read, Scan, Space, View,
};

/// How many entries a scan gets at a time.
pub const CHUNK: usize = 16;

/// An engine that delays every read of another one, and that of many keys as if it were one.
///
/// A read that the store's cache answers does not come here, so it is not delayed.
#[derive(Debug)]
pub struct Delayed<B> {
    engine: B,
    line: Arc<Line>,
}

/// What all reads have to go through.
#[derive(Debug)]
struct Line {
    delay: Delay,
    reads: AtomicU64,
    syncs: AtomicU64,
}

#[derive(Debug)]
enum Delay {
    /// The thread that reads sleeps.
    Blocking(Duration),
    /// The read is pending so many times.
    Turns(u32),
    /// The read is pending until the gate is open.
    Gate(Arc<Gate>),
}

impl<B: Backend> Delayed<B> {
    /// Each read of `engine` has its thread sleep for `delay`, and for what the system adds
    /// to that, some 50 microseconds on Linux.
    pub fn blocking(engine: B, delay: Duration) -> Self {
        Self::with(engine, Delay::Blocking(delay))
    }

    /// Each read of `engine` is pending so many times before it is ready, and wakes whoever
    /// waits for it at once.
    pub fn by_turns(engine: B, turns: u32) -> Self {
        Self::with(engine, Delay::Turns(turns))
    }

    /// Each read of `engine` is pending until `gate` is open.
    pub fn behind(engine: B, gate: Arc<Gate>) -> Self {
        Self::with(engine, Delay::Gate(gate))
    }

    fn with(engine: B, delay: Delay) -> Self {
        Self {
            engine,
            line: Arc::new(Line {
                delay,
                reads: AtomicU64::new(0),
                syncs: AtomicU64::new(0),
            }),
        }
    }

    /// How many reads were delayed so far: of a key, of many, and of each chunk of a scan.
    pub fn reads(&self) -> u64 {
        self.line.reads.load(Ordering::Relaxed)
    }

    /// How often batches were made durable so far.
    pub fn syncs(&self) -> u64 {
        self.line.syncs.load(Ordering::Relaxed)
    }
}

impl Line {
    /// Has a read go through.
    fn read<'a, T: Send + 'a>(
        &'a self,
        read: impl FnOnce() -> Read<'a, T> + Send + 'a,
    ) -> Read<'a, T> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.pass(read)
    }

    fn pass<'a, T: Send + 'a>(
        &'a self,
        read: impl FnOnce() -> Read<'a, T> + Send + 'a,
    ) -> Read<'a, T> {
        if let Delay::Blocking(delay) = self.delay {
            thread::sleep(delay);
            return read();
        }
        Read::Pending(Box::pin(async move {
            self.wait().await;
            read().await
        }))
    }

    async fn wait(&self) {
        match &self.delay {
            Delay::Blocking(_) => {}
            Delay::Turns(turns) => {
                let mut left = *turns;
                poll_fn(|task| {
                    if left == 0 {
                        return Poll::Ready(());
                    }
                    left -= 1;
                    task.waker().wake_by_ref();
                    Poll::Pending
                })
                .await;
            }
            Delay::Gate(gate) => gate.pass().await,
        }
    }
}

impl<B: Backend> Backend for Delayed<B> {
    fn view(&self) -> Arc<dyn View> {
        Arc::new(DelayedView {
            view: self.engine.view(),
            line: Arc::clone(&self.line),
        })
    }

    fn write(&self, batch: Batch) -> Result<BatchNumber, BackendError> {
        self.engine.write(batch)
    }

    fn durable(&self) -> BatchNumber {
        self.engine.durable()
    }

    fn sync(&self, batch: BatchNumber) -> Read<'_, ()> {
        self.line.syncs.fetch_add(1, Ordering::Relaxed);
        self.line.pass(move || self.engine.sync(batch))
    }

    fn reads_may_wait(&self) -> bool {
        !matches!(self.line.delay, Delay::Blocking(_))
    }
}

#[derive(Debug)]
struct DelayedView {
    view: Arc<dyn View>,
    line: Arc<Line>,
}

impl View for DelayedView {
    fn batch(&self) -> BatchNumber {
        self.view.batch()
    }

    fn get<'a>(&'a self, space: Space, key: &'a [u8]) -> Read<'a, Option<Bytes>> {
        self.line.read(move || self.view.get(space, key))
    }

    fn get_many<'a>(
        &'a self,
        space: Space,
        keys: &'a [&'a [u8]],
        max_bytes: usize,
    ) -> Read<'a, Vec<Option<Bytes>>> {
        let together = together(&self.view, space, keys, max_bytes);
        self.line.read(move || Read::Pending(Box::pin(together)))
    }

    fn scan(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        self.delay(self.view.scan(space, start, end))
    }

    fn scan_back(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        self.delay(self.view.scan_back(space, start, end))
    }
}

/// As many of the values as there may be, however many the view reads at a time.
async fn together(
    view: &Arc<dyn View>,
    space: Space,
    keys: &[&[u8]],
    max_bytes: usize,
) -> Result<Vec<Option<Bytes>>, BackendError> {
    let (mut values, mut left) = (Vec::new(), max_bytes);
    while let Some(rest) = keys.get(values.len()..)
        && !rest.is_empty()
        && (left > 0 || values.is_empty())
    {
        let some = view.get_many(space, rest, left).await?;
        let bytes = some.iter().flatten().map(Bytes::len).sum();
        left = left.saturating_sub(bytes);
        values.extend(some);
    }
    Ok(values)
}

impl DelayedView {
    fn delay(&self, scan: Scan) -> Scan {
        Scan::new(DelayedScan {
            scan,
            left: 0,
            line: Arc::clone(&self.line),
        })
    }
}

struct DelayedScan {
    scan: Scan,
    /// What is left of the chunk.
    left: usize,
    line: Arc<Line>,
}

impl Cursor for DelayedScan {
    fn next_entry(&mut self) -> Read<'_, Option<Entry>> {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return self.scan.next_entry();
        }
        self.left = CHUNK - 1;
        let scan = &mut self.scan;
        self.line.read(move || scan.next_entry())
    }
}

/// What reads wait at while it is closed. Open at first.
#[derive(Debug, Default)]
pub struct Gate(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    closed: bool,
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Gate {
    /// Holds up every read from now on.
    pub fn close(&self) {
        self.lock().closed = true;
    }

    /// Lets all reads through.
    pub fn open(&self) {
        let wakers = {
            let mut waiting = self.lock();
            waiting.closed = false;
            std::mem::take(&mut waiting.wakers)
        };
        wakers.into_values().for_each(Waker::wake);
    }

    /// How many reads wait.
    pub fn waiting(&self) -> usize {
        self.lock().wakers.len()
    }

    async fn pass(&self) {
        let mut place = Place {
            gate: self,
            number: None,
        };
        poll_fn(|task| {
            let mut waiting = self.lock();
            if !waiting.closed {
                return Poll::Ready(());
            }
            let number = *place.number.get_or_insert_with(|| {
                waiting.next += 1;
                waiting.next
            });
            waiting.wakers.insert(number, task.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A read's place at the gate, until it is dropped.
struct Place<'a> {
    gate: &'a Gate,
    number: Option<u64>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.gate.lock().wakers.remove(&number);
        }
    }
}
