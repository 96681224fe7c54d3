//! `metashrew bench`: its figures add up and are those of the database, and nothing is left of
//! it but what it printed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::guests::from_wat;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Place, fail, guest, metashrew, project, succeed};

const BLOCKS: &str = "examples/mainnet-blocks-1-255.dat.bz2";

/// `metashrew bench` with an example guest over the first blocks of the chain.
fn bench(name: &str, temporary: &Path) -> Command {
    let mut command = metashrew();
    command
        .args(["bench", "--indexer"])
        .arg(guest(name))
        .arg("--blocks")
        .arg(project(BLOCKS))
        .arg("--temp-dir")
        .arg(temporary);
    command
}

/// Makes a database of these blocks up to a height.
fn index(db: &str, exit_at: &str) {
    let flags = ["--listen", "127.0.0.1:0", "--exit-at", exit_at, "--db", db];
    let mut command = metashrew();
    command
        .arg("start")
        .args(flags)
        .arg("--indexer")
        .arg(guest("addresses"))
        .arg("--blocks")
        .arg(project(BLOCKS));
    succeed(&mut command);
}

fn figures(command: &mut Command) -> Value {
    serde_json::from_str(&succeed(command.arg("--json"))).unwrap()
}

fn number(figures: &Value, path: &str) -> f64 {
    let number = figures.pointer(path).and_then(Value::as_f64);
    number.unwrap_or_else(|| panic!("no number at {path} in {figures}"))
}

fn sum(object: &Value) -> f64 {
    let numbers = object.as_object().unwrap().values();
    numbers.filter_map(Value::as_f64).sum()
}

fn assert_close(left: f64, right: f64) {
    assert!(
        (left - right).abs() <= 1e-6 + right / 1e6,
        "{left} is not {right}"
    );
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}

#[test]
fn figures_add_up_and_are_those_of_the_database() {
    let directory = TempDir::new().unwrap();
    let figures = figures(&mut bench("addresses", directory.path()));
    assert!(is_empty(directory.path()));
    // What the thread did is all of its time, and the groups' processor time all there is.
    let seconds = number(&figures, "/rates/seconds");
    assert_close(sum(&figures["executing_thread"]), seconds);
    assert!(number(&figures, "/executing_thread/guest_floor_seconds") > 0.0);
    if cfg!(target_os = "linux") {
        assert_close(
            sum(&figures["cpu"]["groups"]),
            number(&figures, "/cpu/seconds"),
        );
        assert!(number(&figures, "/cpu/groups/guest") > 0.0);
        let peak = number(&figures, "/memory/peak_resident_bytes");
        assert!(peak >= number(&figures, "/memory/resident_bytes"));
    }
    assert_close(
        number(&figures, "/rates/blocks_per_second") * seconds,
        255.0,
    );
    for (path, count) in [
        ("/blocks/first", 1),
        ("/blocks/last", 255),
        ("/blocks/count", 255),
    ] {
        assert_eq!(figures.pointer(path), Some(&Value::from(count)), "{path}");
    }
    // The same keys as another database of these blocks has.
    let db = directory.path().join("db");
    let db = db.to_str().unwrap();
    index(db, "255");
    let verified = succeed(metashrew().args(["verify", "--db", db]));
    let keys = number(&figures, "/commits/keys");
    assert!(
        verified.contains(&format!(" {keys} versions")),
        "{keys}: {verified}"
    );
    // A commit is synced once.
    assert_eq!(figures["commits"]["syncs"], figures["commits"]["count"]);
    let reads = &figures["reads"];
    assert!(
        reads["absent"].as_u64() <= reads["count"].as_u64(),
        "{reads}"
    );
    assert!(number(&figures, "/source/bytes") >= number(&figures, "/blocks/bytes"));
    assert_eq!(figures["time_to_tip"], Value::Null);
}

#[test]
fn a_database_is_gone_on_from_and_left_as_it_is() {
    let directory = TempDir::new().unwrap();
    let db = directory.path().join("db");
    let db = db.to_str().unwrap();
    index(db, "200");
    let keys = || succeed(metashrew().args(["keys", "--db", db]));
    let before = keys();
    for (flags, first) in [(&[][..], 201), (&["--from", "150"][..], 150)] {
        let mut command = metashrew();
        command
            .args(["bench", "--db", db, "--indexer"])
            .arg(guest("addresses"))
            .arg("--blocks")
            .arg(project(BLOCKS))
            .args(flags);
        let figures = figures(&mut command);
        assert_eq!(figures["blocks"]["first"], first);
        assert_eq!(figures["blocks"]["last"], 255);
    }
    // Where the database has no state to begin with, it is said what would be.
    for (flags, told) in [
        (
            ["--from", "1"],
            "begins with block 1: begin with block 2 or later, or without --db",
        ),
        (
            ["--from", "0"],
            "--from 0 cannot be with --db: there is no state below block 0",
        ),
        (
            ["--from", "202"],
            "ends with block 200: the bench can begin with block 201 at most",
        ),
        (
            ["--to", "200"],
            "--to 200 is below block 201, with which the bench begins",
        ),
    ] {
        let mut command = metashrew();
        command
            .args(["bench", "--db", db, "--indexer"])
            .arg(guest("addresses"))
            .arg("--blocks")
            .arg(project(BLOCKS))
            .args(flags);
        let error = fail(&mut command, 1);
        assert!(error.contains(told), "{error}");
    }
    assert_eq!(keys(), before);
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn the_page_says_all_of_it_and_ends_with_what_to_change() {
    let directory = TempDir::new().unwrap();
    let page = succeed(bench("blocks", directory.path()).args(["--to", "100"]));
    for line in [
        "blocks 1 to 100 of ",
        "the guest's own floor",
        "waiting for commits",
        "155 blocks are left to 255",
        "what to change:\n  1. ",
        "note: it was over so soon",
    ] {
        assert!(page.contains(line), "no `{line}` in:\n{page}");
    }
    assert!(page.lines().count() <= 40, "{page}");
    assert!(is_empty(directory.path()));
}

/// A guest that counts for long, and writes one key.
fn burning() -> Vec<u8> {
    from_wat(
        r#"(module
          (import "env" "__flush" (func $flush (param i32)))
          (memory (export "memory") 1)
          (data (i32.const 0) "\06\00\00\00\0a\01k\0a\01v")
          (func (export "_start") (local $i i32)
            (loop $again
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (i32.store (i32.const 64) (local.get $i))
              (br_if $again (i32.lt_u (local.get $i) (i32.const 60000000))))
            (call $flush (i32.const 4))))"#,
    )
}

#[test]
fn a_guest_that_burns_time_is_to_be_profiled() {
    let place = Place::with(&burning(), 20);
    let args = [
        "bench",
        "--indexer",
        "guest.wasm",
        "--blocks",
        "blocks.dat",
        "--json",
    ];
    let figures: Value = serde_json::from_str(&succeed(&mut place.metashrew(&args))).unwrap();
    let thread = &figures["executing_thread"];
    let floor = number(&figures, "/executing_thread/guest_floor_seconds");
    let guest = floor + number(&figures, "/executing_thread/guest_beyond_seconds");
    // All of it is the guest's; how much of that is its floor depends on who else has the cores.
    assert!(guest > 0.8 * sum(thread), "{thread}");
    assert!(floor > 0.0, "{thread}");
    let advice = figures["advice"].as_array().unwrap();
    let guest = advice.iter().any(|advice| advice["area"] == "guest");
    let machine = advice.iter().any(|advice| advice["area"] == "machine");
    assert!(guest || machine, "{advice:?}");
    assert_eq!(figures["commits"]["keys"], 20);
}

#[test]
fn a_signal_ends_it_and_nothing_is_left() {
    let place = Place::with(&burning(), 200);
    let temporary = TempDir::new().unwrap();
    let mut command =
        place.metashrew(&["bench", "--indexer", "guest.wasm", "--blocks", "blocks.dat"]);
    let child = command
        .arg("--temp-dir")
        .arg(temporary.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let database = || std::fs::read_dir(temporary.path()).unwrap().next();
    // As soon as its database is there, and has something in it.
    while database().is_none_or(|entry| !entry.unwrap().path().join("db/engine").exists()) {
        std::thread::sleep(Duration::from_millis(5));
    }
    interrupt(&child);
    child.wait_with_output().unwrap();
    assert!(is_empty(temporary.path()));
}

fn interrupt(child: &Child) {
    let kill = format!("kill -INT {}", child.id());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn a_second_signal_ends_it_at_once_and_nothing_is_left() {
    let temporary = TempDir::new().unwrap();
    // A pipe that nobody writes to: reading the guest has no end.
    let pipe = temporary.path().join("guest.wasm");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let mut child = metashrew()
        .args(["bench", "--indexer"])
        .arg(&pipe)
        .arg("--blocks")
        .arg(project(BLOCKS))
        .arg("--temp-dir")
        .arg(temporary.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut wait_for = |text: &str| {
        let found = lines.any(|line| line.unwrap().contains(text));
        assert!(found, "{text}");
    };
    let entries = || std::fs::read_dir(temporary.path()).unwrap().count();
    while entries() < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    // Its place is there; a little later it heeds signals, which it catches before.
    interrupt(&child);
    wait_for("SIGINT: the bench ends with what it has");
    interrupt(&child);
    wait_for("SIGINT again: leaving at once");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(entries(), 1, "only the pipe is left");
}

#[test]
fn blocks_of_a_node_are_measured_and_those_left_counted() {
    let node = Bitcoind::start();
    node.mine(60);
    let temporary = TempDir::new().unwrap();
    let figures = figures(
        metashrew()
            .args(["bench", "--rpc-url", &node.rpc_url(), "--to", "40"])
            .arg("--indexer")
            .arg(guest("blocks"))
            .arg("--temp-dir")
            .arg(temporary.path()),
    );
    assert!(is_empty(temporary.path()));
    for (path, expect) in [
        ("/blocks/first", 0),
        ("/blocks/last", 40),
        ("/time_to_tip/tip", 60),
        ("/time_to_tip/blocks_left", 20),
    ] {
        assert_eq!(figures.pointer(path), Some(&Value::from(expect)), "{path}");
    }
    assert_eq!(figures["source"]["is_node"], true);
    assert!(number(&figures, "/source/fetch_seconds") > 0.0);
    assert!(number(&figures, "/time_to_tip/at_this_pace_seconds") > 0.0);
}

#[test]
fn what_cannot_be_measured_is_told_and_nothing_is_left() {
    let directory = TempDir::new().unwrap();
    let told = fail(
        bench("addresses", directory.path()).args(["--from", "9", "--to", "3"]),
        2,
    );
    assert!(told.contains("--to 3 is below --from 9"), "{told}");
    let told = fail(
        bench("addresses", directory.path()).args(["--from", "300"]),
        1,
    );
    assert!(told.contains("cannot be measured"), "{told}");
    let told = fail(metashrew().args(["bench", "--indexer", "no-such-guest"]), 2);
    assert!(told.contains("--rpc-url or --blocks"), "{told}");
    assert!(is_empty(directory.path()));
    let missing = directory.path().join("missing");
    let told = fail(&mut bench("addresses", &missing), 1);
    assert!(told.contains("--temp-dir"), "{told}");
}
