//! The connections that are open: a bounded number, each with whose turn it is and since
//! when. Where there are as many as may be, the one that has been idle for longest gives
//! way; where none is idle, the one whose client neither sends nor reads.

mod closed;
mod connection;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use self::closed::Closed;
use self::connection::WINDOW;
pub(crate) use self::connection::{AtTheEnd, Connection, UnderWay};

/// How often it is looked for a connection that can give way while there is no room.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How long clients may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// To send the head of a request, from its first byte.
    pub(crate) head: Duration,
    /// To begin the next request.
    pub(crate) idle: Duration,
    /// To read anything at all of an answer.
    pub(crate) send: Duration,
}

/// All connections.
pub(crate) struct Connections {
    limit: usize,
    timeouts: Timeouts,
    /// A permit for each that may be opened.
    free: Arc<Semaphore>,
    open: Mutex<BTreeMap<u64, Arc<Connection>>>,
    closed: [AtomicU64; Closed::ALL.len()],
    /// How often none could be accepted.
    failures: AtomicU64,
}

impl Connections {
    pub(crate) fn new(limit: usize, timeouts: Timeouts) -> Self {
        let limit = limit.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            limit,
            timeouts,
            free: Arc::new(Semaphore::new(limit)),
            open: Mutex::default(),
            closed: Default::default(),
            failures: AtomicU64::new(0),
        }
    }

    /// How many are open.
    pub(crate) fn open(&self) -> usize {
        self.open.lock().len()
    }

    /// How many may be.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// How many the server closed, by reason.
    pub(crate) fn closed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self
            .closed
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        Closed::ALL.map(Closed::as_str).into_iter().zip(counts)
    }

    /// How often none could be accepted.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    pub(crate) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self, closed: Closed) {
        if let Some(count) = self.closed.get(closed as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until there may be one more, and has another give way if need be.
    pub(crate) async fn room(&self) -> OwnedSemaphorePermit {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return permit;
        }
        loop {
            self.have_one_give_way();
            let permit = Arc::clone(&self.free).acquire_owned();
            // One that is busy now may be idle then.
            if let Ok(permit) = tokio::time::timeout(LOOK_AGAIN, permit).await {
                return permit.expect("the semaphore is never closed");
            }
        }
    }

    fn have_one_give_way(&self) {
        let now = Instant::now();
        let open = self.open.lock();
        let idle = open
            .values()
            .filter_map(|one| Some((one.idle_since(now)?, one)));
        if let Some((_, longest)) = idle.min_by_key(|(since, _)| *since) {
            longest.give_way();
            self.count(Closed::GaveWay);
            return;
        }
        let stalled = open.values().filter_map(|one| Some((one.stalled()?, one)));
        if let Some((_, slowest)) = stalled.min_by_key(|(pace, _)| *pace) {
            slowest.close_stalled();
        }
    }

    /// Looks at every connection from time to time, and closes those whose clients take
    /// too long. One clock for all: an idle connection needs no timer of its own.
    pub(crate) async fn watch(&self) {
        let Timeouts { head, idle, send } = self.timeouts;
        let every = WINDOW.min(head.min(idle).min(send) / 4);
        let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = Instant::now();
            let open = self.open.lock();
            for closed in open
                .values()
                .filter_map(|one| one.look(now, &self.timeouts))
            {
                self.count(closed);
            }
        }
    }
}

/// A connection in the list, and its permit.
pub(crate) struct Open {
    connections: Arc<Connections>,
    number: u64,
    pub(crate) connection: Arc<Connection>,
    _permit: OwnedSemaphorePermit,
}

impl Open {
    pub(crate) fn new(
        connections: &Arc<Connections>,
        number: u64,
        peer: IpAddr,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let connection = Arc::new(Connection::new(peer));
        let mut open = connections.open.lock();
        open.insert(number, Arc::clone(&connection));
        drop(open);
        Self {
            connections: Arc::clone(connections),
            number,
            connection,
            _permit: permit,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.open.lock().remove(&self.number);
        if self.connection.is_closing() {
            self.connections.count(Closed::Stalled);
        }
    }
}
