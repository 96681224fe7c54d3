//! A walk in key order, or back, over layers and tables together. Where several have a key,
//! the newest has the word.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::future::poll_fn;
use std::ops::{Bound, Range};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;

use super::content::Hold;
use super::layer::Layer;
use super::tables::{Found, TableScan};
use super::{BackendError, Cursor, Direction, Entry, Read, Space};

/// A walk over one layer.
pub(super) struct LayerScan {
    layer: Arc<Layer>,
    space: Space,
    positions: Range<usize>,
    direction: Direction,
}

impl LayerScan {
    /// The entries of `layer` from `start` to `end`, both stored keys; none if there are none.
    pub(super) fn new(
        layer: Arc<Layer>,
        space: Space,
        (start, end): (&Bound<Bytes>, &Bound<Bytes>),
        direction: Direction,
    ) -> Option<Self> {
        let (start, end) = (start.as_ref(), end.as_ref());
        let positions = layer
            .run(space)
            .range(start.map(Bytes::as_ref), end.map(Bytes::as_ref));
        (!positions.is_empty()).then_some(Self {
            layer,
            space,
            positions,
            direction,
        })
    }
}

impl Iterator for LayerScan {
    type Item = Found;

    fn next(&mut self) -> Option<Self::Item> {
        let position = match self.direction {
            Direction::Forward => self.positions.next()?,
            Direction::Back => self.positions.next_back()?,
        };
        let (key, value) = self.layer.run(self.space).get(position)?;
        Some((
            Bytes::copy_from_slice(key),
            value.map(Bytes::copy_from_slice),
        ))
    }
}

/// One of those that are walked together.
pub(super) enum Source {
    Layer(LayerScan),
    Tables(TableScan),
}

impl Source {
    fn next(&mut self) -> Option<Result<Found, BackendError>> {
        match self {
            Self::Layer(scan) => scan.next().map(Ok),
            Self::Tables(scan) => scan
                .next()
                .map(|entry| entry.map_err(|error| BackendError::new("scanning", error))),
        }
    }
}

/// The walk over several sources, newest first.
pub(super) struct MergedScan {
    // Dropped in this order: the lock is let go when the tables are.
    sources: Vec<Source>,
    heads: BinaryHeap<Head>,
    direction: Direction,
    failure: Option<BackendError>,
    _hold: Arc<Hold>,
}

/// The next entry of a source. The greatest of all heads is the one that comes next.
struct Head {
    direction: Direction,
    key: Bytes,
    source: usize,
    value: Option<Bytes>,
}

impl MergedScan {
    pub(super) fn new(
        sources: impl Iterator<Item = Source>,
        direction: Direction,
        hold: Arc<Hold>,
    ) -> Self {
        let mut scan = Self {
            sources: sources.collect(),
            heads: BinaryHeap::new(),
            direction,
            failure: None,
            _hold: hold,
        };
        for source in 0..scan.sources.len() {
            scan.advance(source);
        }
        scan
    }

    fn advance(&mut self, source: usize) {
        match self.sources.get_mut(source).and_then(Source::next) {
            Some(Ok((key, value))) => self.heads.push(Head {
                direction: self.direction,
                key,
                source,
                value,
            }),
            Some(Err(error)) => self.failure = Some(error),
            None => {}
        }
    }
}

/// Deleted keys that are passed over before whoever waits may do something else: a large
/// rollback leaves many, one beside the other.
const DELETED_AT_ONCE: usize = 4096;

impl MergedScan {
    /// Goes on to the next entry that is there; none if that is farther than some deleted keys.
    fn look(&mut self) -> Option<Result<Option<Entry>, BackendError>> {
        for _ in 0..DELETED_AT_ONCE {
            if let Some(error) = self.failure.take() {
                self.heads.clear();
                return Some(Err(error));
            }
            let Some(newest) = self.heads.pop() else {
                return Some(Ok(None));
            };
            self.advance(newest.source);
            while let Some(other) = self.heads.peek()
                && other.key == newest.key
            {
                let source = other.source;
                self.heads.pop();
                self.advance(source);
            }
            if self.failure.is_none()
                && let Some(value) = newest.value
            {
                return Some(Ok(Some((newest.key.slice(1..), value))));
            }
        }
        None
    }
}

impl Cursor for MergedScan {
    fn next_entry(&mut self) -> Read<'_, Option<Entry>> {
        match self.look() {
            Some(found) => Read::Ready(found),
            None => Read::Pending(Box::pin(async {
                loop {
                    give_way().await;
                    if let Some(found) = self.look() {
                        return found;
                    }
                }
            })),
        }
    }
}

/// Is ready when it is polled again, which it asks for at once.
async fn give_way() {
    let mut has_given = false;
    poll_fn(|task| {
        if has_given {
            return Poll::Ready(());
        }
        has_given = true;
        task.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_key = match self.direction {
            Direction::Forward => other.key.cmp(&self.key),
            Direction::Back => self.key.cmp(&other.key),
        };
        by_key.then(other.source.cmp(&self.source))
    }
}
