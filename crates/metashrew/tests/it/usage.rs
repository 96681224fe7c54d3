//! Mistakes in a command line: exit code 2, and words that say flag, value and remedy.

use std::collections::BTreeSet;
use std::process::Command;

use crate::harness::{Place, Running, fail, metashrew, succeed};

/// `metashrew start` with what it needs, in a place of its own.
const START: [&str; 7] = ["start", "--indexer", "g", "--blocks", "b", "--db", "d"];

/// Flags of `start` with a value that each would not take, and what is said.
const BAD_VALUES: [(&str, &str, &str); 24] = [
    (
        "--listen",
        "8081",
        "expected HOST:PORT, such as 127.0.0.1:8081",
    ),
    ("--listen", "nonsense", "expected HOST:PORT"),
    ("--listen", "http://127.0.0.1:8080", "expected HOST:PORT"),
    ("--listen", "127.0.0.1:99999", "expected a port"),
    ("--host", "127.0.0.1:1", "expected a host's name or address"),
    ("--port", "99999", "99999 is not in 0..=65535"),
    (
        "--log",
        "verbose",
        "expected a level (off, error, warn, info, debug, trace)",
    ),
    ("--log", "hyper=loud", "`hyper=loud` is not a log filter"),
    (
        "--guest-log",
        "loud",
        "possible values: off, error, warn, info, debug, trace",
    ),
    ("--log-format", "xml", "possible values: text, json"),
    ("--color", "blue", "possible values: auto, always, never"),
    (
        "--zmq",
        "127.0.0.1:28332",
        "did you mean `tcp://127.0.0.1:28332`?",
    ),
    ("--rpc-url", "ftp://u:secret@h", "cannot be used"),
    (
        "--auth",
        "secret",
        "expected a user and a password with a colon",
    ),
    ("--network", "mainet", "`mainet` is no network"),
    ("--magic", "fabf", "expected 8 hex digits"),
    ("--cors", "nonsense", "`nonsense` is not an origin"),
    ("--exit-at", "-1", "-1 is not in 0..=4294967295"),
    ("--view-memory-budget", "1GB", "expected bytes"),
    ("--cache", "1MiB", "expected 16MiB or more"),
    ("--durability", "none", "possible values: synced, buffered"),
    ("--workers", "0", "number would be zero"),
    ("--view-timeout-ms", "0", "0 is not in 1.."),
    ("--view-scope", "share", "a similar value exists: 'shared'"),
];

#[test]
fn a_bad_value_names_flag_and_remedy_and_makes_nothing() {
    let place = Place::new(1);
    for (flag, value, expect) in BAD_VALUES {
        let given = format!("{flag}={value}");
        let stderr = fail(place.metashrew(&START).arg(&given), 2);
        assert!(stderr.contains(&format!("'{flag} <")), "{given}: {stderr}");
        assert!(stderr.contains(expect), "{given}: {stderr}");
        assert!(
            stderr.contains("Usage: metashrew start [OPTIONS]"),
            "{given}: {stderr}"
        );
        assert!(!stderr.contains("secret"), "{given}: {stderr}");
        // The configuration file has the same checks.
        let key = flag.trim_start_matches("--");
        let key = key
            .strip_prefix("view-")
            .map_or(key.to_owned(), |key| format!("views.{key}"));
        std::fs::write(place.path("c.toml"), format!("{key} = \"{value}\"\n")).unwrap();
        let stderr = fail(&mut place.metashrew(&["start", "--config", "c.toml"]), 2);
        let begins = format!("error: line 1 of `c.toml`: `{key}`: ");
        assert!(stderr.starts_with(&begins), "{given}: {stderr}");
        assert!(!stderr.contains("secret"), "{given}: {stderr}");
        assert!(!place.path("d").exists(), "{given}");
    }
}

#[test]
fn what_was_meant_is_suggested() {
    let check = |args: &[&str], expect: &[&str]| {
        let stderr = fail(metashrew().args(args), 2);
        for expect in expect {
            assert!(stderr.contains(expect), "{args:?}: {stderr}");
        }
    };
    check(
        &["strat"],
        &["'start'", "Usage: metashrew [OPTIONS] <COMMAND>"],
    );
    let usage = "Usage: metashrew start [OPTIONS]";
    check(
        &["start", "--blocksdir", "x"],
        &["'--blocks-dir'", "Usage: metashrew start"],
    );
    check(
        &["view", "v", "--ulr", "x"],
        &[
            "a similar argument exists: '--url'",
            "Usage: metashrew view",
        ],
    );
    check(&["start"], &["--indexer <FILE>", "Usage: metashrew start"]);
    check(
        &["start", "--log", "wran"],
        &["did you mean `warn`?", usage],
    );
    check(
        &["start", "--indexer", "g", "--db", "d"],
        &["either --rpc-url or --blocks", usage],
    );
    check(
        &["view", "v"],
        &[
            "either --url, or --db and --indexer",
            "Usage: metashrew view",
        ],
    );
    check(
        &["view", "v", "0x123", "--url", "h"],
        &["'0x123'", "'[INPUT]'", "is hex"],
    );
    check(&["view", "v", "--url", "h", "--as", "utf-8"], &["'utf8'"]);
    check(
        &["keys", "--db", "d", "--prefix", "0Xf"],
        &["'--prefix <HEX>'", "expected hex"],
    );
    check(
        &[&START[..], &["--rest"]].concat(),
        &["--rest needs --rpc-url", usage],
    );
    let zmq = [&START[..], &["--zmq", "tcp://h:1"]].concat();
    check(&zmq, &["--zmq needs --rpc-url", usage]);
    check(
        &[&START[..], &["--log", "info", "-v"]].concat(),
        &["a level in --log, and --verbose or --quiet, cannot both be given"],
    );
}

#[test]
fn what_was_meant_in_a_configuration_file_is_suggested() {
    let place = Place::new(1);
    for (line, expect) in [
        (
            "blocksdir = \"x\"",
            "no setting `blocksdir`\n\nhint: did you mean `blocks-dir`?",
        ),
        (
            "[views]\nqueues = 1",
            "no setting `views.queues`\n\nhint: did you mean `queue` in the table `views`?",
        ),
        ("log = \"wran\"", "did you mean `warn`?"),
        ("[views]\nscope = \"share\"", "did you mean `shared`?"),
    ] {
        std::fs::write(place.path("c.toml"), line).unwrap();
        let stderr = fail(&mut place.metashrew(&["start", "--config", "c.toml"]), 2);
        assert!(stderr.contains(expect), "{stderr}");
    }
}

/// Every variable that a command's help names.
fn variables(command: &str) -> BTreeSet<String> {
    let help = succeed(metashrew().args([command, "--help"]));
    let variables = help.split("[env: ").skip(1);
    variables
        .map(|rest| rest.split(['=', ']']).next().unwrap().to_owned())
        .collect()
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let place = Place::new(3);
    let empty = |command: &mut Command, name: &str| {
        for variable in variables(name) {
            command.env(variable, "");
        }
    };
    assert!(variables("start").len() > 30);
    let mut start = place.start(&["--exit-at", "3"]);
    empty(&mut start, "start");
    succeed(&mut start);
    let mut view = place.metashrew(&[
        "view",
        "echo",
        "text",
        "--db",
        "db",
        "--indexer",
        "guest.wasm",
    ]);
    empty(&mut view, "view");
    assert_eq!(succeed(&mut view), "text\n");
    for name in ["keys", "verify"] {
        let mut command = place.metashrew(&[name, "--db", "db"]);
        empty(&mut command, name);
        succeed(&mut command);
    }
    let mut running = Running::spawn(&mut place.start(&[]));
    running.wait_for("all blocks are indexed");
    let url = running.address.to_string();
    let mut status = place.metashrew(&["status", "--url", &url]);
    empty(&mut status, "status");
    succeed(&mut status);
    // Each alone, too: one that is needed is then missing, and not empty.
    let stderr = fail(place.metashrew(&["keys"]).env("METASHREW_DB", ""), 2);
    assert!(stderr.contains("were not provided"), "{stderr}");
}

#[test]
fn a_switch_in_a_variable_is_yes_or_no() {
    let place = Place::new(1);
    let stderr = fail(
        place
            .start(&["--exit-at", "1"])
            .env("METASHREW_ACCEPT_LESS_WORK", "maybe"),
        2,
    );
    assert!(stderr.contains("'maybe'"), "{stderr}");
    for word in ["yes", "off", "1"] {
        let mut start = place.start(&["--exit-at", "1"]);
        succeed(start.env("METASHREW_ACCEPT_LESS_WORK", word));
    }
}

#[test]
fn colours_are_a_choice() {
    let place = Place::new(1);
    let has_colours = |flags: &[&str], no_color: &str| {
        let mut start = place.start(&["--exit-at", "1"]);
        let output = start
            .args(flags)
            .env("NO_COLOR", no_color)
            .output()
            .unwrap();
        assert!(output.status.success());
        output.stderr.contains(&0x1b)
    };
    assert!(!has_colours(&[], ""));
    assert!(has_colours(&["--color", "always"], ""));
    assert!(!has_colours(&["--color", "never"], ""));
    assert!(!has_colours(&["--color", "auto"], "1"));
    let coloured = |args: &[&str], code| fail(&mut place.metashrew(args), code).contains('\x1b');
    assert!(coloured(&["--color", "always", "keys", "--db", "none"], 1));
    assert!(coloured(&["--color", "always", "keys"], 2));
    assert!(!coloured(&["keys"], 2));
}

#[test]
fn a_file_that_never_ends_is_read_no_further_than_one_of_its_kind_may_be() {
    let place = Place::new(1);
    for (args, code) in [
        (&["start", "--config", "/dev/zero"][..], 2),
        (&["tail", "heads", "--cursor-file", "/dev/zero"], 1),
        (&["inspect", "/dev/zero"], 1),
    ] {
        let stderr = fail(&mut place.metashrew(args), code);
        assert!(stderr.contains("that it may have"), "{args:?}: {stderr}");
    }
    let flags = [
        "--indexer",
        "guest.wasm",
        "--db",
        "db",
        "--rpc-ca",
        "/dev/zero",
    ];
    let mut start = place.metashrew(&["start", "--rpc-url", "https://127.0.0.1:1"]);
    let stderr = fail(start.args(flags), 1);
    assert!(stderr.contains("holds no certificate"), "{stderr}");
}
