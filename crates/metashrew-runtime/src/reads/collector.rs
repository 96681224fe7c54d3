//! Watches a run, and collects which keys it reads.

use std::collections::BTreeSet;

use metashrew_store::MAX_KEY_LEN;

use super::ranges::Ranges;
use super::view_reads::{KEY_OVERHEAD, RANGE_OVERHEAD, ViewReads};
use super::walk::Walk;
use crate::observe::{Event, Observer, Refusal};

/// Collects what a run reads, up to a limit. The run goes on beyond it.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    keys: BTreeSet<Vec<u8>>,
    ranges: Ranges,
    /// The walk that is under way.
    walk: Option<Walk>,
    /// The last key that it came to.
    last: Option<Vec<u8>>,
    has_height: bool,
    bytes: usize,
    limit: usize,
    is_over: bool,
}

impl Collector {
    /// For as many bytes, counted as [`ViewReads::bytes`] does.
    pub(crate) fn up_to(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// What was read; none if that was more than the limit.
    pub(crate) fn finish(self) -> Option<ViewReads> {
        let reads = || ViewReads::new(self.keys, &self.ranges, self.has_height);
        (!self.is_over).then(reads)
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Input { .. } => self.has_height = true,
            Event::Read { key, .. } => self.read(key),
            Event::Range {
                start,
                end,
                descending,
                ..
            } => {
                self.walk = Some(Walk::begin(start, end, descending));
                self.last = None;
            }
            Event::Found { key, .. } => {
                let last = self.last.get_or_insert_default();
                last.clear();
                last.extend_from_slice(key);
            }
            Event::RangeEnd { complete } => self.end_walk(complete),
            _ => {}
        }
    }

    fn read(&mut self, key: &[u8]) {
        // A longer one is absent in every state.
        if key.len() > MAX_KEY_LEN || self.keys.contains(key) || self.ranges.contain(key) {
            return;
        }
        if self.count(key.len() + KEY_OVERHEAD) {
            self.keys.insert(key.to_vec());
        }
    }

    fn end_walk(&mut self, complete: bool) {
        let Some(mut walk) = self.walk.take() else {
            return;
        };
        let (start, end) = if complete {
            walk.rest()
        } else if let Some(last) = &self.last {
            walk.pass(last)
        } else {
            // The answer was full before the first step.
            return;
        };
        let end = end.as_deref();
        let bytes = start.len() + end.map_or(0, <[u8]>::len) + RANGE_OVERHEAD;
        if !self.ranges.covers(&start, end) && self.count(bytes) {
            self.ranges.add(&start, end);
        }
    }

    /// Counts bytes; false if they are too many, and then nothing is kept any more.
    fn count(&mut self, bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.limit {
            *self = Self {
                is_over: true,
                ..Self::default()
            };
        }
        !self.is_over
    }
}

impl Observer for Collector {
    fn event(&mut self, event: Event<'_>) -> Result<(), Refusal> {
        if !self.is_over {
            self.event(event);
        }
        Ok(())
    }
}
