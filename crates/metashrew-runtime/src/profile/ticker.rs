//! The thread that says when a sample is due: it counts ticks, and advances the epoch at each,
//! which interrupts the guest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use wasmtime::Engine;

use crate::error::HostFault;

/// The thread. It ends when this is dropped.
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    ticks: AtomicU64,
    stops: AtomicBool,
}

/// The ticks so far.
#[derive(Clone)]
pub(super) struct Ticks(Arc<Shared>);

impl Ticks {
    pub(super) fn count(&self) -> u64 {
        self.0.ticks.load(Ordering::SeqCst)
    }
}

impl Ticker {
    /// Ticks every `interval`, and advances the epoch of `engine`.
    pub(super) fn start(engine: &Engine, interval: Duration) -> Result<Self, HostFault> {
        let shared = Arc::<Shared>::default();
        let (ticking, engine) = (Arc::clone(&shared), engine.weak());
        let run = move || {
            while !ticking.stops.load(Ordering::SeqCst) {
                thread::park_timeout(interval);
                // In this order: who sees the epoch sees the tick.
                ticking.ticks.fetch_add(1, Ordering::SeqCst);
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => break,
                }
            }
        };
        let thread = thread::Builder::new()
            .name("profile".to_owned())
            .spawn(run)
            .map_err(|error| HostFault::Resources(format!("no thread for a profile: {error}")))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    pub(super) fn ticks(&self) -> Ticks {
        Ticks(Arc::clone(&self.shared))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stops.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            thread.join().ok();
        }
    }
}
