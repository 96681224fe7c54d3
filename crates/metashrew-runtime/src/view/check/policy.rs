//! Which answers are checked, and what was found: the first calls of each view, then as
//! many as a part of the view's time pays for. No chance and no clock of its own: the
//! calls' own times decide.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::first_calls::FirstCalls;
use super::verdict::Verdict;
use super::{CheckCounts, ViewDifference};
use crate::options::ViewMode;

/// One part of so many of a view's time pays for its checks: 1%.
const PART: u64 = 100;

/// Nanoseconds that an instance adds to a view's time at once, so that calls on several
/// cores seldom write to the same place. A check of a call costs more than a part of it.
const BUNDLE: u64 = 1_000_000;

/// Differences that are remembered, of one view each: as many as views are counted apart.
const MAX_DIFFERENCES: usize = 64;

/// What an instance knows of itself for its checks.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// The instance's number, from 1 on, once it was asked for.
    instance: u64,
    /// The view whose time it has not handed on yet, in nanoseconds.
    view: usize,
    time: u64,
}

/// All views of a guest.
pub(super) struct Policy {
    views: Vec<Watched>,
    enforces: bool,
    /// The number of the last instance that got one.
    instances: AtomicU64,
    differences: Mutex<Vec<ViewDifference>>,
}

struct Watched {
    name: String,
    /// Whether its answers are checked.
    wanted: AtomicBool,
    /// Whether it runs on fresh instances.
    is_fresh: AtomicBool,
    first_calls: FirstCalls,
    /// Time of its calls, in nanoseconds, and what of it checks took or will take.
    earned: AtomicU64,
    spent: AtomicU64,
    /// What its last check took.
    cost: AtomicU64,
    /// Checks that wait or run.
    waiting: AtomicU64,
    /// What all its checks took.
    time: AtomicU64,
    run: AtomicU64,
    skipped: AtomicU64,
    differed: AtomicU64,
}

impl Watched {
    fn new(name: &str, mode: Option<ViewMode>) -> Self {
        Self {
            name: name.to_owned(),
            wanted: AtomicBool::new(mode.is_none()),
            is_fresh: AtomicBool::new(mode == Some(ViewMode::Fresh)),
            first_calls: FirstCalls::new(),
            earned: AtomicU64::new(0),
            spent: AtomicU64::new(0),
            cost: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            time: AtomicU64::new(0),
            run: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            differed: AtomicU64::new(0),
        }
    }

    /// Adds to the view's time, and takes what a check costs from a part of it; how much
    /// that is, if it pays for one.
    fn pays(&self, time: u64) -> Option<u64> {
        let earned = self.earned.fetch_add(time, Ordering::Relaxed) + time;
        let cost = match self.cost.load(Ordering::Relaxed) {
            // As good a guess as another: fresh or not, the call is the same.
            0 => time.min(BUNDLE),
            cost => cost,
        };
        let pay = |spent: u64| {
            let spent = spent.saturating_add(cost);
            (spent <= earned / PART).then_some(spent)
        };
        let paid = self
            .spent
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay);
        paid.is_ok().then_some(cost)
    }
}

impl Policy {
    /// For views of these names, in the order of their numbers; those with a mode are not
    /// checked.
    pub(super) fn new<'a>(
        views: impl IntoIterator<Item = (&'a str, Option<ViewMode>)>,
        enforces: bool,
    ) -> Self {
        let views = views.into_iter();
        Self {
            views: views.map(|(name, mode)| Watched::new(name, mode)).collect(),
            enforces,
            instances: AtomicU64::new(0),
            differences: Mutex::default(),
        }
    }

    pub(super) fn is_fresh(&self, view: usize) -> bool {
        let view = self.views.get(view);
        view.is_some_and(|view| view.is_fresh.load(Ordering::Relaxed))
    }

    pub(super) fn watches(&self, view: usize) -> bool {
        let view = self.views.get(view);
        view.is_some_and(|view| view.wanted.load(Ordering::Relaxed))
    }

    /// The check of a call of a view that `ran` so long, if it is due. `key` is what tells
    /// it from other calls, given the number of the instance that answered.
    pub(super) fn due(
        policy: &Arc<Self>,
        view: usize,
        ran: Duration,
        meter: &mut Meter,
        key: impl FnOnce(u64) -> u64,
    ) -> Option<Due> {
        if !policy.watches(view) {
            return None;
        }
        let watched = policy.views.get(view)?;
        if meter.instance == 0 {
            meter.instance = policy.instances.fetch_add(1, Ordering::Relaxed) + 1;
        }
        let instance = meter.instance;
        let paid_by = match watched.first_calls.take(|| key(instance), policy.enforces) {
            Some(key) => PaidBy::First(key),
            None => PaidBy::Time(watched.pays(policy.bundle(view, ran, meter)?)?),
        };
        watched.waiting.fetch_add(1, Ordering::Relaxed);
        Some(Due {
            policy: Arc::clone(policy),
            view,
            paid_by,
            is_settled: false,
        })
    }

    /// Adds a call's time to what the instance keeps back; the whole, if it is time to hand
    /// it on.
    fn bundle(&self, view: usize, ran: Duration, meter: &mut Meter) -> Option<u64> {
        if meter.view != view {
            if let Some(other) = self.views.get(meter.view) {
                other.earned.fetch_add(meter.time, Ordering::Relaxed);
            }
            (meter.view, meter.time) = (view, 0);
        }
        meter.time = meter.time.saturating_add(nanoseconds(ran));
        let is_due = meter.time >= BUNDLE;
        is_due.then(|| std::mem::take(&mut meter.time))
    }

    /// What was checked, by the view's name.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&str, CheckCounts)> {
        self.views.iter().map(|view| {
            let counts = CheckCounts {
                run: view.run.load(Ordering::Relaxed),
                skipped: view.skipped.load(Ordering::Relaxed),
                differed: view.differed.load(Ordering::Relaxed),
                waiting: view.waiting.load(Ordering::Relaxed),
                time: Duration::from_nanos(view.time.load(Ordering::Relaxed)),
            };
            (view.name.as_str(), counts)
        })
    }

    pub(super) fn differences(&self) -> Vec<ViewDifference> {
        self.differences.lock().clone()
    }
}

/// What a check is paid by.
enum PaidBy {
    /// The call is one of the view's first ones; the key tells it from others.
    First(u64),
    /// The view's time: so many nanoseconds.
    Time(u64),
}

/// A check that is due. Dropped unsettled, it is a skipped one.
pub(super) struct Due {
    policy: Arc<Policy>,
    view: usize,
    paid_by: PaidBy,
    is_settled: bool,
}

impl Due {
    fn watched(&self) -> &Watched {
        let watched = self.policy.views.get(self.view);
        watched.expect("what is due was made from a view of this number")
    }

    /// The number of the view.
    pub(super) fn view(&self) -> usize {
        self.view
    }

    /// The name of the view.
    pub(super) fn name(&self) -> &str {
        &self.watched().name
    }

    /// What the view's last check took, if there was one.
    pub(super) fn cost(&self) -> Option<Duration> {
        let cost = self.watched().cost.load(Ordering::Relaxed);
        (cost > 0).then(|| Duration::from_nanos(cost))
    }

    /// Whether anybody still wants to know.
    pub(super) fn is_wanted(&self) -> bool {
        self.policy.watches(self.view)
    }

    /// The check took so long and found no difference.
    pub(super) fn settle(mut self, verdict: Verdict, took: Duration) {
        self.end(verdict, took);
    }

    /// The check took so long and found a difference: says so, once a view.
    pub(super) fn differs(mut self, difference: ViewDifference, took: Duration) {
        let watched = self.watched();
        if watched.wanted.swap(false, Ordering::Relaxed) {
            let enforces = self.policy.enforces;
            watched.is_fresh.store(enforces, Ordering::Relaxed);
            tell(&difference, enforces);
            let mut differences = self.policy.differences.lock();
            if differences.len() < MAX_DIFFERENCES {
                differences.push(difference);
            }
        }
        // Last: who sees it counted finds it named.
        self.end(Verdict::Differs, took);
    }

    fn end(&mut self, verdict: Verdict, took: Duration) {
        self.is_settled = true;
        let watched = self.watched();
        let count = match verdict {
            Verdict::Undecided | Verdict::Refused => &watched.skipped,
            Verdict::Same | Verdict::Differs => &watched.run,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if verdict == Verdict::Differs {
            watched.differed.fetch_add(1, Ordering::Relaxed);
        }
        let took = nanoseconds(took).max(1);
        watched.cost.store(took, Ordering::Relaxed);
        watched.time.fetch_add(took, Ordering::Relaxed);
        match self.paid_by {
            PaidBy::First(key) => watched.first_calls.end(key, Some(verdict)),
            PaidBy::Time(paid) => {
                watched.spent.fetch_add(took, Ordering::Relaxed);
                watched.spent.fetch_sub(paid, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        let watched = self.watched();
        if !self.is_settled {
            watched.skipped.fetch_add(1, Ordering::Relaxed);
            if let PaidBy::First(key) = self.paid_by {
                watched.first_calls.end(key, None);
            }
        }
        watched.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn tell(difference: &ViewDifference, enforces: bool) {
    let ViewDifference { view, block, .. } = difference;
    let served = if enforces { "fresh" } else { "kept" };
    tracing::warn!(
        view,
        block = format!("{}:{}", block.height, block.hash),
        pending = difference.pending.is_some(),
        input_sha256 = hex::encode(difference.input_sha256),
        served,
        error = difference.error,
        "a view answers from what earlier calls left in its memory: a fresh instance gives \
         another answer; {}",
        difference.hint()
    );
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
