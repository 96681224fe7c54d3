//! Shows what views answer, at each new guest and each new block, on a thread of its own: a view
//! may take long.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::answers::Answers;
use super::attempt::Live;
use super::logs::Logs;
use super::tell::Teller;

/// How often it is looked for new blocks and lines.
const TICK: Duration = Duration::from_millis(50);

/// How long the end may wait for a view.
const GRACE: Duration = Duration::from_secs(1);

/// Shows views, and what the guest logs, until this is dropped.
pub(super) struct Screen {
    guests: Sender<Arc<Live>>,
    /// Disconnected once the thread has ended.
    ended: Receiver<()>,
}

impl Screen {
    pub(super) fn start(answers: Answers, logs: Arc<Logs>, teller: Teller) -> Result<Self> {
        let (guests, new) = channel();
        let (runs, ended) = channel();
        thread::Builder::new()
            .name("metashrew-show".to_owned())
            .spawn(move || {
                show(answers, &logs, teller, &new);
                drop(runs);
            })
            .context("the thread that shows views cannot be started")?;
        Ok(Self { guests, ended })
    }

    /// From now on this guest is shown.
    pub(super) fn show(&self, live: &Arc<Live>) {
        // It fails only where the thread has died, which was told of.
        let _ = self.guests.send(Arc::clone(live));
    }

    /// Lets go of the guest, unless a view takes long.
    pub(super) fn end(self) {
        drop(self.guests);
        // It only ever gets disconnected.
        let _ = self.ended.recv_timeout(GRACE);
    }
}

fn show(mut answers: Answers, logs: &Logs, teller: Teller, new: &Receiver<Arc<Live>>) {
    let mut live: Option<Arc<Live>> = None;
    let mut shown = None;
    loop {
        match new.recv_timeout(TICK) {
            Ok(newest) => {
                live = Some(newest);
                shown = None;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        logs.show_new();
        let Some(live) = &live else { continue };
        let tip = live.runtime.store().snapshot().tip().map(|tip| tip.hash);
        if tip.is_some() && tip != shown {
            shown = tip;
            answers.tell(&live.runtime, teller);
        }
    }
}
