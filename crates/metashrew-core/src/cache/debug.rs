//! Which keys the caches find, for a guest's author to look at.

use super::with;
use metashrew_support::lru_cache::{LruDebugStats, PrefixAnalysisConfig};
use metashrew_support::utils::format_key;

/// Counts look-ups by the beginnings of their keys from here on. That makes each
/// one slower; it is off unless asked for.
pub fn enable_lru_debug_mode() {
    with(|memory| memory.counts_prefixes = true);
}

/// Ends the counting. What was counted stays.
pub fn disable_lru_debug_mode() {
    with(|memory| memory.counts_prefixes = false);
}

/// Whether look-ups are counted by the beginnings of their keys.
pub fn is_lru_debug_mode_enabled() -> bool {
    with(|memory| memory.counts_prefixes)
}

/// Says what the beginning of a key is, and counts from zero.
pub fn set_prefix_analysis_config(config: PrefixAnalysisConfig) {
    with(|memory| memory.prefixes.set_config(config));
}

/// What the beginning of a key is.
pub fn get_prefix_analysis_config() -> PrefixAnalysisConfig {
    with(|memory| memory.prefixes.config().clone())
}

/// Counts the beginnings of keys from zero.
pub fn clear_prefix_hit_stats() {
    with(|memory| memory.prefixes.clear());
}

/// What the caches did, and with which keys. It looks at every cached entry.
pub fn get_lru_debug_stats() -> LruDebugStats {
    with(|memory| {
        let tiers = &memory.tiers;
        memory.prefixes.stats(tiers.stats(), tiers.state_keys())
    })
}

/// The same as lines of text.
pub fn generate_lru_debug_report() -> String {
    get_lru_debug_stats().report()
}

/// A key for people: split at `/`, parts that are not ASCII as hex.
pub fn parse_cache_key(key: &[u8]) -> String {
    format_key(&key.to_vec())
}

/// [`parse_cache_key`].
pub fn parse_cache_key_enhanced(key: &[u8]) -> String {
    parse_cache_key(key)
}
