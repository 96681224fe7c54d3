//! Answers view calls: who may run, on which instance, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metashrew_store::{BlockHash, BlockRecord, State, Store, wait};
use parking_lot::Mutex;
use tracing::Instrument;

use super::call::{Basis, Route, ViewAnswer, ViewAt, ViewCall};
use super::chain::{CallContext, Chain, Position};
use super::desk::Desk;
use super::failures::Failures;
use super::idle::{Pin, PinnedTo};
use super::pending::{Fetch, Pending, PendingOffer};
use super::per_view::{PerView, ViewCount};
use super::room::Room;
use super::session::{Session, Sessions};
use super::stats::ViewStats;
use super::terms::Wanted;
use super::visit::Visit;
use crate::context::Call;
use crate::deadline::{Alarms, Deadline};
use crate::engine::Ticker;
use crate::error::ViewError;
use crate::fault::Fault;
use crate::guest::{Guest, Linked, View};
use crate::instance::Instance;
use crate::limits::Allowance;
use crate::options::{Scope, ViewOptions};

/// All that views need. Shared by every caller; holds no call's context.
pub(crate) struct ViewEngine {
    pub(super) guest: Arc<Guest>,
    pub(super) store: Store,
    pub(super) options: ViewOptions,
    pub(super) room: Room,
    pub(super) desk: Arc<Desk>,
    pub(super) sessions: Sessions,
    failures: Failures,
    /// For calls that wait for reads; none if the store's reads never may be pending. Calls
    /// run on fibres where there are some.
    pub(super) alarms: Option<Arc<Alarms>>,
    pending: Pending,
    /// Held by whoever makes an instance without a place: there is room for one.
    aside: Mutex<()>,
}

/// What a call asks, and what it stands on.
pub(super) struct Question<'a> {
    pub(super) view: View<'a>,
    pub(super) input: &'a [u8],
    pub(super) position: Position,
    pub(super) pin: Pin,
}

impl Question<'_> {
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
    pub(crate) fn new(guest: Arc<Guest>, store: Store, options: ViewOptions) -> Self {
        let room = Room::of(&options);
        let instances = options.instances.get();
        let per_view = PerView::of(guest.views_by_number());
        let desk = Desk::new(instances, options.queue, room.all_instances, per_view);
        let desk = Arc::new(desk);
        let alarms = store.reads_may_wait().then(Arc::default);
        Self {
            failures: Failures::of(guest.view_count()),
            pending: Pending::new(&guest, &desk, alarms.as_ref(), &options),
            guest,
            alarms,
            store,
            desk,
            sessions: Sessions::new(instances, options.queue),
            aside: Mutex::default(),
            room,
            options,
        }
    }

    /// What is to be done at every epoch tick.
    pub(crate) fn at_tick(&self) -> impl Fn() + Send + use<> {
        let desk = Arc::downgrade(&self.desk);
        let alarms = self.alarms.clone();
        move || {
            if let Some(desk) = desk.upgrade() {
                desk.tick();
            }
            if let Some(alarms) = &alarms {
                alarms.tick();
            }
        }
    }

    /// The guest as views instantiate it.
    pub(super) fn instances(&self) -> &Linked {
        match self.alarms {
            Some(_) => &self.guest.viewing_on_fibres,
            None => &self.guest.viewing,
        }
    }

    /// The deadline of a call that starts now.
    pub(super) fn deadline(&self, limit: Duration, yields: bool) -> Deadline {
        Deadline::after(limit, yields).with_alarms(self.alarms.as_ref())
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.desk.is_enabled()
    }

    /// Makes calls run on persistent instances from now on, if one can be made and
    /// kept.
    pub(crate) fn enable(&self) -> Result<(), ViewError> {
        let _aside = self.aside.lock();
        let call = Call::view(self.store.snapshot().latest(), 0);
        let deadline = Deadline::after(self.options.timeout, false);
        let mut instance =
            Instance::create(&self.guest.viewing, call, self.allowance(true), deadline)
                .map_err(|fault| Self::error(fault, self.options.timeout))?;
        let told = instance.set_cache_limit(&self.guest, self.room.guest_caches);
        wait(told).map_err(|fault| Self::error(fault, self.options.timeout))?;
        let (wanted, limit) = (instance.memory_bytes(), self.room.kept_instance);
        if wanted > limit {
            return Err(ViewError::MemoryLimit {
                wanted,
                limit,
                backtrace: crate::error::GuestBacktrace::default(),
            });
        }
        self.desk.enable();
        Ok(())
    }

    /// Makes calls run on fresh instances from now on. Calls under way end as
    /// they would have.
    pub(crate) fn disable(&self) {
        self.desk.disable();
    }

    pub(crate) fn view_counts(&self) -> Vec<ViewCount> {
        self.desk.view_counts()
    }

    pub(crate) fn stats(&self) -> ViewStats {
        let stats = self.desk.stats();
        ViewStats {
            instances: self.options.instances.get(),
            sessions: self.sessions.len(),
            waiting: stats.waiting + self.sessions.waiting(),
            ..stats
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
        let mut visit = Visit::new(self, call.function, yields);
        let span = visit.span();
        let (function, at) = (call.function, call.at);
        let answer = visit.ask(call).instrument(span).await;
        self.tell_failure(function, at, &answer);
        visit.end(answer, false)
    }

    /// Runs `block` on top of the call's block, then the view on that, both on
    /// instances of their own; nothing is kept.
    pub(crate) async fn preview(
        &self,
        block: Bytes,
        call: ViewCall<'_>,
        yields: bool,
    ) -> Result<ViewAnswer, ViewError> {
        let mut visit = Visit::new(self, call.function, yields);
        let span = visit.span();
        let (function, at) = (call.function, call.at);
        let answer = visit.preview(block, call).instrument(span).await;
        // A block that the caller made up may fail in the guest: no view has then run.
        if visit.has_reached_view() {
            self.tell_failure(function, at, &answer);
        }
        visit.end(answer, true)
    }

    fn tell_failure(&self, function: &str, at: Basis<'_>, answer: &Result<ViewAnswer, ViewError>) {
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
            position,
            pin: Pin { generation, to },
        };
        Ok((question, state))
    }

    fn pinned_to(&self, block: &BlockRecord) -> PinnedTo {
        let any_block = match self.options.scope {
            Scope::Auto => self.guest.height_partitioned,
            Scope::Block => false,
            Scope::Shared => true,
        };
        if any_block {
            PinnedTo::Chain
        } else {
            PinnedTo::Block {
                height: block.height,
                hash: block.hash,
            }
        }
    }

    pub(super) fn wanted<'a>(
        route: Route<'_>,
        session: Option<&'a Arc<Session>>,
        pin: Pin,
    ) -> Wanted<'a> {
        match (route, session) {
            (Route::Fresh, _) => Wanted::Fresh,
            (_, Some(session)) => Wanted::Session(session, pin),
            _ => Wanted::Pooled(pin),
        }
    }

    /// What an instance may take. One that is not kept may overdraw the budget: it
    /// serves where none can be kept.
    pub(super) fn allowance(&self, kept: bool) -> Allowance {
        Allowance::within(self.options.max_instance_memory, &self.desk, !kept)
    }

    /// The time limit of a call.
    pub(super) fn limit(&self, timeout: Option<Duration>) -> Duration {
        timeout.map_or(self.options.timeout, |timeout| {
            timeout.min(self.options.timeout)
        })
    }

    pub(super) fn check_input(&self, input: &[u8]) -> Result<(), ViewError> {
        let (length, limit) = (input.len(), self.options.max_input);
        if length > limit {
            return Err(ViewError::InputTooLong { length, limit });
        }
        Ok(())
    }

    /// The error of a call that might run for `timeout`.
    pub(super) fn error(fault: Fault, timeout: Duration) -> ViewError {
        match fault {
            Fault::Guest(fault) => fault.into(),
            Fault::Host(fault) => fault.into(),
            Fault::Timeout(backtrace) => ViewError::Timeout {
                limit: timeout,
                backtrace,
            },
            Fault::Memory {
                wanted,
                limit,
                backtrace,
            } => ViewError::MemoryLimit {
                wanted,
                limit,
                backtrace,
            },
            Fault::Output { length, limit } => ViewError::OutputTooLong { length, limit },
        }
    }
}
