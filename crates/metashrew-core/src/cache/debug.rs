//! Which keys the caches find, for a guest's author to look at.

use super::with;
use metashrew_support::lru_cache::{LruDebugStats, PrefixAnalysisConfig};
use metashrew_support::utils::format_key;

/// Counts look-ups by the beginnings of their keys from here on. That makes each
/// one slower; it is off unless asked for.
///
/// ```
/// # use metashrew_core::lru_cache::{enable_lru_debug_mode, get_lru_debug_stats};
/// enable_lru_debug_mode();
/// metashrew_core::get(b"/balance/ann".to_vec().into());
/// assert_eq!(get_lru_debug_stats().total_prefixes, 1);
/// ```
pub fn enable_lru_debug_mode() {
    with(|memory| memory.counts_prefixes = true);
}

/// Ends the counting. What was counted stays.
///
/// ```
/// # use metashrew_core::lru_cache::{
/// #     disable_lru_debug_mode, enable_lru_debug_mode, get_lru_debug_stats,
/// # };
/// enable_lru_debug_mode();
/// metashrew_core::get(b"/balance/ann".to_vec().into());
/// disable_lru_debug_mode();
/// metashrew_core::get(b"/supply".to_vec().into());
/// assert_eq!(get_lru_debug_stats().total_prefixes, 1);
/// ```
pub fn disable_lru_debug_mode() {
    with(|memory| memory.counts_prefixes = false);
}

/// Whether look-ups are counted by the beginnings of their keys.
///
/// ```
/// # use metashrew_core::lru_cache::{enable_lru_debug_mode, is_lru_debug_mode_enabled};
/// assert!(!is_lru_debug_mode_enabled());
/// enable_lru_debug_mode();
/// assert!(is_lru_debug_mode_enabled());
/// ```
pub fn is_lru_debug_mode_enabled() -> bool {
    with(|memory| memory.counts_prefixes)
}

/// Says what the beginning of a key is, and counts from zero.
///
/// ```
/// # use metashrew_core::lru_cache::{
/// #     PrefixAnalysisConfig, get_lru_debug_stats, set_prefix_analysis_config,
/// # };
/// set_prefix_analysis_config(PrefixAnalysisConfig {
///     min_prefix_length: 4,
///     ..PrefixAnalysisConfig::default()
/// });
/// assert_eq!(get_lru_debug_stats().min_prefix_length, 4);
/// ```
pub fn set_prefix_analysis_config(config: PrefixAnalysisConfig) {
    with(|memory| memory.prefixes.set_config(config));
}

/// What the beginning of a key is.
///
/// ```
/// # use metashrew_core::lru_cache::get_prefix_analysis_config;
/// let config = get_prefix_analysis_config();
/// assert!(config.min_prefix_length <= config.max_prefix_length);
/// ```
pub fn get_prefix_analysis_config() -> PrefixAnalysisConfig {
    with(|memory| memory.prefixes.config().clone())
}

/// Counts the beginnings of keys from zero.
///
/// ```
/// # use metashrew_core::lru_cache::{
/// #     clear_prefix_hit_stats, enable_lru_debug_mode, get_lru_debug_stats,
/// # };
/// enable_lru_debug_mode();
/// metashrew_core::get(b"/balance/ann".to_vec().into());
/// clear_prefix_hit_stats();
/// assert_eq!(get_lru_debug_stats().total_prefixes, 0);
/// ```
pub fn clear_prefix_hit_stats() {
    with(|memory| memory.prefixes.clear());
}

/// What the caches did, and with which keys. It looks at every cached entry.
///
/// ```
/// # use metashrew_core::lru_cache::get_lru_debug_stats;
/// metashrew_core::get(b"/balance/ann".to_vec().into());
/// assert_eq!(get_lru_debug_stats().cache_stats.misses, 1);
/// ```
pub fn get_lru_debug_stats() -> LruDebugStats {
    with(|memory| {
        let tiers = &memory.tiers;
        memory.prefixes.stats(tiers.stats(), tiers.state_keys())
    })
}

/// The same as lines of text.
///
/// ```
/// # use metashrew_core::lru_cache::generate_lru_debug_report;
/// metashrew_core::get(b"/balance/ann".to_vec().into());
/// assert!(generate_lru_debug_report().starts_with("0 hits, 1 misses"));
/// ```
pub fn generate_lru_debug_report() -> String {
    get_lru_debug_stats().report()
}

/// A key for people: split at `/`, parts that are not ASCII as hex.
///
/// ```
/// # use metashrew_core::lru_cache::parse_cache_key;
/// assert_eq!(parse_cache_key(b"/balance/\xff\x01"), "/balance/ff01");
/// ```
pub fn parse_cache_key(key: &[u8]) -> String {
    format_key(&key.to_vec())
}

/// [`parse_cache_key`].
///
/// ```
/// # use metashrew_core::lru_cache::parse_cache_key_enhanced;
/// assert_eq!(parse_cache_key_enhanced(b"/supply"), "/supply");
/// ```
pub fn parse_cache_key_enhanced(key: &[u8]) -> String {
    parse_cache_key(key)
}
