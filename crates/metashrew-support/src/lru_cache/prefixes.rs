//! Which parts of the key space are found in the caches: look-ups counted by the
//! beginnings of their keys.

use super::CacheStats;
use crate::utils::format_key;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

/// Beginnings counted at most; look-ups of further ones are not.
pub const MAX_PREFIXES: usize = 1024;

/// What the beginning of a key is.
///
/// It ends behind the key's last `/` within the two lengths. A key without one
/// there is counted by its first `min_prefix_length` bytes.
///
/// ```
/// use metashrew_support::lru_cache::PrefixAnalysisConfig;
///
/// let config = PrefixAnalysisConfig { min_prefix_length: 4, ..Default::default() };
/// assert_eq!(config.max_prefix_length, 64);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixAnalysisConfig {
    /// Bytes of a beginning, at least.
    pub min_prefix_length: usize,
    /// Bytes of a beginning, at most.
    pub max_prefix_length: usize,
    /// Cached keys that a beginning needs to be told of.
    pub min_keys_per_prefix: usize,
}

impl Default for PrefixAnalysisConfig {
    fn default() -> Self {
        Self {
            min_prefix_length: 8,
            max_prefix_length: 64,
            min_keys_per_prefix: 3,
        }
    }
}

/// What is known of the keys with one beginning.
///
/// ```
/// # use metashrew_support::lru_cache::{CacheStats, PrefixAnalysisConfig, PrefixCounts};
/// # let mut counts = PrefixCounts::default();
/// # counts.set_config(PrefixAnalysisConfig { min_keys_per_prefix: 0, ..Default::default() });
/// counts.count(b"/balance/alice", true);
/// let stats = counts.stats(CacheStats::default(), []).prefix_stats;
/// assert_eq!((&*stats[0].prefix_readable, stats[0].hits), ("/balance", 1));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct KeyPrefixStats {
    /// The beginning, in hex.
    pub prefix: String,
    /// The beginning, as a text where it is one.
    pub prefix_readable: String,
    /// Look-ups that a cache answered.
    pub hits: u64,
    /// Look-ups that the host answered.
    pub misses: u64,
    /// Different keys that are cached now.
    pub unique_keys: usize,
    /// The share of all counted hits, in percent.
    pub hit_percentage: f64,
}

/// What the caches did, and with which keys.
///
/// ```
/// use metashrew_support::lru_cache::{CacheStats, PrefixCounts};
///
/// let stats = PrefixCounts::default().stats(CacheStats::default(), []);
/// assert_eq!((stats.total_prefixes, stats.prefix_stats.len()), (0, 0));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LruDebugStats {
    /// All look-ups together.
    pub cache_stats: CacheStats,
    /// The beginnings with enough cached keys, most hits first.
    pub prefix_stats: Vec<KeyPrefixStats>,
    /// Beginnings counted.
    pub total_prefixes: usize,
    /// Bytes of a beginning, at least.
    pub min_prefix_length: usize,
    /// Bytes of a beginning, at most.
    pub max_prefix_length: usize,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    hits: u64,
    misses: u64,
}

/// Counts look-ups by the beginnings of their keys.
///
/// ```
/// use metashrew_support::lru_cache::{CacheStats, PrefixCounts};
///
/// let mut counts = PrefixCounts::default();
/// counts.count(b"/balance/alice", true);
/// counts.count(b"/balance/bob", false);
/// assert_eq!(counts.stats(CacheStats::default(), []).total_prefixes, 1);
/// ```
#[derive(Debug, Default)]
pub struct PrefixCounts {
    config: PrefixAnalysisConfig,
    counts: BTreeMap<Vec<u8>, Count>,
}

impl PrefixCounts {
    /// What a beginning is.
    ///
    /// ```
    /// use metashrew_support::lru_cache::PrefixCounts;
    ///
    /// assert_eq!(PrefixCounts::default().config().min_prefix_length, 8);
    /// ```
    pub fn config(&self) -> &PrefixAnalysisConfig {
        &self.config
    }

    /// Says what a beginning is, and counts from zero.
    ///
    /// ```
    /// use metashrew_support::lru_cache::{PrefixAnalysisConfig, PrefixCounts};
    ///
    /// let mut counts = PrefixCounts::default();
    /// counts.set_config(PrefixAnalysisConfig { min_prefix_length: 4, ..Default::default() });
    /// assert_eq!(counts.config().min_prefix_length, 4);
    /// ```
    pub fn set_config(&mut self, config: PrefixAnalysisConfig) {
        self.config = config;
        self.clear();
    }

    /// Counts from zero.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{CacheStats, PrefixCounts};
    /// # let mut counts = PrefixCounts::default();
    /// counts.count(b"/balance/alice", true);
    /// counts.clear();
    /// assert_eq!(counts.stats(CacheStats::default(), []).total_prefixes, 0);
    /// ```
    pub fn clear(&mut self) {
        self.counts.clear();
    }

    /// Counts a look-up.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{CacheStats, PrefixCounts};
    /// # let mut counts = PrefixCounts::default();
    /// counts.count(b"/balance/alice", true);
    /// assert_eq!(counts.stats(CacheStats::default(), []).total_prefixes, 1);
    /// ```
    pub fn count(&mut self, key: &[u8], hit: bool) {
        let prefix = self.config.prefix(key);
        if !self.counts.contains_key(prefix) {
            if self.counts.len() >= MAX_PREFIXES {
                return;
            }
            self.counts.insert(prefix.to_vec(), Count::default());
        }
        if let Some(count) = self.counts.get_mut(prefix) {
            if hit {
                count.hits += 1;
            } else {
                count.misses += 1;
            }
        }
    }

    /// What was counted, beside the keys that are cached now.
    ///
    /// ```
    /// # use metashrew_support::lru_cache::{CacheStats, PrefixCounts};
    /// # use std::sync::Arc;
    /// # let mut counts = PrefixCounts::default();
    /// counts.count(b"/balance/alice", true);
    /// let cached = ["alice", "bob", "carol"].map(|name| Arc::new(format!("/balance/{name}").into()));
    /// let stats = counts.stats(CacheStats::default(), &cached);
    /// assert_eq!(stats.prefix_stats[0].unique_keys, 3);
    /// ```
    pub fn stats<'a>(
        &self,
        cache_stats: CacheStats,
        cached: impl IntoIterator<Item = &'a Arc<Vec<u8>>>,
    ) -> LruDebugStats {
        let mut keys: BTreeMap<&[u8], BTreeSet<&[u8]>> = BTreeMap::new();
        for key in cached {
            keys.entry(self.config.prefix(key)).or_default().insert(key);
        }
        let all_hits: u64 = self.counts.values().map(|count| count.hits).sum();
        let told = self.counts.iter().filter_map(|(prefix, count)| {
            let unique_keys = keys.get(&**prefix).map_or(0, BTreeSet::len);
            (unique_keys >= self.config.min_keys_per_prefix).then(|| KeyPrefixStats {
                prefix: hex(prefix),
                prefix_readable: format_key(prefix),
                hits: count.hits,
                misses: count.misses,
                unique_keys,
                hit_percentage: percentage(count.hits, all_hits),
            })
        });
        let mut prefix_stats: Vec<_> = told.collect();
        prefix_stats.sort_by_key(|stats| std::cmp::Reverse(stats.hits));
        LruDebugStats {
            cache_stats,
            prefix_stats,
            total_prefixes: self.counts.len(),
            min_prefix_length: self.config.min_prefix_length,
            max_prefix_length: self.config.max_prefix_length,
        }
    }
}

impl PrefixAnalysisConfig {
    fn prefix<'a>(&self, key: &'a [u8]) -> &'a [u8] {
        let within = key.get(..self.max_prefix_length).unwrap_or(key);
        let slash = within.iter().rposition(|byte| *byte == b'/');
        let length = slash.map_or(0, |at| at + 1).max(self.min_prefix_length);
        within.get(..length).unwrap_or(within)
    }
}

impl LruDebugStats {
    /// The same as lines of text.
    ///
    /// ```
    /// use metashrew_support::lru_cache::LruDebugStats;
    ///
    /// let report = LruDebugStats::default().report();
    /// assert!(report.starts_with("0 hits, 0 misses"));
    /// ```
    pub fn report(&self) -> String {
        let CacheStats {
            hits,
            misses,
            items,
            memory_usage,
            evictions,
        } = self.cache_stats;
        let mut report = format!(
            "{hits} hits, {misses} misses, {items} items of {memory_usage} bytes, {evictions} evictions\n"
        );
        for stats in &self.prefix_stats {
            // Writing to a String cannot fail.
            let _ = writeln!(
                report,
                "{}: {} hits ({:.1}%), {} misses, {} keys",
                stats.prefix_readable,
                stats.hits,
                stats.hit_percentage,
                stats.misses,
                stats.unique_keys
            );
        }
        report
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a percentage is for reading; it needs three digits"
)]
fn percentage(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 * 100.0 / whole as f64
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_ends_at_the_last_slash_in_bounds() {
        let config = PrefixAnalysisConfig {
            min_prefix_length: 4,
            max_prefix_length: 12,
            min_keys_per_prefix: 1,
        };
        let check = |key: &str, expect: &str| {
            assert_eq!(config.prefix(key.as_bytes()), expect.as_bytes());
        };
        check("/blocks/7", "/blocks/");
        check("/blocks/by/hash/7", "/blocks/by/");
        check("/a/1234", "/a/1");
        check("balance", "bala");
        check("ab", "ab");
        check("", "");
    }

    #[test]
    fn look_ups_are_counted_by_beginning_and_the_most_hit_comes_first() {
        let mut counts = PrefixCounts::default();
        counts.set_config(PrefixAnalysisConfig {
            min_prefix_length: 1,
            max_prefix_length: 64,
            min_keys_per_prefix: 2,
        });
        for (key, hit) in [
            ("/a/1", true),
            ("/a/1", false),
            ("/b/1", true),
            ("/b/2", true),
            ("/b/1", true),
            ("/once/1", true),
        ] {
            counts.count(key.as_bytes(), hit);
        }
        let cached = ["/a/1", "/a/2", "/b/1", "/b/2", "/b/2", "/once/1"];
        let cached = cached.map(|key| Arc::new(key.as_bytes().to_vec()));
        let stats = counts.stats(CacheStats::default(), &cached);
        let told = stats.prefix_stats.iter().map(|stats| {
            (
                &*stats.prefix_readable,
                stats.hits,
                stats.misses,
                stats.unique_keys,
            )
        });
        assert!(told.eq([("/b", 3, 0, 2), ("/a", 1, 1, 2)]), "{stats:?}");
        assert_eq!(
            (stats.total_prefixes, &*stats.prefix_stats[1].prefix),
            (3, "2f612f")
        );
        assert!((stats.prefix_stats[0].hit_percentage - 60.0).abs() < 1e-9);
        let report = stats.report();
        assert!(
            report.ends_with(
                "/b: 3 hits (60.0%), 0 misses, 2 keys\n/a: 1 hits (20.0%), 1 misses, 2 keys\n"
            ),
            "{report}"
        );
    }

    #[test]
    fn no_more_beginnings_are_counted_than_there_is_room_for() {
        let mut counts = PrefixCounts::default();
        for number in 0..2000u64 {
            counts.count(&number.to_be_bytes(), false);
        }
        let stats = counts.stats(CacheStats::default(), []);
        assert_eq!(stats.total_prefixes, MAX_PREFIXES);
        counts.clear();
        assert_eq!(counts.stats(CacheStats::default(), []).total_prefixes, 0);
    }
}
