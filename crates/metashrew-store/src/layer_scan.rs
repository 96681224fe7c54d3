//! The keys of several write sets within a range, in one order: a merge of what each has
//! sorted, of which nothing is collected first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::ops::{Bound, Range};
use std::sync::Arc;

use bytes::Bytes;

use crate::backend::Direction;
use crate::block::Height;
use crate::overlay::Layer;
use crate::write_set::{Version, WriteSet};

pub(crate) struct LayerScan {
    cursors: BinaryHeap<Cursor>,
}

/// The next entry of one write set.
struct Cursor {
    writes: Arc<WriteSet>,
    height: Height,
    /// How many layers are below it.
    layer: usize,
    direction: Direction,
    /// The places in key order that come after it.
    places: Range<usize>,
    /// The number of the entry.
    number: usize,
}

impl LayerScan {
    /// The keys in `layers`, the lowest first, from `start` to `end`.
    pub(crate) fn new(
        layers: &[Layer],
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
    ) -> Self {
        let cursors = layers.iter().enumerate().filter_map(|(layer, entry)| {
            let (height, writes) = entry;
            let mut cursor = Cursor {
                writes: Arc::clone(writes),
                height: *height,
                layer,
                direction,
                places: places(writes, range),
                number: 0,
            };
            cursor.advance().then_some(cursor)
        });
        Self {
            cursors: cursors.collect(),
        }
    }

    /// The key that comes next.
    pub(crate) fn peek(&self) -> Option<&[u8]> {
        self.cursors.peek().map(Cursor::key)
    }

    /// Has it end here.
    pub(crate) fn end(&mut self) {
        self.cursors.clear();
    }
}

/// The places of the keys from `start` to `end` in the key order of `writes`.
fn places(writes: &WriteSet, (start, end): (Bound<&[u8]>, Bound<&[u8]>)) -> Range<usize> {
    let order = writes.key_order();
    let below = |bound: &[u8]| order.partition_point(|number| writes.key_at(*number) < bound);
    let up_to = |bound: &[u8]| order.partition_point(|number| writes.key_at(*number) <= bound);
    let first = match start {
        Bound::Included(start) => below(start),
        Bound::Excluded(start) => up_to(start),
        Bound::Unbounded => 0,
    };
    let last = match end {
        Bound::Included(end) => up_to(end),
        Bound::Excluded(end) => below(end),
        Bound::Unbounded => order.len(),
    };
    first..last.max(first)
}

impl Iterator for LayerScan {
    type Item = (Bytes, Version);

    fn next(&mut self) -> Option<Self::Item> {
        let newest = self.cursors.peek()?;
        let key = Bytes::copy_from_slice(newest.key());
        let version = Version {
            height: newest.height,
            value: Bytes::copy_from_slice(newest.writes.value(newest.number)),
        };
        while let Some(mut cursor) = self.cursors.peek_mut() {
            if *cursor.key() != *key {
                break;
            }
            if !cursor.advance() {
                PeekMut::pop(cursor);
            }
        }
        Some((key, version))
    }
}

impl Cursor {
    fn key(&self) -> &[u8] {
        self.writes.key(self.number).key()
    }

    /// Goes to the next entry; false if there is none.
    fn advance(&mut self) -> bool {
        let place = match self.direction {
            Direction::Forward => self.places.next(),
            Direction::Back => self.places.next_back(),
        };
        let number = place.and_then(|place| self.writes.key_order().get(place));
        let Some(number) = number.and_then(|number| usize::try_from(*number).ok()) else {
            return false;
        };
        self.number = number;
        true
    }
}

impl Ord for Cursor {
    /// The key that comes next is the greatest, and among equals the newest layer's.
    fn cmp(&self, other: &Self) -> Ordering {
        let by_key = match self.direction {
            Direction::Forward => other.key().cmp(self.key()),
            Direction::Back => self.key().cmp(other.key()),
        };
        by_key.then(self.layer.cmp(&other.layer))
    }
}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Cursor {}
