//! View calls of which it is known what they read: on a fresh instance, so that every read is
//! asked of the host.

use std::mem;
use std::pin::pin;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::Instrument;

use super::call::{Route, ViewAnswer, ViewCall};
use super::engine::ViewEngine;
use super::request::Request;
use crate::context::Call;
use crate::error::ViewError;
use crate::observe::Watch;
use crate::reads::{Collector, ViewReads};

/// What came of a call, and what it read. See
/// [`MetashrewRuntime::recorded_call`](crate::MetashrewRuntime::recorded_call).
#[derive(Debug)]
pub struct Recorded {
    /// As that of any call.
    pub outcome: Result<ViewAnswer, ViewError>,
    /// What the outcome rests on. None if that is not known: the call read more than
    /// [`max_recorded_reads`](crate::ViewOptions::max_recorded_reads), or it failed for
    /// something else than what it read, such as time or memory. Then the next one may have
    /// another outcome, whatever is written.
    pub reads: Option<ViewReads>,
}

/// Collects what the last run of a request reads.
pub(super) struct Recording {
    limit: usize,
    run: Arc<Mutex<Collector>>,
}

impl Recording {
    fn up_to(limit: usize) -> Self {
        Self {
            limit,
            run: Arc::new(Mutex::new(Collector::up_to(limit))),
        }
    }

    /// Has a run watched that is about to begin. What earlier ones read counts no more.
    pub(super) fn watch(&mut self, call: Call) -> Call {
        *self = Self::up_to(self.limit);
        call.watched(Watch::by(&self.run))
    }

    /// Bytes that it may hold.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    fn finish(self) -> Option<ViewReads> {
        mem::take(&mut *self.run.lock()).finish()
    }
}

impl ViewEngine {
    /// Answers a call on a fresh instance, and tells what it read.
    pub(crate) async fn record(&self, call: ViewCall<'_>) -> Recorded {
        let call = ViewCall {
            route: Route::Fresh,
            ..call
        };
        let mut request = Request::new(self, &call, true);
        request.record(Recording::up_to(self.options.max_recorded_reads));
        let span = request.span();
        let outcome = pin!(request.ask(call)).instrument(span).await;
        self.tell_failure(call.function, call.at, &outcome);
        let reads = request.take_recording().and_then(Recording::finish);
        let rests_on_reads = outcome.as_ref().err().is_none_or(ViewError::rests_on_reads);
        Recorded {
            outcome: request.finish(outcome, false),
            reads: reads.filter(|_| rests_on_reads),
        }
    }
}
