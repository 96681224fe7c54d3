//! `metashrew dev`: edits, and what is served after each.

mod cargo;
mod checkpoint;
mod process;
mod project;
mod regtest;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use self::process::Dev;
use self::project::{ABORTS, BLOCKS, LOOPS, TRAPS, edit, guest, indexed, project};
use crate::harness::{Place, fail};

#[test]
fn ten_edits() {
    let good = guest(1, "", None);
    let place = project(&good);
    let whole = |wasm: &[u8]| indexed(&place, &[(wasm, BLOCKS)]);
    // Each guest is compiled, so that the threads for that are there from the first one on.
    let mut command = place.metashrew(&["dev"]);
    let mut dev = Dev::of(command.env("XDG_CACHE_HOME", place.path("cache")));
    let lines = dev.wait_for_guest();
    assert!(lines.contains("log of block 8: counted"), "{lines}");
    assert_eq!(dev.served(), whole(&good));
    dev.wait_for("echo at block 8");
    let before = dev.resources();

    // Another step: views show what has changed.
    let other = guest(3, "", None);
    edit(&place, &other);
    dev.wait_for_guest();
    assert_eq!(dev.served(), whole(&other));
    let lines = dev.wait_for("+ 0x18000000");
    assert!(
        lines.contains("- 0x08000000") && !lines.contains("echo"),
        "{lines}"
    );

    // A trap, at a block whose log is shown; the old guest goes on.
    edit(&place, &guest(4, TRAPS, None));
    let lines = dev.wait_for("failed at block 5 (");
    assert_eq!(lines.matches("counted").count(), 1, "{lines}");
    assert!(lines.contains("log of block 5: counted"), "{lines}");
    assert!(lines.contains("the guest trapped: "), "{lines}");
    assert_eq!(dev.served(), whole(&other));

    // An abort tells file and line.
    edit(&place, &guest(4, ABORTS, None));
    dev.wait_for("the guest aborted: no ta (a.rs:7:3)");
    assert_eq!(dev.served(), whole(&other));

    // A build that fails.
    fs::write(place.path("src/broken"), "").unwrap();
    dev.wait_for("| src/broken:1: no such thing");
    dev.wait_for("no new guest: ");
    assert_eq!(dev.served(), whole(&other));
    fs::remove_file(place.path("src/broken")).unwrap();
    dev.wait_for("the guest aborted: ");

    // A loop.
    edit(&place, &guest(5, LOOPS, None));
    dev.wait_for("failed at block 5 (");
    assert!(
        dev.seen.contains("has not ended within 1000 ms"),
        "{}",
        dev.seen
    );
    assert_eq!(dev.served(), whole(&other));

    // No module at all.
    edit(&place, b"no module");
    dev.wait_for("no new guest: ");

    // The guest that is served, once more.
    edit(&place, &other);
    dev.wait_for("nothing to do");

    // Another form of the state.
    let form = guest(6, "", Some("sums"));
    edit(&place, &form);
    let lines = dev.wait_for_guest();
    assert!(
        lines.contains("the form of the state has changed"),
        "{lines}"
    );
    assert_eq!(dev.served(), whole(&form));

    // And back.
    edit(&place, &good);
    dev.wait_for_guest();
    assert_eq!(dev.served(), whole(&good));
    dev.wait_for("sum at block 8, changed");

    let builds = fs::read_dir(place.path(".metashrew/builds")).unwrap();
    assert_eq!(builds.count(), 1, "a database for the guest that is served");
    dev.wait_for_resources(before);
    let address = dev.address.unwrap();
    assert_eq!(dev.interrupt(), Some(0));
    assert!(!place.path(".metashrew/builds").exists());
    TcpListener::bind(address).unwrap();
}

/// Neither a block that never ends, nor a build that takes an hour, holds up the next edit.
#[test]
fn an_edit_cancels_what_is_under_way() {
    let place = project(&guest(1, LOOPS, None));
    let mut dev = Dev::start(&place, &["--block-timeout-ms", "3600000"]);
    dev.wait_for("indexing with guest");
    let good = guest(2, "", None);
    edit(&place, &good);
    dev.wait_for_guest();
    assert_eq!(dev.served(), indexed(&place, &[(&good, BLOCKS)]));
    drop(dev);

    let sleeps = "echo $$ > pid; sleep 3600";
    let build = format!("if test -e src/slow; then {sleeps}; fi; cp src/guest.wasm out.wasm");
    fs::write(place.path("src/slow"), "").unwrap();
    let mut dev = Dev::start(&place, &["--build-command", &build]);
    dev.wait_for("building: ");
    while fs::read_to_string(place.path("pid")).is_ok_and(|pid| pid.is_empty())
        || !place.path("pid").exists()
    {
        std::thread::yield_now();
    }
    fs::remove_file(place.path("src/slow")).unwrap();
    dev.wait_for_guest();
    let pid = fs::read_to_string(place.path("pid")).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists());
}

/// However the process ends: a terminal that is closed, or a kill.
#[test]
fn nothing_of_a_build_is_left_with_the_process() {
    for signal in ["HUP", "KILL"] {
        if signal == "HUP" && hangups_are_ignored() {
            continue;
        }
        let place = project(&guest(1, "", None));
        let build = "sleep 3600 & echo $! > pid.new; mv pid.new pid; trap '' TERM; wait";
        let mut dev = Dev::start(&place, &["--build-command", build]);
        dev.wait_for("building: ");
        while !place.path("pid").exists() {
            std::thread::yield_now();
        }
        dev.signal(signal);
        dev.child.wait().unwrap();
        let pid = fs::read_to_string(place.path("pid")).unwrap();
        let lives = || {
            let state = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
            // One that nobody has waited for yet is a zombie.
            state.is_ok_and(|state| !state.contains(") Z "))
        };
        while lives() {
            std::thread::yield_now();
        }
    }
}

/// Whether this process, and so what it starts, ignores `SIGHUP`: as under `nohup`.
fn hangups_are_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    u64::from_str_radix(ignored.unwrap().trim(), 16).unwrap() & 1 == 1
}

#[test]
fn a_module_that_is_no_file_is_refused() {
    let place = project(&[]);
    let pipe = place.path("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    for module in ["/dev/zero", pipe.to_str().unwrap()] {
        let flags = ["--build-command", "true", "--module", module];
        let mut dev = Dev::start(&place, &flags);
        dev.wait_for(&format!("no new guest: `{module}` is no file"));
    }
}

#[test]
fn other_blocks_are_indexed_too() {
    let wasm = guest(1, "", None);
    let mut place = project(&wasm);
    let mut dev = Dev::start(&place, &[]);
    dev.wait_for("sum at block 8");
    place.chain.mine(2);
    place.write_blocks();
    dev.wait_for("sum at block 10, changed");
    dev.wait_for("+ 0x0a000000");
    dev.type_line("q");
    assert_eq!(dev.child.wait().unwrap().code(), Some(0));
}

#[test]
fn programs_read_it_as_json() {
    let place = project(&guest(1, "", None));
    let mut dev = Dev::start(&place, &["--json"]);
    dev.wait_for(r#""event":"serving""#);
    dev.wait_for(r#""view":"echo""#);
    let events: Vec<Value> = dev
        .seen
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let answer = events.last().unwrap();
    assert_eq!(answer["event"], "answer");
    let echoed: Value = serde_json::from_str(answer["answer"].as_str().unwrap()).unwrap();
    assert_eq!(echoed, json!({ "a": [1] }));
}

#[test]
fn mistakes_in_the_project_are_named() {
    let place = Place::new(1);
    let check = |lines: &str, code, expect: &str| {
        fs::write(place.path("metashrew.toml"), lines).unwrap();
        let error = fail(&mut place.metashrew(&["dev"]), code);
        assert!(error.contains(expect), "{error}");
    };
    check(
        "[build]\nmodul = \"m\"\n",
        2,
        "line 2 of `metashrew.toml`: there is no setting `build.modul`",
    );
    check(
        "[build]\nmodule = \"m\"\n",
        2,
        "either --blocks or --regtest is needed",
    );
    check(
        "",
        2,
        "there is no `metashrew.toml` here that names the guest",
    );
    let both = "[build]\nmodule = \"m\"\n[dev]\nblocks = \"b\"\nregtest = true\n";
    check(both, 2, "--blocks and --regtest cannot both be given");
}

#[test]
fn one_process_works_on_a_project() {
    let place = project(&guest(1, "", None));
    let mut dev = Dev::start(&place, &[]);
    dev.wait_for("watching src");
    let error = fail(&mut place.metashrew(&["dev"]), 1);
    assert!(
        error.contains("another `metashrew dev` runs in this directory"),
        "{error}"
    );
}
