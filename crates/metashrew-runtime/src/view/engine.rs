//! Answers view calls: who may run, on which instance, and what becomes of it.

mod start;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metashrew_store::{BlockHash, BlockRecord, State, Store};
use tracing::Instrument;

use super::budget::Budget;
use super::call::{Basis, ViewAnswer, ViewAt, ViewCall};
use super::chain::{CallContext, Chain, Position};
use super::check::{Checks, Rerun, ViewDifference};
use super::failures::Failures;
use super::kept::{Maker, ViewPool};
use super::key::{Moment, Pin, PinnedTo};
use super::pending::{Fetch, Pending, PendingOffer};
use super::per_view::{PerView, ViewCount};
use super::pool::{Pool, PoolSize};
use super::request::Request;
use super::session::Sessions;
use super::sizes::Sizes;
use super::stats::ViewStats;
use crate::deadline::Alarms;
use crate::error::ViewError;
use crate::fault::Fault;
use crate::guest::{Guest, View};
use crate::options::{Scope, ViewInstances, ViewMode, ViewOptions, cores};
use crate::ticker::{Ticker, Ticking};
use start::Start;

/// Shards for each core: threads that take turns to one are rare then.
const SHARDS_PER_CORE: usize = 2;

/// All that views need. Shared by every caller; holds no call's context.
pub(crate) struct ViewEngine {
    pub(super) guest: Arc<Guest>,
    pub(super) store: Store,
    pub(super) options: ViewOptions,
    pub(super) sizes: Sizes,
    /// Bytes of memory that an instance begins with.
    least: usize,
    pub(super) pool: Arc<ViewPool>,
    pub(super) maker: Maker,
    pub(super) sessions: Sessions,
    pub(super) alarms: Arc<Alarms>,
    /// Ends its thread, which needs epoch ticks for that, before what it uses is gone.
    pub(super) checks: Checks,
    failures: Failures,
    pending: Pending,
    ticking: Ticking,
    start: Start,
}

/// What a call asks, and what it stands on.
pub(super) struct Question<'a> {
    pub(super) view: View<'a>,
    pub(super) input: &'a [u8],
    pub(super) position: Arc<Position>,
    pub(super) pin: Pin,
    /// Whether the block asked about is the newest one.
    pub(super) follows_tip: bool,
}

impl Question<'_> {
    pub(super) fn moment(&self) -> Moment {
        Moment {
            generation: self.position.generation,
            tip: self.position.tip.height,
        }
    }

    pub(super) fn answered(&self, bytes: Bytes, session_call: Option<u64>) -> ViewAnswer {
        ViewAnswer {
            bytes,
            block: self.position.block,
            tip: self.position.tip,
            session_call,
            pending: self.position.pending,
            guest_sha256: self.position.guest_sha256,
        }
    }
}

impl ViewEngine {
    /// An engine with stateful views off; [`ViewEngine::enable`] turns them on.
    pub(crate) fn new(
        guest: Arc<Guest>,
        store: Store,
        options: ViewOptions,
        ticking: Ticking,
    ) -> Self {
        let least = guest.least_memory();
        let sizes = Sizes::of(&options).for_guest(&options, least);
        let slots = usize::try_from(sizes.slots).unwrap_or(usize::MAX);
        let budget = Budget::new(sizes.shares(&options, least), slots);
        let size = PoolSize {
            permits: options.instances.get(),
            queue: options.queue,
            shards: cores().get().saturating_mul(SHARDS_PER_CORE),
        };
        let per_view = PerView::of(guest.views_by_number());
        let pool = Pool::new(size, budget, &per_view, ticking.clone());
        let alarms = Alarms::new(&ticking);
        let maker = Maker {
            guest: Arc::clone(&guest),
            pool: Arc::clone(&pool),
            limit: sizes.one_instance,
            alarms: Arc::clone(&alarms),
            reads_may_wait: store.reads_may_wait(),
        };
        let rerun = Rerun {
            maker: maker.clone(),
            ticking: ticking.clone(),
            timeout: options.timeout,
            max_output: options.max_output,
            guest_caches: sizes.guest_caches,
        };
        let engine = Self {
            checks: Checks::new(rerun, &options),
            failures: Failures::of(guest.view_count()),
            pending: Pending::new(maker.clone(), sizes, &options, ticking.clone()),
            guest,
            alarms,
            store,
            pool,
            maker,
            sessions: Sessions::new(options.sessions, options.queue),
            start: Start::default(),
            ticking,
            sizes,
            least,
            options,
        };
        if let Err(error) = engine.check_guest() {
            tracing::warn!("no view can be answered: {error}");
        }
        engine
    }

    /// What is to be done at every epoch tick; it tells whether anything goes on.
    pub(crate) fn at_tick(&self) -> impl Fn() -> bool + Send + use<> {
        let pool = Arc::downgrade(&self.pool);
        let alarms = Arc::clone(&self.alarms);
        move || {
            let is_busy = pool.upgrade().is_some_and(|pool| pool.busy() > 0);
            alarms.tick() | is_busy
        }
    }

    /// Has the thread that advances the epochs look after what runs beside the calls.
    pub(crate) fn ticking(&self) -> &Ticking {
        &self.ticking
    }

    pub(crate) fn view_counts(&self) -> Vec<ViewCount> {
        let mut counts = self.pool.tally().per_view.into_counts();
        self.checks.count(&mut counts);
        counts
    }

    pub(crate) fn differences(&self) -> Vec<ViewDifference> {
        self.checks.differences()
    }

    pub(crate) fn stats(&self) -> ViewStats {
        let (pool, tally) = (&self.pool, self.pool.tally());
        let budget = pool.budget();
        ViewStats {
            enabled: pool.is_enabled(),
            start_failure: self.start.failure.lock().clone(),
            instances: pool.permits(),
            queue: pool.queue().limit(),
            calls: tally.calls,
            errors: tally.errors,
            dropped: tally.dropped,
            latency: tally.latency,
            idle: pool.idle(),
            busy: pool.busy(),
            waiting: pool.queue().len() + self.sessions.waiting() + budget.waiting(),
            sessions: self.sessions.len(),
            memory: budget.used(),
            memory_limit: budget.limit(),
            checks: self.checks.total(),
        }
    }

    /// Answers a call. With `yields` the guest runs on a fibre that gives way to other
    /// tasks at every epoch tick; else it keeps the thread to its end. Where reads may be
    /// pending it runs on a fibre in both cases, and gives way for them. Dropping the
    /// future ends the call.
    pub(crate) async fn ask(
        &self,
        call: ViewCall<'_>,
        yields: bool,
    ) -> Result<ViewAnswer, ViewError> {
        let mut request = Request::new(self, &call, yields);
        let span = request.span();
        let (function, at) = (call.function, call.at);
        // Pinned: it is large, and would be moved.
        let answer = pin!(request.ask(call)).instrument(span).await;
        self.tell_failure(function, at, &answer);
        request.finish(answer, false)
    }

    /// Runs `block` on top of the call's block, then the view on that, both on
    /// instances of their own; nothing is kept.
    pub(crate) async fn preview(
        &self,
        block: Bytes,
        call: ViewCall<'_>,
        yields: bool,
    ) -> Result<ViewAnswer, ViewError> {
        let mut request = Request::new(self, &call, yields);
        let span = request.span();
        let (function, at) = (call.function, call.at);
        let answer = pin!(request.preview(block, call)).instrument(span).await;
        // A block that the caller made up may fail in the guest: no view has then run.
        if request.has_reached_view() {
            self.tell_failure(function, at, &answer);
        }
        request.finish(answer, true)
    }

    pub(super) fn tell_failure(
        &self,
        function: &str,
        at: Basis<'_>,
        answer: &Result<ViewAnswer, ViewError>,
    ) {
        if let Err(error) = answer
            && let Ok(view) = self.guest.view(function)
        {
            self.failures.tell(view.index, function, at, error);
        }
    }

    /// The chain as it is now.
    pub(crate) fn chain(&self) -> Chain {
        let snapshot = self.store.snapshot();
        Chain::new(snapshot, self.pending.current(), self.guest.sha256)
    }

    /// Has the epochs advance for as long as anything runs.
    pub(crate) fn keep_epochs(&self, epochs: Ticker) {
        self.pending.keep_epochs(epochs);
    }

    /// Offers the block that `fetch` brings: see
    /// [`MetashrewRuntime::offer_pending`](crate::MetashrewRuntime::offer_pending).
    pub(crate) fn offer_pending(
        &self,
        parent: BlockHash,
        fetch: Fetch,
    ) -> Result<PendingOffer, ViewError> {
        self.pending.offer(&self.store, parent, fetch)
    }

    pub(crate) fn withdraw_pending(&self) {
        self.pending.withdraw();
    }

    /// What a call stands on.
    pub(super) async fn resolve(&self, at: Basis<'_>) -> Result<CallContext, ViewError> {
        match at {
            Basis::Newest(ViewAt::Pending) => self.chain().into_at(ViewAt::Pending).await,
            Basis::Newest(at) => {
                let chain = Chain::new(self.store.snapshot(), None, self.guest.sha256);
                chain.into_at(at).await
            }
            Basis::In(chain, at) => chain.at(at).await,
            Basis::Resolved(context) => Ok(context.clone()),
        }
    }

    /// Looks up what a call asks, and the state that answers it.
    pub(super) async fn question<'a>(
        &self,
        call: &ViewCall<'a>,
    ) -> Result<(Question<'a>, State), ViewError> {
        let view = self.guest.view(call.function)?;
        let (state, position) = self.resolve(call.at).await?.into_parts();
        let to = match position.pending {
            Some(pending) => PinnedTo::Pending(pending.number),
            None => self.pinned_to(&position.block),
        };
        let generation = position.generation;
        let question = Question {
            view,
            input: call.input,
            pin: Pin { generation, to },
            follows_tip: position.block.hash == position.tip.hash,
            position,
        };
        Ok((question, state))
    }

    /// Whether one instance answers about every block of a chain.
    fn serves_any_block(&self) -> bool {
        match self.options.scope {
            Scope::Auto => self.guest.height_partitioned,
            Scope::Block => false,
            Scope::Shared => true,
        }
    }

    /// Which instances answer a view, as it was settled at the start.
    pub(crate) fn instances_of(&self, view: &str) -> ViewInstances {
        let is_fresh = self.options.modes.get(view) == Some(&ViewMode::Fresh);
        if is_fresh || !self.options.enabled {
            ViewInstances::Fresh
        } else if self.serves_any_block() {
            ViewInstances::Shared
        } else {
            ViewInstances::Pinned
        }
    }

    fn pinned_to(&self, block: &BlockRecord) -> PinnedTo {
        if self.serves_any_block() {
            PinnedTo::Chain
        } else {
            PinnedTo::Block {
                height: block.height,
                hash: block.hash,
            }
        }
    }

    /// Whether a call with that input can be answered at all.
    pub(super) fn check(&self, input: &[u8]) -> Result<(), ViewError> {
        let (length, limit) = (input.len(), self.options.max_input);
        if length > limit {
            return Err(ViewError::InputTooLong { length, limit });
        }
        self.check_guest()
    }

    fn check_guest(&self) -> Result<(), ViewError> {
        let (least, limit) = (self.least, self.sizes.one_instance);
        if least > limit {
            return Err(ViewError::GuestTooLarge { least, limit });
        }
        Ok(())
    }

    /// The error of a call that might run for `timeout`.
    pub(super) fn error(&self, fault: Fault, timeout: Duration) -> ViewError {
        match fault {
            Fault::Starved { wanted } => self.pool.busy_error(wanted, 0),
            fault => fault.into_view_error(timeout),
        }
    }
}
