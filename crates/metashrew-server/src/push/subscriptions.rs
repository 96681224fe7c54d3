//! The subscriptions of one WebSocket, by the ids that its client knows them by.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::future::{AbortHandle, AbortRegistration, Abortable};
use futures_util::stream::unfold;
use parking_lot::Mutex;
use serde_json::json;

use crate::budget::BudgetExhausted;
use crate::fault::{self, RpcError};
use crate::feed::{Event, Feed, Receiver, Subscribe, Subscriber};

/// Those that are open, or about to be.
pub(super) struct Subscriptions {
    feed: Feed,
    receiver: Arc<Receiver>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many there were.
    count: u64,
    open: BTreeMap<u64, AbortHandle>,
}

impl Subscriptions {
    pub(super) fn new(feed: Feed, receiver: Receiver) -> Self {
        Self {
            feed,
            receiver: Arc::new(receiver),
            state: Mutex::default(),
        }
    }

    fn place(self: &Arc<Self>) -> Result<(Place, AbortRegistration), RpcError> {
        let limit = self.feed.max_per_connection();
        let mut state = self.state.lock();
        if state.open.len() >= limit {
            let message = format!("this connection has {limit} subscriptions, as many as it may");
            let data = json!({ "kind": "too_many_subscriptions", "limit": limit });
            return Err(fault::object(fault::BUSY, message, data));
        }
        state.count += 1;
        let id = state.count;
        let (handle, registration) = AbortHandle::new_pair();
        state.open.insert(id, handle);
        let place = Place {
            of: Arc::clone(self),
            id,
        };
        Ok((place, registration))
    }
}

/// A place among the subscriptions, left when it is dropped.
struct Place {
    of: Arc<Subscriptions>,
    id: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of.state.lock().open.remove(&self.id);
    }
}

/// What the calls of one message subscribe to. Nothing of it is told before the message is
/// answered: until then its client does not know the id.
pub(crate) struct Subscribing {
    of: Arc<Subscriptions>,
    begun: Mutex<Vec<Begun>>,
}

/// A subscription that is not told yet.
struct Begun {
    place: Place,
    subscriber: Subscriber,
    registration: AbortRegistration,
}

/// What is told of one subscription: each event with the subscription's id, until it is
/// ended by either side, or there is no room for one.
pub(super) type Told = Pin<Box<dyn Stream<Item = Result<(u64, Event), BudgetExhausted>> + Send>>;

impl Subscribing {
    pub(super) fn new(of: &Arc<Subscriptions>) -> Self {
        Self {
            of: Arc::clone(of),
            begun: Mutex::default(),
        }
    }

    /// Begins a subscription, and answers its id.
    pub(crate) async fn subscribe(&self, wanted: Subscribe) -> Result<String, RpcError> {
        let (place, registration) = self.of.place()?;
        let subscriber = self.of.feed.subscribe(wanted, &self.of.receiver).await?;
        let id = place.id.to_string();
        self.begun.lock().push(Begun {
            place,
            subscriber,
            registration,
        });
        Ok(id)
    }

    /// Ends a subscription, and answers whether there was one. Its place is free once its
    /// last event, if one is being sent, is sent.
    pub(crate) fn unsubscribe(&self, id: &str) -> bool {
        let state = self.of.state.lock();
        let open = id.parse().ok().and_then(|id: u64| state.open.get(&id));
        let ends = open.filter(|handle| !handle.is_aborted());
        ends.is_some_and(|handle| {
            handle.abort();
            true
        })
    }

    /// Ends what was begun: its ids will not be told.
    pub(crate) fn forget(&self) {
        let begun = std::mem::take(&mut *self.begun.lock());
        drop(begun);
    }

    /// What was begun, to be told from now on.
    pub(super) fn take(&self) -> impl Iterator<Item = Told> {
        let begun = std::mem::take(&mut *self.begun.lock());
        begun.into_iter().map(Begun::told)
    }
}

impl Begun {
    fn told(self) -> Told {
        let Self {
            place,
            subscriber,
            registration,
        } = self;
        let events = unfold(Some((place, subscriber)), |open| async {
            let (place, mut subscriber) = open?;
            let event = match subscriber.next().await {
                Ok(event) => event,
                Err(none) => return Some((Err(none), None)),
            };
            let id = place.id;
            let goes_on = !event.end;
            Some((Ok((id, event)), goes_on.then_some((place, subscriber))))
        });
        Box::pin(Abortable::new(events, registration))
    }
}
