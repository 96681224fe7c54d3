//! Takes the samples: one for each tick, of where the guest was at it.
//!
//! A tick belongs to the host if it came while a host function ran, and else to the guest. The
//! guest is interrupted at its next function or turn of a loop; the host, once its function
//! returns: then as many samples are taken as there were ticks in it.

use std::time::Duration;

use wasmtime::{AsContext, GuestProfiler};

use super::MAX_PROFILE_SAMPLES;
use super::document::Burst;
use super::ticker::Ticks;

pub(super) struct Sampler {
    pub(super) profiler: GuestProfiler,
    ticks: Ticks,
    interval: Duration,
    /// The ticks that are dealt with.
    seen: u64,
    samples: usize,
    /// The host function that runs, and the ticks when it was entered.
    entered: Option<(usize, u64)>,
    bursts: Vec<Burst>,
}

impl Sampler {
    pub(super) fn new(profiler: GuestProfiler, ticks: Ticks, interval: Duration) -> Self {
        Self {
            profiler,
            seen: ticks.count(),
            ticks,
            interval,
            samples: 0,
            entered: None,
            bursts: Vec::new(),
        }
    }

    /// From now on ticks are for the guest: what ticked before was for nobody.
    pub(super) fn begin(&mut self) {
        self.seen = self.ticks.count();
        self.entered = None;
    }

    /// The guest is interrupted at a tick, in `store`.
    pub(super) fn guest(&mut self, store: impl AsContext) {
        let now = self.ticks.count();
        self.take(store, now - self.seen);
        self.seen = now;
    }

    /// The host's function of that number is entered.
    pub(super) fn enter(&mut self, function: usize) {
        self.entered = Some((function, self.ticks.count()));
    }

    /// It is left, and is still on the stack of `store`. Tells whether there were ticks in it,
    /// of which the guest need not be told any more.
    pub(super) fn leave(&mut self, store: impl AsContext) -> bool {
        let now = self.ticks.count();
        let Some((_, entered)) = self.entered.take() else {
            return false;
        };
        let in_host = now - entered.max(self.seen);
        if in_host == 0 {
            return false;
        }
        self.take(store, in_host);
        self.seen = now;
        true
    }

    /// Takes so many samples of where `store` is now.
    fn take(&mut self, store: impl AsContext, ticks: u64) {
        let room = MAX_PROFILE_SAMPLES - self.samples;
        let count = usize::try_from(ticks).unwrap_or(usize::MAX).min(room);
        if count > 1 {
            self.bursts.push(Burst {
                first: self.samples,
                count,
            });
        }
        for _ in 0..count {
            self.profiler.sample(&store, self.interval);
        }
        self.samples += count;
    }

    pub(super) fn is_full(&self) -> bool {
        self.samples >= MAX_PROFILE_SAMPLES
    }

    pub(super) fn samples(&self) -> usize {
        self.samples
    }

    /// The host function that was entered last and not left, and how long ago that was.
    pub(super) fn entered(&self) -> Option<(usize, Duration)> {
        let (function, ticks) = self.entered?;
        let ticks = u32::try_from(self.ticks.count() - ticks).unwrap_or(u32::MAX);
        Some((function, self.interval.saturating_mul(ticks)))
    }

    /// The profiler, and which samples were taken at once.
    pub(super) fn into_parts(self) -> (GuestProfiler, Vec<Burst>) {
        (self.profiler, self.bursts)
    }
}
