//! How often something is sent over a connection that is silent otherwise.

use std::future;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Ticks so often. Without an interval it never does.
#[derive(Debug)]
pub(super) struct Heartbeat(Option<Interval>);

impl Heartbeat {
    /// None for zero, and for what no clock reaches.
    pub(super) fn new(every: Duration) -> Self {
        let first = Instant::now().checked_add(every);
        let first = first.filter(|_| !every.is_zero());
        Self(first.map(|first| {
            let mut interval = interval_at(first, every);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        }))
    }

    pub(super) fn poll_tick(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(interval) => interval.poll_tick(context).map(|_| ()),
            None => Poll::Pending,
        }
    }

    pub(super) async fn tick(&mut self) {
        future::poll_fn(|context| self.poll_tick(context)).await;
    }

    /// Something was sent.
    pub(super) fn reset(&mut self) {
        if let Some(interval) = &mut self.0 {
            interval.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_ticks_unless_it_is_off() {
        let every = Duration::from_millis(2);
        let begin = Instant::now();
        let mut beats = Heartbeat::new(every);
        beats.tick().await;
        beats.tick().await;
        assert!(begin.elapsed() >= 2 * every);
        for off in [Duration::ZERO, Duration::MAX] {
            let mut beats = Heartbeat::new(off);
            beats.reset();
            let mut context = Context::from_waker(std::task::Waker::noop());
            assert!(beats.poll_tick(&mut context).is_pending(), "{off:?}");
            assert!(beats.0.is_none(), "{off:?}");
        }
    }
}
