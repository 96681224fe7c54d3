//! What is pushed: how many connections are open for it, no more than may be, and how much
//! went over them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::clients::{Client, Taken};
use crate::meter::Meter;

/// How something is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    WebSocket,
    EventStream,
}

impl Way {
    const ALL: [Self; 2] = [Self::WebSocket, Self::EventStream];

    const fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::EventStream => "event_stream",
        }
    }
}

/// Counts of all connections that something is pushed over.
#[derive(Debug)]
pub(crate) struct PushCounts {
    open: Meter,
    by_way: [OfWay; Way::ALL.len()],
}

#[derive(Debug, Default)]
struct OfWay {
    open: AtomicUsize,
    bytes: AtomicU64,
}

impl PushCounts {
    /// Of so many connections. The rest of them stays for calls.
    pub(crate) fn new(connections: usize) -> Self {
        Self {
            open: Meter::new((connections - connections / 4).max(1)),
            by_way: Default::default(),
        }
    }

    /// How many connections may be open for it.
    pub(crate) fn limit(&self) -> usize {
        self.open.limit()
    }

    /// How many connections are open, each way.
    pub(crate) fn open(&self) -> impl Iterator<Item = (&'static str, usize)> {
        self.each(|way| way.open.load(Ordering::Relaxed))
    }

    /// Bytes of the events that were written, each way.
    pub(crate) fn bytes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.each(|way| way.bytes.load(Ordering::Relaxed))
    }

    fn each<T>(&self, read: impl Fn(&OfWay) -> T) -> impl Iterator<Item = (&'static str, T)> {
        let words = Way::ALL.map(Way::as_str).into_iter();
        words.zip(self.by_way.iter().map(read))
    }

    fn of(&self, way: Way) -> &OfWay {
        let [web_socket, event_stream] = &self.by_way;
        match way {
            Way::WebSocket => web_socket,
            Way::EventStream => event_stream,
        }
    }

    /// One more connection, unless there are as many as may be.
    pub(crate) fn begin(self: &Arc<Self>, way: Way, of_client: Taken) -> Option<Pushing> {
        if !self.open.take(1) {
            return None;
        }
        self.of(way).open.fetch_add(1, Ordering::Relaxed);
        Some(Pushing {
            counts: Arc::clone(self),
            way,
            of_client,
        })
    }
}

/// A connection that something is pushed over.
#[derive(Debug)]
pub(crate) struct Pushing {
    counts: Arc<PushCounts>,
    way: Way,
    /// Its client's share.
    of_client: Taken,
}

impl Pushing {
    /// Whom it is pushed to.
    pub(super) fn client(&self) -> &Arc<Client> {
        self.of_client.client()
    }

    /// An event of so many bytes was written.
    pub(super) fn wrote(&self, bytes: usize) {
        let of = self.counts.of(self.way);
        of.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Drop for Pushing {
    fn drop(&mut self) {
        self.counts.open.give_back(1);
        let of = self.counts.of(self.way);
        of.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::What;

    #[test]
    fn a_quarter_of_the_connections_is_left_for_calls() {
        let check = |connections: usize, expect: usize| {
            let counts = Arc::new(PushCounts::new(connections));
            assert_eq!(counts.limit(), expect, "{connections}");
            let client = Client::in_process();
            let begin = |way| counts.begin(way, client.take(What::Streams, 1).unwrap());
            let all: Vec<_> = (0..expect).map(|_| begin(Way::WebSocket)).collect();
            assert!(all.iter().all(Option::is_some));
            assert!(begin(Way::EventStream).is_none());
            drop(all);
            assert!(begin(Way::EventStream).is_some());
            assert!(counts.open().all(|(_, open)| open == 0));
        };
        check(512, 384);
        check(2, 2);
        check(1, 1);
        check(0, 1);
    }
}
