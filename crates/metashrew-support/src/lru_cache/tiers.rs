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
///
/// ```
/// use metashrew_support::lru_cache::Tiers;
/// use std::sync::Arc;
///
/// let mut tiers = Tiers::default();
/// tiers.api_insert("parsed".into(), Arc::new(vec![7]));
/// assert_eq!(tiers.api_get("parsed"), Some(Arc::new(vec![7])));
/// ```
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
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{CacheAllocationMode, Tiers};
    /// assert_eq!(Tiers::default().mode(), CacheAllocationMode::View);
    /// ```
    pub fn mode(&self) -> CacheAllocationMode {
        self.mode
    }

    /// Shares the limit out anew, and drops what is above a cache's share.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{CacheAllocationMode, CacheKey, HeightPartitionedKey, StateKey, Tiers};
    /// # use std::sync::Arc;
    /// # let mut tiers = Tiers::default();
    /// # tiers.set_mode(CacheAllocationMode::Indexer);
    /// # let key = StateKey::Main(CacheKey(Arc::new(b"key".to_vec())));
    /// # let value = Arc::new(b"value".to_vec());
    /// tiers.insert(key, value);
    /// tiers.set_mode(CacheAllocationMode::View); // The main cache has no share now.
    /// assert_eq!(tiers.stats().items, 0);
    /// ```
    pub fn set_mode(&mut self, mode: CacheAllocationMode) {
        if self.mode != mode {
            self.mode = mode;
            self.share_out();
        }
    }

    /// The limit of all caches together, in bytes.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{DEFAULT_LIMIT, Tiers};
    /// assert_eq!(Tiers::default().limit(), DEFAULT_LIMIT);
    /// ```
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Sets the limit of all caches together, in bytes, and drops what is above.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{CacheAllocationMode, CacheKey, HeightPartitionedKey, StateKey, Tiers};
    /// # use std::sync::Arc;
    /// # let mut tiers = Tiers::default();
    /// # tiers.set_mode(CacheAllocationMode::Indexer);
    /// # let key = StateKey::Main(CacheKey(Arc::new(b"key".to_vec())));
    /// # let value = Arc::new(b"value".to_vec());
    /// tiers.set_limit(100);
    /// assert!(!tiers.insert(key, value)); // There is no room for it.
    /// ```
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
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{CacheAllocationMode, CacheKey, HeightPartitionedKey, StateKey, Tiers};
    /// # use std::sync::Arc;
    /// # let mut tiers = Tiers::default();
    /// # tiers.set_mode(CacheAllocationMode::Indexer);
    /// # let key = StateKey::Main(CacheKey(Arc::new(b"key".to_vec())));
    /// # let value = Arc::new(b"value".to_vec());
    /// assert_eq!(tiers.get(&key), None);
    /// tiers.insert(key.clone(), value.clone());
    /// assert_eq!(tiers.get(&key), Some(value));
    /// ```
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
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{CacheAllocationMode, CacheKey, HeightPartitionedKey, StateKey, Tiers};
    /// # use std::sync::Arc;
    /// # let mut tiers = Tiers::default();
    /// # tiers.set_mode(CacheAllocationMode::Indexer);
    /// # let key = StateKey::Main(CacheKey(Arc::new(b"key".to_vec())));
    /// # let value = Arc::new(b"value".to_vec());
    /// assert!(tiers.insert(key.clone(), value));
    /// assert!(tiers.get(&key).is_some());
    /// ```
    pub fn insert(&mut self, key: StateKey, value: Arc<Vec<u8>>) -> bool {
        match key {
            StateKey::Main(key) => self.main.insert(key, value),
            StateKey::Height(key) => self.by_height.insert(key, value),
        }
    }

    /// Takes a value of the guest's state out.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{CacheAllocationMode, CacheKey, HeightPartitionedKey, StateKey, Tiers};
    /// # use std::sync::Arc;
    /// # let mut tiers = Tiers::default();
    /// # tiers.set_mode(CacheAllocationMode::Indexer);
    /// # let key = StateKey::Main(CacheKey(Arc::new(b"key".to_vec())));
    /// # let value = Arc::new(b"value".to_vec());
    /// tiers.insert(key.clone(), value);
    /// tiers.remove(&key);
    /// assert_eq!(tiers.get(&key), None);
    /// ```
    pub fn remove(&mut self, key: &StateKey) {
        match key {
            StateKey::Main(key) => self.main.remove(key),
            StateKey::Height(key) => self.by_height.remove(key),
        };
    }

    /// A value of the guest's own. Counts as a hit or a miss.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::Tiers;
    /// # let mut tiers = Tiers::default();
    /// assert_eq!(tiers.api_get("absent"), None);
    /// assert_eq!(tiers.stats().misses, 1);
    /// ```
    pub fn api_get(&mut self, key: &str) -> Option<Arc<Vec<u8>>> {
        let value = self.api.get(key).cloned();
        self.count(value.is_some());
        value
    }

    /// Puts a value of the guest's own in: whether the cache took it.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::Tiers;
    /// # let mut tiers = Tiers::default();
    /// assert!(tiers.api_insert("key".into(), b"value".to_vec().into()));
    /// ```
    pub fn api_insert(&mut self, key: String, value: Arc<Vec<u8>>) -> bool {
        self.api.insert(ApiCacheKey(key), value)
    }

    /// Takes a value of the guest's own out.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::Tiers;
    /// # let mut tiers = Tiers::default();
    /// tiers.api_insert("key".into(), b"value".to_vec().into());
    /// assert!(tiers.api_remove("key").is_some());
    /// assert!(tiers.api_remove("key").is_none());
    /// ```
    pub fn api_remove(&mut self, key: &str) -> Option<Arc<Vec<u8>>> {
        self.api.remove(key)
    }

    /// Counts a look-up that was answered elsewhere, or nowhere.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::Tiers;
    /// # let mut tiers = Tiers::default();
    /// tiers.count(true);
    /// assert_eq!(tiers.stats().hits, 1);
    /// ```
    pub fn count(&mut self, hit: bool) {
        if hit {
            self.hits += 1;
        } else {
            self.misses += 1;
        }
    }

    /// Empties the main cache.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{CacheAllocationMode, CacheKey, HeightPartitionedKey, StateKey, Tiers};
    /// # use std::sync::Arc;
    /// # let mut tiers = Tiers::default();
    /// # tiers.set_mode(CacheAllocationMode::Indexer);
    /// # let key = StateKey::Main(CacheKey(Arc::new(b"key".to_vec())));
    /// # let value = Arc::new(b"value".to_vec());
    /// tiers.insert(key, value);
    /// tiers.clear_main();
    /// assert_eq!(tiers.main_entries().count(), 0);
    /// ```
    pub fn clear_main(&mut self) {
        self.main.clear();
    }

    /// Empties the cache of values by height.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{CacheAllocationMode, CacheKey, HeightPartitionedKey, StateKey, Tiers};
    /// # use std::sync::Arc;
    /// # let mut tiers = Tiers::default();
    /// # tiers.set_mode(CacheAllocationMode::Indexer);
    /// # let key = StateKey::Main(CacheKey(Arc::new(b"key".to_vec())));
    /// # let value = Arc::new(b"value".to_vec());
    /// tiers.set_mode(CacheAllocationMode::View);
    /// tiers.insert(StateKey::Height((7, Arc::new(b"key".to_vec())).into()), value);
    /// tiers.clear_heights();
    /// assert_eq!(tiers.entries_at_height(7).count(), 0);
    /// ```
    pub fn clear_heights(&mut self) {
        self.by_height.clear();
    }

    /// Empties all three, and counts from zero. Mode and limit stay.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{CacheAllocationMode, CacheKey, HeightPartitionedKey, StateKey, Tiers};
    /// # use std::sync::Arc;
    /// # let mut tiers = Tiers::default();
    /// # tiers.set_mode(CacheAllocationMode::Indexer);
    /// # let key = StateKey::Main(CacheKey(Arc::new(b"key".to_vec())));
    /// # let value = Arc::new(b"value".to_vec());
    /// tiers.insert(key, value);
    /// tiers.clear();
    /// assert_eq!((tiers.stats().items, tiers.mode()), (0, CacheAllocationMode::Indexer));
    /// ```
    pub fn clear(&mut self) {
        let (mode, limit) = (self.mode, self.limit);
        *self = Self::default();
        self.set_mode(mode);
        self.set_limit(limit);
    }

    /// What the three did and hold, together.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{CacheAllocationMode, CacheKey, HeightPartitionedKey, StateKey, Tiers};
    /// # use std::sync::Arc;
    /// # let mut tiers = Tiers::default();
    /// # tiers.set_mode(CacheAllocationMode::Indexer);
    /// # let key = StateKey::Main(CacheKey(Arc::new(b"key".to_vec())));
    /// # let value = Arc::new(b"value".to_vec());
    /// tiers.insert(key.clone(), value);
    /// tiers.get(&key);
    /// assert_eq!((tiers.stats().items, tiers.stats().hits), (1, 1));
    /// ```
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
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{CacheAllocationMode, CacheKey, HeightPartitionedKey, StateKey, Tiers};
    /// # use std::sync::Arc;
    /// # let mut tiers = Tiers::default();
    /// # tiers.set_mode(CacheAllocationMode::Indexer);
    /// # let key = StateKey::Main(CacheKey(Arc::new(b"key".to_vec())));
    /// # let value = Arc::new(b"value".to_vec());
    /// assert_eq!(tiers.memory_usage(), 0);
    /// tiers.insert(key, value);
    /// assert!(tiers.memory_usage() > 0);
    /// ```
    pub fn memory_usage(&self) -> usize {
        self.main.memory_usage() + self.by_height.memory_usage() + self.api.memory_usage()
    }

    /// The entries of the main cache.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{CacheAllocationMode, CacheKey, HeightPartitionedKey, StateKey, Tiers};
    /// # use std::sync::Arc;
    /// # let mut tiers = Tiers::default();
    /// # tiers.set_mode(CacheAllocationMode::Indexer);
    /// # let key = StateKey::Main(CacheKey(Arc::new(b"key".to_vec())));
    /// # let value = Arc::new(b"value".to_vec());
    /// tiers.insert(key, value.clone());
    /// assert!(tiers.main_entries().any(|(_, held)| *held == value));
    /// ```
    pub fn main_entries(&self) -> impl Iterator<Item = (&Arc<Vec<u8>>, &Arc<Vec<u8>>)> {
        self.main.iter().map(|(key, value)| (&key.0, value))
    }

    /// The entries at a height.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{CacheAllocationMode, CacheKey, HeightPartitionedKey, StateKey, Tiers};
    /// # use std::sync::Arc;
    /// # let mut tiers = Tiers::default();
    /// # tiers.set_mode(CacheAllocationMode::Indexer);
    /// # let key = StateKey::Main(CacheKey(Arc::new(b"key".to_vec())));
    /// # let value = Arc::new(b"value".to_vec());
    /// tiers.set_mode(CacheAllocationMode::View);
    /// tiers.insert(StateKey::Height((7, Arc::new(b"key".to_vec())).into()), value);
    /// assert_eq!(tiers.entries_at_height(7).count(), 1);
    /// assert_eq!(tiers.entries_at_height(8).count(), 0);
    /// ```
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
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{CacheAllocationMode, CacheKey, HeightPartitionedKey, StateKey, Tiers};
    /// # use std::sync::Arc;
    /// # let mut tiers = Tiers::default();
    /// # tiers.set_mode(CacheAllocationMode::Indexer);
    /// # let key = StateKey::Main(CacheKey(Arc::new(b"key".to_vec())));
    /// # let value = Arc::new(b"value".to_vec());
    /// tiers.insert(key, value);
    /// assert!(tiers.state_keys().eq([&Arc::new(b"key".to_vec())]));
    /// ```
    pub fn state_keys(&self) -> impl Iterator<Item = &Arc<Vec<u8>>> {
        let main = self.main.iter().map(|(key, _)| &key.0);
        main.chain(self.by_height.iter().map(|(key, _)| &key.key))
    }
}
