//! Checked stateful views: some calls that a used instance answered are run again on a
//! fresh one, in the same context, and the answers are compared.
//!
//! [`Checks`] is all that the engine sees of it: which views answer from fresh instances,
//! which answers are due to be checked, and what was found. `policy` decides, `rerun` runs
//! a call again, `background` does so after the answer was given.

mod background;
mod first_calls;
mod policy;
mod rerun;
mod verdict;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use metashrew_store::{BlockRecord, Height, State};
use sha2::{Digest, Sha256};

use super::pending::PendingId;
use super::per_view::{OTHER, ViewCount};
use crate::deadline::Deadline;
use crate::fault::Fault;
use crate::guest::View;
use crate::instance::Instance;
use crate::options::{ViewCheck, ViewMode, ViewOptions};
use crate::reply::Reply;
use background::Background;
pub(crate) use policy::Meter;
use policy::{Due, Policy};
pub(super) use rerun::Rerun;
use verdict::Verdict;

/// What came of the checks of a view, or of all views.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckCounts {
    /// Checks that compared two answers.
    pub run: u64,
    /// Checks that were due and compared nothing: too many were waiting, or the fresh
    /// instance ran out of time or memory.
    pub skipped: u64,
    /// Checks that found another answer. A view is not checked again after that.
    pub differed: u64,
    /// Checks that wait or run now.
    pub waiting: u64,
    /// How long checks took.
    pub time: Duration,
}

impl CheckCounts {
    fn add(&mut self, other: Self) {
        self.run += other.run;
        self.skipped += other.skipped;
        self.differed += other.differed;
        self.waiting += other.waiting;
        self.time += other.time;
    }
}

/// A call that a fresh instance answers otherwise than the used one did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewDifference {
    /// The view.
    pub view: String,
    /// The block whose state was asked, or the one below the pending block.
    pub block: BlockRecord,
    /// The pending block that was on top of `block`, if one was asked about.
    pub pending: Option<PendingId>,
    /// SHA-256 of the call's input.
    pub input_sha256: [u8; 32],
    /// The error of the fresh instance, if it gave no answer.
    pub error: Option<String>,
}

impl ViewDifference {
    /// How an operator settles it.
    pub fn hint(&self) -> String {
        let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let name = if !self.view.is_empty() && self.view.bytes().all(is_bare) {
            self.view.clone()
        } else {
            format!("{:?}", self.view)
        };
        format!(
            "set `mode` under `[views.{name}]`: \"fresh\" for answers that do not depend on \
             earlier calls, \"stateful\" if they are meant to"
        )
    }
}

/// A call that was answered, to be run again.
pub(super) struct Check {
    due: Due,
    input: Bytes,
    block: BlockRecord,
    pending: Option<PendingId>,
    /// The height and the state that the call was about.
    height: Height,
    state: State,
    /// What the used instance answered.
    kept: Reply,
    /// How long the call took.
    ran: Duration,
}

/// An answered call, as a check needs to know it.
pub(super) struct Answered<'a> {
    pub(super) view: View<'a>,
    pub(super) input: &'a [u8],
    pub(super) block: BlockRecord,
    pub(super) pending: Option<PendingId>,
    pub(super) height: Height,
    pub(super) answer: &'a Reply,
    pub(super) ran: Duration,
}

impl Check {
    /// What of it is held while it waits, in bytes.
    fn bytes(&self) -> usize {
        self.input.len().saturating_add(self.kept.len())
    }

    /// Compares, counts, and hands the fresh answer back if it is another.
    fn settle(self, fresh: Result<Reply, Fault>, took: Duration) -> Option<Result<Reply, Fault>> {
        let verdict = Verdict::of(&self.kept, &fresh);
        if verdict != Verdict::Differs {
            self.due.settle(verdict, took);
            return None;
        }
        let difference = ViewDifference {
            view: self.due.name().to_owned(),
            block: self.block,
            pending: self.pending,
            input_sha256: Sha256::digest(&self.input).into(),
            error: match &fresh {
                Ok(Reply::Answer(_)) => None,
                Ok(Reply::Error(message)) => Some(message.clone()),
                Err(fault) => Some(fault.to_string()),
            },
        };
        self.due.differs(difference, took);
        Some(fresh)
    }
}

/// All checks of an engine.
pub(super) struct Checks {
    enforces: bool,
    policy: Arc<Policy>,
    rerun: Arc<Rerun>,
    /// Started with the first check.
    background: OnceLock<Option<Background>>,
}

impl Checks {
    pub(super) fn new(rerun: Rerun, options: &ViewOptions) -> Self {
        let guest = &rerun.maker.guest;
        let names = guest.views_by_number();
        let is_off = options.check == ViewCheck::Off;
        let modes = names.iter().enumerate().map(|(number, name)| {
            let is_meant = guest.answers_from_memory.contains(&number);
            let settled = options.modes.get(*name).copied();
            settled.or((is_meant || is_off).then_some(ViewMode::Stateful))
        });
        let enforces = options.check == ViewCheck::Enforce;
        Self {
            enforces,
            policy: Arc::new(Policy::new(names.iter().copied().zip(modes), enforces)),
            rerun: Arc::new(rerun),
            background: OnceLock::new(),
        }
    }

    /// Whether calls of a view, by its number, are to run on fresh instances.
    pub(super) fn are_fresh(&self, view: usize) -> bool {
        self.policy.is_fresh(view)
    }

    /// Whether answers of a view, by its number, may be due to be checked at all.
    pub(super) fn watch(&self, view: usize) -> bool {
        self.policy.watches(view)
    }

    /// Whether the caller gets the checked answer.
    pub(super) fn enforce(&self) -> bool {
        self.enforces
    }

    /// The check of a call, if it is due. `instance` is the one that answered, a used one.
    pub(super) fn due(&self, call: &Answered<'_>, instance: &mut Instance) -> Option<Check> {
        let key = |instance: u64| {
            let mut hasher = DefaultHasher::new();
            let block = (call.block.hash.as_bytes(), call.height);
            let pending = call.pending.map(|pending| pending.number);
            (instance, block, pending, call.input).hash(&mut hasher);
            hasher.finish()
        };
        let due = Policy::due(
            &self.policy,
            call.view.index,
            call.ran,
            &mut instance.meter,
            key,
        )?;
        Some(Check {
            due,
            input: Bytes::copy_from_slice(call.input),
            block: call.block,
            pending: call.pending,
            height: call.height,
            state: instance.state()?,
            kept: call.answer.clone(),
            ran: call.ran,
        })
    }

    /// Checks an answer after it was given, if not too many checks are waiting.
    pub(super) fn later(&self, check: Check) {
        let background = self.background.get_or_init(|| {
            Background::start(Arc::clone(&self.rerun))
                .inspect_err(|error| tracing::warn!("views are not checked: {error}"))
                .ok()
        });
        if let Some(background) = background {
            background.queue(check);
        }
    }

    /// Ends the checks that wait or run after their answer was given.
    pub(super) fn clear(&self) {
        if let Some(Some(background)) = self.background.get() {
            background.clear();
        }
    }

    /// Checks an answer before it is given, by the call's deadline; what the fresh instance
    /// gives, if that is something else.
    pub(super) async fn now(
        &self,
        check: Check,
        deadline: Deadline,
    ) -> Option<Result<Reply, Fault>> {
        let (fresh, took) = self.rerun.answer(&check, deadline, None).await;
        check.settle(fresh, took)
    }

    /// Adds what was checked to what each view was asked.
    pub(super) fn count(&self, counts: &mut [ViewCount]) {
        let mut rest = CheckCounts::default();
        for (name, checks) in self.policy.counts() {
            match counts
                .iter_mut()
                .find(|count| count.view == name && name != OTHER)
            {
                Some(count) => count.checks = checks,
                None => rest.add(checks),
            }
        }
        if let Some(other) = counts.iter_mut().find(|count| count.view == OTHER) {
            other.checks = rest;
        }
    }

    /// What was checked in all.
    pub(super) fn total(&self) -> CheckCounts {
        let mut total = CheckCounts::default();
        for (_, checks) in self.policy.counts() {
            total.add(checks);
        }
        total
    }

    /// The difference found in each view that has one, as many as are remembered.
    pub(super) fn differences(&self) -> Vec<ViewDifference> {
        self.policy.differences()
    }
}
