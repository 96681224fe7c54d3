//! Runs that somebody watches: each host call is told as it happens.

use bytes::Bytes;
use metashrew_abi::range::Request;
use metashrew_runtime::{
    BlockError, Event, Frames, HostFault, Observer, Refusal, ViewAt, ViewCall, ViewError,
};
use metashrew_store::BlockId;
use metashrew_testing::guests;
use metashrew_testing::ranging::ranging;

use crate::{Bench, block};

/// What it is told, a line each.
#[derive(Default)]
struct Told {
    lines: Vec<String>,
    /// The innermost frame of each call.
    frames: Vec<String>,
    /// Ends the run at a line that begins so.
    refuses: Option<&'static str>,
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

impl Observer for Told {
    fn called(&mut self, function: &'static str, frames: &Frames<'_>) {
        self.lines.push(format!("> {function}"));
        let backtrace = frames.backtrace();
        self.frames.extend(backtrace.frames().first().cloned());
    }

    fn returned(&mut self, function: &'static str) {
        self.lines.push(format!("< {function}"));
    }

    fn event(&mut self, event: Event<'_>) -> Result<(), Refusal> {
        let line = match event {
            Event::Input { bytes } => format!("input {bytes}"),
            Event::Read { key, value } => format!("read {} {}", text(key), text(value)),
            Event::Range {
                start,
                end,
                descending,
                keys_only,
            } => {
                let flags = (descending, keys_only);
                format!("range {} {} {flags:?}", text(start), text(end))
            }
            Event::Found { key, value } => format!("found {} {}", text(key), text(value)),
            Event::RangeEnd { complete } => format!("end {complete}"),
            Event::Write { key, value } => format!("write {} {}", text(key), text(value)),
            Event::Log { text } => format!("log {text}"),
            Event::Failed { error } => {
                let guest = error.downcast_ref::<BlockError>().is_some();
                let first = error.to_string();
                let first = first.lines().next().unwrap_or_default().to_owned();
                format!("failed {guest} {first}")
            }
            _ => "another event".to_owned(),
        };
        let refused = self
            .refuses
            .is_some_and(|refused| line.starts_with(refused));
        self.lines.push(line);
        if refused {
            return Err("enough".into());
        }
        Ok(())
    }
}

/// Reads `a` twice with a read of the absent `b` between, asks for both at once, logs, and writes
/// `a` and `b`.
fn guest() -> Vec<u8> {
    guests::from_wat(
        r#"(module
  (import "env" "__host_len" (func $host_len (result i32)))
  (import "env" "__load_input" (func $load_input (param i32)))
  (import "env" "__get_len" (func $get_len (param i32) (result i32)))
  (import "env" "__get" (func $get (param i32 i32)))
  (import "env" "__flush" (func $flush (param i32)))
  (import "env" "__log" (func $log (param i32)))
  (import "metashrew" "read_many" (func $read_many (param i32) (result i32)))
  (import "metashrew" "load_answer" (func $load_answer (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\01\00\00\00a")
  (data (i32.const 16) "\01\00\00\00b")
  (data (i32.const 32) "\02\00\00\00hi")
  (data (i32.const 48) "\0c\00\00\00\0a\01a\0a\01x\0a\01b\0a\01y")
  (data (i32.const 80) "\0a\00\00\00\01\00\00\00a\01\00\00\00b")
  (func $reads (export "reads") (result i32)
    (drop (call $get_len (i32.const 4)))
    (call $get (i32.const 4) (i32.const 1024))
    (drop (call $get_len (i32.const 20)))
    (drop (call $get_len (i32.const 4)))
    (i32.const 36))
  (func (export "_start")
    (drop (call $host_len))
    (call $load_input (i32.const 2048))
    (drop (call $reads))
    (drop (call $read_many (i32.const 84)))
    (call $load_answer (i32.const 1024))
    (call $log (i32.const 36))
    (call $flush (i32.const 52))))"#,
    )
}

const READS: [&str; 11] = [
    "> __get_len",
    "read a {a}",
    "< __get_len",
    "> __get",
    "< __get",
    "> __get_len",
    "read b {b}",
    "< __get_len",
    "> __get_len",
    "read a {a}",
    "< __get_len",
];

/// The lines of what the guest reads where these are the values.
fn reads(a: &str, b: &str) -> Vec<String> {
    let lines = READS.iter();
    lines
        .map(|line| line.replace("{a}", a).replace("{b}", b))
        .collect()
}

fn observe_block(bench: &Bench, height: u32, told: Told) -> (Told, Result<usize, BlockError>) {
    let below = bench.store.snapshot().below(height).unwrap();
    let bytes = Bytes::from(block(height, 0));
    let (told, writes) = bench
        .runtime
        .observe_block(below.state, height, bytes, told);
    (told, writes.map(|writes| writes.len()))
}

#[test]
fn each_host_call_of_a_block_is_told_with_what_came_of_it() {
    let bench = Bench::new(&guest());
    bench.index_to(2, 0);
    // On the empty state, and on that of a block.
    for (height, a, b) in [(0, "", ""), (2, "x", "y"), (3, "x", "y")] {
        let (told, writes) = observe_block(&bench, height, Told::default());
        assert_eq!(writes.unwrap(), 2);
        let begin = ["> __host_len", "< __host_len", "> __load_input", "input 94"];
        let mut expect: Vec<_> = begin.map(str::to_owned).into();
        expect.push("< __load_input".to_owned());
        expect.extend(reads(a, b));
        expect.push("> read_many".to_owned());
        expect.extend([format!("read a {a}"), format!("read b {b}")]);
        let end = [
            "< read_many",
            "> load_answer",
            "< load_answer",
            "> __log",
            "log hi",
            "< __log",
            "> __flush",
            "write a x",
            "write b y",
            "< __flush",
        ];
        expect.extend(end.map(str::to_owned));
        assert_eq!(told.lines, expect, "at {height}");
        assert!(
            told.frames[2].starts_with("reads at 0x"),
            "{:?}",
            told.frames
        );
    }
    assert_eq!(bench.store.snapshot().tip().unwrap().height, 2);
}

#[test]
fn a_view_is_told_the_same_way_and_answers_as_ever() {
    let bench = Bench::new(&guest());
    bench.index_to(0, 0);
    let call = |name| ViewCall {
        at: ViewAt::Block(BlockId::Latest).into(),
        ..ViewCall::new(name, b"")
    };
    let (told, answer) = bench.runtime.observe_view(call("reads"), Told::default());
    assert_eq!(told.lines, reads("x", "y"));
    assert_eq!(answer.unwrap().bytes, b"hi"[..]);
    let (told, answer) = bench.runtime.observe_view(call("none"), Told::default());
    assert!(matches!(answer, Err(ViewError::NoSuchView { .. })));
    assert_eq!(told.lines, ["failed false the guest has no view `none`"]);
}

#[test]
fn a_trap_is_told_last() {
    let bench = Bench::new(&guests::traps_at(1));
    bench.index_to(0, 0);
    let (told, writes) = observe_block(&bench, 1, Told::default());
    assert!(matches!(writes, Err(BlockError::Guest(_))), "{writes:?}");
    let last = told.lines.last().unwrap();
    assert!(
        last.starts_with("failed true the guest trapped: "),
        "{last}"
    );
}

#[test]
fn an_observer_that_refuses_ends_the_run() {
    let bench = Bench::new(&guest());
    for refused in ["input", "read a", "read b", "log", "write a", "write b"] {
        let told = Told {
            refuses: Some(refused),
            ..Told::default()
        };
        let (told, writes) = observe_block(&bench, 0, told);
        let Err(BlockError::Host(HostFault::Observer(refusal))) = writes else {
            panic!("{refused}: {writes:?}");
        };
        assert_eq!(refusal.to_string(), "enough");
        // The call returned, and then the run had failed.
        let [.., at, returned, failed] = &told.lines[..] else {
            panic!("{:?}", told.lines);
        };
        assert!(at.starts_with(refused) && returned.starts_with("< "));
        assert_eq!(failed, "failed true the run was ended by its observer");
    }
}

#[test]
fn a_range_is_told_from_its_bounds_to_where_it_ended() {
    let bench = Bench::new(&ranging());
    let ask = |request: &Request<'_>| {
        let input = request.encode();
        let call = ViewCall {
            at: ViewAt::Block(BlockId::Latest).into(),
            ..ViewCall::new("range", &input)
        };
        let (told, answer) = bench.runtime.observe_view(call, Told::default());
        answer.unwrap();
        let is_call = |line: &String| line.starts_with(['<', '>']) || line.starts_with("input");
        let lines = told.lines.into_iter();
        lines.filter(|line| !is_call(line)).collect::<Vec<_>>()
    };
    let mut writes = metashrew_store::WriteSet::default();
    for (key, value) in [("ka", "1"), ("kb", ""), ("kc", "333"), ("kd", "4")] {
        writes.insert(key, value).unwrap();
    }
    bench.commit(0, 0, &writes);
    let all = Request::between(b"k", b"l");
    assert_eq!(
        ask(&all),
        [
            "range k l (false, false)",
            "found ka 1",
            "found kc 333",
            "found kd 4",
            "end true"
        ]
    );
    let two_back = Request {
        descending: true,
        keys_only: true,
        max_count: 2,
        end: b"",
        ..all
    };
    assert_eq!(
        ask(&two_back),
        [
            "range k  (true, true)",
            "found kd 4",
            "found kc 333",
            "end false"
        ]
    );
    // The one that did not fit was found all the same.
    let short = Request {
        max_bytes: 12,
        ..all
    };
    assert_eq!(
        ask(&short),
        [
            "range k l (false, false)",
            "found ka 1",
            "found kc 333",
            "end false"
        ]
    );
}
