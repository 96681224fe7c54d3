//! Maps whose keys are hashes already: the first eight bytes serve.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A map keyed by hashes (arrays of eight bytes or more, alone or in tuples).
pub type PrefixMap<K, V> = HashMap<K, V, BuildHasherDefault<PrefixHasher>>;

/// A set of hashes, likewise.
pub type PrefixSet<K> = HashSet<K, BuildHasherDefault<PrefixHasher>>;

/// Takes the first eight bytes of every piece.
#[derive(Debug, Default)]
pub struct PrefixHasher {
    state: u64,
}

impl Hasher for PrefixHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(prefix) = bytes.first_chunk() {
            self.state ^= u64::from_le_bytes(*prefix);
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.state ^= u64::from(number) << 7;
    }

    /// The length of an array, the same for every key.
    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_with_the_same_prefix_stay_apart() {
        let mut map = PrefixMap::default();
        let (mut first, mut second) = ([7; 32], [7; 32]);
        (first[31], second[31]) = (1, 2);
        map.insert((first, 0u32), "a");
        map.insert((second, 0), "b");
        map.insert((first, 1), "c");
        assert_eq!(map.len(), 3);
        assert_eq!(map.get(&(second, 0)), Some(&"b"));
    }
}
