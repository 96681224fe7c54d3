//! Runs the calls of a batch side by side instead of one after the other.

use std::future::Future;
use std::num::NonZeroUsize;

use jsonrpsee::core::middleware::{Batch, BatchEntry, Notification, RpcServiceT};
use jsonrpsee::server::{BatchResponseBuilder, MethodResponse};
use jsonrpsee::types::{ErrorCode, ErrorObjectOwned, Id, Request};
use serde_json::json;
use tokio::task::JoinSet;
use tower::Layer;

use crate::fault::{self, BATCH_ANSWER_TOO_LONG};

/// How batches run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parallel {
    /// Calls of one batch that run at a time.
    pub(crate) calls: NonZeroUsize,
    /// Bytes of all answers together.
    pub(crate) max_response: u32,
}

impl<S> Layer<S> for Parallel {
    type Service = ParallelService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ParallelService {
            settings: *self,
            inner,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct ParallelService<S> {
    settings: Parallel,
    inner: S,
}

impl<S> RpcServiceT for ParallelService<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            BatchResponse = MethodResponse,
            NotificationResponse = MethodResponse,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.call(request)
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.notification(notification)
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let settings = self.settings;
        let mut calls = Calls {
            service: self.inner.clone(),
            running: JoinSet::new(),
            answers: Vec::new(),
        };
        async move {
            for entry in batch {
                match entry {
                    Ok(BatchEntry::Call(request)) => {
                        if calls.running.len() == settings.calls.get() {
                            calls.finish_one().await;
                        }
                        calls.start(request);
                    }
                    Ok(BatchEntry::Notification(_)) => {}
                    Err(invalid) => {
                        let (error, id) = invalid.into_parts();
                        calls
                            .answers
                            .push(Slot::Answered(MethodResponse::error(id, error)));
                    }
                }
            }
            while !calls.running.is_empty() {
                calls.finish_one().await;
            }
            join(calls.answers, settings.max_response)
        }
    }
}

/// The calls of one batch. Dropped with the connection's request, it ends those
/// that still run.
struct Calls<S> {
    service: S,
    running: JoinSet<(usize, MethodResponse)>,
    answers: Vec<Slot>,
}

/// An entry's place in the answer.
enum Slot {
    Running(Id<'static>),
    Answered(MethodResponse),
}

impl<S> Calls<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse> + Clone + Send + Sync + 'static,
{
    fn start(&mut self, request: Request<'_>) {
        let id = request.id.into_owned();
        let mut owned = Request::owned(
            request.method.into_owned(),
            request.params.map(std::borrow::Cow::into_owned),
            id.clone(),
        );
        *owned.extensions_mut() = request.extensions;
        let place = self.answers.len();
        self.answers.push(Slot::Running(id));
        let service = self.service.clone();
        self.running
            .spawn(async move { (place, service.call(owned).await) });
    }

    async fn finish_one(&mut self) {
        // A call that panicked leaves its place as it is: an internal error.
        if let Some(Ok((place, answer))) = self.running.join_next().await
            && let Some(slot) = self.answers.get_mut(place)
        {
            *slot = Slot::Answered(answer);
        }
    }
}

/// The batch's answer: all answers in the order of the calls.
fn join(answers: Vec<Slot>, max_response: u32) -> MethodResponse {
    if answers.is_empty() {
        return MethodResponse::notification();
    }
    let mut joined = BatchResponseBuilder::new_with_limit(max_response as usize);
    for slot in answers {
        let answer = match slot {
            Slot::Answered(answer) => answer,
            Slot::Running(id) => MethodResponse::error(id, ErrorCode::InternalError),
        };
        if joined.append(answer).is_err() {
            return MethodResponse::error(Id::Null, too_long(max_response));
        }
    }
    MethodResponse::from_batch(joined.finish())
}

fn too_long(limit: u32) -> ErrorObjectOwned {
    fault::object(
        BATCH_ANSWER_TOO_LONG,
        format!("the answers are longer than the limit of {limit} bytes together"),
        json!({ "kind": "batch_answer_too_long", "limit": limit }),
    )
}
