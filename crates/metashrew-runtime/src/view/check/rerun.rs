//! Runs a call again, on a fresh instance and in the context that it had.

use std::time::Duration;

use super::Check;
use crate::clock::now;
use crate::context::{Call, Stop};
use crate::deadline::Deadline;
use crate::fault::Fault;
use crate::guest::View;
use crate::reply::Reply;
use crate::ticker::{Running, Ticking};
use crate::view::budget::Account;
use crate::view::kept::Maker;

/// Younger than any call: a check takes nothing that a call waits for.
const AGE: u64 = u64::MAX - 1;

/// What running a call again takes.
pub(in crate::view) struct Rerun {
    pub(in crate::view) maker: Maker,
    pub(in crate::view) ticking: Ticking,
    /// How long a call may run.
    pub(in crate::view) timeout: Duration,
    pub(in crate::view) max_output: usize,
    /// What the guest is told that its own caches may have, in bytes.
    pub(in crate::view) guest_caches: usize,
}

impl Rerun {
    /// A deadline for a check that begins now, after its answer was given.
    pub(super) fn deadline(&self) -> Deadline {
        let now = now();
        let end = now.checked_add(self.timeout).unwrap_or(now);
        Deadline::at(end, AGE, false)
    }

    /// Has the epochs advance while a check runs that is no part of a call.
    pub(super) fn tick(&self) -> Running {
        self.ticking.hold()
    }

    /// Whether a call waits for memory.
    pub(super) fn is_in_the_way(&self) -> bool {
        self.maker.pool.budget().waiting() > 0
    }

    /// What a fresh instance answers, and how long that took. It takes its memory from the
    /// budget as a call does, and waits for none.
    pub(super) async fn answer(
        &self,
        check: &Check,
        deadline: Deadline,
        stop: Option<Stop>,
    ) -> (Result<Reply, Fault>, Duration) {
        let since = now();
        let call = Call::check(check.state.clone(), check.height, stop);
        let fresh = self.run(check, call, deadline).await;
        (fresh, now().saturating_duration_since(since))
    }

    async fn run(&self, check: &Check, call: Call, deadline: Deadline) -> Result<Reply, Fault> {
        let view = View {
            name: check.due.name(),
            index: check.due.view(),
        };
        let account = Account::empty(self.maker.pool.budget());
        let mut kept = self.maker.make(call, deadline, account, 0, None).await?;
        let instance = &mut kept.instance;
        instance.set_cache_limit(self.guest_caches).await?;
        instance.set_input(&check.input)?;
        instance.view_async(view, self.max_output).await
    }
}
