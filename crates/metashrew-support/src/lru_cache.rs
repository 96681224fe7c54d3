//! Caches that count bytes: what a guest remembers, within one budget.
//!
//! [`Tiers`] holds three of them, each a [`ByteLru`], and shares one limit out
//! among them by its [`CacheAllocationMode`]. `metashrew_core` keeps one `Tiers`
//! for the guest and names it `get`, `cache_set` and so on; a program of another
//! kind can have its own.

mod byte_lru;
mod prefixes;
mod tiers;

pub use byte_lru::{ByteLru, HeapBytes};
pub use prefixes::{
    KeyPrefixStats, LruDebugStats, MAX_PREFIXES, PrefixAnalysisConfig, PrefixCounts,
};
pub use tiers::Tiers;

use std::borrow::Borrow;
use std::sync::Arc;

/// Bytes that an entry is counted for besides its key and its value.
///
/// In wasm32 it was seen to take 104 to 127, depending on how full the table is:
/// for its place there, the two `Arc<Vec<u8>>`, and the allocator's own words.
pub const ENTRY_OVERHEAD: usize = 128;

/// The limit of all caches together, in bytes, unless another one is set: 1 GiB.
pub const DEFAULT_LIMIT: usize = 1 << 30;

/// A limit, in bytes, below which an ordinary view no longer finds again what it
/// read: 16 MiB.
pub const MINIMUM_LIMIT: usize = 16 << 20;

/// Who shares the limit.
///
/// ```
/// use metashrew_support::lru_cache::CacheAllocationMode;
///
/// assert_eq!(CacheAllocationMode::default(), CacheAllocationMode::View);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CacheAllocationMode {
    /// Indexing: the main cache has all of it.
    Indexer,
    /// Views: one half is for values by height, one for the guest's own data.
    #[default]
    View,
}

/// What the caches did and hold.
///
/// ```
/// use metashrew_support::lru_cache::Tiers;
///
/// let mut tiers = Tiers::default();
/// tiers.api_get("absent");
/// assert_eq!((tiers.stats().hits, tiers.stats().misses), (0, 1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Look-ups that a cache answered.
    pub hits: u64,
    /// Look-ups that no cache answered.
    pub misses: u64,
    /// Entries held.
    pub items: usize,
    /// Bytes that the entries are counted for, [`ENTRY_OVERHEAD`] included.
    pub memory_usage: usize,
    /// Entries dropped for want of room.
    pub evictions: u64,
}

/// A cached value.
///
/// ```
/// use metashrew_support::lru_cache::CacheValue;
/// use std::sync::Arc;
///
/// let value = CacheValue::from(Arc::new(b"value".to_vec()));
/// assert_eq!(*value.0, b"value");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CacheValue(pub Arc<Vec<u8>>);

/// A key of the main cache: a key of the guest's state.
///
/// ```
/// use metashrew_support::lru_cache::CacheKey;
/// use std::sync::Arc;
///
/// let key = CacheKey::from(Arc::new(b"key".to_vec()));
/// assert_eq!(*key.0, b"key");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CacheKey(pub Arc<Vec<u8>>);

/// A key of the guest's own data.
///
/// ```
/// use metashrew_support::lru_cache::ApiCacheKey;
///
/// assert_eq!(ApiCacheKey::from("key".to_owned()).0, "key");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ApiCacheKey(pub String);

/// A key of the guest's state, at a height.
///
/// ```
/// use metashrew_support::lru_cache::HeightPartitionedKey;
/// use std::sync::Arc;
///
/// let key = HeightPartitionedKey::from((7, Arc::new(b"key".to_vec())));
/// assert_eq!(key.height, 7);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HeightPartitionedKey {
    /// The height at which the value was read.
    pub height: u32,
    /// The key.
    pub key: Arc<Vec<u8>>,
}

/// A key of the guest's state and the cache that its value belongs in.
///
/// ```
/// use metashrew_support::lru_cache::{CacheAllocationMode, StateKey, Tiers};
/// use std::sync::Arc;
///
/// let mut tiers = Tiers::default(); // For views.
/// let (key, value) = (Arc::new(b"key".to_vec()), Arc::new(b"value".to_vec()));
/// assert!(tiers.insert(StateKey::Height((7, key.clone()).into()), value.clone()));
/// assert!(!tiers.insert(StateKey::Main(key.into()), value));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StateKey {
    /// The main cache.
    Main(CacheKey),
    /// The one that keeps heights apart.
    Height(HeightPartitionedKey),
}

impl From<Arc<Vec<u8>>> for CacheValue {
    fn from(value: Arc<Vec<u8>>) -> Self {
        Self(value)
    }
}

impl From<CacheValue> for Arc<Vec<u8>> {
    fn from(value: CacheValue) -> Self {
        value.0
    }
}

impl From<Arc<Vec<u8>>> for CacheKey {
    fn from(key: Arc<Vec<u8>>) -> Self {
        Self(key)
    }
}

impl From<CacheKey> for Arc<Vec<u8>> {
    fn from(key: CacheKey) -> Self {
        key.0
    }
}

impl From<String> for ApiCacheKey {
    fn from(key: String) -> Self {
        Self(key)
    }
}

impl From<ApiCacheKey> for String {
    fn from(key: ApiCacheKey) -> Self {
        key.0
    }
}

impl From<(u32, Arc<Vec<u8>>)> for HeightPartitionedKey {
    fn from((height, key): (u32, Arc<Vec<u8>>)) -> Self {
        Self { height, key }
    }
}

impl Borrow<str> for ApiCacheKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl HeapBytes for CacheKey {
    fn heap_bytes(&self) -> usize {
        self.0.capacity()
    }
}

impl HeapBytes for ApiCacheKey {
    fn heap_bytes(&self) -> usize {
        self.0.capacity()
    }
}

impl HeapBytes for HeightPartitionedKey {
    fn heap_bytes(&self) -> usize {
        self.key.capacity()
    }
}
