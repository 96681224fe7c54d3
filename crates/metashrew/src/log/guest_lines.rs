//! What guests log, kept for a command that shows it at its own time.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::GUEST;
use crate::printable::MAX_SHOWN;

/// Lines that are kept at most; the oldest ones go first.
const MAX_LINES: usize = 1_000;

/// A line of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GuestLine {
    /// The height of the block that it ran over, or of the state that a view stood on.
    pub(crate) height: u32,
    /// Cut where it is longer than what is shown of a line.
    pub(crate) text: String,
}

/// The last lines that guests have logged. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct GuestLines(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<GuestLine>,
    /// How many have gone.
    lost: u64,
}

impl GuestLines {
    /// Takes the lines since the last time, and tells how many came before them that were not
    /// kept.
    pub(crate) fn take(&self) -> (u64, Vec<GuestLine>) {
        let Kept { lines, lost } = std::mem::take(&mut *self.0.lock());
        (lost, lines.into())
    }

    fn add(&self, line: GuestLine) {
        let mut kept = self.0.lock();
        if kept.lines.len() == MAX_LINES {
            kept.lines.pop_front();
            kept.lost += 1;
        }
        kept.lines.push_back(line);
    }
}

impl<S: Subscriber> Layer<S> for GuestLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != GUEST {
            return;
        }
        let mut line = GuestLine {
            height: 0,
            text: String::new(),
        };
        event.record(&mut line);
        self.add(line);
    }
}

impl Visit for GuestLine {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.text = format!("{value:?}");
            self.text.truncate(self.text.floor_char_boundary(MAX_SHOWN));
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "height" {
            self.height = u32::try_from(value).unwrap_or(u32::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn the_last_lines_are_kept_with_their_heights() {
        let lines = GuestLines::default();
        let registry = tracing_subscriber::registry().with(lines.clone());
        tracing::subscriber::with_default(registry, || {
            tracing::info!(target: "metashrew::other", height = 1, "not a guest's");
            for height in 0..1_002_u32 {
                tracing::info!(target: "metashrew::guest", height, "at {height}");
            }
        });
        let (lost, kept) = lines.take();
        assert_eq!((lost, kept.len()), (2, MAX_LINES));
        let first = GuestLine {
            height: 2,
            text: "at 2".to_owned(),
        };
        assert_eq!(kept.first(), Some(&first));
        assert_eq!(lines.take(), (0, Vec::new()));
    }
}
