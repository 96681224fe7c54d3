//! Calls on instances that have answered before: what a new one is made for, and which answers
//! are checked.

use metashrew_store::State;

use super::{Request, no_lease};
use crate::clock::now;
use crate::context::Call;
use crate::fault::Fault;
use crate::reply::Reply;
use crate::view::check::Answered;
use crate::view::engine::Question;
use crate::view::stats::{CallKind, DropReason};

/// What came of a call on an instance that had answered before.
pub(super) enum Reused {
    Answered(Reply),
    /// It is to be tried again on a new one, on the same state.
    TryAgain(State),
}

impl Request<'_> {
    /// Runs the call on an instance that has answered before. If that fails where a
    /// new instance may not (its memory is full of what earlier calls left, say), the
    /// call is to be tried again: it changed nothing.
    pub(super) async fn reuse(
        &mut self,
        question: &Question<'_>,
        state: State,
    ) -> Result<Reused, Fault> {
        self.tell(question, "stateful mode");
        let deadline = self.deadline();
        if let Some(kept) = self.kept() {
            kept.instance
                .prepare(Call::view(state, question.position.height), deadline);
        }
        let fault = match self.run(question).await {
            Ok(answer) => return self.checked(question, answer).await,
            Err(fault) => fault,
        };
        self.run_from = now();
        let may_pass = match fault {
            Fault::Guest(_) | Fault::Memory { .. } | Fault::Output { .. } => true,
            // It has its own time, if its caller gave it any more.
            Fault::Timeout(_) => self.run_from < self.end(),
            _ => false,
        };
        if !may_pass || self.turn.is_some() {
            return Err(fault);
        }
        let state = self.kept().and_then(|kept| kept.instance.take_state());
        let (Some(state), Some(lease)) = (state, &mut self.lease) else {
            return Err(fault);
        };
        lease.discard(DropReason::Fault);
        self.engine
            .pool
            .count(|tally| tally.calls.count(CallKind::Retried));
        tracing::debug!("view failed on a used instance, trying a new one");
        Ok(Reused::TryAgain(state))
    }

    /// Has an answer of a used instance checked, if it is due: after it was given, or now, and
    /// it is then what a fresh instance gives.
    async fn checked(&mut self, question: &Question<'_>, kept: Reply) -> Result<Reused, Fault> {
        let checks = &self.engine.checks;
        let view = question.view;
        if self.turn.is_some() || !checks.watch(view.index) && !checks.are_fresh(view.index) {
            return Ok(Reused::Answered(kept));
        }
        let ran_until = now();
        let ran = ran_until.saturating_duration_since(self.run_from);
        let lease = self.lease.as_mut().ok_or_else(no_lease)?;
        let instance = &mut lease.thing().ok_or_else(no_lease)?.instance;
        if checks.are_fresh(view.index) {
            // Another call's check has just found that it answers from its memory.
            let state = instance.take_state().ok_or_else(no_lease)?;
            lease.discard(DropReason::Fresh);
            self.keep = None;
            return Ok(Reused::TryAgain(state));
        }
        let call = Answered {
            view,
            input: question.input,
            block: question.position.block,
            pending: question.position.pending,
            height: question.position.height,
            answer: &kept,
            ran,
        };
        let Some(check) = checks.due(&call, instance) else {
            self.ran_until = Some(ran_until);
            return Ok(Reused::Answered(kept));
        };
        if !checks.enforce() {
            checks.later(check);
            return Ok(Reused::Answered(kept));
        }
        let fresh = Box::pin(checks.now(check, self.deadline())).await;
        fresh.unwrap_or(Ok(kept)).map(Reused::Answered)
    }
}
