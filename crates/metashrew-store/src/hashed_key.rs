//! A key with its hash: computed once for a read, and used by every table that is asked.

use std::hash::BuildHasher;
use std::sync::LazyLock;

use foldhash::quality::RandomState;

/// One for the process. Its seed is random, so a chain cannot aim at collisions.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::default);

/// A key and its hash, which differs from process to process: it is for tables in
/// memory and must not be stored, or decide anything that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashedKey<'a> {
    key: &'a [u8],
    hash: u64,
}

impl<'a> HashedKey<'a> {
    /// Hashes `key`.
    pub fn new(key: &'a [u8]) -> Self {
        Self {
            key,
            hash: HASHER.hash_one(key),
        }
    }

    /// `key`, whose hash is known.
    pub(crate) fn with_hash(key: &'a [u8], hash: u64) -> Self {
        debug_assert_eq!(hash, HASHER.hash_one(key));
        Self { key, hash }
    }

    /// The key.
    pub fn key(&self) -> &'a [u8] {
        self.key
    }

    /// Its hash; every bit depends on every byte.
    pub fn hash(&self) -> u64 {
        self.hash
    }
}

impl<'a, K: AsRef<[u8]> + ?Sized> From<&'a K> for HashedKey<'a> {
    fn from(key: &'a K) -> Self {
        Self::new(key.as_ref())
    }
}
