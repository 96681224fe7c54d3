//! `_start` over blocks: what is written, and every way to fail.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metashrew_runtime::{
    BlockError, GuestFault, HostFault, LoadError, MetashrewRuntime, ModuleCache, PreparedGuest,
    RuntimeOptions,
};
use metashrew_store::{BlockRef, Store};
use metashrew_testing::guests;

use crate::{Bench, block, hash, ledger};

fn fault_at(wasm: &[u8], height: u32) -> GuestFault {
    let bench = Bench::new(wasm);
    if height > 0 {
        bench.index_to(height - 1, 1);
    }
    match bench.runtime.process_block(height, &block(height, 1)) {
        Err(BlockError::Guest(fault)) => fault,
        other => panic!("a guest fault was due, not {other:?}"),
    }
}

#[test]
fn a_block_reads_the_state_before_it() {
    let bench = Bench::new(&guests::chained());
    bench.index_to(20, 1);
    let mut acc = 0u64;
    for height in 0..=20u32 {
        let root = block(height, 1)[36..44].try_into().unwrap();
        acc = acc
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(u64::from(height))
            .wrapping_add(u64::from_le_bytes(root));
        let state = bench.store.snapshot().at(height);
        let value = state.get(b"acc").unwrap().unwrap().value;
        assert_eq!(value, acc.to_le_bytes()[..], "at height {height}");
    }
}

#[test]
fn several_flushes_add_up_and_the_last_value_wins() {
    let writes = Bench::new(&guests::many_flushes())
        .runtime
        .process_block(0, &block(0, 1))
        .unwrap();
    let pairs: Vec<_> = writes
        .sorted()
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect();
    let expected = [("a", "1"), ("b", "2"), ("c", "")];
    assert_eq!(
        pairs,
        expected.map(|(key, value)| (key.into(), value.into()))
    );
}

#[test]
fn an_empty_list_counts_as_a_flush() {
    let writes = Bench::new(&guests::empty_flush())
        .runtime
        .process_block(0, &block(0, 1));
    assert!(writes.unwrap().is_empty());
}

#[test]
fn every_fault_of_a_guest_is_named() {
    assert_eq!(fault_at(&guests::silent(), 0), GuestFault::NoFlush);
    assert_eq!(fault_at(&guests::silent_at(3), 3), GuestFault::NoFlush);
    assert!(matches!(
        fault_at(&guests::odd_flush(), 0),
        GuestFault::BadFlush(_)
    ));
    assert!(matches!(
        fault_at(&guests::bad_flush(), 0),
        GuestFault::BadFlush(_)
    ));
    assert!(matches!(
        fault_at(&guests::bad_flush_pointer(), 0),
        GuestFault::BadPointer { function, pointer: 0x7fff_fff0, .. } if function == "__flush"
    ));
    assert!(matches!(
        fault_at(&guests::calls_unknown_import(), 0),
        GuestFault::UnknownImport { module, name, .. } if module == "env" && name == "__mystery"
    ));
    for guest in [guests::no_start(), guests::odd_start()] {
        assert!(matches!(
            fault_at(&guest, 0),
            GuestFault::MissingExport { name, .. } if name == "_start"
        ));
    }
    match fault_at(&guests::aborts_at(2), 2) {
        GuestFault::Abort {
            message,
            file,
            line: 7,
            column: 3,
            backtrace,
        } => {
            assert_eq!((message.as_str(), file.as_str()), ("out of tea", "tea.ts"));
            let frames = backtrace.frames();
            assert!(
                frames
                    .iter()
                    .any(|frame| frame.starts_with("abort_with at 0x")),
                "{frames:?}"
            );
        }
        other => panic!("an abort was due, not {other:?}"),
    }
    match fault_at(&guests::traps_at(2), 2) {
        GuestFault::Trap { trap, backtrace } => {
            assert!(trap.contains("unreachable"), "{trap}");
            assert!(!backtrace.frames().is_empty());
        }
        other => panic!("a trap was due, not {other:?}"),
    }
}

#[test]
fn a_backtrace_names_the_guests_functions() {
    let wasm = wat::parse_str(
        r#"(module (memory (export "memory") 1)
             (func $deep (unreachable))
             (func $outer (export "_start") (call $deep)))"#,
    )
    .unwrap();
    match fault_at(&wasm, 0) {
        GuestFault::Trap { backtrace, .. } => {
            assert!(
                backtrace.frames()[0].starts_with("deep at 0x"),
                "{backtrace}"
            );
            assert!(
                backtrace.frames()[1].starts_with("outer at 0x"),
                "{backtrace}"
            );
        }
        other => panic!("a trap was due, not {other:?}"),
    }
}

#[test]
fn a_stack_overflow_is_a_trap() {
    let wasm = wat::parse_str(
        r#"(module (memory (export "memory") 1)
             (func $again (export "_start") (call $again) (call $again)))"#,
    )
    .unwrap();
    assert!(matches!(
        fault_at(&wasm, 0),
        GuestFault::Trap { trap, .. } if trap.contains("stack")
    ));
}

#[test]
fn a_failed_block_leaves_no_trace_and_the_next_try_starts_anew() {
    let bench = Bench::new(&guests::traps_at(5));
    bench.index_to(4, 1);
    let before = bench.store.snapshot().tip().copied();
    bench.runtime.process_block(5, &block(5, 1)).unwrap_err();
    assert_eq!(bench.store.snapshot().tip().copied(), before);
    let twice: Vec<_> = (0..2)
        .map(|_| bench.runtime.process_block(6, &block(6, 1)).unwrap())
        .map(|writes| format!("{:?}", writes.sorted().collect::<Vec<_>>()))
        .collect();
    assert_eq!(twice[0], twice[1]);
}

#[test]
fn memory_grows_to_the_guests_own_maximum_and_no_further() {
    let wasm = wat::parse_str(
        r#"(module
             (import "env" "__flush" (func $flush (param i32)))
             (memory (export "memory") 1 40)
             (data (i32.const 100) "\06\00\00\00\0a\01k\0a\01?")
             (func (export "_start")
               (drop (memory.grow (i32.const 39)))
               (i32.store8 (i32.const 109) (memory.grow (i32.const 1)))
               (call $flush (i32.const 104))))"#,
    )
    .unwrap();
    let writes = Bench::new(&wasm).runtime.process_block(0, &block(0, 1));
    assert_eq!(writes.unwrap().get(b"k").unwrap(), &[0xff][..]);
}

#[test]
fn what_is_no_guest_is_refused_when_loaded() {
    let load = |wasm: &[u8]| MetashrewRuntime::new(wasm, Store::in_memory()).err();
    assert!(matches!(load(b"not wasm"), Some(LoadError::Invalid(_))));
    assert!(matches!(
        load(&guests::no_memory()),
        Some(LoadError::MissingExport { name: "memory", .. })
    ));
    let foreign_memory = wat::parse_str(
        r#"(module (import "env" "memory" (memory 1)) (export "memory" (memory 0)))"#,
    );
    assert!(matches!(
        load(&foreign_memory.unwrap()),
        Some(LoadError::Import(_))
    ));
    let odd_type = wat::parse_str(
        r#"(module (import "env" "__flush" (func (param i64))) (memory (export "memory") 1))"#,
    );
    assert!(matches!(
        load(&odd_type.unwrap()),
        Some(LoadError::Import(text)) if text.contains("__flush")
    ));
    assert!(matches!(
        MetashrewRuntime::load("/nowhere/guest.wasm", Store::in_memory()),
        Err(LoadError::Read { .. })
    ));
}

#[test]
fn compiled_guests_are_cached_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let options = RuntimeOptions {
        cache: ModuleCache::At(directory.path().to_owned()),
        ..RuntimeOptions::default()
    };
    let load = || {
        MetashrewRuntime::with_options(&guests::chained(), Store::in_memory(), options.clone())
            .unwrap();
        let mut modules = Vec::new();
        modules_in(directory.path(), &mut modules);
        modules.len()
    };
    let cached = load();
    assert_eq!(cached, 2, "the guest for indexing, and for views");
    assert_eq!(load(), cached);
}

/// The cache's entries: the files without an extension.
fn modules_in(path: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(path).expect("the cache is a directory") {
        let path = entry.expect("the cache can be listed").path();
        if path.is_dir() {
            modules_in(&path, found);
        } else if path.extension().is_none() {
            found.push(path);
        }
    }
}

/// A runtime whose blocks may take so long.
fn limited(wasm: &[u8], limit: Duration) -> MetashrewRuntime {
    let options = RuntimeOptions {
        block_timeout: Some(limit),
        ..RuntimeOptions::default()
    };
    MetashrewRuntime::with_options(wasm, Store::in_memory(), options).unwrap()
}

#[test]
fn a_block_may_have_a_limit_of_time() {
    let wasm = guests::spins_at(1);
    let limit = Duration::from_millis(20);
    let runtime = limited(&wasm, limit);
    let first = runtime.process_block(0, &block(0, 1)).unwrap();
    let unlimited = MetashrewRuntime::new(&wasm, Store::in_memory()).unwrap();
    let unlimited = unlimited.process_block(0, &block(0, 1)).unwrap();
    assert!(first.sorted().eq(unlimited.sorted()));
    let error = runtime.process_block(1, &block(1, 1)).unwrap_err();
    let BlockError::Host(HostFault::TimedOut {
        limit: told,
        backtrace,
    }) = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(*told, limit);
    assert!(!backtrace.frames().is_empty(), "{error}");
}

#[test]
fn a_block_with_a_limit_can_be_stopped_before() {
    let runtime = limited(&guests::spins_at(0), Duration::from_hours(1));
    let is_running = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&is_running);
    // Asked while it runs, and only then.
    let mut runner = runtime
        .block_runner()
        .stopped_by(move || asked.swap(true, Ordering::Relaxed));
    let state = runtime.store().snapshot().latest();
    let block_ref = BlockRef::new(0, hash(0, 1), hash(0, 0));
    let stopped = runner.process(state, &block_ref, block(0, 1).into());
    let is_stopped = matches!(&stopped, Err(BlockError::Host(HostFault::TimedOut { .. })));
    assert!(is_stopped && is_running.load(Ordering::Relaxed));
}

/// Then there is one compilation to keep.
#[test]
fn a_guest_whose_blocks_have_a_limit_is_compiled_once() {
    let directory = tempfile::tempdir().unwrap();
    let options = RuntimeOptions {
        cache: ModuleCache::At(directory.path().to_owned()),
        block_timeout: Some(Duration::from_mins(1)),
        ..RuntimeOptions::default()
    };
    let wasm = guests::chained();
    let guest = PreparedGuest::new(&wasm, options).unwrap();
    assert_eq!(guest.metadata().unwrap(), None);
    let mut modules = Vec::new();
    modules_in(directory.path(), &mut modules);
    assert_eq!(modules.len(), 1);
    let ledger = PreparedGuest::new(&ledger(), RuntimeOptions::default()).unwrap();
    let meta = ledger.metadata().unwrap().unwrap().unwrap();
    assert_eq!(meta.name, "ledger");
}
