//! What is known of a state: the values of some keys, and ranges of which every key is known.

use std::collections::BTreeMap;
use std::sync::Arc;

use metashrew_store::{MAX_KEY_LEN, State, Store, WRITE_OVERHEAD, WriteSet};

use crate::reads::{Ranges, bound, is_range};

/// What a read set may count: each key and value, and each range, with its bytes and
/// [`WRITE_OVERHEAD`]. 256 MiB.
pub const MAX_READ_SET_BYTES: usize = 256 << 20;

/// More than a read set may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the reads are more than the {MAX_READ_SET_BYTES} bytes that may be recorded, each key and range counted with {WRITE_OVERHEAD} bytes more"
)]
pub struct TooLarge;

/// What is known of a state.
#[derive(Debug, Clone, Default)]
pub struct ReadSet {
    /// An empty value is an absent one.
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Ranges in which every key that is not in `values` is absent.
    ranges: Ranges,
    bytes: usize,
}

impl ReadSet {
    /// Notes the value of a key; an empty one if the key is absent. The first one stays.
    pub(super) fn note(&mut self, key: &[u8], value: &[u8]) -> Result<(), TooLarge> {
        // A longer one is absent in every state.
        if key.len() > MAX_KEY_LEN || self.values.contains_key(key) {
            return Ok(());
        }
        self.count(key.len() + value.len())?;
        self.values.insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    /// Notes that every key from `start` to `end` that has a value has been noted.
    pub(super) fn cover(&mut self, start: &[u8], end: Option<&[u8]>) -> Result<(), TooLarge> {
        let (start, end) = (bound(start), end.map(bound));
        if is_range(&start, end.as_deref()) && !self.ranges.covers(&start, end.as_deref()) {
            self.count(start.len() + end.as_ref().map_or(0, Vec::len))?;
            self.ranges.add(&start, end.as_deref());
        }
        Ok(())
    }

    fn count(&mut self, bytes: usize) -> Result<(), TooLarge> {
        let counted = self.bytes.saturating_add(bytes + WRITE_OVERHEAD);
        if counted > MAX_READ_SET_BYTES {
            return Err(TooLarge);
        }
        self.bytes = counted;
        Ok(())
    }

    /// Whether it is known what is at `key`.
    pub fn knows(&self, key: &[u8]) -> bool {
        key.len() > MAX_KEY_LEN || self.values.contains_key(key) || self.ranges.contain(key)
    }

    /// Whether every key from `start` to `end` (none: the end of all keys) is known.
    pub fn knows_range(&self, start: &[u8], end: Option<&[u8]>) -> bool {
        let end = end.map(bound);
        self.ranges.covers(&bound(start), end.as_deref())
    }

    /// The keys whose values were noted, in order; the value of an absent one is empty.
    pub fn values(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        let values = self.values.iter();
        values.map(|(key, value)| (&key[..], &value[..]))
    }

    /// The ranges of which every key is known, in order; one without an end goes to the end of
    /// all keys.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = (&[u8], Option<&[u8]>)> {
        self.ranges.iter()
    }

    /// A state that has these values and no others.
    pub fn state(&self) -> State {
        let mut writes = WriteSet::default();
        for (key, value) in self.values() {
            if !value.is_empty() {
                writes
                    .insert(key, value)
                    .expect("a read set holds less than a block may write");
            }
        }
        let empty = Store::in_memory().snapshot().latest();
        empty.with_block(0, Arc::new(writes))
    }
}
