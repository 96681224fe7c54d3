//! The two WebAssembly engines: one that indexes, one that answers views.
//!
//! Both give the same results for the same guest on every machine. They differ
//! in epoch checks, which interrupt a view and would slow indexing.

use std::time::Duration;

use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy,
    PoolingAllocationConfig, WasmBacktraceDetails,
};

use crate::error::LoadError;
use crate::limits::MAX_TABLE_ELEMENTS;
use crate::options::ModuleCache;
use crate::runner::MAX_KEPT_MEMORY;
use crate::stack;
use crate::view::Sizes;

/// The stack of a fibre, in bytes: whatever a guest may use of it, and room for host functions.
/// Pages that are never reached take no memory.
const FIBRE_STACK: usize = stack::NATIVE + HOST_STACK;

/// What host functions may take of a stack, in bytes.
const HOST_STACK: usize = 1024 * 1024;

/// The time between two epoch ticks: how long a view runs before it gives way,
/// and how late a deadline or a cancelled call is noticed.
pub(crate) const EPOCH_TICK: Duration = Duration::from_millis(2);

/// Memory of a finished indexing instance that stays mapped for the next block,
/// in bytes: page faults are a fifth of a block's time.
const INDEX_KEEP_RESIDENT: usize = MAX_KEPT_MEMORY;

/// Blocks that may be processed at a time.
pub(crate) const INDEX_SLOTS: u32 = 8;

const WASM32_MEMORY: usize = 1 << 32;

/// What the pooling allocator allows of an instance's own data (functions, globals), in
/// bytes. More than any valid module needs: without a pool there is no such limit, and
/// the same guests are to be taken.
const MAX_INSTANCE_SIZE: usize = 1 << 30;

/// What is mapped comes in pages, in bytes.
const PAGE: usize = 4096;

/// The engine for indexing a guest with so many tables: no epoch checks.
pub(crate) fn indexing(cache: &ModuleCache, tables: u32) -> Result<Engine, LoadError> {
    build(cache, |config, pool| {
        config.epoch_interruption(false);
        pool.linear_memory_keep_resident(INDEX_KEEP_RESIDENT)
            .max_unused_warm_slots(1);
        slots(pool, INDEX_SLOTS, tables);
    })
}

/// The engine for the views of a guest with so many tables.
/// On it, `others` more instances run than views may have: scouts, and blocks that are to be
/// interrupted.
pub(crate) fn viewing(
    cache: &ModuleCache,
    sizes: &Sizes,
    others: usize,
    tables: u32,
) -> Result<Engine, LoadError> {
    let others = u32::try_from(others).unwrap_or(u32::MAX);
    // What stays mapped is meant for all tables of an instance.
    let table_keep_resident = sizes.table_keep_resident / tables as usize / PAGE * PAGE;
    build(cache, |config, pool| {
        // A deep call's stack goes with its instance: kept, as many as there are would take what
        // the budget does not count.
        config.epoch_interruption(true).async_stack_zeroing(true);
        pool.linear_memory_keep_resident(sizes.keep_resident)
            .table_keep_resident(table_keep_resident)
            .async_stack_keep_resident(sizes.stack_keep_resident);
        slots(pool, sizes.slots.saturating_add(others), tables);
    })
}

fn slots(pool: &mut PoolingAllocationConfig, count: u32, tables: u32) {
    pool.total_core_instances(count)
        .total_memories(count)
        .max_tables_per_module(tables)
        .total_tables(count.saturating_mul(tables))
        .total_stacks(count);
}

fn build(
    cache: &ModuleCache,
    adapt: impl FnOnce(&mut Config, &mut PoolingAllocationConfig),
) -> Result<Engine, LoadError> {
    let mut pool = PoolingAllocationConfig::new();
    pool.max_memory_size(WASM32_MEMORY)
        .max_core_instance_size(MAX_INSTANCE_SIZE)
        .table_elements(MAX_TABLE_ELEMENTS)
        .pagemap_scan(Enabled::Auto);
    let mut config = deterministic();
    adapt(&mut config, &mut pool);
    config.cache(open_cache(cache));
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
        .or_else(|error| {
            tracing::warn!("no pooling allocator on this machine, calls will be slower: {error:#}");
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
            Engine::new(&config)
        })
        .map_err(|error| LoadError::Engine(format!("{error:#}")))
}

/// The engine for views of a machine that has no room for a pool.
#[cfg(test)]
pub(crate) fn viewing_without_pool() -> Engine {
    let mut config = deterministic();
    config
        .epoch_interruption(true)
        .allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config).expect("the settings are valid")
}

/// All that a guest can observe is fixed here.
pub(crate) fn deterministic() -> Config {
    let mut config = Config::new();
    config
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(true)
        .relaxed_simd_deterministic(true)
        .wasm_simd(true)
        .wasm_bulk_memory(true)
        .wasm_multi_value(true)
        .wasm_tail_call(true)
        .wasm_extended_const(true)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        .max_wasm_stack(stack::NATIVE)
        .async_stack_size(FIBRE_STACK)
        .concurrency_support(false)
        .wasm_backtrace_details(WasmBacktraceDetails::Enable);
    config
}

/// A cache that cannot be had costs time at start-up, nothing else.
fn open_cache(cache: &ModuleCache) -> Option<Cache> {
    let mut config = CacheConfig::new();
    match cache {
        ModuleCache::Off => return None,
        ModuleCache::User => {}
        ModuleCache::At(directory) => {
            config.with_directory(directory);
        }
    }
    Cache::new(config)
        .inspect_err(|error| tracing::warn!("compiled guests are not cached: {error:#}"))
        .ok()
}
