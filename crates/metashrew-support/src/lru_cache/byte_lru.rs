//! One cache with a limit in bytes: it drops what was used longest ago.
//!
//! The limit holds after every operation, whatever was put in.

use super::{CacheValue, ENTRY_OVERHEAD};
use foldhash::fast::FixedState;
use lru::LruCache;
use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

/// What a key holds outside itself.
///
/// ```
/// use metashrew_support::lru_cache::HeapBytes;
///
/// struct Height(u32);
///
/// impl HeapBytes for Height {
///     fn heap_bytes(&self) -> usize {
///         0
///     }
/// }
/// # assert_eq!(Height(7).heap_bytes(), 0);
/// ```
pub trait HeapBytes {
    /// Bytes reserved for it, used or not.
    ///
    /// ```
    /// use metashrew_support::lru_cache::{ApiCacheKey, HeapBytes};
    ///
    /// assert!(ApiCacheKey("key".to_owned()).heap_bytes() >= 3);
    /// ```
    fn heap_bytes(&self) -> usize;
}

/// A cache of values, least recently used out first. Every operation takes the
/// same time, however much is held, but for the entries that make room.
///
/// ```
/// use metashrew_support::lru_cache::{ApiCacheKey, ByteLru};
/// use std::sync::Arc;
///
/// let mut cache = ByteLru::new(200); // Room for one entry.
/// cache.insert(ApiCacheKey("a".into()), Arc::new(vec![1]));
/// cache.insert(ApiCacheKey("b".into()), Arc::new(vec![2]));
/// assert_eq!(cache.get("a"), None);
/// assert_eq!(cache.len(), 1);
/// ```
pub struct ByteLru<K> {
    /// In order of use.
    entries: LruCache<K, CacheValue, FixedState>,
    limit: usize,
    memory_usage: usize,
    evictions: u64,
}

impl<K: Hash + Eq + HeapBytes> ByteLru<K> {
    /// An empty cache of at most `limit` bytes.
    ///
    /// ```
    /// use metashrew_support::lru_cache::{ApiCacheKey, ByteLru};
    ///
    /// let cache = ByteLru::<ApiCacheKey>::new(4096);
    /// assert!(cache.is_empty());
    /// ```
    pub fn new(limit: usize) -> Self {
        Self {
            entries: LruCache::unbounded_with_hasher(FixedState::default()),
            limit,
            memory_usage: 0,
            evictions: 0,
        }
    }

    /// The value of `key`, which so becomes the one used last.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{ApiCacheKey, ByteLru};
    /// # use std::sync::Arc;
    /// # let mut cache = ByteLru::new(4096);
    /// # cache.insert(ApiCacheKey("a".into()), Arc::new(vec![1]));
    /// assert_eq!(cache.get("a").map(|value| value[0]), Some(1));
    /// assert_eq!(cache.get("b"), None);
    /// ```
    pub fn get<Q>(&mut self, key: &Q) -> Option<&Arc<Vec<u8>>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.entries.get(key).map(|value| &value.0)
    }

    /// Puts a value in, in place of the key's last one, and drops what was used
    /// longest ago until it fits: `false` if it alone is above the limit. The key
    /// then has no value here, and the others stay.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{ApiCacheKey, ByteLru};
    /// # use std::sync::Arc;
    /// # let mut cache = ByteLru::new(4096);
    /// # cache.insert(ApiCacheKey("a".into()), Arc::new(vec![1]));
    /// assert!(cache.insert(ApiCacheKey("b".into()), Arc::new(vec![2])));
    /// assert!(!cache.insert(ApiCacheKey("b".into()), Arc::new(vec![0; 9999])));
    /// assert_eq!(cache.get("b"), None);
    /// assert_eq!(cache.len(), 1);
    /// ```
    pub fn insert(&mut self, key: K, value: Arc<Vec<u8>>) -> bool {
        self.remove(&key);
        let bytes = entry_bytes(&key, &value);
        if bytes > self.limit {
            return false;
        }
        self.evict_down_to(self.limit - bytes);
        self.memory_usage += bytes;
        self.entries.push(key, CacheValue(value));
        true
    }

    /// Takes a key's value out.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{ApiCacheKey, ByteLru};
    /// # use std::sync::Arc;
    /// # let mut cache = ByteLru::new(4096);
    /// # cache.insert(ApiCacheKey("a".into()), Arc::new(vec![1]));
    /// assert_eq!(cache.remove("a"), Some(Arc::new(vec![1])));
    /// assert_eq!(cache.remove("a"), None);
    /// ```
    pub fn remove<Q>(&mut self, key: &Q) -> Option<Arc<Vec<u8>>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (key, value) = self.entries.pop_entry(key)?;
        self.memory_usage -= entry_bytes(&key, &value.0);
        Some(value.0)
    }

    /// Sets the limit, in bytes, and drops what is above it.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{ApiCacheKey, ByteLru};
    /// # use std::sync::Arc;
    /// # let mut cache = ByteLru::new(4096);
    /// # cache.insert(ApiCacheKey("a".into()), Arc::new(vec![1]));
    /// cache.set_limit(0);
    /// assert!(cache.is_empty());
    /// ```
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        if limit == 0 {
            self.evictions += self.entries.len() as u64;
            self.clear();
        }
        self.evict_down_to(limit);
    }

    /// Empties the cache and gives its memory back. This counts as no eviction.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{ApiCacheKey, ByteLru};
    /// # use std::sync::Arc;
    /// # let mut cache = ByteLru::new(4096);
    /// # cache.insert(ApiCacheKey("a".into()), Arc::new(vec![1]));
    /// cache.clear();
    /// assert_eq!((cache.len(), cache.evictions()), (0, 0));
    /// ```
    pub fn clear(&mut self) {
        if !self.entries.is_empty() {
            self.entries = LruCache::unbounded_with_hasher(FixedState::default());
            self.memory_usage = 0;
        }
    }

    /// The limit, in bytes.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{ApiCacheKey, ByteLru};
    /// # use std::sync::Arc;
    /// # let mut cache = ByteLru::new(4096);
    /// # cache.insert(ApiCacheKey("a".into()), Arc::new(vec![1]));
    /// assert_eq!(cache.limit(), 4096);
    /// ```
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes that the entries are counted for: key, value and
    /// [`ENTRY_OVERHEAD`] each. Of a key and a value, what is reserved counts.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{ApiCacheKey, ByteLru};
    /// # use std::sync::Arc;
    /// # let mut cache = ByteLru::new(4096);
    /// # cache.insert(ApiCacheKey("a".into()), Arc::new(vec![1]));
    /// use metashrew_support::lru_cache::ENTRY_OVERHEAD;
    ///
    /// assert!(cache.memory_usage() > ENTRY_OVERHEAD);
    /// ```
    pub fn memory_usage(&self) -> usize {
        self.memory_usage
    }

    /// Entries held.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{ApiCacheKey, ByteLru};
    /// # use std::sync::Arc;
    /// # let mut cache = ByteLru::new(4096);
    /// # cache.insert(ApiCacheKey("a".into()), Arc::new(vec![1]));
    /// assert_eq!(cache.len(), 1);
    /// ```
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is held.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{ApiCacheKey, ByteLru};
    /// # use std::sync::Arc;
    /// # let mut cache = ByteLru::new(4096);
    /// # cache.insert(ApiCacheKey("a".into()), Arc::new(vec![1]));
    /// assert!(!cache.is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Entries dropped for want of room so far.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{ApiCacheKey, ByteLru};
    /// # use std::sync::Arc;
    /// # let mut cache = ByteLru::new(4096);
    /// # cache.insert(ApiCacheKey("a".into()), Arc::new(vec![1]));
    /// cache.set_limit(0);
    /// assert_eq!(cache.evictions(), 1);
    /// ```
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    /// All entries, the one used last first. Looking at them is no use of them.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{ApiCacheKey, ByteLru};
    /// # use std::sync::Arc;
    /// # let mut cache = ByteLru::new(4096);
    /// # cache.insert(ApiCacheKey("a".into()), Arc::new(vec![1]));
    /// cache.insert(ApiCacheKey("b".into()), Arc::new(vec![2]));
    /// assert!(cache.iter().map(|(key, _)| &*key.0).eq(["b", "a"]));
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Arc<Vec<u8>>)> {
        self.entries.iter().map(|(key, value)| (key, &value.0))
    }

    fn evict_down_to(&mut self, bytes: usize) {
        while self.memory_usage > bytes {
            let Some((key, value)) = self.entries.pop_lru() else {
                break;
            };
            self.memory_usage -= entry_bytes(&key, &value.0);
            self.evictions += 1;
        }
    }
}

impl<K> fmt::Debug for ByteLru<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ByteLru")
            .field("limit", &self.limit)
            .field("memory_usage", &self.memory_usage)
            .field("evictions", &self.evictions)
            .finish_non_exhaustive()
    }
}

fn entry_bytes<K: HeapBytes>(key: &K, value: &Arc<Vec<u8>>) -> usize {
    key.heap_bytes()
        .saturating_add(value.capacity())
        .saturating_add(ENTRY_OVERHEAD)
}
