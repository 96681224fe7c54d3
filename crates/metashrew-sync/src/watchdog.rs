//! Tells of blocks that take too long. Nothing ends them: only the guest's author
//! can say whether a block may take an hour.

use std::time::{Duration, Instant};

use crate::progress::Running;

pub(crate) struct Watchdog {
    threshold: Duration,
    /// When the block watched began, and how long it may go on untold.
    watched: Option<(Instant, Duration)>,
}

impl Watchdog {
    pub(crate) fn new(threshold: Duration) -> Self {
        Self {
            threshold,
            watched: None,
        }
    }

    /// Looks at the block at hand; warns at the threshold, and whenever the time
    /// has doubled.
    pub(crate) fn look(&mut self, running: Option<Running>) {
        let Some(running) = running else {
            self.watched = None;
            return;
        };
        let limit = match self.watched {
            Some((since, limit)) if since == running.since => limit,
            _ => self.threshold,
        };
        let elapsed = running.since.elapsed();
        let mut next = limit;
        if elapsed >= limit {
            let (height, hash, seconds) = (running.height, running.hash, elapsed.as_secs_f64());
            tracing::warn!(height, %hash, "the guest has been processing block {height} for {seconds:.1} s");
            next = elapsed.max(self.threshold).saturating_mul(2);
        }
        self.watched = Some((running.since, next));
    }
}
