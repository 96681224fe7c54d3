//! How many subscriptions there are, how many there may be, and what was counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use serde_json::json;

use crate::clients::{Client, ShareTaken, Taken, What};
use crate::fault::{self, BUSY, RpcError};
use crate::meter::Meter;
use crate::options::ServerOptions;

/// The kinds of subscriptions.
pub(super) const KINDS: [&str; 4] = ["heads", "writes", "view", "pending"];

/// Why subscriptions are refused that could be had at another time: `data.kind` of the errors.
const REFUSED: [&str; 4] = [
    "too_many_subscriptions",
    "subscription_memory",
    "client_subscriptions",
    "client_subscription_memory",
];

/// What subscriptions may take together.
#[derive(Debug)]
pub(crate) struct Limits {
    open: [AtomicUsize; KINDS.len()],
    all: Meter,
    bytes: Meter,
    events: [AtomicU64; KINDS.len()],
    views_run: AtomicU64,
    refused: [AtomicU64; REFUSED.len()],
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
    /// Subscriptions that were refused, by reason.
    pub(crate) refused: Vec<(&'static str, u64)>,
}

impl Limits {
    pub(crate) fn new(options: &ServerOptions) -> Self {
        Self {
            open: Default::default(),
            all: Meter::new(options.max_subscriptions),
            bytes: Meter::new(options.subscription_memory),
            events: Default::default(),
            views_run: AtomicU64::default(),
            refused: Default::default(),
        }
    }

    /// Room for one more subscription of the kind, which keeps so many bytes for `client`.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn enter(
        self: &Arc<Self>,
        kind: &'static str,
        bytes: usize,
        client: &Arc<Client>,
    ) -> Result<Entered, RpcError> {
        let entered = self.try_enter(kind, bytes, client);
        if let Err(error) = &entered
            && let Some(reason) = REFUSED.iter().position(|known| *known == error.kind())
            && let Some(refused) = self.refused.get(reason)
        {
            refused.fetch_add(1, Ordering::Relaxed);
        }
        entered
    }

    fn try_enter(
        self: &Arc<Self>,
        kind: &'static str,
        bytes: usize,
        client: &Arc<Client>,
    ) -> Result<Entered, RpcError> {
        let take = |what, amount| client.take(what, amount).map_err(ShareTaken::error);
        let of_client = [take(What::Subscriptions, 1)?, take(What::Memory, bytes)?];
        if !self.all.take(1) {
            let limit = self.all.limit();
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
            let limit = self.bytes.limit();
            return Err(fault::object(
                BUSY,
                format!("what subscriptions ask for takes {limit} bytes, as many as may be"),
                json!({ "kind": "subscription_memory", "limit": limit }),
            ));
        };
        Ok(Entered {
            place,
            _room: room,
            _of_client: of_client,
        })
    }

    /// Room for so many bytes, if there is any.
    pub(super) fn room(self: &Arc<Self>, bytes: usize) -> Option<Room> {
        self.bytes.take(bytes).then(|| Room {
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
        let refused = self.refused.iter().map(|it| it.load(Ordering::Relaxed));
        FeedCounts {
            open: KINDS.into_iter().zip(open).collect(),
            limit: self.all.limit(),
            bytes: self.bytes.taken(),
            limit_bytes: self.bytes.limit(),
            events: KINDS.into_iter().zip(events).collect(),
            views_run: self.views_run.load(Ordering::Relaxed),
            refused: REFUSED.into_iter().zip(refused).collect(),
        }
    }
}

fn count<T>(of: &[T; KINDS.len()], kind: usize, count: impl FnOnce(&T)) {
    if let Some(counter) = of.get(kind) {
        count(counter);
    }
}

/// Room for some bytes; dropping it gives them back.
#[derive(Debug)]
pub(super) struct Room {
    limits: Arc<Limits>,
    bytes: usize,
}

impl Room {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.limits.bytes.give_back(self.bytes);
    }
}

/// A subscription's place among those that may be; dropping it gives it up.
#[derive(Debug)]
pub(super) struct Entered {
    place: Entry,
    _room: Room,
    /// Its client's share.
    _of_client: [Taken; 2],
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
        self.limits.all.give_back(1);
        count(&self.limits.open, self.kind, |open| {
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::Clients;

    #[test]
    fn what_is_entered_is_given_back() {
        let limits = Arc::new(Limits::new(&ServerOptions {
            max_subscriptions: 2,
            subscription_memory: 100,
            ..ServerOptions::default()
        }));
        let client = Client::in_process();
        let enter = |kind, bytes| limits.enter(kind, bytes, &client);
        let refused = |kind, bytes| enter(kind, bytes).unwrap_err().kind().to_owned();
        let first = enter("heads", 60).unwrap();
        assert_eq!(refused("view", 41), "subscription_memory");
        let second = enter("view", 30).unwrap();
        assert_eq!(refused("view", 0), "too_many_subscriptions");
        assert!(limits.room(11).is_none());
        let room = limits.room(10).unwrap();
        let counts = limits.counts();
        let open = (counts.open[0].1, counts.open[2].1);
        assert_eq!((counts.bytes, open), (100, (1, 1)));
        assert_eq!(
            counts.refused.iter().map(|(_, count)| count).sum::<u64>(),
            2
        );
        drop((first, second, room));
        let counts = limits.counts();
        assert_eq!(counts.bytes, 0);
        assert!(counts.open.iter().all(|(_, open)| *open == 0));
        enter("writes", 100).unwrap();
    }

    #[test]
    fn a_client_that_has_its_share_leaves_room_to_others() {
        let options = ServerOptions {
            max_subscriptions: 4,
            subscription_memory: 100,
            ..ServerOptions::default()
        };
        let limits = Arc::new(Limits::new(&options));
        let clients = Arc::new(Clients::new(&options, 10));
        let [one, other] = [1, 2].map(|last| clients.at([192, 0, 2, last].into()));
        let long = limits.enter("view", 50, &one).unwrap();
        let kind = |refused: Result<Entered, RpcError>| refused.unwrap_err().kind().to_owned();
        assert_eq!(
            kind(limits.enter("view", 1, &one)),
            "client_subscription_memory"
        );
        let short = limits.enter("heads", 0, &one).unwrap();
        assert_eq!(kind(limits.enter("heads", 0, &one)), "client_subscriptions");
        let others = [25, 25].map(|bytes| limits.enter("view", bytes, &other).unwrap());
        drop(long);
        limits.enter("view", 50, &one).unwrap();
        let counts = limits.counts();
        assert_eq!(counts.bytes, 50);
        assert_eq!(counts.refused[2..].iter().map(|it| it.1).max(), Some(1));
        drop((short, others));
    }
}
