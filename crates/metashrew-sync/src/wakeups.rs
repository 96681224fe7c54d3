//! Waiting for a new block: until somebody says there may be one, and for no
//! longer than an interval.

use std::time::Duration;

use crossbeam_channel::Receiver;

use crate::options::IndexOptions;

/// How often a node is asked for a new block if nobody says when there is one.
const POLL: Duration = Duration::from_secs(1);

/// How often it is asked if somebody does, and might be wrong.
const POLL_BESIDE_WAKEUPS: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub(crate) struct Wakeups {
    receiver: Option<Receiver<()>>,
    interval: Option<Duration>,
}

impl Wakeups {
    pub(crate) fn new(receiver: Option<Receiver<()>>, options: &IndexOptions) -> Self {
        Self {
            receiver,
            interval: options.poll_interval,
        }
    }

    /// Waits for a wakeup, or for the interval; answers whether `over` was
    /// disconnected.
    pub(crate) fn wait(&mut self, over: &Receiver<()>) -> bool {
        let Some(receiver) = &self.receiver else {
            return crossbeam_channel::select! {
                recv(over) -> _ => true,
                default(self.interval.unwrap_or(POLL)) => false,
            };
        };
        crossbeam_channel::select! {
            recv(over) -> _ => true,
            recv(receiver) -> wakeup => {
                if wakeup.is_err() {
                    // It would wake us for ever.
                    self.receiver = None;
                }
                false
            }
            default(self.interval.unwrap_or(POLL_BESIDE_WAKEUPS)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wakeups(receiver: Option<Receiver<()>>, interval: Duration) -> Wakeups {
        let options = IndexOptions {
            poll_interval: Some(interval),
            ..IndexOptions::default()
        };
        Wakeups::new(receiver, &options)
    }

    #[test]
    fn a_wakeup_the_interval_and_the_end_each_end_the_wait() {
        let (open, over) = crossbeam_channel::bounded(0);
        let (sender, receiver) = crossbeam_channel::bounded(1);
        sender.send(()).unwrap();
        let hour = Duration::from_hours(1);
        let mut waiting = wakeups(Some(receiver), hour);
        assert!(!waiting.wait(&over));
        assert!(!wakeups(None, Duration::ZERO).wait(&over));
        drop(sender);
        // Seen once; then the interval counts, and the end.
        assert!(!waiting.wait(&over));
        drop(open);
        assert!(waiting.wait(&over) && wakeups(None, hour).wait(&over));
    }
}
