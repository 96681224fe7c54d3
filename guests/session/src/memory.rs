//! Memory with a bound: a map that forgets what was used longest ago.

use std::collections::BTreeMap;

/// A map of at most `capacity` entries.
#[derive(Debug)]
pub(crate) struct Memory<K, V> {
    capacity: usize,
    entries: BTreeMap<K, Remembered<V>>,
    /// Counts uses, to know which was longest ago.
    clock: u64,
}

#[derive(Debug)]
struct Remembered<V> {
    value: V,
    used: u64,
}

impl<K: Ord + Clone, V> Memory<K, V> {
    pub(crate) const fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: BTreeMap::new(),
            clock: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What is remembered under `key`, or else what `make` makes; and whether it
    /// was remembered.
    pub(crate) fn get_or_insert_with(
        &mut self,
        key: K,
        make: impl FnOnce() -> V,
    ) -> (&mut V, bool) {
        self.clock += 1;
        let known = self.entries.contains_key(&key);
        if !known && self.entries.len() >= self.capacity {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.entries.remove(&oldest);
            }
        }
        let used = self.clock;
        let entry = self.entries.entry(key).or_insert_with(|| Remembered {
            value: make(),
            used,
        });
        entry.used = used;
        (&mut entry.value, known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_is_forgotten_first() {
        let mut memory = Memory::new(2);
        let mut ask = |key: &'static str| memory.get_or_insert_with(key, || ()).1;
        assert_eq!(
            [ask("a"), ask("b"), ask("a"), ask("c")],
            [false, false, true, false]
        );
        assert_eq!([ask("a"), ask("b")], [true, false]);
        assert_eq!(memory.len(), 2);
    }
}
