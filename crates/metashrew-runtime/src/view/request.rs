//! One call's way through the engine. However it ends (answered, failed, its caller gone),
//! its lease gives back what it holds, and the end is counted once.

mod preview;
mod reuse;
mod waits;

use std::sync::Arc;
use std::time::{Duration, Instant};

use metashrew_store::State;
use tracing::Span;
use tracing::field::Empty;

use super::budget::Account;
use super::call::{Route, ViewAnswer, ViewCall};
use super::engine::{Question, ViewEngine};
use super::kept::Kept;
use super::key::{Key, Pin, Wanted};
use super::lease::{Keep, Lease};
use super::record::Recording;
use super::session::Turn;
use super::stats::{CallKind, DropReason, End, ErrorKind};
use crate::clock::{self, now};
use crate::context::Call;
use crate::deadline::Deadline;
use crate::error::{HostFault, ViewError, Wait};
use crate::fault::Fault;
use crate::reply::Reply;
use reuse::Reused;

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and none excludes another"
)]
pub(super) struct Request<'a> {
    engine: &'a ViewEngine,
    /// Whether it gives way at every tick.
    yields: bool,
    came: Instant,
    /// How long it may take from then on, if its caller says so.
    timeout: Option<Duration>,
    /// When it came, or its last wait or run was over.
    run_from: Instant,
    /// When the run was over that gave its answer, if nothing was done since that takes time.
    ran_until: Option<Instant>,
    span: Span,
    /// The number of the view, once it is known that it can be asked.
    view: Option<usize>,
    // Before the turn: the next call of the session finds its instance.
    lease: Option<Lease<'a, Kept>>,
    /// What the instance may answer later; none if it is not kept.
    keep: Option<Keep>,
    /// Bytes that were reserved for the next run.
    reserved: Option<Arc<Account>>,
    /// Whether a run ended for want of memory before.
    has_starved: bool,
    /// What the last run read, if that is wanted.
    recording: Option<Recording>,
    turn: Option<Turn<'a>>,
    /// Whether the guest is at the block of a preview, before the view.
    is_at_block: bool,
    ended: bool,
}

impl<'a> Request<'a> {
    pub(super) fn new(engine: &'a ViewEngine, call: &ViewCall<'_>, yields: bool) -> Self {
        let function = call.function;
        let came = now();
        Self {
            engine,
            yields,
            came,
            run_from: came,
            ran_until: None,
            timeout: call.timeout,
            span: tracing::debug_span!("view", function, height = Empty, mode = Empty),
            view: None,
            lease: None,
            keep: None,
            reserved: None,
            has_starved: false,
            recording: None,
            turn: None,
            is_at_block: false,
            ended: false,
        }
    }

    /// Has its runs recorded. They have to be on instances of their own.
    pub(super) fn record(&mut self, recording: Recording) {
        self.recording = Some(recording);
    }

    pub(super) fn take_recording(&mut self) -> Option<Recording> {
        self.recording.take()
    }

    /// The span of the call; it says in which mode the view runs.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Whether a failure is the view's own, not that of a preview's block.
    pub(super) fn has_reached_view(&self) -> bool {
        !self.is_at_block
    }

    /// Says in which mode the view runs.
    fn tell(&self, question: &Question<'_>, mode: &str) {
        self.span.record("height", question.position.height);
        self.span.record("mode", mode);
        tracing::debug!("view runs in {mode}");
    }

    /// The deadline of the run that begins now.
    fn deadline(&self) -> Deadline {
        let end = self.end();
        let end = match self.run_from.checked_add(self.engine.options.timeout) {
            Some(timeout) => timeout.min(end),
            None => end,
        };
        let age = clock::nanos(self.came);
        Deadline::at(end, age, self.yields).with_alarms(self.engine.maker.read_alarms())
    }

    fn error(&self, fault: Fault) -> ViewError {
        let timeout = self.engine.options.timeout;
        let limit = self.timeout.map_or(timeout, |limit| limit.min(timeout));
        self.engine.error(fault, limit)
    }

    pub(super) async fn ask(&mut self, call: ViewCall<'_>) -> Result<ViewAnswer, ViewError> {
        let engine = self.engine;
        engine.check(call.input)?;
        if let Route::Session(name) = call.route {
            let turn = self.wait(Wait::Turn, engine.sessions.turn(name)).await?;
            self.turn = Some(turn);
        }
        loop {
            let (question, state) = self.enter(&call).await?;
            let wanted = match self.answer(&call, &question, state).await? {
                Ok(reply) => return self.answered(&question, reply),
                Err(Fault::Starved { wanted }) => wanted,
                Err(fault) => return Err(self.error(fault)),
            };
            Box::pin(self.starve(wanted)).await?;
        }
    }

    /// The idle instance that the call wants; none if it is to have a new one.
    fn wanted(&self, call: &ViewCall<'_>, question: &Question<'_>) -> Option<Wanted> {
        // Bytes that were reserved are for a new one.
        let wants_used = self.reserved.is_none() && !self.is_fresh(call, question);
        let pin = question.pin;
        wants_used.then(|| Wanted {
            key: self.key(pin),
            pin,
        })
    }

    /// By what the call's instance is found, if it is kept under `pin`.
    fn key(&self, pin: Pin) -> Key {
        match &self.turn {
            Some(turn) => Key::Session(turn.session.number),
            None => Key::Pinned(pin),
        }
    }

    /// Whether the call is to run on an instance of its own.
    fn is_fresh(&self, call: &ViewCall<'_>, question: &Question<'_>) -> bool {
        let is_settled = || self.engine.checks.are_fresh(question.view.index);
        call.route == Route::Fresh || self.turn.is_none() && is_settled()
    }

    /// Answers a call that has its lease.
    async fn answer(
        &mut self,
        call: &ViewCall<'_>,
        question: &Question<'_>,
        mut state: State,
    ) -> Result<Result<Reply, Fault>, ViewError> {
        let used = self.check_session(call, question)?;
        let is_kept = used || (self.engine.pool.is_enabled() && !self.is_fresh(call, question));
        self.keep = is_kept.then(|| Keep {
            key: self.key(question.pin),
            pin: question.pin,
            follows_tip: question.follows_tip,
        });
        if used {
            match self.reuse(question, state).await {
                Ok(Reused::Answered(answer)) => return Ok(Ok(answer)),
                Ok(Reused::TryAgain(same)) => state = same,
                Err(fault) => return Ok(Err(fault)),
            }
        }
        // In a box: a call on a used instance keeps no room for it.
        Ok(Box::pin(self.make_and_run(question, state, 0)).await)
    }

    /// Whether there is an instance that may answer the call. One of its session that stands
    /// on another block is gone now.
    fn check_session(
        &mut self,
        call: &ViewCall<'_>,
        question: &Question<'_>,
    ) -> Result<bool, ViewError> {
        let pin = self.lease.as_ref().and_then(Lease::pin);
        let (Some(turn), Route::Session(name)) = (&self.turn, call.route) else {
            return Ok(pin.is_some());
        };
        if !self.engine.pool.is_enabled() {
            return Err(ViewError::SessionUnavailable);
        }
        match pin {
            Some(pin) if pin == question.pin => return Ok(true),
            Some(pin) => {
                let same_chain = pin.generation == question.pin.generation;
                let block = if same_chain {
                    DropReason::Block
                } else {
                    DropReason::Reorg
                };
                if let Some(lease) = &mut self.lease {
                    lease.discard(block);
                }
            }
            None => {}
        }
        match turn.session.take_loss() {
            Some(reason) => Err(ViewError::SessionLost {
                session: name.to_owned(),
                reason,
            }),
            None => Ok(false),
        }
    }

    fn kept(&mut self) -> Option<&mut Kept> {
        self.lease.as_mut().and_then(Lease::thing)
    }

    /// Runs the call on an instance made for it, beside `held` bytes that the host holds.
    async fn make_and_run(
        &mut self,
        question: &Question<'_>,
        state: State,
        held: usize,
    ) -> Result<Reply, Fault> {
        let mode = if self.keep.is_some() {
            "stateful mode, on a new instance"
        } else {
            "fresh mode, on an instance of its own"
        };
        self.tell(question, mode);
        let engine = self.engine;
        let (mut call, mut held) = (Call::view(state, question.position.height), held);
        if let Some(recording) = &mut self.recording {
            call = recording.watch(call);
            held += recording.limit();
        }
        let kept = self.create(call, held).await?;
        kept.instance
            .set_cache_limit(engine.sizes.guest_caches)
            .await?;
        engine.has_made_one();
        self.run(question).await
    }

    /// Makes an instance for `call`, from the bytes reserved for it if there are some.
    async fn create(&mut self, call: Call, held: usize) -> Result<&mut Kept, Fault> {
        let deadline = self.deadline();
        let account = match &self.reserved {
            Some(reserved) => Arc::clone(reserved),
            None => Account::empty(self.engine.pool.budget()),
        };
        let session = self.turn.as_ref().map(|turn| Arc::clone(&turn.session));
        let kept = self
            .engine
            .maker
            .make(call, deadline, account, held, session);
        let kept = kept.await?;
        self.engine
            .pool
            .count(|tally| tally.calls.count(CallKind::Created));
        let lease = self.lease.as_mut().ok_or_else(no_lease)?;
        Ok(lease.hold(kept))
    }

    /// Runs the view on the instance of the lease.
    async fn run(&mut self, question: &Question<'_>) -> Result<Reply, Fault> {
        let max_output = self.engine.options.max_output;
        let kept = self.kept().ok_or_else(no_lease)?;
        kept.instance.set_input(question.input)?;
        kept.instance.view_async(question.view, max_output).await
    }

    /// The end of a call whose view ran to its end.
    fn answered(&self, question: &Question<'_>, reply: Reply) -> Result<ViewAnswer, ViewError> {
        let session_call = self.turn.as_ref().map(|turn| turn.session.count_call());
        match reply.into_answer() {
            Ok(bytes) => Ok(question.answered(bytes, session_call)),
            Err(message) => Err(ViewError::Returned { message }),
        }
    }

    /// Ends the request with what came of it.
    pub(super) fn finish(
        mut self,
        answer: Result<ViewAnswer, ViewError>,
        preview: bool,
    ) -> Result<ViewAnswer, ViewError> {
        let ended = self.ran_until.unwrap_or_else(now);
        let (end, fault) = match &answer {
            Ok(_) => {
                let latency = ended.saturating_duration_since(self.came);
                (End::Answered { latency, preview }, None)
            }
            Err(error) => {
                let kept = matches!(
                    error,
                    ViewError::OutputTooLong { .. } | ViewError::Returned { .. }
                );
                let reason = match error {
                    ViewError::MemoryBusy { .. } => DropReason::Starved,
                    _ => DropReason::Fault,
                };
                (End::Failed(error.kind()), (!kept).then_some(reason))
            }
        };
        self.leave(end, fault, ended);
        answer
    }

    fn leave(&mut self, end: End, reason: Option<DropReason>, now: Instant) {
        self.ended = true;
        // Before the permit: the instance has what is left of them.
        self.reserved = None;
        let view = self.view;
        let Some(mut lease) = self.lease.take() else {
            self.engine.pool.count(|tally| tally.end(end, view));
            return;
        };
        let keep = match (reason, self.keep) {
            (Some(reason), _) => Err(reason),
            (None, None) => Err(DropReason::Fresh),
            (None, Some(keep)) => Ok(keep),
        };
        if let (Ok(_), Some(kept)) = (&keep, lease.thing()) {
            kept.instance.finish();
        }
        lease.end(keep, now, |tally| tally.end(end, view));
    }
}

impl Drop for Request<'_> {
    /// The caller went away, or a panic passes through.
    fn drop(&mut self) {
        if !self.ended {
            let end = End::Failed(ErrorKind::Cancelled);
            self.leave(end, Some(DropReason::Cancelled), now());
        }
    }
}

/// Reached only if a call ran without a lease, which would be our fault.
fn no_lease() -> Fault {
    Fault::Host(HostFault::Resources("no instance".to_owned()))
}
