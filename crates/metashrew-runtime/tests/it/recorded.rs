//! Calls of which it is known what they read: as long as none of that is written, the outcome
//! stays the same.

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metashrew_abi::many;
use metashrew_abi::range::Request;
use metashrew_runtime::{
    GuestFault, PendingBlock, Recorded, Route, ViewAt, ViewCall, ViewError, ViewOptions, ViewReads,
};
use metashrew_store::{BlockId, MAX_KEY_LEN, WriteSet, wait};
use metashrew_testing::guests;
use metashrew_testing::ranging::{self, Values, ranging};
use proptest::prelude::*;

use crate::script::{any, ops};
use crate::{Bench, assert_adds_up, block, guest, until};

fn record(bench: &Bench, view: &str, input: &[u8]) -> Recorded {
    wait(pin!(
        bench.runtime.recorded_call(ViewCall::new(view, input))
    ))
}

fn write(bench: &Bench, pairs: &Values) -> WriteSet {
    let mut writes = WriteSet::default();
    for (key, value) in pairs {
        writes.insert(key, value).unwrap();
    }
    let height = bench.store.snapshot().tip().map_or(0, |tip| tip.height + 1);
    bench.commit(height, 1, &writes);
    writes
}

fn keys(writes: &WriteSet) -> Vec<Vec<u8>> {
    writes.sorted().map(|(key, _)| key.to_vec()).collect()
}

fn values(pairs: &[(&str, &str)]) -> Values {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect()
}

/// Keys and ranges, as text.
fn read(reads: &ViewReads) -> (Vec<String>, Vec<(String, Option<String>)>) {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let ranges = reads.ranges();
    (
        reads.keys().map(text).collect(),
        ranges
            .map(|(start, end)| (text(start), end.map(text)))
            .collect(),
    )
}

fn script() -> impl Strategy<Value = Vec<ops::Op>> {
    // The beginning of most only sets.
    any::script().prop_map(|mut script| script.split_off(script.len().saturating_sub(4)))
}

/// Over the SDK, whose caches are between a view and the host.
#[test]
fn an_outcome_stays_until_something_that_it_read_is_written() {
    // Compiled once.
    let bench = Bench::new(&guest("script"));
    let (same, touched) = (Cell::new(0), Cell::new(0));
    let writes = || prop::collection::btree_map(any::key(), any::value(), 0..4);
    let blocks = prop::collection::vec(writes(), 1..6);
    proptest!(ProptestConfig::with_cases(200), |(
        first in prop::collection::btree_map(any::key(), any::value(), 0..40),
        script in script(),
        blocks in blocks,
    )| {
        bench.store.rollback(None).unwrap();
        write(&bench, &first);
        let input = ops::encode(&script);
        let recorded = record(&bench, "run_view", &input);
        let (answer, reads) = (recorded.outcome.unwrap().bytes, recorded.reads.unwrap());
        prop_assert_eq!(&answer, &bench.view("run_view", &input, &BlockId::Latest));
        for block in &blocks {
            if reads.touched_by(&keys(&write(&bench, block))) {
                touched.set(touched.get() + 1);
                break;
            }
            let later = bench.view("run_view", &input, &BlockId::Latest);
            prop_assert_eq!(&answer, &later, "{:?}", reads);
            same.set(same.get() + 1);
        }
    });
    assert!(
        same.get() > 50 && touched.get() > 50,
        "{same:?} {touched:?}"
    );
}

fn any_request() -> impl Strategy<Value = (bool, bool, u32, Vec<u8>, Vec<u8>)> {
    let key = || prop_oneof![4 => any::key(), 1 => Just(Vec::new())];
    let max_count = prop_oneof![Just(u32::MAX), 0_u32..4];
    (
        proptest::bool::ANY,
        proptest::bool::ANY,
        max_count,
        key(),
        key(),
    )
}

/// Every key that is new in what was read changes the answer, and no other one does.
#[test]
fn of_a_range_as_much_was_read_as_shows_in_the_answer() {
    let bench = Bench::new(&ranging());
    proptest!(ProptestConfig::with_cases(300), |(
        before in prop::collection::btree_set(any::key(), 0..12),
        (descending, keys_only, max_count, start, end) in any_request(),
        new in any::key(),
    )| {
        prop_assume!(!before.contains(&new));
        bench.store.rollback(None).unwrap();
        let mut state: Values = before.into_iter().map(|key| (key, b"value".to_vec())).collect();
        write(&bench, &state);
        let max_bytes = u32::MAX;
        let request = Request { descending, keys_only, max_count, max_bytes, start: &start, end: &end };
        let recorded = record(&bench, "range", &request.encode());
        let answer = recorded.outcome.unwrap().bytes;
        prop_assert_eq!(&answer, &ranging::range(&state, &request));
        state.insert(new.clone(), b"value".to_vec());
        let changes = ranging::range(&state, &request) != answer;
        let reads = recorded.reads.unwrap();
        prop_assert_eq!(reads.touched_by(&[&new]), changes, "{:?} in {:?}", new, reads);
    });
}

/// Every key from `a` to `z`.
const ALL: Request<'static> = Request {
    descending: false,
    keys_only: false,
    max_count: u32::MAX,
    max_bytes: u32::MAX,
    start: b"a",
    end: b"z",
};

#[test]
fn a_range_was_read_up_to_the_last_key_that_was_found() {
    let bench = Bench::new(&ranging());
    write(&bench, &values(&[("b", "1"), ("d", "22"), ("f", "333")]));
    let all = ALL;
    let check = |request: Request<'_>, expect: Option<(&str, Option<&str>)>| {
        for keys_only in [false, true] {
            let request = Request {
                keys_only,
                ..request
            };
            let reads = record(&bench, "range", &request.encode()).reads.unwrap();
            let expect = expect.map(|(start, end)| (start.to_owned(), end.map(str::to_owned)));
            let expect = (Vec::new(), expect.into_iter().collect());
            assert_eq!(read(&reads), expect, "{request:?}");
            assert!(reads.has_height());
        }
    };
    check(all, Some(("a", Some("z"))));
    check(Request { end: b"", ..all }, Some(("a", None)));
    check(
        Request {
            end: b"",
            start: b"",
            ..all
        },
        Some(("", None)),
    );
    let of = |max_count| Request { max_count, ..all };
    check(of(2), Some(("a", Some("d\\x00"))));
    // It was not looked whether there is a fourth.
    check(of(3), Some(("a", Some("f\\x00"))));
    check(of(4), Some(("a", Some("z"))));
    check(of(0), None);
    let back = |max_count| Request {
        descending: true,
        ..of(max_count)
    };
    check(back(u32::MAX), Some(("a", Some("z"))));
    check(back(1), Some(("f", Some("z"))));
    check(back(2), Some(("d", Some("z"))));
    check(
        Request {
            end: b"",
            ..back(2)
        },
        Some(("d", None)),
    );
    // The second does not fit, which the answer says.
    let bytes = |max_bytes| Request { max_bytes, ..all };
    check(bytes(10), Some(("a", Some("d\\x00"))));
    check(bytes(1), Some(("a", Some("b\\x00"))));
    check(
        Request {
            start: b"z",
            end: b"a",
            ..all
        },
        None,
    );
    check(
        Request {
            start: b"c",
            end: b"d",
            ..all
        },
        Some(("c", Some("d"))),
    );
}

#[test]
fn a_range_behind_a_key_that_cannot_be_begins_at_the_next_that_can() {
    let bench = Bench::new(&ranging());
    write(&bench, &values(&[("b", "1")]));
    let long = vec![b'c'; MAX_KEY_LEN + 1];
    let request = Request {
        start: &long,
        ..ALL
    };
    let recorded = record(&bench, "range", &request.encode());
    let reads = recorded.reads.unwrap();
    let start = reads.ranges().next().unwrap().0;
    assert_eq!(start, [&long[..MAX_KEY_LEN], &[0]].concat());
}

#[test]
fn absent_keys_were_read_and_those_that_cannot_be_were_not() {
    let bench = Bench::new(&ranging());
    write(&bench, &values(&[("b", "1")]));
    let long = vec![b'x'; MAX_KEY_LEN + 1];
    let asked = [&b"z"[..], b"b", b"a", &long, b"b", b"longer than others"];
    for view in ["many", "points"] {
        let reads = record(&bench, view, &many::encode(asked)).reads.unwrap();
        assert_eq!(
            read(&reads).0,
            ["a", "b", "longer than others", "z"],
            "{view}"
        );
        assert_eq!(reads.ranges().len(), 0);
        assert!(reads.touched_by(&[b"a"]));
        assert!(!reads.touched_by(&[&b""[..], b"aa", b"c", b"zz"]));
        assert!(reads.touched_by(&[&b""[..], b"aa", b"c", b"z", b"zz"]));
        assert!(!reads.touched_by::<&[u8]>(&[]));
    }
}

/// Views that read the key `a` and then the key that is there, of one byte: `follow` answers it,
/// `trap` traps, `fail` returns an error, for which the key `e` is read, `spin` never ends,
/// `grow` takes 40 MiB first. `told` loads its input, and reads nothing.
fn follower() -> Vec<u8> {
    guests::from_wat(
        r#"(module
  (import "env" "__load_input" (func $load_input (param i32)))
  (import "env" "__get_len" (func $get_len (param i32) (result i32)))
  (import "env" "__get" (func $get (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\01\00\00\00a")
  (data (i32.const 16) "\01\00\00\00?")
  (data (i32.const 32) "\01\00\00\00e")
  (func $follow (export "follow") (result i32)
    (call $get (i32.const 4) (i32.const 20))
    (drop (call $get_len (i32.const 20)))
    (i32.const 20))
  (func (export "trap") (result i32)
    (drop (call $follow)) (unreachable))
  (func (export "fail") (result i32)
    (drop (call $follow)) (i32.const 0))
  (func (export "__metashrew_error") (param i32) (result i32)
    (drop (call $get_len (i32.const 36))) (i32.const 36))
  (func (export "spin") (result i32)
    (drop (call $follow)) (loop $again (br $again)) (unreachable))
  (func (export "grow") (result i32)
    (drop (call $follow))
    (drop (memory.grow (i32.const 640)))
    (i32.const 20))
  (func (export "hold") (result i32)
    (drop (memory.grow (i32.const 640))) (loop $again (br $again)) (unreachable))
  (func (export "told") (result i32)
    (call $load_input (i32.const 1024)) (i32.const 20)))"#,
    )
}

fn following(adapt: impl FnOnce(&mut ViewOptions)) -> Bench {
    let bench = Bench::with(&follower(), adapt);
    write(&bench, &values(&[("a", "b"), ("c", "1")]));
    bench
}

#[test]
fn a_failure_that_follows_from_the_state_has_reads() {
    let bench = following(|views| views.max_output = 10);
    let follow = record(&bench, "follow", b"");
    assert_eq!(&follow.outcome.unwrap().bytes[..], b"b");
    assert_eq!(read(&follow.reads.unwrap()).0, ["a", "b"]);
    let trap = record(&bench, "trap", b"");
    let trapped = trap.outcome.unwrap_err();
    assert!(
        matches!(trapped, ViewError::Guest(GuestFault::Trap { .. })),
        "{trapped}"
    );
    assert_eq!(read(&trap.reads.unwrap()).0, ["a", "b"]);
    let fail = record(&bench, "fail", b"");
    let failed = fail.outcome.unwrap_err();
    assert!(matches!(failed, ViewError::Returned { message } if message == "e"));
    assert_eq!(read(&fail.reads.unwrap()).0, ["a", "b", "e"]);
    let none = record(&bench, "none", b"");
    assert!(matches!(none.outcome, Err(ViewError::NoSuchView { .. })));
    assert_eq!(none.reads, Some(ViewReads::default()));
    assert_adds_up(&bench.runtime.view_stats());
}

#[test]
fn a_failure_for_time_memory_or_the_chain_has_none() {
    let bench = following(|views| {
        views.timeout = Duration::from_millis(20);
        views.max_instance_memory = 8 << 20;
    });
    for (view, at) in [
        ("spin", BlockId::Latest),
        ("grow", BlockId::Latest),
        ("follow", BlockId::Height(7)),
    ] {
        let call = ViewCall {
            at: at.into(),
            ..ViewCall::new(view, b"")
        };
        let recorded = wait(pin!(bench.runtime.recorded_call(call)));
        assert!(recorded.outcome.is_err(), "{view}");
        assert_eq!(recorded.reads, None, "{view}");
    }
    assert_adds_up(&bench.runtime.view_stats());
}

#[test]
fn the_height_may_matter_where_the_input_was_loaded() {
    let bench = following(|_| {});
    for (view, expect) in [("follow", false), ("told", true)] {
        assert_eq!(
            record(&bench, view, b"").reads.unwrap().has_height(),
            expect
        );
    }
}

#[test]
fn reads_beyond_the_limit_are_not_told_and_the_answer_is_the_same() {
    let bench = Bench::with(&ranging(), |views| views.max_recorded_reads = 300);
    write(&bench, &Values::new());
    let request = |keys: &[&[u8]]| many::encode(keys.iter().copied());
    let few = record(&bench, "many", &request(&[b"a", b"b", b"c", b"d", b"a"]))
        .reads
        .unwrap();
    assert_eq!((few.keys().len(), few.bytes()), (4, 4 * 65));
    let input = request(&[b"a", b"b", b"c", b"d", b"e"]);
    let many = record(&bench, "many", &input);
    assert_eq!(many.reads, None);
    assert_eq!(
        many.outcome.unwrap().bytes,
        bench.view("many", &input, &BlockId::Latest)
    );
}

#[test]
fn what_may_be_read_counts_as_the_calls_memory() {
    let with = |max_recorded_reads| {
        let bench = following(|views| {
            views.max_instance_memory = 1 << 20;
            views.max_recorded_reads = max_recorded_reads;
        });
        record(&bench, "follow", b"")
            .outcome
            .map(|answer| answer.bytes)
    };
    assert_eq!(with(900 << 10).unwrap(), b"b"[..]);
    assert!(matches!(with(1 << 20), Err(ViewError::MemoryLimit { .. })));
}

/// The second run stands on another block than the first one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_ran_again_tells_what_its_last_run_read() {
    let bench = following(|views| {
        views.memory_budget = 64 << 20;
        views.max_instance_memory = 64 << 20;
        views.timeout = Duration::from_hours(1);
    });
    let runtime = bench.runtime.clone();
    let hold = ViewCall {
        route: Route::Fresh,
        ..ViewCall::new("hold", b"")
    };
    let holder = tokio::spawn(async move { runtime.call(hold).await });
    until(|| bench.runtime.view_stats().memory > 40 << 20).await;
    let runtime = bench.runtime.clone();
    let call = tokio::spawn(async move { runtime.recorded_call(ViewCall::new("grow", b"")).await });
    until(|| bench.runtime.view_stats().calls.starved == 1).await;
    write(&bench, &values(&[("a", "c")]));
    holder.abort();
    let recorded = call.await.unwrap();
    assert_eq!(recorded.outcome.unwrap().bytes, b"c"[..]);
    assert_eq!(read(&recorded.reads.unwrap()).0, ["a", "c"]);
}

#[tokio::test]
async fn a_recorded_call_whose_caller_goes_gives_all_back() {
    let bench = following(|views| views.timeout = Duration::from_hours(1));
    let limit = Duration::from_millis(20);
    let call = bench.runtime.recorded_call(ViewCall::new("spin", b""));
    assert!(tokio::time::timeout(limit, call).await.is_err());
    assert_eq!(bench.runtime.view_stats().errors.cancelled, 1);
    assert_adds_up(&bench.runtime.view_stats());
}

#[tokio::test]
async fn calls_about_the_pending_block_read_the_same_and_its_writes_are_shared() {
    let bench = Bench::new(&guests::chained());
    bench.index_to(3, 1);
    let tip = bench.store.snapshot().tip().unwrap().hash;
    let pending = PendingBlock {
        parent: tip,
        block: Bytes::from(block(4, 1)),
    };
    bench.runtime.set_pending(Some(pending)).unwrap();
    let chain = bench.runtime.chain();
    let below = chain.at(BlockId::Latest.into()).await.unwrap();
    assert!(below.pending_writes().is_none());
    let contexts = [
        chain.at(ViewAt::Pending).await.unwrap(),
        chain.at(ViewAt::Pending).await.unwrap(),
    ];
    let [writes, same] = contexts
        .each_ref()
        .map(|context| context.pending_writes().unwrap());
    assert!(Arc::ptr_eq(writes, same));
    let call = ViewCall {
        at: (&contexts[0]).into(),
        ..ViewCall::new("get", b"acc")
    };
    let recorded = bench.runtime.recorded_call(call).await;
    let reads = recorded.reads.unwrap();
    assert_eq!(read(&reads).0, ["acc"]);
    let keys = keys(writes);
    assert!(reads.touched_by(&keys));
    // It is what the block writes when it is committed.
    let committed = bench.runtime.process_block(4, &block(4, 1)).unwrap();
    assert!(writes.sorted().eq(committed.sorted()));
    bench.commit(4, 1, &committed);
    let answer = recorded.outcome.unwrap();
    assert_eq!(answer.bytes, bench.view("get", b"acc", &BlockId::Latest));
    assert!(answer.pending.is_some());
}
