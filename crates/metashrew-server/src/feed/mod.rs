//! What changes, told to whoever subscribes: `docs/subscriptions.md` is the contract.
//!
//! A [`Subscriber`] pulls: it has a position in the chain, and each event is made from the
//! store when it is asked for. There is no queue of events, so one that asks for none costs
//! no more than its place. The [`hub`] knows who waits for what, and wakes only them.

mod answers;
mod apart;
mod cache;
mod cursor;
mod event;
mod hub;
mod index;
mod keys;
mod limits;
mod look;
mod params;
mod part;
mod parts;
mod pending;
mod receiver;
mod scan;
mod subscriber;
mod undone;
mod upcoming;
mod view;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metashrew_runtime::MetashrewRuntime;
use tokio::sync::{Semaphore, watch};

use self::apart::apart;
pub(crate) use self::event::Event;
use self::hub::Hub;
pub(crate) use self::limits::{FeedCounts, Limits};
use self::params::Filter;
pub(crate) use self::params::Subscribe;
use self::part::Lengths;
pub(crate) use self::receiver::Receiver;
pub(crate) use self::subscriber::Subscriber;
use crate::fault::{self, RpcError};
use crate::offload::Offload;
use crate::options::ServerOptions;
use crate::params::invalid;

/// All subscriptions of a server. Clones share them.
#[derive(Clone)]
pub(crate) struct Feed {
    shared: Arc<Shared>,
}

/// What subscribers share.
struct Shared {
    runtime: MetashrewRuntime,
    hub: Hub,
    limits: Arc<Limits>,
    keys: keys::KeyCache,
    views: view::Views,
    /// Where long answers are read.
    offload: Offload,
    settings: Settings,
    /// How many may read the database at a time.
    readers: Arc<Semaphore>,
    /// Becomes true when the server stops.
    stop: watch::Receiver<bool>,
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    per_connection: usize,
    /// How often a subscriber is told where it stands.
    position_every: Duration,
    /// How often it is looked for another pending block.
    pending_every: Duration,
    lengths: Lengths,
}

/// Nothing is done more often than this, whatever the settings are.
const SHORTEST: Duration = Duration::from_millis(1);

/// Nothing is put off for longer: no clock goes further than a few hundred years.
const LONGEST: Duration = Duration::from_hours(24 * 365);

impl Feed {
    /// Nothing runs before the first subscription. `stop` becomes true, or its sender goes,
    /// when subscriptions are to end.
    pub(crate) fn new(
        runtime: MetashrewRuntime,
        options: &ServerOptions,
        limits: Arc<Limits>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let at_a_time = options.batch_parallel.get().min(Semaphore::MAX_PERMITS);
        Self {
            shared: Arc::new(Shared {
                hub: Hub::new(runtime.store()),
                runtime,
                limits,
                keys: keys::KeyCache::new(options.subscription_cache),
                views: view::Views::new(options.subscription_cache, at_a_time),
                offload: Offload::new(options.batch_parallel),
                settings: Settings {
                    per_connection: options.max_subscriptions_per_connection,
                    position_every: options.position_interval.clamp(SHORTEST, LONGEST),
                    pending_every: options.pending_interval.clamp(SHORTEST, LONGEST),
                    lengths: Lengths::new(options.max_response as usize, options.request_memory),
                },
                readers: Arc::new(Semaphore::new(at_a_time)),
                stop,
            }),
        }
    }

    /// Begins a subscription that `receiver` is told of. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// If there are as many as may be, of all or of its client, or its cursor cannot be resumed
    /// from.
    pub(crate) async fn subscribe(
        &self,
        wanted: Subscribe,
        receiver: &Arc<Receiver>,
    ) -> Result<Subscriber, RpcError> {
        self.shared.hub.start(&self.shared);
        Subscriber::begin(Arc::clone(&self.shared), wanted, Arc::clone(receiver)).await
    }

    /// How many subscriptions one connection may have.
    pub(crate) fn max_per_connection(&self) -> usize {
        self.shared.settings.per_connection
    }
}

impl Shared {
    /// Does what may take a while, such as reads of the database, on a thread: so many at a time.
    async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> T {
        let (shared, readers) = (Arc::clone(self), Arc::clone(&self.readers));
        apart(async move {
            let permit = readers.acquire_owned().await;
            let reading = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                read(&shared)
            });
            apart::done(reading.await).await
        })
        .await
    }

    /// Ends when the server stops.
    fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stop = self.stop.clone();
        async move {
            // A handle that is dropped stops the server, too.
            drop(stop.wait_for(|stopped| *stopped).await);
        }
    }

    /// Whether the guest has the view.
    fn check_view(&self, name: &str) -> Result<(), RpcError> {
        let found = self.runtime.check_view(name);
        found.map_err(|error| fault::of_view(&error))
    }

    /// What keys begin with that `filter` is for.
    fn prefix(&self, filter: Filter) -> Result<Bytes, RpcError> {
        let name = match filter {
            Filter::Prefix(prefix) => return Ok(prefix),
            Filter::Storage(name) => name,
        };
        let prefix = self.runtime.storage_prefix(&name);
        prefix.map(Bytes::copy_from_slice).ok_or_else(|| {
            let reason = format!("the guest tells of no storage `{name}`");
            invalid(Some("storage"), &reason)
        })
    }
}
