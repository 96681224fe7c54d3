//! Runs the calls of a batch side by side instead of one after the other, all on
//! one moment of the chain.

use std::future::Future;
use std::sync::Arc;

use jsonrpsee::core::middleware::{Batch, BatchEntry, Notification, RpcServiceT};
use jsonrpsee::server::{BatchResponseBuilder, MethodResponse};
use jsonrpsee::types::{ErrorCode, Id, Request};
use metashrew_runtime::{Chain, MetashrewRuntime};
use tower::Layer;

use crate::fault;
use crate::parallel::{self, Bounds};
use crate::requests::RequestCounts;

/// How batches run.
#[derive(Clone)]
pub(crate) struct Parallel {
    pub(crate) bounds: Bounds,
    pub(crate) runtime: MetashrewRuntime,
    pub(crate) requests: Arc<RequestCounts>,
}

impl<S> Layer<S> for Parallel {
    type Service = ParallelService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ParallelService {
            settings: self.clone(),
            inner,
        }
    }
}

#[derive(Clone)]
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
        self.settings.requests.count(&request.method);
        self.inner.call(request)
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.notification(notification)
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let Parallel {
            bounds, runtime, ..
        } = self.settings.clone();
        // What all of them stand on is an extension of their requests.
        let chain = runtime.chain();
        let entries = batch
            .into_iter()
            .filter_map(|entry| Entry::read(entry, &chain));
        let (ids, entries): (Vec<_>, Vec<_>) = entries.unzip();
        let service = self.clone();
        async move {
            if entries.is_empty() {
                return MethodResponse::notification();
            }
            let answers = parallel::run(entries, bounds, move |entry| {
                let service = service.clone();
                async move {
                    let answer = match entry {
                        Entry::Call(request) => service.call(request).await,
                        Entry::Invalid(answer) => answer,
                    };
                    let length = answer.as_json().get().len();
                    (answer, length)
                }
            })
            .await;
            answers
                .ok()
                .and_then(|answers| join(ids, answers, bounds.max_length))
                .unwrap_or_else(|| {
                    let error = fault::batch_answer_too_long(bounds.max_length);
                    MethodResponse::error(Id::Null, error)
                })
        }
    }
}

/// An entry of a batch that gets an answer.
enum Entry {
    Call(Request<'static>),
    Invalid(MethodResponse),
}

impl Entry {
    /// With its id; none if it is a notification.
    fn read(
        entry: Result<BatchEntry<'_>, jsonrpsee::core::middleware::BatchEntryErr<'_>>,
        chain: &Chain,
    ) -> Option<(Id<'static>, Self)> {
        match entry {
            Ok(BatchEntry::Call(request)) => {
                let id = request.id.into_owned();
                let mut owned = Request::owned(
                    request.method.into_owned(),
                    request.params.map(std::borrow::Cow::into_owned),
                    id.clone(),
                );
                *owned.extensions_mut() = request.extensions;
                owned.extensions_mut().insert(chain.clone());
                Some((id, Self::Call(owned)))
            }
            Ok(BatchEntry::Notification(_)) => None,
            Err(invalid) => {
                let (error, id) = invalid.into_parts();
                let answer = MethodResponse::error(id.clone(), error);
                Some((id.into_owned(), Self::Invalid(answer)))
            }
        }
    }
}

/// The batch's answer: all answers in the order of the calls; none if it is too long.
fn join(
    ids: Vec<Id<'static>>,
    answers: Vec<Option<MethodResponse>>,
    max_length: usize,
) -> Option<MethodResponse> {
    let mut joined = BatchResponseBuilder::new_with_limit(max_length);
    for (id, answer) in ids.into_iter().zip(answers) {
        let answer = answer.unwrap_or_else(|| MethodResponse::error(id, ErrorCode::InternalError));
        joined.append(answer).ok()?;
    }
    Some(MethodResponse::from_batch(joined.finish()))
}
