//! The names, paths and signatures that guests in the wild compile against. A
//! change that breaks one of them breaks those guests: this file then does not
//! compile.
#![allow(clippy::type_complexity, reason = "the types are what is tested")]

use metashrew_core::index_pointer::{
    AtomicPointer, IndexCheckpoint, IndexCheckpointStack, IndexPointer,
};
use metashrew_core::proto::metashrew::KeyValueFlush;
use metashrew_core::stdio::{Error, Stdout, Write, log, stdout};
use metashrew_core::{
    CacheAllocationMode, CacheStats, LruDebugStats, PrefixAnalysisConfig, compat, imports,
};
use metashrew_support::index_pointer::KeyValuePointer;
use std::collections::HashMap;
use std::panic::PanicHookInfo;
use std::sync::{Arc, Mutex};

type Bytes = Arc<Vec<u8>>;

#[test]
fn functions_keep_their_signatures() {
    let _: fn() -> &'static HashMap<Bytes, Bytes> = metashrew_core::get_cache;
    let _: fn(Bytes) -> Bytes = metashrew_core::get;
    let _: fn(Bytes, Bytes) = metashrew_core::set;
    let _: fn() -> Vec<u8> = metashrew_core::input;
    let _: fn(Vec<u8>) -> i32 = metashrew_core::export_bytes;
    let _: [fn(); 4] = [
        metashrew_core::flush,
        metashrew_core::initialize,
        metashrew_core::reset,
        metashrew_core::clear,
    ];
    let _: fn(&PanicHookInfo) = compat::panic_hook;
    let _: (fn() -> Stdout, fn(Bytes)) = (metashrew_core::stdout, log);
    let _: fn(Vec<u8>) = imports::__set_input;
    let _: fn() -> u64 = imports::__now;
    let written: Result<(), Error> = stdout().write_str("text");
    assert!(written.is_ok());
    let _ = KeyValueFlush { list: vec![] };
}

#[test]
fn caches_keep_their_signatures() {
    let _: [fn(); 6] = [
        metashrew_core::flush_to_lru,
        metashrew_core::clear_view_cache,
        metashrew_core::clear_prefix_hit_stats,
        metashrew_core::enable_lru_debug_mode,
        metashrew_core::disable_lru_debug_mode,
        || metashrew_core::set_view_for_height(0u32),
    ];
    let _: fn() -> CacheStats = metashrew_core::lru_cache_stats;
    let _: [fn() -> usize; 3] = [
        metashrew_core::lru_cache_memory_usage,
        metashrew_core::get_actual_cache_memory_limit,
        metashrew_core::get_min_cache_memory_limit,
    ];
    let _: fn(String, Bytes) = metashrew_core::cache_set;
    let _: [fn(&str) -> Option<Bytes>; 2] =
        [metashrew_core::cache_get, metashrew_core::cache_remove];
    let _: [fn() -> bool; 3] = [
        metashrew_core::is_lru_cache_available,
        metashrew_core::is_cache_below_minimum,
        metashrew_core::is_lru_debug_mode_enabled,
    ];
    let _: fn(CacheAllocationMode) = metashrew_core::set_cache_mode;
    let _: fn() -> CacheAllocationMode = metashrew_core::get_cache_mode;
    let _: fn(PrefixAnalysisConfig) = metashrew_core::set_prefix_analysis_config;
    let _: fn() -> PrefixAnalysisConfig = metashrew_core::get_prefix_analysis_config;
    let _: fn() -> LruDebugStats = metashrew_core::get_lru_debug_stats;
    let _: fn() -> String = metashrew_core::generate_lru_debug_report;
    let _: fn(&[u8]) -> String = metashrew_core::parse_cache_key;
    let _: extern "C" fn(i32) = metashrew_core::__metashrew_cache_limit;
    let _: extern "C" fn(i32) = metashrew_core::__metashrew_begin;
}

/// Tests of guests call them as safe functions.
#[test]
fn imports_keep_their_names() {
    let _: fn() -> i32 = imports::__host_len;
    let _: fn(i32) -> i32 = imports::__get_len;
    let _: fn(i32, i32) = imports::__get;
    let _: [fn(i32); 3] = [imports::__load_input, imports::__flush, imports::__log];
}

#[test]
fn pointers_keep_their_methods() {
    fn common<T: KeyValuePointer + Clone + Default + std::fmt::Debug>() {}
    common::<IndexPointer>();
    common::<AtomicPointer>();
    let mut pointer = AtomicPointer::default().derive(&IndexPointer::from_keyword("a"));
    pointer.checkpoint();
    assert_eq!(pointer.checkpoint_depth(), 2);
    pointer.rollback();
    pointer.commit();
    let _: IndexPointer = pointer.get_pointer();
    let checkpoint = IndexCheckpoint(HashMap::new());
    let stack = IndexCheckpointStack(Arc::new(Mutex::new(vec![checkpoint])));
    assert_eq!(
        (stack.depth(), IndexCheckpointStack::default().depth()),
        (1, 1)
    );
}

#[test]
fn printing_takes_what_std_takes() {
    use metashrew_core::{print, println};
    metashrew_core::test_utils::reset();
    let name = "guest";
    println!("{name}: {} {:?}", 1, [2]);
    print!("{}", name);
    let log = metashrew_core::test_utils::take_log();
    assert_eq!(log, ["guest: 1 [2]\n", "guest"]);
}
