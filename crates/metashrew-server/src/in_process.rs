//! The methods without a transport, for fuzzers and tests.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metashrew_runtime::MetashrewRuntime;
use tokio::sync::watch;

use crate::budget::Budget;
use crate::caller::Caller;
use crate::clients::Client;
use crate::connections::Connection;
use crate::fault::RpcError;
use crate::feed::{Feed, Receiver, Subscribe, Subscriber};
use crate::options::ServerOptions;
use crate::requests::RequestCounts;
use crate::rpc::Rpc;
use crate::telemetry::{Telemetry, Transport};

/// What a [`Server`](crate::Server) of the same options answers, without HTTP.
#[derive(Clone)]
pub struct InProcess {
    rpc: Rpc,
    /// Its memory has no limit.
    caller: Caller,
    feed: Feed,
    budget: Arc<Budget>,
    connection: Arc<Connection>,
    stop: Arc<watch::Sender<bool>>,
}

/// A subscription without a transport.
pub struct InProcessSubscription {
    subscriber: Subscriber,
    /// As long as it is held, the server is not gone.
    _stop: Arc<watch::Sender<bool>>,
}

/// Something that it is told.
#[derive(Debug, Clone)]
pub struct InProcessEvent {
    /// From where to resume, if this is the last part of an event.
    pub cursor: Option<String>,
    /// Its JSON.
    pub data: Bytes,
    /// Whether it is the last event.
    pub end: bool,
}

impl InProcessSubscription {
    /// What it is told next. Dropping the future loses nothing.
    pub async fn next(&mut self) -> InProcessEvent {
        let event = self
            .subscriber
            .next()
            .await
            .expect("its memory has no limit");
        InProcessEvent {
            cursor: event.cursor.map(|cursor| cursor.to_string()),
            data: event.data,
            end: event.end,
        }
    }
}

impl InProcess {
    /// Over a runtime.
    pub fn new(runtime: MetashrewRuntime, options: &ServerOptions) -> Self {
        let requests = Arc::new(RequestCounts::default());
        let transport = Transport::new(options);
        let limits = Arc::clone(&transport.subscriptions);
        let telemetry = Arc::new(Telemetry::new(
            runtime.clone(),
            options.indexing.clone(),
            options.ready_within,
            Arc::clone(&requests),
            transport,
        ));
        let budget = Arc::new(Budget::new(usize::MAX, Duration::ZERO));
        let connection = Arc::new(Connection::new([127, 0, 0, 1].into()));
        let (stop, stopped) = watch::channel(false);
        Self {
            feed: Feed::new(runtime.clone(), options, limits, stopped),
            stop: Arc::new(stop),
            rpc: Rpc::new(runtime, telemetry, requests, options),
            caller: Caller::over_http(budget.lease(&connection)),
            budget,
            connection,
        }
    }

    /// The answer to a request's body; none if it is nothing but notifications. Needs a
    /// tokio runtime.
    pub async fn answer(&self, body: Bytes) -> Option<Vec<u8>> {
        let answer = self.rpc.answer(body, &self.caller).await;
        answer.map(crate::answer::Answer::into_bytes)
    }

    /// Begins what `metashrew_subscribe` of these parameters does. Needs a tokio runtime.
    ///
    /// # Errors
    /// The error's JSON.
    pub async fn subscribe(&self, params: &str) -> Result<InProcessSubscription, String> {
        let text = |error: RpcError| serde_json::json!(error).to_string();
        let wanted = Subscribe::from_json(Some(params)).map_err(text)?;
        let receiver = Receiver::new(&Client::in_process(), &self.budget, &self.connection);
        let subscriber = self.feed.subscribe(wanted, &Arc::new(receiver)).await;
        Ok(InProcessSubscription {
            subscriber: subscriber.map_err(text)?,
            _stop: Arc::clone(&self.stop),
        })
    }

    /// Ends all subscriptions, as a server does that stops.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}
