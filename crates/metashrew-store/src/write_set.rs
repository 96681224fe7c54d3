//! What one block writes, and what it found there before.

use std::collections::HashMap;

use bytes::Bytes;
use foldhash::fast::RandomState;

use crate::block::Height;
use crate::error::EntryTooLong;
use crate::keys::{MAX_KEY_LEN, MAX_VALUE_LEN};

/// One version of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The height of the block that wrote it.
    pub height: Height,
    /// What it wrote; may be empty.
    pub value: Bytes,
}

/// The writes of one block, and a memo of the values it read while it ran.
///
/// The last value of a key wins. A commit needs the value that each written key
/// had before; [`remember`](Self::remember) spares it a second read of those
/// that the guest has read anyway.
#[derive(Debug, Clone, Default)]
pub struct WriteSet {
    // Every read of a guest looks here, in each block not committed yet: hashing is
    // what it costs. Seeds are random, so a chain cannot aim at collisions.
    writes: HashMap<Bytes, Bytes, RandomState>,
    reads: HashMap<Bytes, Option<Version>, RandomState>,
    bytes: usize,
}

impl WriteSet {
    /// Sets `key` to `value`, replacing what the block wrote there before.
    ///
    /// The limits are part of what a guest can observe, so they are the same for
    /// every backend.
    pub fn insert(&mut self, key: Bytes, value: Bytes) -> Result<(), EntryTooLong> {
        if key.len() > MAX_KEY_LEN {
            return Err(EntryTooLong::Key { len: key.len() });
        }
        if value.len() > MAX_VALUE_LEN {
            return Err(EntryTooLong::Value { len: value.len() });
        }
        let (key_len, value_len) = (key.len(), value.len());
        if let Some(replaced) = self.writes.insert(key, value) {
            self.bytes -= replaced.len();
        } else {
            self.bytes += key_len;
        }
        self.bytes += value_len;
        Ok(())
    }

    /// The value this block wrote at `key`.
    pub fn get(&self, key: &[u8]) -> Option<&Bytes> {
        self.writes.get(key)
    }

    /// How many keys the block wrote.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether the block wrote nothing.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// The bytes of all keys and values written.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The writes in the order of their keys.
    pub fn sorted(&self) -> Vec<(&Bytes, &Bytes)> {
        let mut sorted: Vec<_> = self.writes.iter().collect();
        sorted.sort_unstable_by_key(|(key, _)| *key);
        sorted
    }

    /// Notes that the newest version of `key` below this block is `newest`.
    ///
    /// Contract: `newest` was read from the state directly below the block that
    /// this set will be committed as. Anything else would be taken for the truth.
    pub fn remember(&mut self, key: Bytes, newest: Option<Version>) {
        self.reads.insert(key, newest);
    }

    /// What was remembered of `key`: nothing, that it is absent, or its newest version.
    pub fn remembered(&self, key: &[u8]) -> Option<&Option<Version>> {
        self.reads.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_key_wins_and_bytes_follow() {
        let mut writes = WriteSet::default();
        writes
            .insert(
                Bytes::from_static(b"key"),
                Bytes::from_static(b"long value"),
            )
            .unwrap();
        writes
            .insert(Bytes::from_static(b"key"), Bytes::from_static(b"v"))
            .unwrap();
        writes.insert(Bytes::new(), Bytes::new()).unwrap();
        assert_eq!(writes.get(b"key"), Some(&Bytes::from_static(b"v")));
        assert_eq!((writes.len(), writes.bytes()), (2, 4));
        let keys: Vec<_> = writes.sorted().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [&Bytes::new(), &Bytes::from_static(b"key")]);
    }

    #[test]
    fn entries_beyond_the_limits_are_refused() {
        let mut writes = WriteSet::default();
        let longest = Bytes::from(vec![0; MAX_KEY_LEN]);
        writes.insert(longest, Bytes::new()).unwrap();
        let error = writes
            .insert(Bytes::from(vec![0; MAX_KEY_LEN + 1]), Bytes::new())
            .unwrap_err();
        assert_eq!(
            error,
            EntryTooLong::Key {
                len: MAX_KEY_LEN + 1
            }
        );
        assert_eq!(writes.len(), 1);
    }
}
