//! What ranges and many keys at once are refused, what bounds them, and what ends them.

use std::sync::Arc;
use std::time::Duration;

use metashrew_abi::range::{Answer, End, Request};
use metashrew_abi::{MAX_PAIRS, many, range};
use metashrew_runtime::{GuestFault, LoadError, ViewCall, ViewCheck, ViewError};
use metashrew_store::{BlockId, MemoryBackend, Store, WriteSet};
use metashrew_testing::delayed::{CHUNK, Delayed, Gate};
use metashrew_testing::guests::from_wat;
use metashrew_testing::ranging::ranging;

use crate::{Bench, assert_adds_up, until};

const MIB: usize = 1 << 20;

fn all() -> Request<'static> {
    Request::between(b"", b"")
}

/// A bench with a block that writes `count` keys of the value `value`.
fn filled(bench: &Bench, height: u32, count: u32, value: &[u8]) {
    let mut writes = WriteSet::default();
    for key in 0..count {
        writes.insert(key.to_be_bytes(), value).unwrap();
    }
    bench.commit(height, 1, &writes);
}

fn fault_of(bench: &Bench, view: &str, input: &[u8]) -> GuestFault {
    match bench.runtime.view_sync(view, input, &BlockId::Latest) {
        Err(ViewError::Guest(fault)) => fault,
        other => panic!("{view}: {other:?}"),
    }
}

#[test]
fn what_is_no_request_ends_the_call_and_is_named() {
    let bench = Bench::new(&ranging());
    filled(&bench, 0, 3, b"value");
    for (view, input, expect) in [
        (
            "many",
            &[1, 0, 0, 0][..],
            "`metashrew.read_many` a request that is malformed: a length reaches beyond the end",
        ),
        (
            "range",
            b"",
            "`metashrew.read_range` a request that is malformed: it ends before a byte that must be there",
        ),
        (
            "range",
            &[4; 17],
            "`metashrew.read_range` a request that is malformed: it has flags that are not known",
        ),
    ] {
        let fault = fault_of(&bench, view, input);
        assert!(matches!(fault, GuestFault::BadRequest { .. }), "{fault:?}");
        assert!(fault.to_string().contains(expect), "{fault}");
        assert!(
            fault.to_string().contains("\n  0: "),
            "a backtrace: {fault}"
        );
    }
    let request = all().encode();
    for (view, function) in [
        ("range_outside", "read_range"),
        ("load_outside", "load_answer"),
    ] {
        let fault = fault_of(&bench, view, &request);
        assert!(
            matches!(&fault, GuestFault::BadPointer { function: named, .. } if named == function),
            "{fault:?}"
        );
    }
    assert_adds_up(&bench.runtime.view_stats());
}

#[test]
fn an_answer_is_there_once_and_only_the_last_one() {
    let bench = Bench::new(&ranging());
    filled(&bench, 0, 3, b"value");
    let request = all().encode();
    let once = bench.view("range", &request, &BlockId::Latest);
    assert_eq!(Answer::decode(&once, false).unwrap().pairs().count(), 3);
    assert_eq!(bench.view("twice", &request, &BlockId::Latest), once);
    // Neither an earlier call's, which the same instance ran, nor one before a refused request.
    assert_eq!(bench.view("leave", &request, &BlockId::Latest), b"");
    for view in ["load", "too_many"] {
        let fault = fault_of(&bench, view, &request);
        assert!(
            matches!(fault, GuestFault::NoAnswer { .. }),
            "{view}: {fault:?}"
        );
    }
}

#[test]
fn more_keys_than_a_call_may_have_are_an_error_that_the_guest_sees() {
    let bench = Bench::new(&ranging());
    filled(&bench, 0, 2, b"value");
    let asked = vec![&[0_u8, 0, 0, 1][..]; MAX_PAIRS];
    let answer = bench.view("many", &many::encode(asked.clone()), &BlockId::Latest);
    let values = many::decode_answer(&answer).unwrap();
    assert!(values.eq(vec![b"value"; MAX_PAIRS]));
    let too_many = many::encode(asked.into_iter().chain([&b""[..]]));
    assert_eq!(
        bench.view("many", &too_many, &BlockId::Latest),
        many::ReadManyError::TooManyKeys.code().to_le_bytes()
    );
}

#[test]
fn an_answer_of_too_many_bytes_is_an_error_that_the_guest_sees() {
    let bench = Bench::with(&ranging(), |views| views.timeout = Duration::from_hours(1));
    filled(&bench, 0, 1, &vec![1; 64 * MIB]);
    let asked = many::encode([&[0; 4][..]; 4]);
    assert_eq!(
        bench.view("many", &asked, &BlockId::Latest),
        many::ReadManyError::AnswerTooLarge.code().to_le_bytes()
    );
}

#[test]
fn a_range_ends_at_the_hosts_limits() {
    let bench = Bench::with(&ranging(), |views| {
        views.timeout = Duration::from_hours(1);
        views.max_output = 128 * MIB;
    });
    let one_more = u32::try_from(MAX_PAIRS).unwrap() + 1;
    filled(&bench, 0, one_more, b"v");
    let answer = bench.view("range", &all().encode(), &BlockId::Latest);
    let answer = Answer::decode(&answer, false).unwrap();
    assert_eq!(
        (answer.end(), answer.pairs().count()),
        (End::Count, MAX_PAIRS)
    );

    filled(&bench, 1, 70, &vec![1; MIB]);
    let answer = bench.view("range", &all().encode(), &BlockId::Latest);
    let answer = Answer::decode(&answer, false).unwrap();
    assert_eq!((answer.end(), answer.pairs().count()), (End::Bytes, 63));

    filled(&bench, 2, 1, &vec![1; range::MAX_BYTES]);
    let answer = bench.view("range", &all().encode(), &BlockId::Latest);
    let answer = Answer::decode(&answer, false).unwrap();
    assert_eq!(answer.end(), End::TooLarge);
    let pair = answer.pairs().next().unwrap();
    assert_eq!(
        (pair.key, pair.value_len as usize),
        (&[0; 4][..], range::MAX_BYTES)
    );
}

#[test]
fn an_answer_counts_as_the_calls_memory_until_the_call_ends() {
    let bench = Bench::with(&ranging(), |views| {
        views.max_instance_memory = 32 * MIB;
        views.timeout = Duration::from_hours(1);
        // A check of an answer has memory of its own, after its call.
        views.check = ViewCheck::Off;
    });
    filled(&bench, 0, 10, &vec![1; MIB]);
    bench.view(
        "leave",
        &Request::between(b"\xff", b"").encode(),
        &BlockId::Latest,
    );
    let before = bench.runtime.view_stats().memory;
    // The guest takes none of it.
    assert_eq!(bench.view("leave", &all().encode(), &BlockId::Latest), b"");
    assert_eq!(bench.runtime.view_stats().memory, before);
    // There is room for what the host keeps and the guest's copy, and then, without what the
    // host kept, for the view's answer.
    let answer = bench.view("range", &all().encode(), &BlockId::Latest);
    assert_eq!(answer.len(), 1 + 10 * (12 + MIB));
    filled(&bench, 1, 40, &vec![1; MIB]);
    let request = all().encode();
    let refused = bench.runtime.view_sync("leave", &request, &BlockId::Latest);
    assert!(
        matches!(refused, Err(ViewError::MemoryLimit { .. })),
        "{refused:?}"
    );
    assert_adds_up(&bench.runtime.view_stats());
}

#[test]
fn what_does_not_fit_the_imports_is_refused_when_the_guest_is_loaded() {
    let guest = |name: &str, ty: &str| {
        from_wat(&format!(
            r#"(module (import "metashrew" "{name}" {ty})
                 (memory (export "memory") 1) (func (export "_start")))"#
        ))
    };
    for (name, ty) in [
        ("read_range", "(func (param i32 i32) (result i32))"),
        ("read_many", "(func (param i32))"),
        ("load_answer", "(func (param i64))"),
        ("load_answer", "(global i32)"),
    ] {
        let error = metashrew_runtime::MetashrewRuntime::new(&guest(name, ty), Store::in_memory());
        let error = error.err().unwrap();
        assert!(matches!(error, LoadError::Import(_)), "{error:?}");
        assert!(error.to_string().contains(name), "{error}");
    }
    // A name that is not known is as in every other module.
    let later = guest("read_future", "(func (param i32))");
    metashrew_runtime::MetashrewRuntime::new(&later, Store::in_memory()).unwrap();
}

/// Keys that are newer than the block 0, which has none.
const NEWER: u32 = 200_000;

/// How often the engine is asked on a walk over them.
const CHUNKS: u64 = NEWER as u64 / CHUNK as u64;

type Engine = Arc<Delayed<MemoryBackend>>;

/// A bench where a range at block 0 passes over many keys, and its engine, which counts, and
/// takes this long for each chunk.
fn crowded(timeout: Duration, chunk: Duration) -> (Bench, Engine) {
    let engine = Arc::new(Delayed::blocking(MemoryBackend::default(), chunk));
    let store = Store::with_backend(engine.clone()).unwrap();
    let bench = Bench::over(&ranging(), store, |views| views.timeout = timeout);
    bench.commit(0, 1, &WriteSet::default());
    filled(&bench, 1, NEWER, b"value");
    (bench, engine)
}

#[test]
fn a_range_that_finds_nothing_ends_with_the_calls_time() {
    // The walk takes more than a second on any machine; the call has time to begin it.
    let chunk = Duration::from_micros(100);
    let (bench, engine) = crowded(Duration::from_millis(200), chunk);
    let before = engine.reads();
    let late = bench
        .runtime
        .view_sync("range", &all().encode(), &BlockId::Height(0));
    assert!(matches!(late, Err(ViewError::Timeout { .. })), "{late:?}");
    let read = engine.reads() - before;
    assert!(read < CHUNKS, "{read}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_long_range_gives_way_to_other_tasks_and_ends_when_nobody_waits_for_it() {
    let (bench, engine) = crowded(Duration::from_hours(1), Duration::ZERO);
    let runtime = bench.runtime.clone();
    let request = all().encode();
    let before = engine.reads();
    let long = async move { runtime.view("range", &request, &BlockId::Height(0)).await };
    let long = tokio::spawn(long);
    // Had it the thread for itself, this would not go on before it is through.
    until(|| engine.reads() > before + 2).await;
    assert!(!long.is_finished());
    long.abort();
    assert!(long.await.unwrap_err().is_cancelled());
    assert!(engine.reads() < before + CHUNKS);
    assert_adds_up(&bench.runtime.view_stats());
}

#[tokio::test(flavor = "current_thread")]
async fn a_range_waits_for_a_slow_engine_beside_others_and_within_its_time() {
    let gate = Arc::new(Gate::default());
    let engine = Delayed::behind(MemoryBackend::default(), Arc::clone(&gate));
    let store = Store::with_backend(Arc::new(engine)).unwrap();
    let bench = Bench::over(&ranging(), store, |views| {
        views.timeout = Duration::from_hours(1);
    });
    filled(&bench, 0, 100, b"value");
    let request = all().encode();
    let expect = bench.view("range", &request, &BlockId::Latest);
    gate.close();
    let runtime = bench.runtime.clone();
    let asked = request.clone();
    let waiting = async move { runtime.view("range", &asked, &BlockId::Latest).await };
    let waiting = tokio::spawn(waiting);
    until(|| gate.waiting() == 1).await;
    // The only thread there is has time for others: one whose time is over before the gate opens.
    let call = ViewCall {
        timeout: Some(Duration::from_millis(10)),
        ..ViewCall::new("range", &request)
    };
    let late = bench.runtime.call(call).await;
    assert!(matches!(late, Err(ViewError::Timeout { .. })), "{late:?}");
    assert_eq!(gate.waiting(), 1);
    gate.open();
    assert_eq!(waiting.await.unwrap().unwrap().bytes, expect);
}
