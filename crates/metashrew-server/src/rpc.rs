//! Answers JSON-RPC 2.0: the body of a request in, the body of its answer out.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use metashrew_runtime::{Chain, MetashrewRuntime};

use crate::answer::Answer;
use crate::caller::Caller;
use crate::discovery::Discovery;
use crate::fault::{self, RpcError};
use crate::method::{Call, Context};
use crate::offload::Offload;
use crate::options::ServerOptions;
use crate::parallel::{self, Bounds, Stopped};
use crate::refusal::Refusal;
use crate::request::{Entry, Id, Request};
use crate::requests::RequestCounts;
use crate::telemetry::Telemetry;

/// All methods, and what requests may have. Clones share it.
#[derive(Clone)]
pub(crate) struct Rpc {
    context: Arc<Context>,
    requests: Arc<RequestCounts>,
}

impl Rpc {
    pub(crate) fn new(
        runtime: MetashrewRuntime,
        telemetry: Arc<Telemetry>,
        requests: Arc<RequestCounts>,
        options: &ServerOptions,
    ) -> Self {
        let context = Context {
            discovery: Discovery::new(&runtime),
            runtime,
            height_compat: options.height_compat,
            bounds: Bounds {
                at_a_time: options.batch_parallel,
                max_length: options.max_response as usize,
            },
            max_batch: options.max_batch,
            telemetry,
            offload: Offload::new(options.batch_parallel),
        };
        Self {
            context: Arc::new(context),
            requests,
        }
    }

    /// What there is to call.
    pub(crate) fn discovery(&self) -> &Discovery {
        &self.context.discovery
    }

    /// The answer to a request; none if it is nothing but notifications. Its caller's lease
    /// holds the parts of an answer until all are there. Dropping the future ends the views
    /// under way.
    pub(crate) async fn answer(&self, body: Bytes, caller: &Caller) -> Option<Answer> {
        let (length, max_batch) = (body.len(), self.context.max_batch);
        let read = move || {
            Request::parse(&body, max_batch, |method, params| {
                Call::new(method, params, &body)
            })
        };
        match self.context.offload.run(length, read).await {
            Err(error) | Ok(Request::Refused(error)) => Some(self.refusal(error)),
            Ok(Request::One(entry)) => self.entry(entry, None, caller).await,
            Ok(Request::Batch(entries)) => self.batch(entries, caller).await,
        }
    }

    /// What the methods work on.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// The outcome of a call that came as no JSON-RPC, counted as one of `method`. A panic is
    /// an error of this call alone.
    pub(crate) async fn counted<T>(
        &self,
        method: &'static str,
        call: impl Future<Output = Result<T, RpcError>>,
    ) -> Result<T, RpcError> {
        self.requests.count(method);
        let outcome = AssertUnwindSafe(call).catch_unwind().await;
        outcome.unwrap_or(Err(RpcError::INTERNAL))
    }

    /// The answer to a request of which nothing is known but what is wrong with it.
    pub(crate) fn refusal(&self, error: RpcError) -> Answer {
        self.written(&Id::NULL, Err(error))
    }

    /// The answer to one call, if it gets any. A panic is an error of this call alone.
    async fn entry(
        &self,
        entry: Entry<Call>,
        batch: Option<&Chain>,
        caller: &Caller,
    ) -> Option<Answer> {
        let (id, call) = match entry {
            Entry::Notification => return None,
            Entry::Invalid { id } => return Some(self.written(&id, Err(RpcError::INVALID))),
            Entry::Call { id, call } => (id, call),
        };
        self.requests.count(call.method());
        let answer = AssertUnwindSafe(call.answer(&self.context, batch, caller));
        let answer = answer.catch_unwind().await;
        let answer = self.written(&id, answer.unwrap_or(Err(RpcError::INTERNAL)));
        Some(match batch {
            // Parts of a batch are settled when all are there.
            Some(_) => answer,
            None => self.settled(answer, &id, caller),
        })
    }

    /// The answers to a batch, all on one moment of the chain, in the order of its calls.
    async fn batch(&self, mut entries: Vec<Entry<Call>>, caller: &Caller) -> Option<Answer> {
        entries.retain(|entry| !matches!(entry, Entry::Notification));
        if entries.is_empty() {
            return None;
        }
        let chain = self.context.runtime.chain();
        let (rpc, under) = (self.clone(), caller.clone());
        let answers = parallel::run(entries, self.context.bounds, &caller.lease, move |entry| {
            let (rpc, chain, caller) = (rpc.clone(), chain.clone(), under.clone());
            async move {
                let answer = rpc.entry(entry, Some(&chain), &caller).await;
                let answer = answer.unwrap_or_default();
                let size = answer.size();
                (answer, size)
            }
        });
        let limit = self.context.bounds.max_length;
        let joined = answers.await.and_then(|answers| {
            let internal = || self.refusal(RpcError::INTERNAL);
            let answers = answers.into_iter();
            let joined = Answer::array(answers.map(|answer| answer.unwrap_or_else(internal)));
            (joined.len() <= limit)
                .then_some(joined)
                .ok_or(Stopped::TooLong)
        });
        let joined = joined.unwrap_or_else(|stopped| {
            caller.forget();
            self.refusal(fault::of_stopped(stopped, limit))
        });
        Some(self.settled(joined, &Id::NULL, caller))
    }

    /// The answer to a request that is refused after it came.
    pub(crate) fn refused(&self, body: &[u8], error: RpcError) -> Answer {
        let read = Request::parse(body, self.context.max_batch, |_, _| ());
        let id = match read {
            Request::One(Entry::Call { id, .. }) => id,
            _ => Id::NULL,
        };
        self.written(&id, Err(error))
    }

    /// The answer, if there is room for it. Over HTTP the status says that there is none; else
    /// an error in its place does.
    fn settled(&self, answer: Answer, id: &Id, caller: &Caller) -> Answer {
        if caller.subscribing.is_none() {
            return answer;
        }
        match caller.lease.settle(answer.held()) {
            Ok(()) => answer,
            Err(none) => {
                caller.forget();
                self.written(id, Err(Refusal::from(none).error()))
            }
        }
    }

    fn written(&self, id: &Id, outcome: Result<Answer, RpcError>) -> Answer {
        let answer = enveloped(id, outcome);
        let (length, limit) = (answer.len(), self.context.bounds.max_length);
        if length <= limit {
            return answer;
        }
        enveloped(id, Err(fault::answer_too_long(length, limit)))
    }
}

fn enveloped(id: &Id, outcome: Result<Answer, RpcError>) -> Answer {
    let mut answer = Answer::text("{\"jsonrpc\":\"2.0\",\"id\":");
    answer.push(id.as_json());
    match outcome {
        Ok(result) => {
            answer.push(",\"result\":");
            answer.append(result);
        }
        Err(error) => {
            answer.push(",\"error\":");
            answer.push_json(&error);
        }
    }
    answer.push("}");
    answer
}
