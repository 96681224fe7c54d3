//! Profiles: where a guest's time is known, they show it there, the host's included.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metashrew_runtime::{
    BlockError, MIN_PROFILE_INTERVAL, MetashrewRuntime, ProfileEnd, ProfileError, ProfileOptions,
    ProfileSummary, ProfiledCall, ViewError,
};
use metashrew_store::{MemoryBackend, Store, WriteSet};
use metashrew_testing::delayed::Delayed;
use serde_json::Value;

use crate::{Bench, block};

/// A module with what any guest has; a function that takes its time, `$turns`; a key at 32.
fn guest(body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
          (import "env" "__flush" (func $flush (param i32)))
          (import "env" "__get_len" (func $get_len (param i32) (result i32)))
          (memory (export "memory") 1)
          (data (i32.const 0) "\06\00\00\00\0a\01k\0a\01v")
          (data (i32.const 32) "\02\00\00\00k0")
          {body})"#
    );
    wat::parse_str(text).unwrap()
}

/// A function that takes so many turns of a loop that the compiler cannot leave out.
fn loops(name: &str, turns: u32) -> String {
    format!(
        "(func {name} (local $left i32)
           (local.set $left (i32.const {turns}))
           (loop $again
             (i32.store (i32.const 64) (i32.add (i32.load (i32.const 64)) (local.get $left)))
             (local.set $left (i32.sub (local.get $left) (i32.const 1)))
             (br_if $again (local.get $left))))"
    )
}

fn of_block(runtime: &MetashrewRuntime) -> ProfiledCall<'static> {
    ProfiledCall::Block {
        state: runtime.store().snapshot().latest(),
        height: 0,
        block: Bytes::from(block(0, 1)),
    }
}

fn options() -> ProfileOptions {
    ProfileOptions {
        interval: MIN_PROFILE_INTERVAL,
        timeout: Duration::from_mins(10),
        ..ProfileOptions::default()
    }
}

/// A profile, and how often each function was the innermost one of a sample.
struct Profile {
    summary: ProfileSummary,
    json: Value,
    innermost: BTreeMap<String, usize>,
}

fn profile(
    runtime: &MetashrewRuntime,
    call: &ProfiledCall<'_>,
    options: &ProfileOptions,
) -> Profile {
    let mut output = Vec::new();
    let summary = runtime.profile(call, options, &mut output).unwrap();
    let json: Value = serde_json::from_slice(&output).unwrap();
    let mut innermost = BTreeMap::new();
    for stack in json["threads"][0]["samples"]["stack"].as_array().unwrap() {
        let name = stack_names(&json, stack).next().unwrap();
        *innermost.entry(name).or_default() += 1;
    }
    assert_eq!(innermost.values().sum::<usize>(), summary.samples);
    let host = innermost
        .iter()
        .filter(|(name, _)| name.ends_with(" (host)"));
    assert_eq!(
        host.map(|(_, count)| count).sum::<usize>(),
        summary.host_samples,
        "{innermost:?}"
    );
    Profile {
        summary,
        json,
        innermost,
    }
}

/// The functions of a stack, the innermost first.
fn stack_names<'a>(json: &'a Value, stack: &Value) -> impl Iterator<Item = String> + use<'a> {
    let thread = &json["threads"][0];
    let index = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    let mut next = stack.as_u64();
    std::iter::from_fn(move || {
        let stack = usize::try_from(next?).unwrap();
        next = thread["stackTable"]["prefix"][stack].as_u64();
        let frame = index(&thread["stackTable"]["frame"][stack]);
        let function = index(&thread["frameTable"]["func"][frame]);
        let name = index(&thread["funcTable"]["name"][function]);
        Some(thread["stringArray"][name].as_str().unwrap().to_owned())
    })
}

#[test]
fn time_is_in_the_function_that_takes_it() {
    let body = format!(
        r#"{} {} (func (export "_start") (call $f) (call $g) (call $flush (i32.const 4)))"#,
        loops("$f", 30_000_000),
        loops("$g", 300_000)
    );
    let bench = Bench::new(&guest(&body));
    let profile = profile(&bench.runtime, &of_block(&bench.runtime), &options());
    let of = |name: &str| profile.innermost.get(name).copied().unwrap_or_default();
    let (f, all) = (of("f"), profile.summary.samples);
    assert!(f >= 5 && f * 10 >= all * 8, "{:?}", profile.innermost);
    assert!(matches!(profile.summary.end, ProfileEnd::Completed));
    assert_eq!(profile.summary.runs, 1);
}

#[test]
fn time_in_the_host_is_in_the_hosts_function() {
    let engine = Delayed::blocking(MemoryBackend::default(), Duration::from_millis(5));
    let store = Store::with_backend_and_cache(Arc::new(engine), 0).unwrap();
    // Keys of two bytes, each read once, so none is remembered.
    let body = r#"
      (func $reads (local $left i32)
        (local.set $left (i32.const 20))
        (loop $again
          (i32.store8 (i32.const 37) (local.get $left))
          (drop (call $get_len (i32.const 36)))
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (br_if $again (local.get $left))))
      (func (export "_start") (call $reads) (call $flush (i32.const 4)))"#;
    let bench = Bench::over(&guest(body), store, |_| {});
    let mut writes = WriteSet::default();
    for last in 1..=20 {
        writes.insert([b'k', last], b"v").unwrap();
    }
    bench.commit(0, 1, &writes);
    let profile = profile(&bench.runtime, &of_block(&bench.runtime), &options());
    let of = |name: &str| profile.innermost.get(name).copied().unwrap_or_default();
    let (reads, all) = (of("__get_len (host)"), profile.summary.samples);
    assert!(
        reads >= 5 && reads * 10 >= all * 8,
        "{:?}",
        profile.innermost
    );
    // They are called by the guest's function, in a category of their own, and at times of
    // their own.
    let thread = &profile.json["threads"][0];
    let stacks = thread["samples"]["stack"].as_array().unwrap();
    let stack = stacks
        .iter()
        .map(|stack| stack_names(&profile.json, stack).collect::<Vec<_>>());
    assert!(
        stack
            .into_iter()
            .any(|stack| stack[..2] == ["__get_len (host)", "reads"])
    );
    assert_eq!(profile.json["meta"]["categories"][1]["name"], "Host");
    let categories = thread["frameTable"]["category"].as_array().unwrap();
    assert!(categories.contains(&1.into()), "{categories:?}");
    let deltas = thread["samples"]["timeDeltas"].as_array().unwrap();
    let at_once = deltas.iter().filter(|delta| delta.as_f64().unwrap() < 0.01);
    assert!(at_once.count() * 10 < deltas.len(), "{deltas:?}");
}

#[test]
fn functions_without_names_have_the_numbers_of_backtraces() {
    let body = format!(
        r#"{} (func (export "_start") (call 2) (call $flush (i32.const 4)))"#,
        loops("$f", 60_000_000)
    );
    // The text's names are left out of the module.
    let named = guest(&body);
    let mut bare = named[..8].to_vec();
    for payload in wasmparser::Parser::new(0).parse_all(&named) {
        if let Some((id, range)) = payload.unwrap().as_section()
            && id != 0
        {
            bare.push(id);
            leb128(&mut bare, range.len());
            bare.extend_from_slice(&named[range]);
        }
    }
    let bench = Bench::new(&bare);
    let profile = profile(&bench.runtime, &of_block(&bench.runtime), &options());
    assert!(
        profile.innermost.contains_key("function 2"),
        "{:?}",
        profile.innermost
    );
}

fn leb128(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
}

#[test]
fn names_are_the_guests_where_the_stack_is_counted() {
    // Mangled as Rust does, and recursive, so that counting code is put into it.
    let body = format!(
        r#"{}
        (func $_ZN5guest7recurse17h0123456789abcdefE (param $left i32)
          (if (local.get $left) (then
            (call $f)
            (call $_ZN5guest7recurse17h0123456789abcdefE (i32.sub (local.get $left) (i32.const 1))))))
        (func (export "_start")
          (call $_ZN5guest7recurse17h0123456789abcdefE (i32.const 3))
          (call $flush (i32.const 4)))"#,
        loops("$f", 20_000_000)
    );
    let bench = Bench::new(&guest(&body));
    let profile = profile(&bench.runtime, &of_block(&bench.runtime), &options());
    let stacks = profile.json["threads"][0]["samples"]["stack"]
        .as_array()
        .unwrap();
    let deepest = stacks
        .iter()
        .map(|stack| stack_names(&profile.json, stack).collect::<Vec<_>>());
    let deepest = deepest.max_by_key(Vec::len).unwrap();
    assert_eq!(deepest[..3], ["f", "guest::recurse", "guest::recurse"]);
}

#[test]
fn a_short_call_is_run_again_on_the_same_state() {
    let body = format!(
        r#"{} (global $runs (mut i32) (i32.const 0))
        (func (export "_start")
          (if (global.get $runs) (then (unreachable)))
          (global.set $runs (i32.const 1))
          (if (call $get_len (i32.const 36)) (then (unreachable)))
          (call $f) (call $flush (i32.const 4)))"#,
        loops("$f", 100_000)
    );
    let bench = Bench::new(&guest(&body));
    let options = ProfileOptions {
        repeat: NonZeroU32::new(500).unwrap(),
        ..options()
    };
    let profile = profile(&bench.runtime, &of_block(&bench.runtime), &options);
    assert!(matches!(profile.summary.end, ProfileEnd::Completed));
    assert_eq!(profile.summary.runs, 500);
    assert!(
        profile.innermost.contains_key("f"),
        "{:?}",
        profile.innermost
    );
    assert_eq!(bench.store.snapshot().tip(), None);
}

#[test]
fn an_endless_guest_and_one_that_fails_have_a_profile() {
    let endless = r#"(func $spin (loop $again (br $again)))
        (func (export "_start") (call $spin))
        (func (export "spin") (result i32) (call $spin) (i32.const 0))"#;
    let bench = Bench::new(&guest(endless));
    let brief = ProfileOptions {
        timeout: Duration::from_millis(50),
        ..options()
    };
    let view = ProfiledCall::View {
        state: bench.store.snapshot().latest(),
        height: 0,
        function: "spin",
        input: b"",
    };
    for call in [of_block(&bench.runtime), view] {
        let profile = profile(&bench.runtime, &call, &brief);
        assert!(matches!(profile.summary.end, ProfileEnd::TimedOut));
        assert!(
            profile.innermost.contains_key("spin"),
            "{:?}",
            profile.innermost
        );
    }
    let body = format!(
        r#"{} (func (export "_start") (call $f) (unreachable))"#,
        loops("$f", 60_000_000)
    );
    let bench = Bench::new(&guest(&body));
    let profile = profile(&bench.runtime, &of_block(&bench.runtime), &options());
    let ProfileEnd::Block(BlockError::Guest(fault)) = &profile.summary.end else {
        panic!("{:?}", profile.summary);
    };
    assert!(fault.to_string().contains("unreachable"), "{fault}");
    assert!(
        profile.innermost.contains_key("f"),
        "{:?}",
        profile.innermost
    );
}

#[test]
fn a_run_that_ends_in_the_host_says_so() {
    let body = r#"(import "other" "thing" (func $thing))
        (func (export "_start") (call $thing))"#;
    let text = format!(r#"(module {body} (memory (export "memory") 1))"#);
    let bench = Bench::new(&wat::parse_str(text).unwrap());
    let profile = profile(&bench.runtime, &of_block(&bench.runtime), &options());
    assert!(matches!(profile.summary.end, ProfileEnd::Block(_)));
    let (name, _) = profile.summary.left_in_host.unwrap();
    assert_eq!(name, "other.thing (host)");
}

#[test]
fn host_calls_of_a_start_section_are_refused() {
    let body = r#"(func $init (drop (call $get_len (i32.const 36)))) (start $init)
        (func (export "_start") (call $flush (i32.const 4)))"#;
    let bench = Bench::new(&guest(body));
    let profile = profile(&bench.runtime, &of_block(&bench.runtime), &options());
    let ProfileEnd::Block(BlockError::Host(fault)) = &profile.summary.end else {
        panic!("{:?}", profile.summary);
    };
    assert!(fault.to_string().contains("start section"), "{fault}");
}

#[test]
fn what_cannot_be_profiled_is_refused() {
    let bench = Bench::new(&guest(r#"(func (export "_start"))"#));
    let call = of_block(&bench.runtime);
    let too_short = ProfileOptions {
        interval: Duration::from_nanos(1),
        ..options()
    };
    let error = bench.runtime.profile(&call, &too_short, Vec::new());
    assert!(matches!(error, Err(ProfileError::Interval(_))));
    let view = ProfiledCall::View {
        state: bench.store.snapshot().latest(),
        height: 0,
        function: "none",
        input: b"",
    };
    let error = bench.runtime.profile(&view, &options(), Vec::new());
    assert!(matches!(
        error,
        Err(ProfileError::View(ViewError::NoSuchView { .. }))
    ));
}

#[test]
fn views_read_the_state_at_their_block() {
    let body = format!(
        r#"{} (func (export "_start") (call $flush (i32.const 4)))
        (func (export "read") (result i32)
          (if (i32.ne (call $get_len (i32.const 52)) (i32.const 1)) (then (unreachable)))
          (call $f) (i32.const 56))
        (data (i32.const 48) "\01\00\00\00k")"#,
        loops("$f", 60_000_000)
    );
    let bench = Bench::new(&guest(&body));
    let mut writes = WriteSet::default();
    writes.insert(b"k", b"v").unwrap();
    bench.commit(0, 1, &writes);
    let view = ProfiledCall::View {
        state: bench.store.snapshot().at(0),
        height: 0,
        function: "read",
        input: b"input",
    };
    let profile = profile(&bench.runtime, &view, &options());
    assert!(
        matches!(profile.summary.end, ProfileEnd::Completed),
        "{:?}",
        profile.summary
    );
    assert!(
        profile.innermost.contains_key("f"),
        "{:?}",
        profile.innermost
    );
}
