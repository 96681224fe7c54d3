//! Stateful views: memory persists, answers do not depend on it, faults are alone.

use std::num::NonZeroUsize;
use std::time::Duration;

use metashrew_runtime::{GuestFault, HostFault, Scope, ViewError};
use metashrew_store::{BlockId, ResolveError, Store};
use metashrew_testing::guests;

use crate::{Bench, fresh, hash};

fn error(bench: &Bench, name: &str) -> ViewError {
    bench
        .runtime
        .view_sync(name, b"acc", &BlockId::Latest)
        .unwrap_err()
}

fn bench_at(height: u32) -> Bench {
    let bench = Bench::new(&guests::chained());
    bench.index_to(height, 1);
    bench
}

#[test]
fn memory_persists_between_calls_by_default() {
    let bench = bench_at(3);
    assert!(bench.runtime.is_stateful_views_enabled());
    let counts: Vec<u32> = (0..5).map(|_| bench.count(&BlockId::Latest)).collect();
    assert_eq!(counts, [1, 2, 3, 4, 5]);
    assert_eq!(bench.runtime.view_stats().calls.reused, 4);
}

#[tokio::test]
async fn sync_and_async_callers_share_the_memory() {
    let bench = bench_at(0);
    for expected in 1..=6u32 {
        let answer = if expected.is_multiple_of(2) {
            bench.runtime.view("counter", b"", &BlockId::Latest).await
        } else {
            bench.runtime.view_sync("counter", b"", &BlockId::Latest)
        };
        assert_eq!(answer.unwrap().bytes, expected.to_le_bytes()[..]);
    }
}

#[tokio::test]
async fn stateful_views_go_off_and_on_at_any_time() {
    let bench = bench_at(0);
    assert_eq!(bench.count(&BlockId::Latest), 1);
    assert_eq!(bench.count(&BlockId::Latest), 2);

    bench.runtime.disable_stateful_views();
    assert!(!bench.runtime.is_stateful_views_enabled());
    assert_eq!(bench.count(&BlockId::Latest), 1);
    assert_eq!(bench.count(&BlockId::Latest), 1);
    assert_eq!(bench.runtime.view_stats().idle, 0);

    bench.runtime.enable_stateful_views().await.unwrap();
    assert!(bench.runtime.is_stateful_views_enabled());
    assert_eq!(bench.count(&BlockId::Latest), 1);
    assert_eq!(bench.count(&BlockId::Latest), 2);
}

#[test]
fn if_no_instance_can_persist_views_run_fresh_with_the_same_answers() {
    let bench = Bench::with(&guests::chained(), |views| views.memory_budget = 1);
    assert!(!bench.runtime.is_stateful_views_enabled());
    bench.index_to(2, 1);
    let usual = bench_at(2);
    assert_eq!(
        bench.view("get", b"acc", &BlockId::Latest),
        usual.view("get", b"acc", &BlockId::Latest)
    );
    assert_eq!(bench.count(&BlockId::Latest), 1);
    assert_eq!(bench.count(&BlockId::Latest), 1);
    assert!(matches!(
        bench.runtime.enable_stateful_views_sync(),
        Err(ViewError::MemoryLimit { .. })
    ));
}

#[test]
fn a_guest_that_caches_without_regard_to_height_still_answers_each_height() {
    let wasm = guests::chained();
    let bench = Bench::new(&wasm);
    bench.index_to(12, 1);
    let reference = fresh(&wasm, &bench.store);
    for round in 0..3 {
        for height in [12, 0, 5, 12, 3, 5, 0] {
            let at = BlockId::Height(height);
            let expected = reference.view_sync("cached_get", b"acc", &at).unwrap();
            let answer = bench.runtime.view_sync("cached_get", b"acc", &at).unwrap();
            assert_eq!(answer, expected, "height {height}, round {round}");
            assert_eq!(answer.block.height, height);
        }
    }
}

#[test]
fn an_instance_belongs_to_one_block_unless_it_may_be_shared() {
    let counts = |wasm: &[u8], scope| {
        let bench = Bench::with(wasm, |views| views.scope = scope);
        bench.index_to(2, 1);
        [0, 1, 0, 2, 1].map(|height| bench.count(&BlockId::Height(height)))
    };
    let plain = guests::chained();
    assert_eq!(counts(&plain, Scope::Auto), [1, 1, 2, 1, 2]);
    assert_eq!(counts(&plain, Scope::Block), [1, 1, 2, 1, 2]);
    assert_eq!(counts(&plain, Scope::Shared), [1, 2, 3, 4, 5]);
    let partitioned = partitioned_counter();
    assert_eq!(counts(&partitioned, Scope::Auto), [1, 2, 3, 4, 5]);
    assert_eq!(counts(&partitioned, Scope::Block), [1, 1, 2, 1, 2]);
}

/// A counter that says its caches are kept apart by height.
fn partitioned_counter() -> Vec<u8> {
    wat::parse_str(
        r#"(module
             (import "env" "__flush" (func $flush (param i32)))
             (memory (export "memory") 1)
             (func (export "__metashrew_height_partitioned"))
             (func (export "_start") (call $flush (i32.const 8)))
             (func (export "counter") (result i32)
               (i32.store (i32.const 12) (i32.const 4))
               (i32.store (i32.const 16) (i32.add (i32.load (i32.const 16)) (i32.const 1)))
               (i32.const 16)))"#,
    )
    .unwrap()
}

#[test]
fn a_guest_is_told_the_limit_of_its_caches_as_unsigned() {
    let wasm = wat::parse_str(
        r#"(module
             (import "env" "__flush" (func $flush (param i32)))
             (memory (export "memory") 1)
             (func (export "__metashrew_cache_limit") (param i32)
               (i32.store (i32.const 12) (i32.const 4))
               (i32.store (i32.const 16) (local.get 0)))
             (func (export "_start") (call $flush (i32.const 8)))
             (func (export "told") (result i32) (i32.const 16)))"#,
    )
    .unwrap();
    let bench = Bench::with(&wasm, |views| {
        views.instances = NonZeroUsize::MIN;
        views.memory_budget = 1 << 34;
        views.max_instance_memory = 1 << 34;
    });
    bench.index_to(0, 1);
    let told = bench.view("told", b"", &BlockId::Latest);
    let told = u32::from_le_bytes(told.try_into().unwrap());
    assert!(told > u32::MAX / 2, "{told}");
}

#[test]
fn a_call_names_its_block_in_every_way() {
    let bench = bench_at(4);
    let height_of = |at: &BlockId| bench.view("height", b"", at);
    assert_eq!(height_of(&BlockId::Latest), 4u32.to_le_bytes());
    assert_eq!(height_of(&BlockId::Height(2)), 2u32.to_le_bytes());
    assert_eq!(height_of(&BlockId::Hash(hash(3, 1))), 3u32.to_le_bytes());
    let anchored = BlockId::Anchored {
        height: 1,
        hash: hash(1, 1),
    };
    assert_eq!(height_of(&anchored), 1u32.to_le_bytes());

    let gone = BlockId::Anchored {
        height: 1,
        hash: hash(1, 2),
    };
    let fails = |at: &BlockId| bench.runtime.view_sync("height", b"", at).unwrap_err();
    assert!(matches!(
        fails(&gone),
        ViewError::Block(ResolveError::NotInChain { .. })
    ));
    assert!(matches!(
        fails(&BlockId::Height(5)),
        ViewError::Block(ResolveError::NotIndexed { height: 5, tip: 4 })
    ));
    assert!(matches!(
        Bench::new(&guests::chained())
            .runtime
            .view_sync("height", b"", &BlockId::Latest),
        Err(ViewError::Block(ResolveError::Empty))
    ));
}

#[test]
fn a_view_flushes_nothing() {
    let bench = bench_at(2);
    let before = bench.store.snapshot().tip().copied();
    let acc = bench.view("get", b"acc", &BlockId::Latest);
    assert_eq!(bench.view("flushing_view", b"", &BlockId::Latest), acc);
    assert_eq!(bench.store.snapshot().tip().copied(), before);
}

/// Whether a fault is the one that is due.
type Check = fn(&ViewError) -> bool;

#[test]
fn every_fault_is_told_and_the_next_call_gets_a_good_instance() {
    let bench = Bench::with(&guests::chained(), |views| {
        views.timeout = Duration::from_millis(60);
        views.max_instance_memory = 64 << 20;
    });
    bench.index_to(1, 1);
    let cases: [(&str, Check); 11] = [
        ("trap", |error| {
            matches!(error, ViewError::Guest(GuestFault::Trap { .. }))
        }),
        (
            "overflow",
            |error| matches!(error, ViewError::Guest(GuestFault::Trap { trap, .. }) if trap.contains("stack")),
        ),
        (
            "abort_view",
            |error| matches!(error, ViewError::Guest(GuestFault::Abort { message, .. }) if message == "out of tea"),
        ),
        ("spin", |error| matches!(error, ViewError::Timeout { .. })),
        (
            "grow_4gib",
            |error| matches!(error, ViewError::MemoryLimit { limit, .. } if *limit == 64 << 20),
        ),
        ("bad_key", |error| {
            bad_pointer(error, "__get_len", 0x7fff_fff0)
        }),
        ("bad_key_length", |error| {
            bad_pointer(error, "__get_len", 1536)
        }),
        ("bad_out", |error| bad_pointer(error, "__get", 0x7fff_fff0)),
        ("bad_input", |error| {
            bad_pointer(error, "__load_input", 0x7fff_fff0)
        }),
        ("bad_answer", |error| {
            bad_pointer(error, "bad_answer", 0xffff_fff0)
        }),
        ("null_answer", |error| bad_pointer(error, "null_answer", 0)),
    ];
    for (index, (name, check)) in cases.iter().enumerate() {
        assert_eq!(bench.count(&BlockId::Latest), 1, "before `{name}`");
        let error = error(&bench, name);
        assert!(check(&error), "`{name}` gave {error:?}");
        let stats = bench.runtime.view_stats();
        let failures = index as u64 + 1;
        assert_eq!(stats.errors.total(), failures, "after `{name}`");
        assert_eq!(stats.dropped.fault, stats.calls.created, "after `{name}`");
        assert_eq!(
            (stats.idle, stats.busy, stats.memory),
            (0, 0, 0),
            "after `{name}`"
        );
    }
    assert!(matches!(
        error(&bench, "none"),
        ViewError::NoSuchView { .. }
    ));
    assert!(matches!(
        error(&bench, "not_a_view"),
        ViewError::NoSuchView { .. }
    ));
    assert!(matches!(
        error(&bench, "_start"),
        ViewError::NoSuchView { .. }
    ));
}

fn bad_pointer(error: &ViewError, name: &str, at: u32) -> bool {
    matches!(
        error,
        ViewError::Guest(GuestFault::BadPointer { function, pointer, .. })
            if function == name && *pointer == at
    )
}

#[test]
fn an_unknown_import_fails_where_it_is_called_only() {
    let bench = Bench::new(&guests::has_unknown_import());
    bench.index_to(1, 1);
    assert_eq!(bench.view("echo", b"x", &BlockId::Latest), b"x");
    assert!(matches!(
        error(&bench, "mystery"),
        ViewError::Guest(GuestFault::UnknownImport { name, .. }) if name == "__mystery"
    ));
}

#[test]
fn input_and_answer_are_bounded() {
    let bench = Bench::with(&guests::chained(), |views| {
        views.max_input = 100;
        views.max_output = 50;
    });
    bench.index_to(0, 1);
    let echo = |length| {
        bench
            .runtime
            .view_sync("echo", &vec![7; length], &BlockId::Latest)
    };
    assert_eq!(echo(50).unwrap().bytes, vec![7; 50]);
    assert!(matches!(
        echo(51),
        Err(ViewError::OutputTooLong {
            length: 51,
            limit: 50
        })
    ));
    assert!(matches!(
        echo(101),
        Err(ViewError::InputTooLong {
            length: 101,
            limit: 100
        })
    ));
    assert_eq!(echo(1).unwrap().bytes, vec![7; 1]);
}

#[test]
fn a_leaking_view_never_leaves_the_budget_and_never_fails() {
    const MIB: usize = 1 << 20;
    let bench = Bench::with(&guests::chained(), |views| {
        views.memory_budget = 32 * MIB;
        views.max_instance_memory = 32 * MIB;
    });
    bench.index_to(1, 1);
    for call in 0..200 {
        let at = BlockId::Height(call % 2);
        bench.runtime.view_sync("leak", b"", &at).unwrap();
        let memory = bench.runtime.view_stats().memory;
        assert!(memory <= 32 * MIB, "{memory} bytes after call {call}");
    }
    assert!(bench.runtime.view_stats().dropped.evicted > 0);
}

#[test]
fn no_answer_of_a_dead_block_after_the_rollback() {
    let wasm = guests::chained();
    let bench = Bench::new(&wasm);
    bench.index_to(5, 1);
    let dead = bench.view("cached_get", b"acc", &BlockId::Latest);
    assert_eq!(bench.count(&BlockId::Height(2)), 1);
    assert_eq!(bench.count(&BlockId::Height(2)), 2);

    bench.store.rollback(Some(3)).unwrap();
    bench.index_to(5, 2);
    let living = bench.view("cached_get", b"acc", &BlockId::Latest);
    assert_ne!(living, dead);
    let expected = fresh(&wasm, &bench.store)
        .view_sync("get", b"acc", &BlockId::Latest)
        .unwrap();
    assert_eq!(living, expected.bytes);
    assert_eq!(
        bench.count(&BlockId::Height(2)),
        1,
        "older instances are gone"
    );
    assert_eq!(bench.runtime.view_stats().dropped.reorg, 2);
}

#[test]
fn a_panic_of_the_host_harms_one_call() {
    let store = Store::with_backend(std::sync::Arc::new(panicking::Backend::default())).unwrap();
    let bench = Bench::over(&guests::chained(), store, |_| {});
    bench.index_to(1, 1);
    assert_eq!(bench.count(&BlockId::Latest), 1);
    panicking::on(true);
    let failed = error(&bench, "get");
    panicking::on(false);
    assert!(matches!(
        failed,
        ViewError::Host(HostFault::Panic(message)) if message.contains("disk on fire")
    ));
    assert_eq!(bench.count(&BlockId::Latest), 1);
    assert_eq!(bench.view("get", b"acc", &BlockId::Latest).len(), 8);
}

/// An engine that panics when this thread says so.
mod panicking {
    use std::cell::Cell;

    use metashrew_store::BackendError;
    use metashrew_testing::hooked::{Hook, Hooked};

    thread_local!(static PANICS: Cell<bool> = const { Cell::new(false) });

    pub(super) fn on(panics: bool) {
        PANICS.set(panics);
    }

    #[derive(Debug, Default)]
    pub(super) struct OnDemand;

    pub(super) type Backend = Hooked<OnDemand>;

    impl Hook for OnDemand {
        fn before_get(&self, _: &[u8]) -> Result<(), BackendError> {
            assert!(!PANICS.get(), "disk on fire");
            Ok(())
        }
    }
}
