//! Traces of a block, and of a view, whose every read is known.

mod profile;

use std::process::Command;

use metashrew_abi::range::Request;
use metashrew_abi::{flush, many};
use metashrew_testing::guests::from_wat;
use serde_json::{Value, json};

use crate::harness::{Place, fail, succeed};

/// A buffer at `place`: its length, and the bytes.
fn data(place: u32, bytes: &[u8]) -> String {
    let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    let escaped = length
        .iter()
        .chain(bytes)
        .map(|byte| format!("\\{byte:02x}"));
    let escaped: String = escaped.collect();
    format!("(data (i32.const {place}) \"{escaped}\")\n")
}

fn range(start: &[u8], end: &[u8], descending: bool, max_count: u32) -> Vec<u8> {
    let request = Request {
        descending,
        keys_only: descending,
        max_count,
        ..Request::between(start, end)
    };
    request.encode()
}

/// A guest whose `_start` reads with every function of the host, each from a function of its
/// own, writes `k1` and `k2`, and reads `k1` again; with `end` behind it. Its view `look` reads
/// `k2`, and walks backwards.
fn guest(end: &str) -> Vec<u8> {
    let keys: [&[u8]; 3] = [b"k1", b"none", b"k2"];
    let pairs: [(&[u8], &[u8]); 2] = [(b"k1", b"one"), (b"k2", &[7; 40])];
    let data = [
        data(64, b"k1"),
        data(80, b"none"),
        data(96, b"k2"),
        data(128, &many::encode(keys)),
        data(256, &range(b"k", b"l", false, u32::MAX)),
        data(384, &range(b"", b"", true, 1)),
        data(512, b"hello"),
        data(640, &flush::encode(pairs)),
    ]
    .concat();
    from_wat(&format!(
        r#"(module
        (import "env" "__host_len" (func $host_len (result i32)))
        (import "env" "__load_input" (func $load_input (param i32)))
        (import "env" "__get_len" (func $get_len (param i32) (result i32)))
        (import "env" "__get" (func $get (param i32 i32)))
        (import "env" "__flush" (func $flush (param i32)))
        (import "env" "__log" (func $log (param i32)))
        (import "metashrew" "read_many" (func $read_many (param i32) (result i32)))
        (import "metashrew" "read_range" (func $read_range (param i32) (result i32)))
        (import "metashrew" "load_answer" (func $load_answer (param i32)))
        (memory (export "memory") 64)
        {data}
        (func $input (drop (call $host_len)) (call $load_input (i32.const 65536)))
        (func $point (drop (call $get_len (i32.const 68))) (call $get (i32.const 68) (i32.const 4096)))
        (func $absent (drop (call $get_len (i32.const 84))))
        (func $many (drop (call $read_many (i32.const 132))) (call $load_answer (i32.const 4096)))
        (func $forward (drop (call $read_range (i32.const 260))) (call $load_answer (i32.const 4096)))
        (func $backward (drop (call $read_range (i32.const 388))) (call $load_answer (i32.const 4096)))
        (func $say (call $log (i32.const 516)))
        (func $write (call $flush (i32.const 644)))
        (func (export "_start")
          (call $input) (call $point) (call $absent) (call $many) (call $forward) (call $backward)
          (call $say) (call $write) (call $point) (call $absent) {end})
        (func $_ZN4look4look17h0123456789abcdefE (export "look") (result i32)
          (drop (call $get_len (i32.const 100))) (call $backward)
          (i32.const 100)))"#
    ))
}

/// The lines of a trace without what differs from run to run, its sums, and their total.
fn parts(output: &str) -> (Vec<Value>, Vec<Value>, Value) {
    let (mut events, mut sums, mut total) = (Vec::new(), Vec::new(), None);
    let mut last = 0.0;
    for line in output.lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let object = line.as_object_mut().unwrap();
        if let Some(at) = object.remove("at_us") {
            assert!(at.as_f64().unwrap() >= last, "{output}");
            last = at.as_f64().unwrap();
        }
        for time in ["took_us", "host_us", "time_us"] {
            object.remove(time);
        }
        match object["event"].as_str().unwrap() {
            "sum" => sums.push(line),
            "total" => total = Some(line),
            _ => events.push(line),
        }
    }
    sums.sort_by_key(|sum| sum["function"].as_str().unwrap().to_owned());
    (events, sums, total.unwrap())
}

fn command(place: &Place, flags: &[&str]) -> Command {
    let common = ["trace", "--db", "db", "--indexer", "guest.wasm"];
    place.metashrew(&[&common[..], flags].concat())
}

fn trace(place: &Place, flags: &[&str]) -> String {
    succeed(&mut command(place, &[&["--json"], flags].concat()))
}

fn pair(event: &str, function: &str, key: &str, value: &[u8]) -> Value {
    json!({
        "event": event,
        "function": function,
        "key": hex::encode_prefixed(key),
        "value": hex::encode_prefixed(&value[..value.len().min(32)]),
        "bytes": value.len(),
    })
}

/// What the block does, on a state in which it wrote before.
fn expected(block_bytes: usize) -> Vec<Value> {
    let range = |function: &str, start: &str, end: Value, descending: bool| {
        json!({
            "event": "range", "function": function, "start": start, "end": end,
            "descending": descending, "keys_only": descending,
        })
    };
    let ended = |function: &str, complete: bool| json!({ "event": "range_end", "function": function, "complete": complete });
    let long = [7; 40];
    vec![
        json!({ "event": "input", "function": "input", "bytes": block_bytes + 4 }),
        // Its length, and then the value, are one read.
        pair("read", "point", "k1", b"one"),
        pair("read", "absent", "none", b""),
        pair("read", "many", "k1", b"one"),
        pair("read", "many", "none", b""),
        pair("read", "many", "k2", &long),
        range("forward", "0x6b", "0x6c".into(), false),
        pair("found", "forward", "k1", b"one"),
        pair("found", "forward", "k2", &long),
        ended("forward", true),
        range("backward", "0x", Value::Null, true),
        pair("found", "backward", "k2", &long),
        ended("backward", false),
        json!({ "event": "log", "function": "say", "text": "hello" }),
        pair("write", "write", "k1", b"one"),
        pair("write", "write", "k2", &long),
        // What the block wrote is not what it reads.
        pair("read", "point", "k1", b"one"),
        pair("read", "absent", "none", b""),
    ]
}

#[test]
fn a_block_whose_every_read_is_known() {
    let place = Place::with(&guest(""), 3);
    place.index();
    let tip = place.tip();
    let height = tip.height.to_string();
    let output = trace(&place, &["--blocks", "blocks.dat", "--height", &height]);
    let (events, sums, total) = parts(&output);
    assert_eq!(events, expected(tip.bytes.len()));
    let sum = |function: &str, [calls, reads, ranges, found, writes]: [u32; 5]| {
        json!({
            "event": "sum", "function": function, "calls": calls, "reads": reads,
            "ranges": ranges, "found": found, "writes": writes,
        })
    };
    let expect = [
        sum("absent", [2, 2, 0, 0, 0]),
        sum("backward", [2, 0, 1, 1, 0]),
        sum("forward", [2, 0, 1, 2, 0]),
        sum("input", [2, 0, 0, 0, 0]),
        sum("many", [2, 3, 0, 0, 0]),
        sum("point", [4, 2, 0, 0, 0]),
        sum("say", [1, 0, 0, 0, 0]),
        sum("write", [1, 0, 0, 0, 2]),
    ];
    assert_eq!(sums, expect);
    assert_eq!(
        total,
        json!({ "event": "total", "calls": 16, "reads": 7, "ranges": 2, "found": 3, "writes": 2 })
    );
    // The first block, on nothing: its own writes are not there for it.
    let first = place.chain.blocks()[0].height.to_string();
    let (events, ..) = parts(&trace(
        &place,
        &["--blocks", "blocks.dat", "--height", &first],
    ));
    let none: Vec<_> = events
        .iter()
        .filter(|event| event["event"] == "found")
        .collect();
    assert!(none.is_empty(), "{none:?}");
    let last = &events[events.len() - 2];
    assert_eq!(last, &pair("read", "point", "k1", b""));
    assert_eq!(
        place.stored_tip().unwrap().height,
        tip.height,
        "nothing is committed"
    );
}

#[test]
fn a_view_whose_every_read_is_known() {
    let place = Place::with(&guest(""), 2);
    place.index();
    let (events, _, total) = parts(&trace(&place, &["--view", "look", "--height", "1"]));
    let expect = [
        pair("read", "look::look", "k2", &[7; 40]),
        expected(0)[10].clone(),
        expected(0)[11].clone(),
        expected(0)[12].clone(),
        json!({ "event": "answer", "value": "0x6b32", "bytes": 2 }),
    ];
    assert_eq!(events, expect);
    assert_eq!(total["reads"], 1);
}

#[test]
fn a_trap_is_the_last_line() {
    let place = Place::with(&guest(""), 2);
    place.index();
    place.set_guest(&guest("(unreachable)"));
    let tip = place.tip();
    let height = tip.height.to_string();
    let flags = ["--json", "--blocks", "blocks.dat", "--height", &height];
    let output = command(&place, &flags).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("unreachable"), "{stderr}");
    let (mut events, ..) = parts(&String::from_utf8(output.stdout).unwrap());
    let failed = events.pop().unwrap();
    assert_eq!(failed["event"], "failed");
    assert!(
        failed["error"].as_str().unwrap().contains("unreachable"),
        "{failed}"
    );
    assert_eq!(events, expected(tip.bytes.len()));
}

#[test]
fn a_bundle_is_traced_and_profiled_without_its_database() {
    let place = Place::with(&guest(""), 2);
    place.index();
    let made = [
        "replay",
        "make",
        "--db",
        "db",
        "--indexer",
        "guest.wasm",
        "--blocks",
        "blocks.dat",
    ];
    let flags = ["--height", "2", "--out", "two.bundle"];
    succeed(&mut place.metashrew(&[&made[..], &flags].concat()));
    std::fs::remove_dir_all(place.path("db")).unwrap();
    let of_bundle = ["--bundle", "two.bundle", "--indexer", "guest.wasm"];
    let traced = [&["trace", "--json"][..], &of_bundle].concat();
    let (events, ..) = parts(&succeed(&mut place.metashrew(&traced)));
    assert_eq!(events, expected(place.tip().bytes.len()));
    let profiled = [&["profile", "--repeat", "3"][..], &of_bundle].concat();
    let told = succeed(&mut place.metashrew(&profiled));
    assert!(
        told.starts_with("profiled: block 2 (") && told.contains("runs: 3"),
        "{told}"
    );
    // Another guest reads what is not there: that is not taken for absent.
    place.set_guest(&guest("(drop (call $get_len (i32.const 516)))"));
    let profiled = [&["profile"][..], &of_bundle].concat();
    let stderr = fail(&mut place.metashrew(&profiled), 1);
    assert!(stderr.contains("0x68656c6c6f was not recorded"), "{stderr}");
}

#[test]
fn what_is_needed_is_asked_for() {
    let place = Place::with(&guest(""), 1);
    let check = |args: &[&str], expect: &str| {
        let stderr = fail(&mut place.metashrew(args), 2);
        assert!(stderr.contains(expect), "{stderr}");
    };
    for command in ["trace", "profile"] {
        check(
            &[command],
            "--view for a view, --bundle for a file of `replay make`",
        );
        check(
            &[command, "--view", "look"],
            "--db and --indexer are needed with --view",
        );
        check(&[command, "an input"], "--view <NAME>");
        check(
            &[command, "--view", "look", "--bundle", "x"],
            "cannot be used with",
        );
        let block = ["--db", "db", "--indexer", "guest.wasm", "--height", "1"];
        check(&[&[command][..], &block].concat(), "--blocks");
    }
    check(&["profile", "--interval-us", "99"], "--interval-us");
}

/// A guest with debug information: see `trace/lines.rs`.
const LINES: &[u8] = include_bytes!("trace/lines.wasm");

#[test]
fn lines_are_told_and_inlined_functions_count() {
    let place = Place::with(LINES, 1);
    place.index();
    let (events, sums, _) = parts(&trace(&place, &["--blocks", "blocks.dat", "--height", "1"]));
    let source = include_str!("trace/lines.rs").lines();
    let line = source
        .zip(1..)
        .find(|(line, _)| line.contains("__get_len(KEY"));
    let mut expect = pair("read", "inlined", "k", b"");
    expect["file"] = "guest/lines.rs".into();
    expect["line"] = line.unwrap().1.into();
    assert_eq!(events, [expect]);
    let functions: Vec<_> = sums.iter().map(|sum| &sum["function"]).collect();
    assert_eq!(functions, ["_start", "inlined"]);
}

#[test]
fn an_endless_block_is_traced_up_to_the_timeout() {
    let place = Place::with(&guest(""), 2);
    place.index();
    place.set_guest(&guest("(loop $again (br $again))"));
    let flags = ["--json", "--blocks", "blocks.dat", "--height", "2"];
    let mut command = command(&place, &flags);
    let output = command.args(["--timeout-ms", "200"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("200 ms"), "{stderr}");
    let (mut events, ..) = parts(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(events.pop().unwrap()["event"], "failed");
    assert_eq!(events, expected(place.tip().bytes.len()));
}

#[test]
fn text_for_people() {
    let place = Place::with(&guest(""), 2);
    place.index();
    let flags = ["--blocks", "blocks.dat", "--height", "2"];
    let mut command = command(&place, &flags);
    let output = succeed(command.args(["--max-value", "4"]));
    for expect in [
        "read   0x6b31 = 0x6f6e65  <- point",
        "read   0x6e6f6e65 = none  <- absent",
        "found  0x6b32 = 0x07070707… (40 bytes)  <- forward",
        "range  from 0x to the last key, last first, keys only  <- backward",
        "log    hello  <- say",
        "write  0x6b31 = 0x6f6e65  <- write",
        "in the host    calls    reads   ranges    found   writes  function",
    ] {
        assert!(output.contains(expect), "{expect}\n{output}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let place = Place::with(&guest(""), 1);
    place.index();
    let check = |flags: &[&str], expect: &str| {
        let stderr = fail(&mut command(&place, flags), 1);
        assert!(stderr.contains(expect), "{stderr}");
    };
    check(&["--view", "none"], "the guest has no view `none`");
    check(
        &["--view", "look", "--height", "7"],
        "there is no state at block `7`",
    );
    check(
        &["--blocks", "blocks.dat", "--height", "9"],
        "there is no state for block 9",
    );
}
