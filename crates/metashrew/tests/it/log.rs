//! What is logged: the guest, where indexing stands, what fails; and how it looks.

use std::io::{Read, Write};
use std::net::TcpListener;

use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::guests;
use serde_json::{Value, json};

use crate::followed::Desk;
use crate::harness::{Place, Running, fail, get};

/// Text that would clear a screen, set its title, forge a line and turn words round.
const HARMFUL: &str = "\x1b[2J\x1b]0;t\x07\nWARN forged\r\u{9b}31m\u{202e}";

/// How it is shown in a line.
const HARMLESS: &str = r"\u{1b}[2J\u{1b}]0;t\u{7}\nWARN forged\r\u{9b}31m\u{202e}";

/// Nothing but characters that a terminal shows, and line ends.
fn assert_harmless(text: &str) {
    let harmful = |c: char| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!text.contains(harmful), "{text:?}");
}

fn stderr_of(place: &Place, flags: &[&str]) -> String {
    let output = place.start(flags).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    stderr
}

#[test]
fn it_says_which_guest_and_where_indexing_begins() {
    let place = Place::new(3);
    let first = stderr_of(&place, &["--exit-at", "2"]);
    let guest = first
        .lines()
        .find(|line| line.contains("the guest is compiled"))
        .unwrap();
    assert!(guest.contains("file=guest.wasm sha256="), "{guest}");
    assert!(
        first.contains("the database is empty: indexing begins"),
        "{first}"
    );
    let second = stderr_of(&place, &["--exit-at", "3"]);
    let hash = place.chain.at(2).unwrap().hash;
    assert!(
        second.contains(&format!("resuming after block 2 height=2 hash={hash}")),
        "{second}"
    );
}

#[test]
fn it_says_once_that_the_node_is_caught_up_with_and_again_after_being_behind() {
    let node = Bitcoind::start();
    node.mine(12);
    let desk = Desk::with(&guests::chained());
    let flags = ["--poll-interval-ms", "20"];
    let mut running = Running::spawn(&mut desk.follow("db", &node.rpc_url(), &flags));
    running.wait_for("caught up with the node height=12");
    // One block more is no falling behind.
    node.mine(1);
    running.wait_for_height(13);
    running.signal("STOP");
    node.mine(10);
    running.signal("CONT");
    running.wait_for("caught up with the node height=23");
    running.signal("TERM");
    let (_, stderr) = running.wait();
    assert_eq!(
        stderr.matches("caught up with the node").count(),
        2,
        "{stderr}"
    );
}

#[test]
fn it_says_which_views_fail_and_ever_more_rarely() {
    let place = Place::new(3);
    let mut running = Running::spawn(&mut place.start(&[]));
    running.wait_for("all blocks are indexed");
    for _ in 0..9 {
        running.call("metashrew_view", &json!(["trap", "0x", 2]));
    }
    running.call("metashrew_view", &json!(["abort_view"]));
    // What only the caller did wrong is no failure of a view.
    running.call("metashrew_view", &json!(["no_such_view"]));
    running.call("metashrew_view", &json!(["echo", "0x", 77]));
    running.signal("TERM");
    let (_, stderr) = running.wait();
    let failing: Vec<_> = stderr
        .lines()
        .filter(|line| line.contains("a view fails:"))
        .collect();
    assert_eq!(failing.len(), 5, "{stderr}");
    for (line, failures) in failing.iter().zip([1, 2, 4, 8]) {
        assert!(line.contains("a view fails: the guest trapped: "), "{line}");
        assert!(
            line.contains(&format!("view=\"trap\" block=\"2\" failures={failures}")),
            "{line}"
        );
    }
    let aborted = failing[4];
    assert!(
        aborted.contains(r"out of tea (tea.ts:7:3)\n  0: "),
        "{aborted}"
    );
    assert!(
        aborted.contains("view=\"abort_view\" block=\"latest\" failures=1"),
        "{aborted}"
    );
}

#[test]
fn what_a_guest_logs_is_marked_and_has_a_level_of_its_own() {
    let place = Place::with(&guests::logs(HARMFUL), 1);
    let shown = |flags: &[&str]| {
        let stderr = stderr_of(&place, &[&["--exit-at", "1"], flags].concat());
        std::fs::remove_dir_all(place.path("db")).unwrap();
        assert_harmless(&stderr);
        let line = stderr
            .lines()
            .find(|line| line.contains(" guest: "))
            .map(str::to_owned);
        (stderr.lines().count(), line)
    };
    for flags in [
        &[][..],
        &["--log", "trace"],
        &["-vv"],
        &["--guest-log", "off"],
        &["--guest-log", "warn"],
        &["--log", "metashrew::guest=info", "--guest-log", "error"],
    ] {
        assert_eq!(shown(flags).1, None, "{flags:?}");
    }
    for flags in [
        &["--guest-log", "info"][..],
        &["--guest-log", "trace", "--log", "off"],
        &["--guest-log", "debug", "-qqq"],
        &["--log", "metashrew::guest=info"],
    ] {
        let line = shown(flags).1.unwrap();
        assert!(
            line.contains(&format!(" INFO guest: {HARMLESS} height=1")),
            "{line}"
        );
    }
    assert_eq!(
        shown(&["--guest-log", "info", "--log", "off"]).0,
        1,
        "it forges no line"
    );
}

#[test]
fn verbose_and_quiet_go_both_ways() {
    let place = Place::new(1);
    let levels = |flags: &[&str]| {
        let stderr = stderr_of(&place, &[&["--exit-at", "1"], flags].concat());
        std::fs::remove_dir_all(place.path("db")).unwrap();
        // Lines of libraries stay away.
        assert!(!stderr.contains("lsm_tree"), "{stderr}");
        ["INFO", "DEBUG", "TRACE"].map(|level| stderr.contains(&format!(" {level} ")))
    };
    assert_eq!(levels(&[]), [true, false, false]);
    assert!(levels(&["-v"])[1]);
    assert!(levels(&["-vv"])[1]);
    assert!(levels(&["--log", "trace"])[1]);
    assert_eq!(levels(&["-q"]), [false; 3]);
    assert_eq!(levels(&["-qqq"]), [false; 3]);
    assert_eq!(levels(&["-q", "-v"]), [true, false, false]);
    let engine = stderr_of(&place, &["--exit-at", "1", "--log", "off,lsm_tree=trace"]);
    assert!(engine.contains(" lsm_tree::"), "{engine}");
}

#[test]
fn lines_can_be_json() {
    let place = Place::with(&guests::logs(HARMFUL), 1);
    let flags = [
        "--exit-at",
        "1",
        "--log-format",
        "json",
        "--guest-log",
        "info",
    ];
    let stderr = stderr_of(&place, &flags);
    assert_harmless(&stderr);
    let lines: Vec<Value> = stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let find = |message: &str| {
        lines
            .iter()
            .find(|line| line["message"] == message)
            .unwrap()
    };
    let guest = find(HARMFUL);
    assert_eq!(guest["target"], "metashrew::guest");
    assert_eq!(guest["level"], "info");
    assert_eq!(guest["fields"], json!({ "height": 1 }));
    assert!(guest["time"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        find("the guest is compiled")["fields"]["file"],
        "guest.wasm"
    );
}

#[test]
fn an_abort_is_shown_harmlessly_everywhere() {
    let place = Place::with(&guests::aborts_saying(HARMFUL), 2);
    let stderr = fail(&mut place.start(&["--exit-at", "1"]), 1);
    assert_harmless(&stderr);
    // Lines after the first are set in: none can be taken for ours.
    assert!(
        stderr.contains(r"the guest aborted: \u{1b}[2J\u{1b}]0;t\u{7}"),
        "{stderr}"
    );
    assert!(stderr.contains("\n    WARN forged"), "{stderr}");
    assert!(stderr.contains("\n  0: "), "{stderr}");
}

#[test]
fn what_a_server_says_is_shown_harmlessly() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = server.local_addr().unwrap().to_string();
    let answering = std::thread::spawn(move || {
        let error = json!({ "code": 1, "message": HARMFUL, "data": { "backtrace": [HARMFUL] } });
        let body = json!({
            "id": 1, "error": error, "ready": false, "reason": HARMFUL,
            "result": { "indexing": { "state": HARMFUL, "error": "e".repeat(100_000) } },
        });
        for is_error in [true, false, false] {
            let mut body = body.clone();
            let without = if is_error { "result" } else { "error" };
            body.as_object_mut().unwrap().remove(without);
            let body = body.to_string();
            let (mut stream, _) = server.accept().unwrap();
            // The whole request is read before the answer is sent.
            let mut request = Vec::new();
            while !is_whole(&request) {
                let mut some = [0; 4096];
                let length = stream.read(&mut some).unwrap();
                request.extend_from_slice(&some[..length]);
            }
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
            .unwrap();
        }
    });
    let place = Place::new(1);
    let stderr = fail(&mut place.metashrew(&["view", "v", "--url", &url]), 1);
    assert_harmless(&stderr);
    assert!(stderr.contains(r"caused by: \u{1b}[2J"), "{stderr}");
    let output = place
        .metashrew(&["status", "--url", &url])
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_harmless(&stdout);
    assert!(
        stdout.starts_with(&format!("state: {HARMLESS}\n")),
        "{stdout}"
    );
    assert!(stdout.len() < 20_000, "a text without end is cut");
    answering.join().unwrap();
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.trim().parse().unwrap())
}

#[test]
fn what_a_node_says_is_shown_harmlessly() {
    let node = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", node.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in node.incoming() {
            let Ok(mut stream) = stream else { return };
            let error = json!({ "code": -1, "message": HARMFUL });
            let body = json!({ "id": 0, "result": null, "error": error }).to_string();
            let mut request = Vec::new();
            while !is_whole(&request) {
                let mut some = [0; 4096];
                let Ok(length @ 1..) = stream.read(&mut some) else {
                    return;
                };
                request.extend_from_slice(&some[..length]);
            }
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 500 Error\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
        }
    });
    let desk = Desk::with(&guests::chained());
    let mut running = Running::spawn(&mut desk.follow("db", &url, &[]));
    let line = running.wait_for("WARN forged");
    assert_harmless(&line);
    assert!(line.contains(HARMLESS), "{line}");
    // What is served is JSON, and what the command makes of it harmless.
    let (_, ready) = get(running.address, "/ready");
    assert!(serde_json::from_str::<Value>(&ready).is_ok(), "{ready}");
    running.signal("TERM");
}

#[test]
fn parts_of_the_variable_that_cannot_be_read_are_left_out() {
    let place = Place::new(1);
    let flags = ["--exit-at", "1"];
    let mut start = place.start(&flags);
    let output = start
        .env("RUST_LOG", "warn,other[{a=b}]=trace")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.contains("parts of RUST_LOG cannot be read") && stderr.contains("other[{a=b}]"),
        "{stderr}"
    );
    let stderr = fail(&mut place.start(&["--log", "warn,other[{a=b}]=trace"]), 2);
    assert!(stderr.contains("is not a log filter"), "{stderr}");
}
