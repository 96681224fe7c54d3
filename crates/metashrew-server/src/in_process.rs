//! The methods without a transport, for fuzzers and tests.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metashrew_runtime::MetashrewRuntime;

use crate::budget::Budget;
use crate::caller::Caller;
use crate::connections::Connection;
use crate::fault::RpcError;
use crate::feed::{Feed, Subscribe, Subscriber, Turns};
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
}

/// A subscription without a transport.
pub struct InProcessSubscription(Subscriber);

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
        let event = self.0.next().await;
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
        Self {
            feed: Feed::new(runtime.clone(), options, limits, None),
            rpc: Rpc::new(runtime, telemetry, requests, options),
            caller: Caller::over_http(budget.lease(&Arc::new(Connection::new()))),
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
        let subscriber = self
            .feed
            .subscribe(wanted, &Turns::new())
            .await
            .map_err(text)?;
        Ok(InProcessSubscription(subscriber))
    }
}
