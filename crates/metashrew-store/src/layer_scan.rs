//! The keys of several write sets that begin with a prefix, in one order: a merge of
//! what each has sorted, of which nothing is collected first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;

use bytes::Bytes;

use crate::block::Height;
use crate::overlay::Layer;
use crate::write_set::{Version, WriteSet};

pub(crate) struct LayerScan {
    prefix: Bytes,
    cursors: BinaryHeap<Cursor>,
}

/// The next entry of one write set.
struct Cursor {
    writes: Arc<WriteSet>,
    height: Height,
    /// How many layers are below it.
    layer: usize,
    /// Its place in key order, and the number of the entry there.
    place: usize,
    number: usize,
}

impl LayerScan {
    /// The keys in `layers`, the lowest first, that begin with `prefix`.
    pub(crate) fn new(layers: &[Layer], prefix: &[u8]) -> Self {
        let cursors = layers.iter().enumerate().filter_map(|(layer, entry)| {
            let (height, writes) = entry;
            let order = writes.key_order();
            let before = |number: &u32| writes.key_at(*number) < prefix;
            let cursor = Cursor {
                writes: Arc::clone(writes),
                height: *height,
                layer,
                place: order.partition_point(before),
                number: 0,
            };
            cursor.settled(prefix)
        });
        Self {
            prefix: Bytes::copy_from_slice(prefix),
            cursors: cursors.collect(),
        }
    }

    /// The key that comes next.
    pub(crate) fn peek(&self) -> Option<&[u8]> {
        self.cursors.peek().map(Cursor::key)
    }
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
            cursor.place += 1;
            if !cursor.settle(&self.prefix) {
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

    fn settled(mut self, prefix: &[u8]) -> Option<Self> {
        self.settle(prefix).then_some(self)
    }

    /// Finds the entry at its place; false if there is none with the prefix.
    fn settle(&mut self, prefix: &[u8]) -> bool {
        let number = self.writes.key_order().get(self.place);
        let Some(number) = number.and_then(|number| usize::try_from(*number).ok()) else {
            return false;
        };
        self.number = number;
        self.key().starts_with(prefix)
    }
}

impl Ord for Cursor {
    /// The smallest key is the greatest, and among equals the newest layer's.
    fn cmp(&self, other: &Self) -> Ordering {
        let by_key = other.key().cmp(self.key());
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
