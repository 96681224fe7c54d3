//! One call's way through the engine. However it ends (answered, failed, its
//! caller gone), the visit gives back what it holds and counts the end once.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use metashrew_store::State;
use tracing::Span;
use tracing::field::Empty;

use super::call::{Route, ViewAnswer, ViewCall};
use super::engine::{Question, ViewEngine};
use super::idle::{Idle, Pin};
use super::session::Turn;
use super::terms::{DropReason, End, Picked, Returned};
use crate::context::Call;
use crate::deadline::Deadline;
use crate::error::{HostFault, ViewError};
use crate::fault::Fault;
use crate::instance::Instance;
use crate::limits::Allowance;

/// What came of a call on an instance that had answered before.
enum Reused {
    Answered(Bytes),
    /// It is to be tried again, on the same state.
    TryAgain(State),
}

pub(super) struct Visit<'a> {
    engine: &'a ViewEngine,
    /// Whether it gives way at every tick.
    yields: bool,
    since: Instant,
    span: Span,
    /// The number of the view, once it is known that it can be asked.
    view: Option<usize>,
    session: Option<Turn>,
    /// When it got its place.
    placed: Option<Instant>,
    /// The instance that runs the call.
    instance: Option<Instance>,
    /// Whether the guest is at the block of a preview, before the view.
    is_at_block: bool,
    /// What the instance may answer later; none if it is not kept.
    pin: Option<Pin>,
    ended: bool,
}

impl<'a> Visit<'a> {
    pub(super) fn new(engine: &'a ViewEngine, function: &str, yields: bool) -> Self {
        Self {
            engine,
            yields,
            since: now(),
            span: tracing::debug_span!("view", function, height = Empty, mode = Empty),
            view: None,
            session: None,
            placed: None,
            instance: None,
            is_at_block: false,
            pin: None,
            ended: false,
        }
    }

    /// Whether the guest runs on a fibre.
    fn on_fibre(&self) -> bool {
        self.yields || self.engine.alarms.is_some()
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

    pub(super) async fn ask(&mut self, call: ViewCall<'_>) -> Result<ViewAnswer, ViewError> {
        let engine = self.engine;
        engine.check_input(call.input)?;
        if let Route::Session(name) = call.route {
            self.session = Some(engine.sessions.turn(name).await?);
        }
        let (question, mut state, picked) = self.enter(&call).await?;
        let limit = engine.limit(call.timeout);
        let deadline = engine.deadline(limit, self.yields);
        match picked {
            Picked::Idle(instance) => {
                let reused = self
                    .reuse(instance, &question, state, deadline.clone())
                    .await;
                match reused.map_err(|fault| ViewEngine::error(fault, limit))? {
                    Reused::Answered(answer) => return Ok(self.answered(&question, answer)),
                    Reused::TryAgain(same) => state = same,
                }
            }
            Picked::New { keep } => self.pin = keep.then_some(question.pin),
            Picked::Lost(reason) => {
                let session = session_name(&call);
                return Err(ViewError::SessionLost { session, reason });
            }
            Picked::Unavailable => return Err(ViewError::SessionUnavailable),
        }
        let answer = self.make_and_run(&question, state, deadline).await;
        let answer = answer.map_err(|fault| ViewEngine::error(fault, limit))?;
        Ok(self.answered(&question, answer))
    }

    /// Gets a place, and what the call wants. A call that had to wait is looked up
    /// again: the chain may have moved on meanwhile.
    async fn enter<'c>(
        &mut self,
        call: &ViewCall<'c>,
    ) -> Result<(Question<'c>, State, Picked), ViewError> {
        let engine = self.engine;
        let (question, state) = engine.question(call).await?;
        self.view = Some(question.view.index);
        let session = self.session.as_ref().map(|turn| &turn.session);
        let wanted = ViewEngine::wanted(call.route, session, question.pin);
        if let Some(picked) = engine.desk.enter(&wanted, question.pin.generation) {
            self.placed = Some(self.since);
            return Ok((question, state, picked));
        }
        drop(state);
        engine.desk.wait().await?;
        self.placed = Some(now());
        let (question, state) = engine.question(call).await?;
        let wanted = ViewEngine::wanted(call.route, session, question.pin);
        let picked = engine.desk.pick(&wanted, question.pin.generation);
        Ok((question, state, picked))
    }

    /// Runs the call on an instance that has answered before. If that fails where a
    /// new instance may not (its memory is full of what earlier calls left, say), the
    /// call is to be tried again: it changed nothing.
    async fn reuse(
        &mut self,
        mut instance: Instance,
        question: &Question<'_>,
        state: State,
        deadline: Deadline,
    ) -> Result<Reused, Fault> {
        self.tell(question, "stateful mode");
        self.pin = Some(question.pin);
        instance.prepare(Call::view(state, question.position.height), deadline);
        self.instance = Some(instance);
        let fault = match self.run(question).await {
            Ok(answer) => return Ok(Reused::Answered(answer)),
            Err(fault) => fault,
        };
        let may_pass = matches!(fault, Fault::Guest(_) | Fault::Memory { .. });
        if !may_pass || self.session.is_some() {
            return Err(fault);
        }
        let Some(state) = self.instance.take().and_then(Instance::into_state) else {
            return Err(fault);
        };
        self.engine.desk.count_retry();
        tracing::debug!("view failed on a used instance, trying a new one");
        Ok(Reused::TryAgain(state))
    }

    /// Runs the call on an instance made for it.
    async fn make_and_run(
        &mut self,
        question: &Question<'_>,
        state: State,
        deadline: Deadline,
    ) -> Result<Bytes, Fault> {
        let engine = self.engine;
        let keeps = self.pin.is_some();
        let mode = if keeps {
            "stateful mode, on a new instance"
        } else {
            "fresh mode, on an instance of its own"
        };
        self.tell(question, mode);
        let instance = self
            .create(
                Call::view(state, question.position.height),
                engine.allowance(keeps),
                deadline,
            )
            .await?;
        engine.desk.count_created();
        let instance = self.instance.insert(instance);
        instance
            .set_cache_limit(&engine.guest, engine.room.guest_caches)
            .await?;
        self.run(question).await
    }

    async fn create(
        &self,
        call: Call,
        allowance: Allowance,
        deadline: Deadline,
    ) -> Result<Instance, Fault> {
        let guest = self.engine.instances();
        if self.on_fibre() {
            Instance::create_async(guest, call, allowance, deadline).await
        } else {
            Instance::create(guest, call, allowance, deadline)
        }
    }

    /// Runs the view on the instance that the visit holds.
    async fn run(&mut self, question: &Question<'_>) -> Result<Bytes, Fault> {
        let max_output = self.engine.options.max_output;
        let on_fibre = self.on_fibre();
        let Some(instance) = &mut self.instance else {
            return Err(Fault::Host(HostFault::Resources("no instance".to_owned())));
        };
        instance.set_input(question.input);
        if on_fibre {
            instance.view_async(question.view, max_output).await
        } else {
            instance.view(question.view, max_output)
        }
    }

    pub(super) async fn preview(
        &mut self,
        block: Bytes,
        call: ViewCall<'_>,
    ) -> Result<ViewAnswer, ViewError> {
        let engine = self.engine;
        engine.check_input(call.input)?;
        let alone = ViewCall {
            route: Route::Fresh,
            ..call
        };
        let (mut question, state, _) = self.enter(&alone).await?;
        let limit = engine.limit(call.timeout);
        let deadline = engine.deadline(limit, self.yields);
        let answer = self.preview_on(&mut question, state, block, deadline).await;
        let answer = answer.map_err(|fault| ViewEngine::error(fault, limit))?;
        Ok(self.answered(&question, answer))
    }

    async fn preview_on(
        &mut self,
        question: &mut Question<'_>,
        state: State,
        block: Bytes,
        deadline: Deadline,
    ) -> Result<Bytes, Fault> {
        let engine = self.engine;
        let height = question.position.height.saturating_add(1);
        let indexing = Call::index(state.clone(), height, block);
        self.is_at_block = true;
        let instance = self
            .create(indexing, engine.allowance(false), deadline.clone())
            .await?;
        engine.desk.count_created();
        let on_fibre = self.on_fibre();
        let instance = self.instance.insert(instance);
        let writes = if on_fibre {
            instance.start_async().await?
        } else {
            instance.start()?
        };
        self.instance = None;
        self.is_at_block = false;
        engine.desk.count_dropped(DropReason::Fresh);
        let state = state.with_block(height, Arc::new(writes));
        question.position.height = height;
        self.make_and_run(question, state, deadline).await
    }

    fn answered(&self, question: &Question<'_>, bytes: Bytes) -> ViewAnswer {
        let session_call = self.session.as_ref().map(|turn| turn.session.count_call());
        question.answered(bytes, session_call)
    }

    /// Ends the visit with what came of it.
    pub(super) fn end(
        mut self,
        answer: Result<ViewAnswer, ViewError>,
        preview: bool,
    ) -> Result<ViewAnswer, ViewError> {
        let end = match &answer {
            Ok(_) => End::Answered {
                latency: self.since.elapsed(),
                preview,
            },
            Err(error) => End::Failed(error),
        };
        let fault = match &answer {
            Ok(_) | Err(ViewError::OutputTooLong { .. }) => None,
            Err(_) => Some(DropReason::Fault),
        };
        self.leave(&end, fault);
        answer
    }

    fn leave(&mut self, end: &End<'_>, reason: Option<DropReason>) {
        self.ended = true;
        let returned = match self.instance.take() {
            Some(instance) => self.give_back(instance, reason),
            None => Returned::Nothing,
        };
        let held = self.placed.map(|placed| placed.elapsed());
        self.engine.desk.leave(end, self.view, held, returned);
    }

    fn give_back(&self, mut instance: Instance, reason: Option<DropReason>) -> Returned {
        let session = self.session.as_ref().map(|turn| Arc::clone(&turn.session));
        let too_large = instance.memory_bytes() > self.engine.room.kept_instance;
        match (reason, self.pin) {
            (Some(reason), _) => Returned::Dropped(instance, session, reason),
            (None, None) => Returned::Dropped(instance, session, DropReason::Fresh),
            (None, Some(_)) if too_large => Returned::Dropped(instance, session, DropReason::Large),
            (None, Some(pin)) => {
                instance.finish();
                Returned::Kept(Idle {
                    instance,
                    pin,
                    session,
                })
            }
        }
    }
}

impl Drop for Visit<'_> {
    /// The caller went away, or a panic passes through.
    fn drop(&mut self) {
        if !self.ended {
            self.leave(&End::Cancelled, Some(DropReason::Cancelled));
        }
    }
}

fn session_name(call: &ViewCall<'_>) -> String {
    match call.route {
        Route::Session(name) => name.to_owned(),
        _ => String::new(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a call took is counted; no answer depends on it"
)]
fn now() -> Instant {
    Instant::now()
}
