//! Errors that views return: the caller gets the text, and the instance stays.

use std::time::Duration;

use bytes::Bytes;
use metashrew_runtime::{
    GuestFault, PendingBlock, Route, ViewAt, ViewCall, ViewCheck, ViewError, ViewOptions,
};
use metashrew_store::BlockId;
use metashrew_testing::announced::{announced, oddly_announced, unannounced};

use crate::{Bench, assert_adds_up, block, hash, wait_until};

/// Bytes of a text that are taken at most.
const MAX_TEXT: usize = 64 * 1024;

fn bench(adapt: impl FnOnce(&mut ViewOptions)) -> Bench {
    let bench = Bench::with(&announced(), |views| {
        views.timeout = Duration::from_hours(1);
        adapt(views);
    });
    bench.index_to(1, 1);
    bench
}

fn text(error: ViewError) -> String {
    match error {
        ViewError::Returned { message } => message,
        error => panic!("{error:?}"),
    }
}

fn fails(bench: &Bench, call: ViewCall<'_>) -> String {
    text(bench.runtime.call_sync(call).unwrap_err())
}

#[test]
fn an_error_keeps_the_instance_and_its_memory() {
    let bench = bench(|views| views.check = ViewCheck::Off);
    let tokio = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for number in 0..21 {
        let input = format!("no token {number}");
        let call = ViewCall::new("fail", input.as_bytes());
        let error = if number % 2 == 0 {
            bench.runtime.call_sync(call)
        } else {
            tokio.block_on(bench.runtime.call(call))
        };
        let error = error.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the view returned an error: {input}")
        );
        assert_eq!(text(error), input);
    }
    assert_eq!(bench.view("told", b"", &BlockId::Latest), [0, 22]);
    let stats = bench.runtime.view_stats();
    assert_eq!((stats.calls.created, stats.calls.retried), (1, 0));
    assert_eq!((stats.errors.view_error, stats.errors.total()), (21, 21));
    assert_eq!(stats.dropped.total(), 0);
    assert_adds_up(&stats);
    let counts = bench.runtime.view_counts();
    let fail = counts.iter().find(|count| count.view == "fail").unwrap();
    assert_eq!(fail.failed, 21);
}

#[test]
fn a_session_goes_on_after_an_error() {
    let bench = bench(|_| {});
    let call = |view| ViewCall {
        route: Route::Session("s"),
        ..ViewCall::new(view, b"no")
    };
    assert_eq!(fails(&bench, call("fail")), "no");
    assert_eq!(fails(&bench, call("fail")), "no");
    let answer = bench.runtime.call_sync(call("told")).unwrap();
    assert_eq!(
        (answer.session_call, &answer.bytes[..]),
        (Some(3), &[0, 3][..])
    );
}

#[test]
fn an_error_is_the_same_wherever_a_view_runs() {
    let bench = bench(|_| {});
    let fresh = ViewCall {
        route: Route::Fresh,
        ..ViewCall::new("fail", b"no")
    };
    assert_eq!(fails(&bench, fresh), "no");
    let (next, at) = (block(2, 1), BlockId::Latest);
    let preview = bench.runtime.preview_sync(&next, "fail", b"no", &at);
    assert_eq!(text(preview.unwrap_err()), "no");
    let pending = PendingBlock {
        parent: hash(1, 1),
        block: Bytes::from(next),
    };
    bench.runtime.set_pending(Some(pending)).unwrap();
    let about_pending = ViewCall {
        at: ViewAt::Pending.into(),
        ..ViewCall::new("fail", b"no")
    };
    assert_eq!(fails(&bench, about_pending), "no");
    bench.runtime.disable_stateful_views();
    assert_eq!(fails(&bench, ViewCall::new("fail", b"no")), "no");
    assert_adds_up(&bench.runtime.view_stats());
}

#[test]
fn a_text_is_bounded_and_readable() {
    let bench = bench(|_| {});
    let long = vec![b'x'; MAX_TEXT + 10];
    let told = fails(&bench, ViewCall::new("fail", &long));
    assert!(told.len() == MAX_TEXT && told.bytes().all(|byte| byte == b'x'));
    // What stands for bytes that are no text takes three.
    let told = fails(&bench, ViewCall::new("fail", &vec![0xff; MAX_TEXT]));
    assert!(told == "\u{fffd}".repeat(MAX_TEXT / 3), "{}", told.len());
    let cut = [vec![b'x'; MAX_TEXT - 1], "é".into()].concat();
    let told = fails(&bench, ViewCall::new("fail", &cut));
    assert!(told == "x".repeat(MAX_TEXT - 1), "{}", told.len());
    let odd = ViewCall::new("fail", b"a\xffb");
    assert_eq!(fails(&bench, odd), "a\u{fffd}b");
}

#[test]
fn no_error_is_a_bad_pointer_as_ever() {
    for wasm in [announced(), unannounced(), oddly_announced()] {
        let has_texts = wasm == announced();
        let bench = Bench::new(&wasm);
        bench.index_to(1, 1);
        for input in [&b""[..], b"no"] {
            if has_texts && !input.is_empty() {
                continue;
            }
            let error = bench.runtime.view_sync("fail", input, &BlockId::Latest);
            let error = error.unwrap_err();
            assert!(
                matches!(&error, ViewError::Guest(GuestFault::BadPointer { function, pointer: 0, .. })
                    if function == "fail"),
                "{error:?}"
            );
        }
    }
}

#[test]
fn what_goes_wrong_with_the_text_is_the_calls() {
    let bench = bench(|views| views.check = ViewCheck::Off);
    assert_eq!(bench.view("echo", b"warm", &BlockId::Latest), b"warm");
    let error = |input: &[u8]| {
        let answer = bench.runtime.view_sync("fail", input, &BlockId::Latest);
        answer.unwrap_err()
    };
    let trap = error(b"T");
    assert!(
        matches!(trap, ViewError::Guest(GuestFault::Trap { .. })),
        "{trap:?}"
    );
    let pointer = error(b"B");
    assert!(
        matches!(&pointer, ViewError::Guest(GuestFault::BadPointer { function, pointer: 0x7fff_fff0, .. })
            if function == "__metashrew_error"),
        "{pointer:?}"
    );
    assert_eq!(bench.view("told", b"", &BlockId::Latest), [0, 1]);
    let stats = bench.runtime.view_stats();
    // The first one was tried again on a new instance.
    assert_eq!((stats.errors.guest, stats.calls.retried), (2, 1));
    assert_adds_up(&stats);
}

#[test]
fn an_error_that_a_fresh_instance_does_not_return_is_found() {
    let warn = bench(|_| {});
    for number in 0..10 {
        let answer = warn.runtime.view_sync("tires", b"no", &BlockId::Latest);
        if number == 0 {
            assert_eq!(answer.unwrap().bytes[..], *b"no");
        } else {
            assert_eq!(text(answer.unwrap_err()), "no", "the kept one's");
        }
    }
    wait_until(|| !warn.runtime.view_differences().is_empty());
    let differences = warn.runtime.view_differences();
    assert_eq!(differences[0].view, "tires");
    assert_eq!(differences[0].error, None);

    let enforce = bench(|views| views.check = ViewCheck::Enforce);
    for _ in 0..10 {
        let answer = enforce.runtime.view_sync("tires", b"no", &BlockId::Latest);
        assert_eq!(answer.unwrap().bytes[..], *b"no");
    }
    assert_eq!(enforce.runtime.view_differences().len(), 1);
}

#[test]
fn an_error_that_a_fresh_instance_returns_too_is_checked_and_right() {
    let bench = bench(|views| views.check = ViewCheck::Enforce);
    for number in 0..40 {
        let input = format!("no {number}");
        let call = ViewCall::new("fail", input.as_bytes());
        assert_eq!(fails(&bench, call), input);
    }
    let stats = bench.runtime.view_stats();
    assert!(stats.checks.run > 10, "{stats:?}");
    assert_eq!((stats.checks.differed, stats.checks.skipped), (0, 0));
    assert_eq!((stats.calls.created, stats.dropped.total()), (1, 0));
}
