//! The caches of a guest under one limit.

use super::{
    ApiCacheKey, ByteLru, CacheAllocationMode, CacheKey, CacheStats, DEFAULT_LIMIT,
    HeightPartitionedKey, StateKey,
};
use std::sync::Arc;

/// The main cache, the one partitioned by height, and the guest's own data.
///
/// Their limits add up to the limit of all: the mode says how it is shared out,
/// and a cache that has no share holds nothing. What is cached may be gone at any
/// time.
#[derive(Debug)]
pub struct Tiers {
    mode: CacheAllocationMode,
    limit: usize,
    main: ByteLru<CacheKey>,
    by_height: ByteLru<HeightPartitionedKey>,
    api: ByteLru<ApiCacheKey>,
    hits: u64,
    misses: u64,
}

/// In mode [`CacheAllocationMode::View`], with the limit [`DEFAULT_LIMIT`].
impl Default for Tiers {
    fn default() -> Self {
        let mut tiers = Self {
            mode: CacheAllocationMode::default(),
            limit: DEFAULT_LIMIT,
            main: ByteLru::new(0),
            by_height: ByteLru::new(0),
            api: ByteLru::new(0),
            hits: 0,
            misses: 0,
        };
        tiers.share_out();
        tiers
    }
}

impl Tiers {
    /// Who shares the limit.
    pub fn mode(&self) -> CacheAllocationMode {
        self.mode
    }

    /// Shares the limit out anew, and drops what is above a cache's share.
    pub fn set_mode(&mut self, mode: CacheAllocationMode) {
        if self.mode != mode {
            self.mode = mode;
            self.share_out();
        }
    }

    /// The limit of all caches together, in bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Sets the limit of all caches together, in bytes, and drops what is above.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.share_out();
    }

    fn share_out(&mut self) {
        let half = self.limit / 2;
        let (main, by_height, api) = match self.mode {
            CacheAllocationMode::Indexer => (self.limit, 0, 0),
            CacheAllocationMode::View => (0, self.limit - half, half),
        };
        self.main.set_limit(main);
        self.by_height.set_limit(by_height);
        self.api.set_limit(api);
    }

    /// A value of the guest's state. Counts as a hit or a miss.
    pub fn get(&mut self, key: &StateKey) -> Option<Arc<Vec<u8>>> {
        let value = match key {
            StateKey::Main(key) => self.main.get(key),
            StateKey::Height(key) => self.by_height.get(key),
        };
        let value = value.cloned();
        self.count(value.is_some());
        value
    }

    /// Puts a value of the guest's state in: whether the cache took it.
    pub fn insert(&mut self, key: StateKey, value: Arc<Vec<u8>>) -> bool {
        match key {
            StateKey::Main(key) => self.main.insert(key, value),
            StateKey::Height(key) => self.by_height.insert(key, value),
        }
    }

    /// Takes a value of the guest's state out.
    pub fn remove(&mut self, key: &StateKey) {
        match key {
            StateKey::Main(key) => self.main.remove(key),
            StateKey::Height(key) => self.by_height.remove(key),
        };
    }

    /// A value of the guest's own. Counts as a hit or a miss.
    pub fn api_get(&mut self, key: &str) -> Option<Arc<Vec<u8>>> {
        let value = self.api.get(key).cloned();
        self.count(value.is_some());
        value
    }

    /// Puts a value of the guest's own in: whether the cache took it.
    pub fn api_insert(&mut self, key: String, value: Arc<Vec<u8>>) -> bool {
        self.api.insert(ApiCacheKey(key), value)
    }

    /// Takes a value of the guest's own out.
    pub fn api_remove(&mut self, key: &str) -> Option<Arc<Vec<u8>>> {
        self.api.remove(key)
    }

    /// Counts a look-up that was answered elsewhere, or nowhere.
    pub fn count(&mut self, hit: bool) {
        if hit {
            self.hits += 1;
        } else {
            self.misses += 1;
        }
    }

    /// Empties the main cache.
    pub fn clear_main(&mut self) {
        self.main.clear();
    }

    /// Empties the cache of values by height.
    pub fn clear_heights(&mut self) {
        self.by_height.clear();
    }

    /// Empties all three, and counts from zero. Mode and limit stay.
    pub fn clear(&mut self) {
        let (mode, limit) = (self.mode, self.limit);
        *self = Self::default();
        self.set_mode(mode);
        self.set_limit(limit);
    }

    /// What the three did and hold, together.
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits,
            misses: self.misses,
            items: self.main.len() + self.by_height.len() + self.api.len(),
            memory_usage: self.memory_usage(),
            evictions: self.main.evictions() + self.by_height.evictions() + self.api.evictions(),
        }
    }

    /// Bytes that all entries are counted for; never above [`Tiers::limit`].
    pub fn memory_usage(&self) -> usize {
        self.main.memory_usage() + self.by_height.memory_usage() + self.api.memory_usage()
    }

    /// The entries of the main cache.
    pub fn main_entries(&self) -> impl Iterator<Item = (&Arc<Vec<u8>>, &Arc<Vec<u8>>)> {
        self.main.iter().map(|(key, value)| (&key.0, value))
    }

    /// The entries at a height.
    pub fn entries_at_height(
        &self,
        height: u32,
    ) -> impl Iterator<Item = (&Arc<Vec<u8>>, &Arc<Vec<u8>>)> {
        self.by_height
            .iter()
            .filter(move |(key, _)| key.height == height)
            .map(|(key, value)| (&key.key, value))
    }

    /// The keys of the guest's state that have a value here, once for each height.
    pub fn state_keys(&self) -> impl Iterator<Item = &Arc<Vec<u8>>> {
        let main = self.main.iter().map(|(key, _)| &key.0);
        main.chain(self.by_height.iter().map(|(key, _)| &key.key))
    }
}
