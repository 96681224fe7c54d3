//! The indexer on a thread of its own, and how far it is, for whoever watches.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use metashrew_store::Store;
use metashrew_sync::{IndexEnd, IndexError, IndexState, Indexer, Progress, Stop};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::console::Console;
use crate::reading::Reading;

/// How often the bar moves.
const BAR_EVERY: Duration = Duration::from_millis(200);

/// How often a log line tells the progress where there is no bar.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The indexer on its thread.
pub(super) struct Indexing {
    pub(super) stop: Stop,
    pub(super) progress: Arc<Progress>,
    pub(super) store: Store,
    turns: mpsc::UnboundedReceiver<Turn>,
    is_running: bool,
}

/// What the indexer's thread tells.
enum Turn {
    Ended(Result<IndexEnd, IndexError>),
    /// It goes on after an end.
    Resumed,
}

impl Indexing {
    pub(super) fn start(indexer: Indexer, store: Store) -> Result<Self> {
        let stop = Stop::new();
        let progress = indexer.progress();
        let (tell, turns) = mpsc::unbounded_channel();
        let told = stop.clone();
        std::thread::Builder::new()
            .name("metashrew-commit".to_owned())
            .spawn(move || {
                loop {
                    let result = indexer.run(&told);
                    let may_pass = result.as_ref().is_err_and(IndexError::may_pass);
                    // Nobody listens any more if the process is about to end.
                    let _ = tell.send(Turn::Ended(result));
                    if !may_pass || !indexer.wait_for_chain(&told) {
                        return;
                    }
                    let _ = tell.send(Turn::Resumed);
                }
            })
            .context("the indexer's thread cannot be started")?;
        Ok(Self {
            stop,
            progress,
            store,
            turns,
            is_running: true,
        })
    }

    /// Waits for the end; a thread that died without a word counts as one.
    pub(super) async fn ended(&mut self) -> Result<IndexEnd, IndexError> {
        loop {
            match self.turns.recv().await {
                Some(Turn::Resumed) => self.is_running = true,
                Some(Turn::Ended(result)) => {
                    self.is_running = false;
                    return result;
                }
                None if self.is_running => {
                    return Err(IndexError::Thread {
                        task: "commits blocks",
                        source: None,
                    });
                }
                None => return Ok(IndexEnd::Stopped),
            }
        }
    }

    /// Waits until it goes on after an end.
    pub(super) async fn resumed(&mut self) {
        while let Some(turn) = self.turns.recv().await {
            if let Turn::Resumed = turn {
                self.is_running = true;
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// Shows the progress until the end.
    pub(super) async fn watch(&mut self, console: &Console) -> Result<IndexEnd, IndexError> {
        let (progress, store) = (Arc::clone(&self.progress), self.store.clone());
        let bar = Console::is_terminal()
            .then(|| console.show_bar(0, "{wide_bar:.cyan/dim} {percent}%  {msg}"));
        let mut ticks = interval(if bar.is_some() { BAR_EVERY } else { LINE_EVERY });
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shown = None;
        // The first tick comes at once, when there is nothing to tell yet.
        ticks.tick().await;
        loop {
            tokio::select! {
                ended = self.ended() => return ended,
                _ = ticks.tick() => show(&progress, &store, bar.as_ref(), &mut shown),
            }
        }
    }
}

/// Moves the bar, or writes a line; none at the tip as long as nothing happens.
fn show(progress: &Progress, store: &Store, bar: Option<&ProgressBar>, shown: &mut Option<u32>) {
    let status = progress.status();
    let reading = Reading::of(&status, &store.cache_stats());
    let Some(bar) = bar else {
        if status.state != IndexState::Following
            || *shown != reading.height
            || reading.is_at_a_slow_block()
        {
            tracing::info!("{reading}");
        }
        *shown = reading.height;
        return;
    };
    let report = &status.progress;
    let left = report
        .target
        .zip(report.height)
        .map_or(1, |(target, height)| target.saturating_sub(height));
    bar.set_length(report.blocks + u64::from(left));
    bar.set_position(report.blocks);
    bar.set_message(reading.to_string());
}
