//! An indexer on a thread of its own.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use metashrew_sync::{IndexEnd, IndexError, Indexer, Stop};

/// The indexer on its thread, which is named as that of `start`.
pub(super) struct Running(mpsc::Receiver<Result<IndexEnd, IndexError>>);

impl Running {
    pub(super) fn start(indexer: Indexer, stop: Stop) -> Result<Self> {
        let (tell, ended) = mpsc::channel();
        thread::Builder::new()
            .name("metashrew-commit".to_owned())
            .spawn(move || {
                let ended = indexer.run(&stop);
                // It lets go of the store before the end is known.
                drop(indexer);
                // Nobody listens any more if the command is over.
                let _ = tell.send(ended);
            })
            .context("the indexer's thread cannot be started")?;
        Ok(Self(ended))
    }

    /// How it ended, if it does within `tick`.
    pub(super) fn ended(&self, tick: Duration) -> Option<Result<IndexEnd, IndexError>> {
        match self.0.recv_timeout(tick) {
            Ok(ended) => Some(ended),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(IndexError::Thread {
                task: "commits blocks",
                source: None,
            })),
        }
    }
}
