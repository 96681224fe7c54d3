//! Scouts read, and leave nothing: no write, no log, no memory, whatever the guest does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use metashrew_runtime::{
    MetashrewRuntime, ModuleCache, RuntimeOptions, ScoutControl, ScoutEnd, ScoutOptions, Scouted,
};
use metashrew_store::{MemoryBackend, State, Store};
use metashrew_testing::guests;

use crate::logs::logged;
use crate::{Bench, block};

/// Lets a scout go on until it was asked so often.
struct Asked {
    store: Store,
    left: AtomicU64,
}

impl ScoutControl for Asked {
    fn state(&self) -> State {
        self.store.snapshot().latest()
    }

    fn is_cancelled(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.is_err()
    }
}

fn scout(runtime: &MetashrewRuntime, height: u32) -> Scouted {
    scout_until(runtime, height, u64::MAX)
}

fn scout_until(runtime: &MetashrewRuntime, height: u32, asked: u64) -> Scouted {
    let control: Arc<dyn ScoutControl> = Arc::new(Asked {
        store: runtime.store().clone(),
        left: AtomicU64::new(asked),
    });
    let scouted = runtime.scout(height, Bytes::from(block(height, 1)), &control);
    assert_eq!(runtime.scout_memory(), 0, "it gave all back");
    scouted
}

fn runtime(wasm: &[u8], scouts: ScoutOptions) -> MetashrewRuntime {
    let options = RuntimeOptions {
        cache: ModuleCache::Off,
        scouts,
        ..RuntimeOptions::default()
    };
    MetashrewRuntime::with_options(wasm, Store::in_memory(), options).unwrap()
}

#[test]
fn a_block_finds_what_its_scout_read() {
    let backend = Arc::new(MemoryBackend::default());
    let store = Store::with_backend_and_cache(backend, 1 << 20).unwrap();
    let bench = Bench::over(&guests::reading(100, 1 << 40), store.clone(), |_| {});
    bench.index_to(3, 1);
    let scouted = scout(&bench.runtime, 4);
    let done = Scouted {
        end: ScoutEnd::Done,
        reads: 101,
    };
    assert_eq!(scouted, done);
    let before = (store.cache_stats(), bench.runtime.block_reads().count);
    bench.index(4, 1);
    let after = (store.cache_stats(), bench.runtime.block_reads().count);
    assert_eq!(after.1 - before.1, 101);
    assert_eq!(after.0.misses, before.0.misses);
    // And what it wrote is what it writes without a scout.
    let plain = Bench::new(&guests::reading(100, 1 << 40));
    plain.index_to(4, 1);
    let tip = |bench: &Bench| *bench.store.snapshot().tip().unwrap();
    assert_eq!(tip(&bench), tip(&plain));
}

#[test]
fn a_scout_changes_nothing_and_says_nothing() {
    let bench = Bench::new(&guests::logging());
    let text = logged(|| {
        bench.index_to(2, 1);
    });
    assert_eq!(text.matches("metashrew::guest").count(), 3, "{text}");
    let before = (
        *bench.store.snapshot().tip().unwrap(),
        bench.runtime.block_reads(),
    );
    let text = logged(|| {
        assert_eq!(scout(&bench.runtime, 3).end, ScoutEnd::Done);
    });
    assert_eq!(text, "");
    let after = (
        *bench.store.snapshot().tip().unwrap(),
        bench.runtime.block_reads(),
    );
    assert_eq!(before, after);
}

#[test]
fn whatever_a_guest_does_ends_its_scout_alone() {
    let brief = ScoutOptions {
        timeout: Duration::from_millis(20),
        ..ScoutOptions::default()
    };
    let small = ScoutOptions {
        memory_budget: 32 << 20,
        ..ScoutOptions::default()
    };
    let usual = ScoutOptions::default();
    for (wasm, options, expect) in [
        (guests::traps_at(1), usual, ScoutEnd::Failed),
        (guests::aborts_at(1), usual, ScoutEnd::Failed),
        (guests::bad_flush_pointer(), usual, ScoutEnd::Done),
        (guests::silent_at(1), usual, ScoutEnd::Done),
        (guests::calls_unknown_import(), usual, ScoutEnd::Failed),
        (guests::needs_state(), usual, ScoutEnd::Failed),
        (guests::no_start(), usual, ScoutEnd::Failed),
        (guests::spins_at(1), brief, ScoutEnd::TimedOut),
        (guests::devours_memory_at(1), small, ScoutEnd::OutOfMemory),
    ] {
        let runtime = runtime(&wasm, options);
        assert_eq!(scout(&runtime, 1).end, expect);
        assert_eq!(scout(&runtime, 1).end, expect, "once more");
        assert!(runtime.store().snapshot().tip().is_none());
    }
}

#[test]
fn an_endless_loop_and_endless_reads_end_when_they_are_cancelled() {
    for wasm in [
        guests::spins_at(1),
        guests::reading(u32::MAX / 20, u64::MAX),
    ] {
        let runtime = runtime(&wasm, ScoutOptions::default());
        let scouted = scout_until(&runtime, 1, 3);
        assert_eq!(scouted.end, ScoutEnd::Cancelled);
    }
}

#[test]
fn no_more_run_at_a_time_than_may() {
    let none = ScoutOptions {
        instances: 0,
        ..ScoutOptions::default()
    };
    let runtime = runtime(&guests::chained(), none);
    assert_eq!(scout(&runtime, 1).end, ScoutEnd::Failed);
}

#[test]
fn a_scout_that_is_refused_memory_leaves_views_theirs() {
    let nothing = ScoutOptions {
        memory_budget: 0,
        ..ScoutOptions::default()
    };
    let runtime = runtime(&guests::chained(), nothing);
    let writes = runtime.process_block(0, &block(0, 1)).unwrap();
    assert!(!writes.is_empty());
    assert_eq!(scout(&runtime, 0).end, ScoutEnd::OutOfMemory);
    assert_eq!(runtime.view_stats().memory, 0);
}
