//! The thread that advances the epoch of the views' engine while anything runs on it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::thread;

use wasmtime::Engine;

use crate::engine::EPOCH_TICK;
use crate::error::LoadError;

/// Ticks without anything to do, until the thread sleeps: calls that come one shortly after
/// the other need not wake it each time.
const IDLE_TICKS: u32 = 50;

/// What has the epochs advance.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ticking(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    sleeps: AtomicBool,
    stops: AtomicBool,
    /// What runs beside calls.
    running: AtomicUsize,
    thread: OnceLock<thread::Thread>,
}

impl Shared {
    /// Sleeps until somebody begins something, unless something goes on.
    fn sleep(&self, goes_on: impl Fn() -> bool) {
        self.sleeps.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if goes_on() {
            self.sleeps.store(false, Ordering::SeqCst);
        }
        while self.sleeps.load(Ordering::SeqCst) && !self.stops.load(Ordering::SeqCst) {
            thread::park();
        }
    }
}

impl Ticking {
    /// Has the thread look after what has just begun.
    pub(crate) fn wake(&self) {
        // The thread looks once more after it said that it sleeps: one sees the other.
        fence(Ordering::SeqCst);
        if self.0.sleeps.load(Ordering::Relaxed) && self.0.sleeps.swap(false, Ordering::SeqCst) {
            self.unpark();
        }
    }

    fn unpark(&self) {
        if let Some(thread) = self.0.thread.get() {
            thread.unpark();
        }
    }

    /// The epochs advance for as long as that is held.
    pub(crate) fn hold(&self) -> Running {
        self.0.running.fetch_add(1, Ordering::SeqCst);
        self.wake();
        Running(Arc::clone(&self.0))
    }
}

/// Something runs that is no call of the pool.
#[derive(Debug)]
pub(crate) struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The thread. It ends when this is dropped.
pub(crate) struct Ticker {
    ticking: Ticking,
    thread: Option<thread::JoinHandle<()>>,
}

impl Ticker {
    /// `at_tick` is done at each tick, and tells whether anything goes on.
    pub(crate) fn start(
        engine: &Engine,
        ticking: Ticking,
        at_tick: impl Fn() -> bool + Send + 'static,
    ) -> Result<Self, LoadError> {
        let (shared, engine) = (Arc::clone(&ticking.0), engine.weak());
        let goes_on = move |shared: &Shared| {
            // Both, as the first does what is due.
            at_tick() | (shared.running.load(Ordering::SeqCst) > 0)
        };
        let run = move || {
            let mut idle = 0;
            while !shared.stops.load(Ordering::SeqCst) {
                thread::park_timeout(EPOCH_TICK);
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => break,
                }
                idle = if goes_on(&shared) { 0 } else { idle + 1 };
                if idle > IDLE_TICKS {
                    shared.sleep(|| goes_on(&shared));
                    idle = 0;
                }
            }
        };
        let thread = thread::Builder::new()
            .name("view-epoch".to_owned())
            .spawn(run)
            .map_err(|error| LoadError::Engine(format!("no epoch thread: {error}")))?;
        // Before any call can come: nobody has the pool yet.
        let _ = ticking.0.thread.set(thread.thread().clone());
        Ok(Self {
            ticking,
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.ticking.0.stops.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            thread.join().ok();
        }
    }
}
