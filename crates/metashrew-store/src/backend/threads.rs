//! The engine's threads. They sleep until they are told that something changed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::BackendError;
use super::coordination::Concern;
use super::engine::Engine;

/// The threads of an open engine, which end when it is dropped. What is not in tables by
/// then is written out before.
pub(super) struct Threads {
    engine: Arc<Engine>,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    /// One that flushes, and so many that compact.
    pub(super) fn start(engine: &Arc<Engine>, workers: usize) -> Result<Self, BackendError> {
        let mut threads = Self {
            engine: Arc::clone(engine),
            threads: Vec::new(),
        };
        threads.spawn("store-flush", flush)?;
        for _ in 0..workers.max(1) {
            threads.spawn("store-compact", compact)?;
        }
        Ok(threads)
    }

    fn spawn(&mut self, name: &str, run: fn(&Engine)) -> Result<(), BackendError> {
        let engine = Arc::clone(&self.engine);
        let thread = Builder::new().name(name.to_owned()).spawn(move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(&engine))) {
                let what = panic_message(panic.as_ref());
                engine
                    .threads
                    .give_up(&format!("a thread of the engine panicked: {what}"));
            }
        });
        let thread =
            thread.map_err(|error| BackendError::new("starting the engine's threads", error))?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.engine.stop();
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

/// Writes out, merges and evicts layers until the engine is closed; then writes out all.
fn flush(engine: &Engine) {
    let mut seen = 0;
    let mut retry_after = None;
    while let Some(changes) = engine
        .threads
        .wait_for_work(Concern::Layers, seen, retry_after)
    {
        seen = changes;
        retry_after = work(engine, || engine.tend_layers(false), true);
    }
    if engine.threads.is_abandoned() {
        return;
    }
    if let Err(error) = engine.tend_layers(true) {
        tracing::warn!(%error, "cannot write out recent writes; the log has them");
        engine.threads.note_flush_failure(&error);
    }
}

/// Merges tables until the engine is closed.
fn compact(engine: &Engine) {
    let mut seen = 0;
    let mut retry_after = None;
    while let Some(changes) = engine
        .threads
        .wait_for_work(Concern::Tables, seen, retry_after)
    {
        seen = changes;
        let step = || {
            let mut worked = Ok(false);
            for tree in engine.trees.all() {
                if engine.threads.is_stopping() {
                    break;
                }
                // One that fails does not keep the others from being merged.
                let compacted = engine.compact(tree);
                worked = worked.and_then(|worked| Ok(compacted? || worked));
            }
            worked
        };
        retry_after = work(engine, step, false);
    }
}

/// Takes steps until there is nothing left to do. Returns when to try again if one failed.
fn work(
    engine: &Engine,
    step: impl Fn() -> Result<bool, BackendError>,
    is_flush: bool,
) -> Option<Duration> {
    loop {
        match step() {
            Ok(worked) if is_flush => {
                engine.threads.flush_succeeded();
                if !worked {
                    return None;
                }
            }
            Ok(true) => {}
            Ok(false) => return None,
            Err(_) if engine.threads.is_stopping() => return None,
            Err(error) => return engine.failed(&error, is_flush),
        }
    }
}

pub(super) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}
