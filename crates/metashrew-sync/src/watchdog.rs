//! Tells of blocks, commits and rollbacks that take too long. Nothing ends them: only the
//! guest's author can say whether a block may take an hour.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use crate::progress::Progress;

/// How often it looks.
const TICK: Duration = Duration::from_millis(50);

/// After how many thresholds work is told of; then whenever it has taken twice as
/// long as the last time.
const TOLD_AFTER: [u32; 3] = [1, 6, 60];

pub(crate) struct Watchdog {
    threshold: Duration,
    /// When the work watched began, and how often it was told of.
    block: Option<(Instant, u32)>,
    write: Option<(Instant, u32)>,
}

impl Watchdog {
    /// Watches on a thread of its own, as long as the channel is connected. A
    /// machine that has no thread for it does without.
    pub(crate) fn watch(progress: &Arc<Progress>, threshold: Duration, until: Receiver<()>) {
        let progress = Arc::clone(progress);
        let mut watchdog = Self {
            threshold,
            block: None,
            write: None,
        };
        let run = move || {
            while until.recv_timeout(TICK) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
                watchdog.look(&progress);
            }
        };
        let thread = std::thread::Builder::new().name("metashrew-watch".to_owned());
        if let Err(error) = thread.spawn(run) {
            tracing::warn!("blocks that take too long are not told of: {error}");
        }
    }

    fn look(&mut self, progress: &Progress) {
        let running = progress.running();
        let since = running.map(|running| running.since);
        if let (Some(running), Some(seconds)) = (running, self.is_due(since, Which::Block)) {
            let (height, hash) = (running.height, running.hash);
            tracing::warn!(height, %hash, "the guest has been processing block {height} for {seconds:.1} s");
        }
        let writing = progress.writing();
        let since = writing.map(|writing| writing.since);
        if let (Some(writing), Some(seconds)) = (writing, self.is_due(since, Which::Write)) {
            tracing::warn!("{writing} has been under way for {seconds:.1} s");
        }
    }

    /// For how many seconds the work has been under way, if it is time to tell.
    fn is_due(&mut self, since: Option<Instant>, which: Which) -> Option<f64> {
        let watched = match which {
            Which::Block => &mut self.block,
            Which::Write => &mut self.write,
        };
        let Some(since) = since else {
            *watched = None;
            return None;
        };
        let told = match *watched {
            Some((before, told)) if before == since => told,
            _ => 0,
        };
        let elapsed = since.elapsed();
        let due = elapsed >= due_after(self.threshold, told);
        *watched = Some((since, told + u32::from(due)));
        due.then_some(elapsed.as_secs_f64())
    }
}

#[derive(Clone, Copy)]
enum Which {
    Block,
    Write,
}

/// How long work takes until it is told of, which it was so often before.
fn due_after(threshold: Duration, told: u32) -> Duration {
    let mut factor = 0_u32;
    for index in 0..=usize::try_from(told).unwrap_or(usize::MAX).min(64) {
        let next = TOLD_AFTER.get(index).copied();
        factor = next.unwrap_or(factor.saturating_mul(2));
    }
    threshold.saturating_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_told_of_after_10_60_and_600_seconds_and_then_ever_more_rarely() {
        let told: Vec<u64> = (0..6)
            .map(|told| due_after(Duration::from_secs(10), told).as_secs())
            .collect();
        assert_eq!(told, [10, 60, 600, 1_200, 2_400, 4_800]);
        let seldom = due_after(Duration::from_secs(10), u32::MAX);
        assert!(seldom > Duration::from_hours(1_000));
    }
}
