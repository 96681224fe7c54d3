//! A view call that somebody watches: on a fresh instance of its own, outside the pool.

use std::time::Duration;

use metashrew_store::wait;

use super::call::{ViewAnswer, ViewCall};
use super::engine::{Question, ViewEngine};
use crate::context::Call;
use crate::deadline::Deadline;
use crate::error::ViewError;
use crate::fault::Fault;
use crate::instance::Instance;
use crate::limits::Allowance;
use crate::observe::Watch;
use crate::reply::Reply;

impl ViewEngine {
    /// Answers a call on the caller's thread.
    pub(crate) fn observe(
        &self,
        call: &ViewCall<'_>,
        watch: Watch,
    ) -> Result<ViewAnswer, ViewError> {
        self.check(call.input)?;
        let (question, state) = wait(std::pin::pin!(self.question(call)))?;
        let longest = self.options.timeout;
        let timeout = call.timeout.map_or(longest, |asked| asked.min(longest));
        let watched = Call::view(state, question.position.height).watched(watch);
        let reply = self
            .run_watched(&question, watched, timeout)
            .map_err(|fault| self.error(fault, timeout))?;
        match reply.into_answer() {
            Ok(bytes) => Ok(question.answered(bytes, None)),
            Err(message) => Err(ViewError::Returned { message }),
        }
    }

    fn run_watched(
        &self,
        question: &Question<'_>,
        call: Call,
        timeout: Duration,
    ) -> Result<Reply, Fault> {
        let _ticking = self.ticking().hold();
        let allowance = Allowance::up_to(self.sizes.one_instance);
        let deadline = Deadline::after(timeout, false);
        let mut instance = Instance::create(&self.guest.viewing, call, allowance, deadline)?;
        wait(instance.set_cache_limit(self.sizes.guest_caches))?;
        instance.set_input(question.input)?;
        instance.view(question.view, self.options.max_output)
    }
}
