//! How a command ends before its time: at a first signal with what it has, at a second one at once.

use std::process;
use std::thread;

use anyhow::{Context, Result};
use metashrew_sync::Stop;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::signals::Signals;

/// SIGINT and SIGTERM, caught from the moment this is made.
pub(super) struct Ending {
    tokio: Runtime,
    signals: Signals,
}

impl Ending {
    pub(super) fn catch() -> Result<Self> {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("signals cannot be caught")?;
        let signals = tokio.block_on(async { Signals::catch() });
        let signals = signals.context("signals cannot be caught")?;
        Ok(Self { tokio, signals })
    }

    /// Requests a stop at the first signal, which it says with `stopping`. At the second one, whatever
    /// the process is waiting for, it calls `leave` and ends the process with exit code 1.
    pub(super) fn heed(
        self,
        stopping: &'static str,
        leave: impl FnOnce() + Send + 'static,
    ) -> Result<Stop> {
        let Self { tokio, mut signals } = self;
        let stop = Stop::new();
        let requested = stop.clone();
        let heed = move || {
            let signal = tokio.block_on(signals.next());
            tracing::info!("{signal}: {stopping}");
            requested.request();
            let signal = tokio.block_on(signals.next());
            tracing::warn!("{signal} again: leaving at once");
            leave();
            // The other threads may never come to an end: one runs a guest.
            process::exit(1);
        };
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(heed)
            .context("the thread for signals cannot be started")?;
        Ok(stop)
    }
}

/// Ends the process at a first signal, with exit code 0, until it is dropped: for what comes before
/// there is anything to end in order, and may take long.
pub(super) struct Leaving(JoinHandle<()>);

impl Leaving {
    /// Must be called on a tokio runtime with another thread than the one that does what may take long.
    pub(super) fn at_signals() -> Result<Self> {
        let mut signals = Signals::catch().context("signals cannot be caught")?;
        let leave = async move {
            let signal = signals.next().await;
            tracing::info!("{signal}: stopping before indexing has begun");
            // Another thread compiles, or reads files, or waits for one.
            process::exit(0);
        };
        Ok(Self(tokio::spawn(leave)))
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.abort();
    }
}
