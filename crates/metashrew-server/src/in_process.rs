//! The methods without a transport, for fuzzers and tests.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metashrew_runtime::MetashrewRuntime;

use crate::budget::Budget;
use crate::caller::Caller;
use crate::connections::Connection;
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
}

impl InProcess {
    /// Over a runtime.
    pub fn new(runtime: MetashrewRuntime, options: &ServerOptions) -> Self {
        let requests = Arc::new(RequestCounts::default());
        let telemetry = Arc::new(Telemetry::new(
            runtime.clone(),
            options.indexing.clone(),
            options.ready_within,
            Arc::clone(&requests),
            Transport::new(options),
        ));
        let budget = Arc::new(Budget::new(usize::MAX, Duration::ZERO));
        Self {
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
}
