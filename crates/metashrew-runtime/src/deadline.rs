//! How long a call may run. Checked at every epoch tick, in views only, and while a
//! read is pending.

use std::collections::BTreeMap;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use wasmtime::UpdateDeadline;

use crate::clock::{self, now};
use crate::engine::EPOCH_TICK;
use crate::error::GuestBacktrace;
use crate::fault::Fault;
use crate::ticker::Ticking;

/// Ticks of the epoch between two checks of a running view.
pub(crate) const TICKS_BETWEEN_CHECKS: u64 = 1;

/// When a call must have ended, and what it does at a tick until then.
#[derive(Clone, Default)]
pub(crate) struct Deadline {
    end: Option<Instant>,
    /// When the call came: see [`clock::nanos`].
    age: u64,
    yields: bool,
    /// What wakes a call whose time is over while it waits for a read.
    alarms: Option<Arc<Alarms>>,
}

impl Deadline {
    /// A call that starts now, may take `limit`, and gives way to other tasks at
    /// every tick if it `yields` (it then must run on a fibre).
    pub(crate) fn after(limit: Duration, yields: bool) -> Self {
        let now = now();
        Self {
            end: now.checked_add(limit),
            age: clock::nanos(now),
            yields,
            alarms: None,
        }
    }

    /// For a run that must have ended at `end`, of a call that came at `age`.
    pub(crate) fn at(end: Instant, age: u64, yields: bool) -> Self {
        Self {
            end: Some(end),
            age,
            yields,
            alarms: None,
        }
    }

    /// When the call must have ended; now, if it never must.
    pub(crate) fn end(&self) -> Instant {
        self.end.unwrap_or_else(now)
    }

    /// When the call came: see [`clock::nanos`].
    pub(crate) fn age(&self) -> u64 {
        self.age
    }

    /// The same for a call that may wait for reads.
    pub(crate) fn with_alarms(mut self, alarms: Option<&Arc<Alarms>>) -> Self {
        self.alarms = alarms.cloned();
        self
    }

    /// What a running call does at an epoch tick.
    pub(crate) fn tick(&self) -> wasmtime::Result<UpdateDeadline> {
        if self.is_over() {
            return Err(wasmtime::Error::new(Fault::Timeout(
                GuestBacktrace::default(),
            )));
        }
        Ok(if self.yields {
            // Tokio puts the task behind all others then, and looks after its I/O.
            UpdateDeadline::YieldCustom(TICKS_BETWEEN_CHECKS, Box::pin(tokio::task::yield_now()))
        } else {
            UpdateDeadline::Continue(TICKS_BETWEEN_CHECKS)
        })
    }

    /// Whether the call may have to wait for reads.
    pub(crate) fn has_alarms(&self) -> bool {
        self.alarms.is_some()
    }

    /// Awaits `read`, for as long as the call has time.
    pub(crate) async fn bound<T>(
        &self,
        mut read: Pin<Box<impl Future<Output = T>>>,
    ) -> Result<T, Fault> {
        let mut alarm = None;
        std::future::poll_fn(move |task| {
            if let Poll::Ready(value) = read.as_mut().poll(task) {
                return Poll::Ready(Ok(value));
            }
            if self.is_over() {
                return Poll::Ready(Err(Fault::Timeout(GuestBacktrace::default())));
            }
            if let (Some(alarms), Some(end)) = (&self.alarms, self.end) {
                alarm
                    .get_or_insert_with(|| Alarm::new(alarms, end))
                    .set(task.waker());
            }
            Poll::Pending
        })
        .await
    }

    /// Whether nothing ends the call, and it gives way to nobody.
    fn is_unbounded(&self) -> bool {
        self.end.is_none() && !self.yields
    }

    fn is_over(&self) -> bool {
        self.end.is_some_and(|end| now() >= end)
    }
}

/// Has work of the host that may be long end with its call's time, and give way at every tick:
/// what the epoch does for a guest's own code.
pub(crate) struct Pace<'a> {
    deadline: &'a Deadline,
    /// When it last gave way.
    since: Instant,
    /// Steps since the last look at the clock.
    steps: usize,
}

/// Steps of the host's work between two looks at the clock. A step may be a read from a disk.
const STEPS_PER_LOOK: usize = 16;

/// Bytes that are as much work as a step.
const BYTES_PER_STEP: usize = 64 * 1024;

impl<'a> Pace<'a> {
    pub(crate) fn new(deadline: &'a Deadline) -> Self {
        Self {
            deadline,
            since: now(),
            steps: 0,
        }
    }

    /// To be awaited before each step of the work. It ends where `is_cancelled`.
    pub(crate) async fn step(&mut self, is_cancelled: impl Fn() -> bool) -> Result<(), Fault> {
        self.steps += 1;
        if self.steps < STEPS_PER_LOOK {
            return Ok(());
        }
        self.look(is_cancelled).await
    }

    /// The same, after as much work as there may be between two looks at the clock.
    pub(crate) async fn look(&mut self, is_cancelled: impl Fn() -> bool) -> Result<(), Fault> {
        self.steps = 0;
        if self.deadline.is_unbounded() {
            return Ok(());
        }
        if is_cancelled() || self.deadline.is_over() {
            return Err(Fault::Timeout(GuestBacktrace::default()));
        }
        if self.deadline.yields && self.since.elapsed() >= EPOCH_TICK {
            tokio::task::yield_now().await;
            self.since = now();
        }
        Ok(())
    }

    /// The step had so many bytes in hand.
    pub(crate) fn handled(&mut self, bytes: usize) {
        self.steps = self.steps.saturating_add(bytes / BYTES_PER_STEP);
    }
}

/// The calls that wait for something, by when their time is over.
#[derive(Default)]
pub(crate) struct Alarms {
    numbers: AtomicU64,
    waiting: Mutex<BTreeMap<(Instant, u64), Waker>>,
    ticking: Ticking,
}

impl Alarms {
    /// Alarms that are rung by the thread behind `ticking`.
    pub(crate) fn new(ticking: &Ticking) -> Arc<Self> {
        Arc::new(Self {
            ticking: ticking.clone(),
            ..Self::default()
        })
    }

    /// Awaits `future` until `end`; none if it is not ready by then.
    pub(crate) async fn until<T>(
        &self,
        end: Instant,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        let mut future = pin!(future);
        let mut alarm = None;
        std::future::poll_fn(|task| {
            if let Poll::Ready(value) = future.as_mut().poll(task) {
                return Poll::Ready(Some(value));
            }
            if now() >= end {
                return Poll::Ready(None);
            }
            alarm
                .get_or_insert_with(|| Alarm::new(self, end))
                .set(task.waker());
            Poll::Pending
        })
        .await
    }

    /// Wakes the calls whose time is over, and tells whether others wait. To be called at
    /// every epoch tick.
    pub(crate) fn tick(&self) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.is_empty() {
            return false;
        }
        let later = waiting.split_off(&(now(), u64::MAX));
        let over = mem::replace(&mut *waiting, later);
        drop(waiting);
        over.into_values().for_each(Waker::wake);
        true
    }
}

/// The place of one call among the alarms, until it is dropped.
struct Alarm<'a> {
    alarms: &'a Alarms,
    key: (Instant, u64),
}

impl<'a> Alarm<'a> {
    fn new(alarms: &'a Alarms, end: Instant) -> Self {
        let number = alarms.numbers.fetch_add(1, Ordering::Relaxed);
        Self {
            alarms,
            key: (end, number),
        }
    }

    fn set(&self, waker: &Waker) {
        self.alarms.waiting.lock().insert(self.key, waker.clone());
        self.alarms.ticking.wake();
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.alarms.waiting.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use metashrew_store::wait;

    use super::*;

    #[test]
    fn work_ends_after_some_steps_and_sooner_where_they_are_large() {
        let is_over = Deadline::at(now(), 0, false);
        let steps = |bytes: usize| {
            let mut pace = Pace::new(&is_over);
            let step = |_: &usize| {
                let step = wait(pin!(pace.step(|| false)));
                pace.handled(bytes);
                step.is_ok()
            };
            (0..1000).take_while(step).count()
        };
        assert_eq!(steps(100), STEPS_PER_LOOK - 1);
        assert_eq!(steps(256 << 20), 1);
        assert_eq!(steps(usize::MAX), 1);
    }

    #[test]
    fn nothing_ends_the_work_of_a_block() {
        let block = Deadline::default();
        let mut pace = Pace::new(&block);
        for _ in 0..100 {
            wait(pin!(pace.step(|| true))).unwrap();
            pace.handled(usize::MAX);
        }
    }
}
