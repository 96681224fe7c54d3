//! Checked stateful views: a view that answers from what earlier calls left is named, by
//! its first calls or by those that its time pays for; no other ever is.

use std::time::Duration;

use metashrew_runtime::{
    CheckCounts, Route, ViewAnswer, ViewCall, ViewCheck, ViewDifference, ViewError, ViewMode,
    ViewOptions,
};
use metashrew_store::BlockId;
use metashrew_testing::remembering::{remembering, remembering_by_height, remembering_on_purpose};
use sha2::{Digest, Sha256};

use crate::logs::logged;
use crate::{Bench, assert_adds_up, wait_until};

/// More calls than are needed until a view is known, or not.
const CALLS: u8 = 60;

fn bench(adapt: impl FnOnce(&mut ViewOptions)) -> Bench {
    let bench = Bench::with(&remembering(), adapt);
    bench.index_to(2, 1);
    bench
}

fn enforcing() -> Bench {
    bench(|views| views.check = ViewCheck::Enforce)
}

impl Bench {
    fn ask(&self, view: &str, input: &[u8]) -> Result<Vec<u8>, ViewError> {
        let answer = self.runtime.view_sync(view, input, &BlockId::Latest);
        answer.map(|answer| answer.bytes.to_vec())
    }

    /// Whatever it is asked, the kept instance answers what it was asked first.
    fn ask_what_remembers_its_first_input(&self) {
        for number in 0..CALLS {
            assert_eq!(self.ask("first_input", &[number]).unwrap(), [0]);
        }
    }

    fn fresh(&self, view: &str, input: &[u8]) -> Vec<u8> {
        let call = ViewCall {
            route: Route::Fresh,
            ..ViewCall::new(view, input)
        };
        self.runtime.call_sync(call).unwrap().bytes.to_vec()
    }

    fn checks(&self) -> CheckCounts {
        self.runtime.view_stats().checks
    }

    /// Waits until so many checks came to an end.
    fn wait_for_checks(&self, count: u64) {
        wait_until(|| self.checks().run + self.checks().skipped >= count);
    }

    fn named(&self) -> Vec<String> {
        let differences = self.runtime.view_differences();
        differences
            .into_iter()
            .map(|difference| difference.view)
            .collect()
    }
}

/// An input that begins with one of few bytes.
fn input(number: u8) -> Vec<u8> {
    vec![1 + number % 7, number, 9]
}

#[test]
fn a_view_that_answers_from_its_memory_is_named_within_its_first_calls() {
    for view in [
        "counter",
        "first_input",
        "coarse",
        "simulated",
        "ring",
        "hoards",
    ] {
        let bench = bench(|_| {});
        for number in 0..CALLS {
            bench.ask(view, &input(number)).unwrap();
            if number > 0 && bench.runtime.view_differences().is_empty() {
                bench.wait_for_checks(u64::from(number.min(32)));
            }
        }
        assert_eq!(bench.named(), [view]);
        let checks = bench.checks();
        assert_eq!((checks.differed, checks.skipped), (1, 0), "{view}");
        let counts = bench.runtime.view_counts();
        let count = counts.iter().find(|count| count.view == view).unwrap();
        assert_eq!(count.checks, checks);
        assert_adds_up(&bench.runtime.view_stats());
    }
}

#[test]
fn what_is_said_names_block_input_and_remedy_once_a_view() {
    let text = logged(|| {
        let bench = bench(|_| {});
        for number in 0..10 {
            bench.ask("first_input", &[number]).unwrap();
            // Its first call on an instance that another view made shows nothing.
            bench.ask("counter", b"").unwrap();
        }
        bench.wait_for_checks(3);
        let tip = *bench.store.snapshot().tip().unwrap();
        let differences = bench.runtime.view_differences();
        let of = |view: &str| differences.iter().find(|found| found.view == view).unwrap();
        let found = of("first_input");
        let expected = ViewDifference {
            view: "first_input".to_owned(),
            block: tip,
            pending: None,
            input_sha256: Sha256::digest([1]).into(),
            error: None,
        };
        assert_eq!(*found, expected);
        assert!(
            found.hint().contains("`[views.first_input]`"),
            "{}",
            found.hint()
        );
        assert_eq!(
            of("counter").input_sha256,
            <[u8; 32]>::from(Sha256::digest([]))
        );
    });
    let warnings = text.matches("a view answers from what earlier calls left in its memory");
    assert_eq!(warnings.count(), 2, "{text}");
    for part in [
        "view=\"first_input\"",
        "block=\"2:",
        "input_sha256=\"4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a\"",
        "served=\"kept\"",
        "`[views.first_input]`",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn what_goes_wrong_later_is_found_by_the_part_of_the_time() {
    let bench = bench(|_| {});
    // The same call again and again is a first one twice.
    for _ in 0..19 {
        bench.ask("ring", b"x").unwrap();
    }
    bench.wait_for_checks(2);
    assert_eq!(bench.named(), Vec::<String>::new());
    let mut calls = 19;
    while bench.named().is_empty() {
        bench.ask("ring", b"x").unwrap();
        calls += 1;
        assert!(calls < 1_000_000, "{:?}", bench.checks());
    }
    assert_eq!(bench.checks().differed, 1);
}

#[test]
fn a_warning_leaves_the_answers_as_they_are() {
    let bench = bench(|_| {});
    bench.ask_what_remembers_its_first_input();
    bench.wait_for_checks(1);
    assert_eq!(bench.named(), ["first_input"]);
}

#[test]
fn enforced_every_answer_is_the_fresh_one() {
    for view in [
        "counter",
        "first_input",
        "coarse",
        "simulated",
        "ring",
        "hoards",
    ] {
        let bench = enforcing();
        for number in 0..CALLS {
            let (answer, fresh) = (
                bench.ask(view, &input(number)),
                bench.fresh(view, &input(number)),
            );
            assert_eq!(answer.unwrap(), fresh, "`{view}`, call {number}");
        }
        assert_eq!(bench.named(), [view]);
        let stats = bench.runtime.view_stats();
        assert_adds_up(&stats);
        // Others stay on kept instances.
        let before = stats.calls.reused;
        bench.ask("echo", b"a").unwrap();
        bench.ask("echo", b"b").unwrap();
        assert_eq!(bench.runtime.view_stats().calls.reused, before + 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn enforced_many_callers_get_fresh_answers() {
    let bench = enforcing();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..16u8 {
        let runtime = bench.runtime.clone();
        callers.spawn(async move {
            for number in 0..CALLS {
                let input = [caller, number];
                let answer = runtime.view("first_input", &input, &BlockId::Latest).await;
                assert_eq!(answer.unwrap().bytes, input[..]);
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    assert_eq!(bench.named(), ["first_input"]);
}

#[test]
fn a_fault_of_the_fresh_instance_alone_is_a_difference() {
    let bench = enforcing();
    bench.ask("warms", b"x").unwrap();
    let error = bench.ask("needs_warmth", b"x").unwrap_err();
    assert!(matches!(error, ViewError::Guest(_)), "{error}");
    let differences = bench.runtime.view_differences();
    assert_eq!(bench.named(), ["needs_warmth"]);
    assert!(
        differences[0]
            .error
            .as_ref()
            .unwrap()
            .contains("unreachable")
    );
}

#[test]
fn a_fresh_instance_without_time_memory_or_stack_says_nothing() {
    let slow = |check| {
        bench(|views| {
            views.check = check;
            views.timeout = Duration::from_millis(300);
            views.max_instance_memory = 8 << 20;
        })
    };
    for check in [ViewCheck::Warn, ViewCheck::Enforce] {
        let bench = slow(check);
        bench.ask("warms", b"x").unwrap();
        for input in [b"slow", b"much", b"deep"] {
            assert_eq!(bench.ask("warms", input).unwrap(), input);
        }
        bench.wait_for_checks(3);
        assert_eq!(bench.checks().skipped, 3);
        assert_eq!(bench.named(), Vec::<String>::new());
        assert_adds_up(&bench.runtime.view_stats());
    }
}

#[test]
fn an_answer_that_is_too_long_for_what_earlier_calls_left_is_tried_again() {
    let bench = bench(|views| {
        views.check = ViewCheck::Off;
        views.max_output = 2_500;
    });
    let lengths = [(); 5].map(|()| bench.ask("hoards", b"").unwrap().len());
    assert_eq!(lengths, [1_000, 2_000, 1_000, 2_000, 1_000]);
    assert_eq!(bench.runtime.view_stats().calls.retried, 2);
}

#[test]
fn what_the_guest_logs_is_logged_once() {
    let text = logged(|| {
        let bench = bench(|_| {});
        for number in 0..5 {
            bench.ask("notes", &[number]).unwrap();
        }
        bench.wait_for_checks(4);
    });
    assert_eq!(text.matches("cold").count(), 1, "{text}");
}

#[test]
fn a_settled_view_is_not_checked() {
    let settled = |mode| {
        bench(|views| {
            views.check = ViewCheck::Enforce;
            views.modes = [("first_input".to_owned(), mode)].into();
        })
    };
    let fresh = settled(ViewMode::Fresh);
    let stateful = settled(ViewMode::Stateful);
    for number in 0..10 {
        assert_eq!(fresh.ask("first_input", &[number]).unwrap(), [number]);
        assert_eq!(stateful.ask("first_input", &[number]).unwrap(), [0]);
        // The others go on.
        assert_eq!(stateful.ask("simulated", &[number]).unwrap()[0], number);
    }
    assert_eq!(fresh.checks(), CheckCounts::default());
    assert_eq!(stateful.named(), ["simulated"]);
}

#[test]
fn off_checks_nothing() {
    let bench = bench(|views| views.check = ViewCheck::Off);
    bench.ask_what_remembers_its_first_input();
    assert_eq!(bench.checks(), CheckCounts::default());
}

#[test]
fn a_guest_that_says_so_may_answer_from_its_memory() {
    let bench = Bench::with(&remembering_on_purpose(), |views| {
        views.check = ViewCheck::Enforce;
    });
    bench.index_to(0, 1);
    bench.ask_what_remembers_its_first_input();
    assert_eq!(bench.checks(), CheckCounts::default());
}

#[test]
fn sessions_and_fresh_calls_are_not_checked() {
    let bench = enforcing();
    for number in 0..10u32 {
        let call = |route| {
            let call = ViewCall {
                route,
                ..ViewCall::new("counter", b"")
            };
            bench.runtime.call_sync(call).unwrap().bytes
        };
        assert_eq!(call(Route::Session("me")), (number + 1).to_le_bytes()[..]);
        assert_eq!(call(Route::Fresh), 1u32.to_le_bytes()[..]);
    }
    assert_eq!(bench.checks(), CheckCounts::default());
}

#[test]
fn a_promise_about_heights_that_is_broken_is_found() {
    let bench = Bench::with(&remembering_by_height(), |views| {
        views.check = ViewCheck::Enforce;
    });
    bench.index_to(5, 1);
    for height in 0..6 {
        let at = BlockId::Height(height);
        let answer: ViewAnswer = bench.runtime.view_sync("cached_get", b"acc", &at).unwrap();
        let call = ViewCall {
            at: at.into(),
            route: Route::Fresh,
            ..ViewCall::new("cached_get", b"acc")
        };
        assert_eq!(answer, bench.runtime.call_sync(call).unwrap(), "{height}");
    }
    assert_eq!(bench.named(), ["cached_get"]);
}

#[test]
fn a_runtime_ends_while_checks_wait() {
    let bench = bench(|views| views.timeout = Duration::from_hours(1));
    bench.ask("warms", b"x").unwrap();
    for number in 0..10 {
        // Each of their checks runs for an hour.
        bench.ask("warms", &[b's', number]).unwrap();
    }
    let store = bench.store.clone();
    drop(bench);
    assert_eq!(store.snapshot().tip().unwrap().height, 2);
}

#[test]
fn checks_end_where_stateful_views_are_turned_off() {
    let bench = bench(|views| views.timeout = Duration::from_hours(1));
    bench.ask("warms", b"x").unwrap();
    for number in 0..10 {
        // Each of their checks runs for an hour.
        bench.ask("warms", &[b's', number]).unwrap();
    }
    bench.runtime.disable_stateful_views();
    assert_eq!(bench.checks().waiting, 0);
    assert_eq!(bench.runtime.view_stats().memory, 0);
    // And go on once they are on again.
    bench.runtime.enable_stateful_views_sync().unwrap();
    bench.ask("first_input", b"a").unwrap();
    bench.ask("first_input", b"b").unwrap();
    wait_until(|| bench.named() == ["first_input"]);
}
