//! What a request waits for: a permit, its block, memory; and how long.

use std::future::poll_fn;
use std::mem;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use metashrew_store::State;

use super::Request;
use crate::clock::{self, now};
use crate::error::{ViewError, Wait};
use crate::view::call::ViewCall;
use crate::view::engine::Question;
use crate::view::stats::{CallKind, DropReason};

impl Request<'_> {
    /// When the call must have ended, whatever it waits for or runs on: after the time that
    /// its caller gave, or after two waits and two runs of the longest.
    pub(super) fn end(&self) -> Instant {
        let options = &self.engine.options;
        let longest = options.timeout.saturating_add(options.max_wait);
        let limit = self.timeout.unwrap_or(longest.saturating_mul(2));
        // So far off that the clock has no word for it: as good as never.
        let never = || self.came + Duration::from_hours(24 * 365);
        self.came.checked_add(limit).unwrap_or_else(never)
    }

    /// When a wait that begins now is over, and how long it may take then.
    pub(super) fn wait_end(&self) -> (Instant, Duration) {
        let max_wait = self.engine.options.max_wait;
        let end = self.end();
        match now().checked_add(max_wait) {
            Some(waited) if waited < end => (waited, max_wait),
            _ => (end, self.timeout.unwrap_or(max_wait)),
        }
    }

    /// Awaits `future` for as long as the call may wait for something.
    pub(super) async fn wait<T>(
        &mut self,
        wanted: Wait,
        future: impl Future<Output = Result<T, ViewError>>,
    ) -> Result<T, ViewError> {
        let mut future = pin!(future);
        // Mostly there is nothing to wait for, and the clock need not be asked.
        if let Poll::Ready(ready) = poll_once(future.as_mut()).await {
            return ready;
        }
        let (end, limit) = self.wait_end();
        // In a box: a call that waits for nothing keeps no room for it.
        let ended = Box::pin(self.engine.alarms.until(end, future)).await;
        self.run_from = now();
        ended.unwrap_or(Err(ViewError::Waited { limit, wanted }))
    }

    /// Looks up what the call asks. Where that must wait, for a pending block to be executed, it
    /// holds neither permit nor bytes meanwhile: the block needs bytes too, and others may run.
    async fn look_up<'c>(
        &mut self,
        call: &ViewCall<'c>,
    ) -> Result<(Question<'c>, State), ViewError> {
        let mut question = pin!(self.engine.question(call));
        if let Poll::Ready(ready) = poll_once(question.as_mut()).await {
            return ready;
        }
        self.lease = None;
        self.reserved = None;
        self.wait(Wait::Block, question).await
    }

    /// Gets a permit, and the instance that the call wants if there is one idle. A call that
    /// had to wait is looked up again: the chain may have moved on meanwhile.
    pub(super) async fn enter<'c>(
        &mut self,
        call: &ViewCall<'c>,
    ) -> Result<(Question<'c>, State), ViewError> {
        let engine = self.engine;
        loop {
            let (question, state) = self.look_up(call).await?;
            self.view = Some(question.view.index);
            let wanted = self.wanted(call, &question);
            if let Some(lease) = engine.pool.enter(wanted.as_ref(), question.moment()) {
                self.lease = Some(lease);
                return Ok((question, state));
            }
            drop(state);
            let queue = engine.pool.queue().limit();
            let permit = async {
                let lease = engine.pool.wait().await;
                lease.map_err(|_| ViewError::Busy { queue })
            };
            self.lease = Some(self.wait(Wait::Permit, permit).await?);
            let (question, state) = self.look_up(call).await?;
            let wanted = self.wanted(call, &question);
            // None, if it had to wait once more.
            if let Some(lease) = &mut self.lease {
                if let Some(wanted) = wanted {
                    engine.pool.pick_for(lease, &wanted, question.moment());
                }
                return Ok((question, state));
            }
        }
    }

    /// Others have the memory that the call wants: it gives back all that it has, waits for
    /// so much, and is to be run again. It changed nothing.
    pub(super) async fn starve(&mut self, wanted: usize) -> Result<(), ViewError> {
        let engine = self.engine;
        let is_again = mem::replace(&mut self.has_starved, true);
        self.reserved = None;
        // What a session's instance remembers cannot be run again.
        let is_lost = self
            .turn
            .as_ref()
            .is_some_and(|turn| turn.session.has_answered());
        if is_lost {
            let has = self.kept().map_or(0, |kept| kept.account.bytes());
            return Err(engine.pool.busy_error(wanted, has));
        }
        engine
            .pool
            .count(|tally| tally.calls.count(CallKind::Starved));
        if let Some(lease) = self.lease.take() {
            lease.end(Err(DropReason::Starved), now(), |_| {});
        }
        // One that goes on growing is not run again for each step.
        let most = if is_again {
            wanted.saturating_mul(2)
        } else {
            wanted
        };
        let most = most.min(engine.sizes.one_instance).max(wanted);
        let age = clock::nanos(self.came);
        let reserve = engine.pool.reserve(wanted, most, age);
        let reserved = Box::pin(engine.alarms.until(self.wait_end().0, reserve)).await;
        self.run_from = now();
        self.reserved = Some(reserved.ok_or_else(|| engine.pool.busy_error(wanted, 0))?);
        Ok(())
    }
}

/// What `future` has to say now.
async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|task| Poll::Ready(future.as_mut().poll(task))).await
}
