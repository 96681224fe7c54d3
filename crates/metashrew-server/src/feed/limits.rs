//! How many subscriptions there are, how many there may be, and what was counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use serde_json::json;

use crate::fault::{self, BUSY, RpcError};
use crate::options::ServerOptions;

/// The kinds of subscriptions.
pub(super) const KINDS: [&str; 4] = ["heads", "writes", "view", "pending"];

/// What subscriptions may take together.
#[derive(Debug)]
pub(crate) struct Limits {
    max: usize,
    max_bytes: usize,
    open: [AtomicUsize; KINDS.len()],
    all: AtomicUsize,
    bytes: AtomicUsize,
    events: [AtomicU64; KINDS.len()],
    views_run: AtomicU64,
}

/// What was counted.
#[derive(Debug)]
pub(crate) struct FeedCounts {
    /// Subscriptions there are, by kind.
    pub(crate) open: Vec<(&'static str, usize)>,
    pub(crate) limit: usize,
    /// Bytes of filters, inputs and reads that are kept.
    pub(crate) bytes: usize,
    pub(crate) limit_bytes: usize,
    /// Events that were told, by kind of the subscription.
    pub(crate) events: Vec<(&'static str, u64)>,
    /// Views that were run for subscriptions.
    pub(crate) views_run: u64,
}

impl Limits {
    pub(crate) fn new(options: &ServerOptions) -> Self {
        Self {
            max: options.max_subscriptions,
            max_bytes: options.subscription_memory,
            open: Default::default(),
            all: AtomicUsize::default(),
            bytes: AtomicUsize::default(),
            events: Default::default(),
            views_run: AtomicU64::default(),
        }
    }

    /// Room for one more subscription of the kind, which keeps so many bytes.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn enter(
        self: &Arc<Self>,
        kind: &'static str,
        bytes: usize,
    ) -> Result<Entered, RpcError> {
        if !add(&self.all, 1, self.max) {
            let limit = self.max;
            return Err(fault::object(
                BUSY,
                format!("there are {limit} subscriptions, as many as may be"),
                json!({ "kind": "too_many_subscriptions", "limit": limit }),
            ));
        }
        let place = Entry {
            limits: Arc::clone(self),
            kind: KINDS.iter().position(|known| *known == kind).unwrap_or(0),
        };
        count(&self.open, place.kind, |open| {
            open.fetch_add(1, Ordering::Relaxed);
        });
        let Some(room) = self.room(bytes) else {
            let limit = self.max_bytes;
            return Err(fault::object(
                BUSY,
                format!("what subscriptions ask for takes {limit} bytes, as many as may be"),
                json!({ "kind": "subscription_memory", "limit": limit }),
            ));
        };
        Ok(Entered { place, _room: room })
    }

    /// Room for so many bytes, if there is any.
    pub(super) fn room(self: &Arc<Self>, bytes: usize) -> Option<Room> {
        add(&self.bytes, bytes, self.max_bytes).then(|| Room {
            limits: Arc::clone(self),
            bytes,
        })
    }

    /// Counts a view that was run.
    pub(super) fn count_view(&self) {
        self.views_run.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> FeedCounts {
        let open = self.open.iter().map(|open| open.load(Ordering::Relaxed));
        let events = self.events.iter().map(|told| told.load(Ordering::Relaxed));
        FeedCounts {
            open: KINDS.into_iter().zip(open).collect(),
            limit: self.max,
            bytes: self.bytes.load(Ordering::Relaxed),
            limit_bytes: self.max_bytes,
            events: KINDS.into_iter().zip(events).collect(),
            views_run: self.views_run.load(Ordering::Relaxed),
        }
    }
}

fn count<T>(of: &[T; KINDS.len()], kind: usize, count: impl FnOnce(&T)) {
    if let Some(counter) = of.get(kind) {
        count(counter);
    }
}

/// Adds to a counter, unless that makes more than `limit`.
fn add(counter: &AtomicUsize, more: usize, limit: usize) -> bool {
    let added = |now: usize| now.checked_add(more).filter(|sum| *sum <= limit);
    counter
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, added)
        .is_ok()
}

/// Room for some bytes; dropping it gives them back.
#[derive(Debug)]
pub(super) struct Room {
    limits: Arc<Limits>,
    bytes: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.limits.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A subscription's place among those that may be; dropping it gives it up.
#[derive(Debug)]
pub(super) struct Entered {
    place: Entry,
    _room: Room,
}

#[derive(Debug)]
struct Entry {
    limits: Arc<Limits>,
    kind: usize,
}

impl Entered {
    /// Counts an event that is told.
    pub(super) fn count_event(&self) {
        count(&self.place.limits.events, self.place.kind, |events| {
            events.fetch_add(1, Ordering::Relaxed);
        });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.limits.all.fetch_sub(1, Ordering::Relaxed);
        count(&self.limits.open, self.kind, |open| {
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_entered_is_given_back() {
        let limits = Arc::new(Limits::new(&ServerOptions {
            max_subscriptions: 2,
            subscription_memory: 100,
            ..ServerOptions::default()
        }));
        let kind = |error: RpcError| error.data.unwrap()["kind"].clone();
        let first = limits.enter("heads", 60).unwrap();
        assert_eq!(
            kind(limits.enter("view", 41).unwrap_err()),
            "subscription_memory"
        );
        let second = limits.enter("view", 30).unwrap();
        assert_eq!(
            kind(limits.enter("view", 0).unwrap_err()),
            "too_many_subscriptions"
        );
        assert!(limits.room(11).is_none());
        let room = limits.room(10).unwrap();
        let counts = limits.counts();
        let open = (counts.open[0].1, counts.open[2].1);
        assert_eq!((counts.bytes, open), (100, (1, 1)));
        drop((first, second, room));
        let counts = limits.counts();
        assert_eq!(counts.bytes, 0);
        assert!(counts.open.iter().all(|(_, open)| *open == 0));
        limits.enter("writes", 100).unwrap();
    }
}
