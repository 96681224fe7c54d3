//! The caches' settings and figures, by the names of the SDK of stateful views.
//!
//! Few guests need any of it: [`get`](crate::get) and [`set`](crate::set) cache by
//! themselves. `cache_get`, `cache_set` and `cache_remove` keep data of the guest's own
//! from one view call to the next. Everything here is at the crate's root, too.

pub use crate::cache::{
    cache_get, cache_remove, cache_set, clear_prefix_hit_stats, clear_view_cache,
    disable_lru_debug_mode, enable_lru_debug_mode, flush_to_lru, generate_lru_debug_report,
    get_actual_cache_memory_limit, get_cache_mode, get_lru_debug_stats, get_min_cache_memory_limit,
    get_prefix_analysis_config, is_cache_below_minimum, is_lru_cache_available,
    is_lru_debug_mode_enabled, lru_cache_memory_usage, lru_cache_stats, parse_cache_key,
    parse_cache_key_enhanced, set_cache_memory_limit, set_cache_mode, set_prefix_analysis_config,
    set_view_for_height,
};
pub use metashrew_support::lru_cache::{
    CacheAllocationMode, CacheStats, KeyPrefixStats, LruDebugStats, PrefixAnalysisConfig,
};
