//! What a call wrote, in order, for ranges.

use super::Bytes;
use super::memory::{self, Memory};
use crate::range::merge::Own;
use crate::range::window::Window;
use foldhash::fast::FixedState;
use std::collections::{BTreeSet, HashMap};

/// The keys of the call's own values in order: from the call's first range on, so that a call
/// without one pays nothing for it.
#[derive(Default)]
pub(super) struct OwnKeys(Option<BTreeSet<Bytes>>);

impl OwnKeys {
    /// A key was written.
    pub(super) fn insert(&mut self, key: &Bytes) {
        if let Some(keys) = &mut self.0 {
            keys.insert(key.clone());
        }
    }
}

/// The call's own values, as a range looks at them. Some that the call read are among them: they
/// are what the host has, so they change nothing.
pub(crate) struct OwnWrites<'a> {
    keys: &'a BTreeSet<Bytes>,
    values: &'a HashMap<Bytes, memory::Own, FixedState>,
}

impl Memory {
    pub(super) fn own_writes(&mut self) -> OwnWrites<'_> {
        self.resume();
        let keys = || self.own.keys().cloned().collect();
        OwnWrites {
            keys: self.own_keys.0.get_or_insert_with(keys),
            values: &self.own,
        }
    }
}

impl OwnWrites<'_> {
    /// All the call's writes in a window.
    pub(crate) fn all(&self, window: &Window) -> impl Iterator<Item = (Bytes, Bytes)> {
        let keys = (!window.is_empty()).then(|| self.keys.range::<Vec<u8>, _>(window.bounds()));
        keys.into_iter().flatten().map(|key| self.pair(key))
    }

    fn pair(&self, key: &Bytes) -> (Bytes, Bytes) {
        let own = self.values.get(key);
        let value = own.map(|own| own.value.clone()).unwrap_or_default();
        (key.clone(), value)
    }
}

impl Own for OwnWrites<'_> {
    fn first(&self, window: &Window) -> Option<(Bytes, Bytes)> {
        let mut keys = self.keys.range::<Vec<u8>, _>(window.bounds());
        let key = if window.descending {
            keys.next_back()
        } else {
            keys.next()
        };
        Some(self.pair(key?))
    }
}
