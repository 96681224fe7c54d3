//! A key as the trees store it: behind one tag byte, so that the empty key is legal and
//! each tree has room for a record of ours. It is hashed once, for all layers and their index.

use bytes::{BufMut, Bytes, BytesMut};
use xxhash_rust::xxh3::xxh3_64;

use super::Space;
use crate::hashed_key::HashedKey;

/// Before every key of the store.
pub(super) const ENTRY_TAG: u8 = 1;
/// A key below this length is looked up without an allocation.
const SHORT_KEY_LEN: usize = 128;

/// A stored key with its hash, whose seed is the process's: a chain cannot aim at
/// collisions in what is in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct TreeKey<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) hash: u64,
}

impl<'a> TreeKey<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            hash: HashedKey::new(bytes).hash(),
        }
    }

    /// The hash that lsm-tree's filters know the key by.
    pub(super) fn filter_hash(&self) -> u64 {
        xxh3_64(self.bytes)
    }

    /// Calls `look_up` with the stored form of `key`.
    pub(super) fn with<T>(key: &[u8], look_up: impl FnOnce(TreeKey<'_>) -> T) -> T {
        let mut buffer = [ENTRY_TAG; SHORT_KEY_LEN];
        match buffer.get_mut(1..=key.len()) {
            Some(tail) => {
                tail.copy_from_slice(key);
                look_up(TreeKey::new(buffer.get(..=key.len()).unwrap_or_default()))
            }
            None => look_up(TreeKey::new(&tagged(key))),
        }
    }
}

/// The stored form of `key`.
pub(super) fn tagged(key: &[u8]) -> Bytes {
    let mut tagged = BytesMut::with_capacity(1 + key.len());
    tagged.put_u8(ENTRY_TAG);
    tagged.extend_from_slice(key);
    tagged.freeze()
}

/// Whether entries of `space` are looked up by their key all the time. Only these are
/// hashed; the others are walked, or read now and then by a search.
pub(super) fn is_hashed(space: Space) -> bool {
    matches!(space, Space::KeyToNewest | Space::HashToHeight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_keys_are_stored_alike() {
        for len in [0, 1, 126, 127, 128, 129, 5_000] {
            let key = vec![7; len];
            let expect = [&[ENTRY_TAG], key.as_slice()].concat();
            TreeKey::with(&key, |stored| {
                assert_eq!(stored.bytes, expect, "{len}");
                assert_eq!(stored.hash, TreeKey::new(&expect).hash, "{len}");
            });
            assert_eq!(tagged(&key), expect);
        }
    }
}
