//! One caller's calls fail in every way there is; the others never notice.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use metashrew_runtime::{
    BlockError, GuestFault, HostFault, Route, SessionLoss, ViewCall, ViewError,
};
use metashrew_store::{BlockId, WriteError};
use metashrew_testing::guests;

use crate::{Bench, assert_adds_up, block, stage};

const CALLERS: usize = 64;

/// How the faulty caller's calls fail.
struct Case {
    view: &'static str,
    input: &'static [u8],
    is_due: fn(&ViewError) -> bool,
}

fn guest_fault(error: &ViewError, is_due: fn(&GuestFault) -> bool) -> bool {
    matches!(error, ViewError::Guest(fault) if is_due(fault))
}

const CASES: [Case; 9] = [
    Case {
        view: "spin",
        input: b"",
        is_due: |error| {
            matches!(error, ViewError::Timeout { limit, backtrace }
                if limit.as_millis() == 5 && !backtrace.frames().is_empty())
        },
    },
    Case {
        view: "trap",
        input: b"",
        is_due: |error| {
            guest_fault(
                error,
                |fault| matches!(fault, GuestFault::Trap { trap, .. } if trap.contains("unreachable")),
            )
        },
    },
    Case {
        view: "overflow",
        input: b"",
        is_due: |error| {
            guest_fault(
                error,
                |fault| matches!(fault, GuestFault::Trap { trap, .. } if trap.contains("stack")),
            )
        },
    },
    Case {
        view: "abort_view",
        input: b"",
        is_due: |error| {
            guest_fault(error, |fault| {
                matches!(fault, GuestFault::Abort { message, line: 7, column: 3, .. }
                    if message == "out of tea")
            })
        },
    },
    Case {
        view: "bad_key",
        input: b"",
        is_due: |error| {
            guest_fault(error, |fault| {
                matches!(fault, GuestFault::BadPointer { function, pointer: 0x7fff_fff0, .. }
                    if function == "__get_len")
            })
        },
    },
    Case {
        view: "bad_answer",
        input: b"",
        is_due: |error| {
            guest_fault(
                error,
                |fault| matches!(fault, GuestFault::BadPointer { function, .. } if function == "bad_answer"),
            )
        },
    },
    Case {
        view: "grow_4gib",
        input: b"",
        is_due: |error| matches!(error, ViewError::MemoryLimit { wanted, .. } if *wanted == 1 << 32),
    },
    Case {
        view: "devour",
        input: b"",
        // The others have what is for small calls, and leave it the rest.
        is_due: |error| matches!(error, ViewError::MemoryLimit { .. }),
    },
    Case {
        view: "get",
        input: stage::BOOM,
        is_due: |error| {
            matches!(error, ViewError::Host(HostFault::Panic(message))
                if message.contains("disk on fire"))
        },
    },
];

#[test]
fn a_callers_faults_are_its_own() {
    for case in &CASES {
        let (store, _) = stage::store();
        let bench = Bench::over(&guests::chained(), store, |views| {
            // Whoever waits gets what it waits for: this is no question of time.
            views.max_wait = Duration::from_hours(1);
            views.memory_budget = 64 << 20;
            views.max_instance_memory = 64 << 20;
            views.timeout = Duration::from_hours(1);
        });
        bench.index_to(12, 1);
        beside_others(&bench, case);
        let stats = bench.runtime.view_stats();
        assert_adds_up(&stats);
        assert!(stats.memory <= stats.memory_limit, "{stats:?}");
        assert_eq!(bench.view("echo", b"well", &BlockId::Latest), b"well");
        bench.runtime.disable_stateful_views();
        let stats = bench.runtime.view_stats();
        assert_eq!((stats.idle, stats.memory), (0, 0), "{stats:?}");
    }
}

struct SetWhenDropped<'a>(&'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One caller whose calls fail, beside others whose calls do not.
fn beside_others(bench: &Bench, case: &Case) {
    let expected: Vec<_> = (0..=12)
        .map(|height| bench.view("get", b"acc", &BlockId::Height(height)))
        .collect();
    let (done, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let handle = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let failed = std::thread::scope(|scope| {
        for caller in 1..CALLERS {
            let (expected, done, answered) = (&expected, &done, &answered);
            let handle = handle.handle().clone();
            scope.spawn(move || {
                for call in caller.. {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    let at = BlockId::Height(u32::try_from(call % 13).unwrap());
                    let answer = if caller % 2 == 0 {
                        bench.runtime.view_sync("cached_get", b"acc", &at)
                    } else {
                        handle.block_on(bench.runtime.view("cached_get", b"acc", &at))
                    };
                    let answer = answer.unwrap_or_else(|error| panic!("`{}`: {error}", case.view));
                    assert_eq!(answer.bytes, expected[call % 13]);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // However this ends, the others end.
        let _done = SetWhenDropped(&done);
        let mut failed = 0;
        while failed < 20 || answered.load(Ordering::Relaxed) < 2_000 {
            let call = ViewCall {
                timeout: Some(Duration::from_millis(5)),
                ..ViewCall::new(case.view, case.input)
            };
            // Only the endless view is to end by its time.
            let call = ViewCall {
                timeout: call.timeout.filter(|_| case.view == "spin"),
                ..call
            };
            let error = if failed % 2 == 0 {
                bench.runtime.call_sync(call)
            } else {
                handle.block_on(bench.runtime.call(call))
            };
            let error = error.unwrap_err();
            assert!((case.is_due)(&error), "`{}` gave {error:?}", case.view);
            failed += 1;
            if answered.load(Ordering::Relaxed) == 0 {
                std::thread::yield_now();
            }
        }
        failed
    });
    let stats = bench.runtime.view_stats();
    assert_eq!(stats.errors.total(), failed);
    // Whatever failed is gone, with the used instance that was tried first, if any.
    assert_eq!(stats.dropped.fault, failed + stats.calls.retried);
}

#[test]
fn a_guest_that_never_frees_answers_for_ever() {
    let bench = Bench::new(&guests::never_frees());
    bench.index_to(0, 1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for call in 0..1_000u32 {
        let input = call.to_le_bytes();
        let answer = if call.is_multiple_of(3) {
            runtime.block_on(bench.runtime.view("allocate", &input, &BlockId::Latest))
        } else {
            bench
                .runtime
                .view_sync("allocate", &input, &BlockId::Latest)
        };
        assert_eq!(answer.unwrap().bytes, input[..]);
    }
    let stats = bench.runtime.view_stats();
    assert_adds_up(&stats);
    assert_eq!(stats.errors.total(), 0);
    assert!(stats.calls.retried > 20, "{stats:?}");
    assert_eq!(stats.dropped.fault, stats.calls.retried);
}

#[test]
fn a_call_of_a_session_is_not_tried_again_on_another_memory() {
    let bench = Bench::new(&guests::never_frees());
    bench.index_to(0, 1);
    let call = || {
        bench.runtime.call_sync(ViewCall {
            route: Route::Session("s"),
            ..ViewCall::new("allocate", b"x")
        })
    };
    let mut calls = 0;
    let error = loop {
        match call() {
            Ok(answer) => {
                calls += 1;
                assert_eq!(answer.session_call, Some(calls));
                assert!(calls < 41, "there is no room for so many");
            }
            Err(error) => break error,
        }
    };
    assert!(calls > 10);
    assert!(matches!(error, ViewError::Guest(GuestFault::Trap { .. })));
    assert!(matches!(
        call(),
        Err(ViewError::SessionLost {
            reason: SessionLoss::Fault,
            ..
        })
    ));
    assert_eq!(call().unwrap().session_call, Some(1));
    let stats = bench.runtime.view_stats();
    assert_eq!(stats.calls.retried, 0);
    assert_adds_up(&stats);
}

#[test]
fn memory_that_one_call_leaves_is_there_for_the_next() {
    // One instance of 8 MiB and what it leaks is all that there is room for.
    let bench = Bench::with(&guests::large(128), |views| {
        views.instances = NonZeroUsize::MIN;
        views.memory_budget = 16 << 20;
        views.timeout = Duration::from_hours(1);
    });
    bench.index_to(20, 1);
    std::thread::scope(|scope| {
        for caller in 0..8 {
            let bench = &bench;
            scope.spawn(move || {
                for call in caller..caller + 150 {
                    let at = BlockId::Height(call / 5 % 21);
                    bench.runtime.view_sync("leak", b"", &at).unwrap();
                }
            });
        }
    });
    let stats = bench.runtime.view_stats();
    assert!(stats.dropped.evicted > 0, "{stats:?}");
    assert_adds_up(&stats);
}

#[test]
fn a_guest_that_flushes_without_end_comes_to_its_end() {
    let bench = Bench::new(&guests::floods_at(3));
    bench.index_to(2, 1);
    let error = bench.runtime.process_block(3, &block(3, 1)).unwrap_err();
    let BlockError::Guest(fault) = &error else {
        panic!("{error:?}");
    };
    assert!(
        matches!(fault, GuestFault::TooLong(WriteError::BlockTooLarge)),
        "{fault:?}"
    );
    let told = fault.to_string();
    assert!(
        told.contains("more than the 1073741824 bytes allowed"),
        "{told}"
    );
    assert_eq!(bench.store.snapshot().tip().unwrap().height, 2);
    bench.view("get", b"acc", &BlockId::Latest);
}

#[test]
fn what_a_preview_writes_counts_like_its_memory() {
    let limit = 16 << 20;
    let bench = Bench::with(&guests::floods_at(3), |views| {
        views.max_instance_memory = limit;
    });
    bench.index_to(2, 1);
    // Each flush replaces the one before: what counts is what is held.
    let flood = bench
        .runtime
        .preview_sync(&block(3, 1), "get", b"acc", &BlockId::Latest);
    assert!(
        matches!(
            flood,
            Err(ViewError::Guest(GuestFault::TooLong(
                WriteError::BlockTooLarge
            )))
        ),
        "{flood:?}"
    );
    let keys = 400_000;
    let bench = Bench::with(&guests::flush_only(keys), |views| {
        views.max_instance_memory = limit + usize::try_from(keys).unwrap() * 72;
    });
    let written = bench.runtime.process_block(0, &block(0, 1)).unwrap();
    assert_eq!(written.len(), usize::try_from(keys).unwrap());
    bench.commit(0, 1, &written);
    let preview = bench
        .runtime
        .preview_sync(&block(1, 1), "get", b"acc", &BlockId::Latest);
    assert!(
        matches!(preview, Err(ViewError::MemoryLimit { .. })),
        "{preview:?}"
    );
}

#[test]
fn a_view_that_flushes_without_end_costs_its_time_only() {
    let bench = Bench::with(&guests::floods_in_view(), |views| {
        views.timeout = Duration::from_millis(50);
    });
    bench.index_to(1, 1);
    let flood = bench.runtime.view_sync("flood", b"", &BlockId::Latest);
    assert!(matches!(flood, Err(ViewError::Timeout { .. })), "{flood:?}");
}
