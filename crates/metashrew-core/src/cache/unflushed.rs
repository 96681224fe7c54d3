//! The keys that wait to be flushed.

use super::Bytes;
use foldhash::fast::FixedState;
use std::collections::HashSet;

/// The keys written since the last flush, in the order of their first write.
#[derive(Default)]
pub(super) struct Unflushed {
    order: Vec<Bytes>,
    known: HashSet<Bytes, FixedState>,
}

impl Unflushed {
    pub(super) fn insert(&mut self, key: &Bytes) {
        if self.known.insert(key.clone()) {
            self.order.push(key.clone());
        }
    }

    pub(super) fn take(&mut self) -> Vec<Bytes> {
        if self.order.is_empty() {
            return Vec::new();
        }
        self.known.clear();
        std::mem::take(&mut self.order)
    }
}
