//! The views of an engine that somebody holds.
//!
//! A view of the last batch shows the same whichever layers and tables hold it. So it goes
//! along when these are replaced, and an engine that nobody writes to keeps no table that a
//! compaction replaced. A view of an earlier batch keeps what it has, and that is counted.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::content::{Content, ContentView};

#[derive(Debug, Default)]
pub(super) struct Views(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    /// Of the last batch.
    current: Vec<Weak<ContentView>>,
    /// Of earlier batches, the oldest first, and since when there is a later one.
    earlier: Vec<(Instant, Weak<ContentView>)>,
}

/// What views of earlier batches keep.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Pinned {
    /// How long there has been a later batch than that of the oldest view; zero without one.
    pub(super) oldest: Duration,
    /// Layers that the engine itself does not keep, in bytes.
    pub(super) layer_bytes: u64,
}

impl Views {
    /// Notes a view of the last batch. The content must not be replaced meanwhile.
    pub(super) fn add(&self, view: &Arc<ContentView>) {
        self.0.lock().current.push(Arc::downgrade(view));
    }

    /// Has the views of the last batch show it as `content` does, which has just taken the
    /// place of `before`.
    pub(super) fn follow(&self, before: &Content, content: &Arc<Content>) {
        let mut held = self.0.lock();
        held.current.retain(|view| view.strong_count() > 0);
        if before.number == content.number {
            for view in held.current.iter().filter_map(Weak::upgrade) {
                view.content.store(Arc::clone(content));
            }
            return;
        }
        held.earlier.retain(|(_, view)| view.strong_count() > 0);
        if held.current.is_empty() {
            return;
        }
        let superseded = now();
        let current = std::mem::take(&mut held.current);
        let earlier = current.into_iter().map(|view| (superseded, view));
        held.earlier.extend(earlier);
    }

    /// What views of earlier batches than that of `content`, the engine's own, keep.
    pub(super) fn pinned(&self, content: &Content) -> Pinned {
        let mut held = self.0.lock();
        held.earlier.retain(|(_, view)| view.strong_count() > 0);
        let mut seen: HashSet<_> = content.layers.iter().map(Arc::as_ptr).collect();
        let mut layer_bytes = 0;
        for view in held.earlier.iter().filter_map(|(_, view)| view.upgrade()) {
            for layer in &view.content.load().layers {
                if seen.insert(Arc::as_ptr(layer)) {
                    layer_bytes += layer.size();
                }
            }
        }
        Pinned {
            oldest: held
                .earlier
                .first()
                .map_or(Duration::ZERO, |(since, _)| since.elapsed()),
            layer_bytes,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a view is held, which no state depends on"
)]
fn now() -> Instant {
    Instant::now()
}
