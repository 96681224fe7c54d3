//! `metashrew tail`, against a server that breaks off wherever it can.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{fail, metashrew, succeed};

/// A server of events that does, for each connection, what it is told: it gives the request's path, and gets all that it
/// answers with before it closes.
struct Double {
    address: String,
    asked: Receiver<(String, Sender<Vec<u8>>)>,
}

impl Double {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (ask, asked) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let (answer, answers) = channel();
                let path = path_of(&stream);
                if ask.send((path, answer)).is_err() {
                    return;
                }
                // Each is written at once; the client may be gone.
                for bytes in answers {
                    let _: Vec<u8> = bytes;
                    if (&stream).write_all(&bytes).is_err() {
                        break;
                    }
                }
            }
        });
        Self { address, asked }
    }

    /// Answers each connection: `answer` gets the path.
    fn answer(self, mut answer: impl FnMut(&str) -> Vec<u8> + Send + 'static) -> String {
        let Self { address, asked } = self;
        std::thread::spawn(move || {
            for (path, answers) in asked {
                let _ = answers.send(answer(&path));
            }
        });
        address
    }
}

fn path_of(stream: &TcpStream) -> String {
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let request = lines.next().unwrap_or_default();
    lines.find(String::is_empty);
    request.split(' ').nth(1).unwrap_or_default().to_owned()
}

const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

fn block(height: u32) -> Value {
    json!({ "type": "block", "cursor": format!("{height}:0x{height:064x}"), "height": height, "hash": format!("0x{height:064x}") })
}

/// A chain of events: blocks, one in parts, a reorg of two blocks.
fn events() -> Vec<Value> {
    let writes = json!([{ "key": "0x01", "value": "0x02" }, { "key": "0x03", "value": "0x" }]);
    let mut long = block(3);
    long["writes"] = writes;
    let mut undo = block(2);
    undo["type"] = json!("undo");
    // Otherwise it would be that of the block before, from which the double goes on otherwise.
    undo["cursor"] = json!(format!("2:0x{:064x}", 22));
    undo["undone"] = json!([{ "height": 4 }, { "height": 3 }]);
    let mut again = block(3);
    again["cursor"] = json!(format!("3:0x{:064x}", 33));
    vec![block(1), block(2), long, block(4), undo, again, block(5)]
}

/// An event as it is sent: one with a list in a part for each entry, and a last one for none.
fn sent(event: &Value) -> String {
    let message = |event: &Value| {
        let id = event["cursor"]
            .as_str()
            .map_or(String::new(), |cursor| format!("id: {cursor}\n"));
        format!(
            ": heartbeat\n\n{id}event: {}\ndata: {event}\n\n",
            event["type"].as_str().unwrap()
        )
    };
    let lists = ["undone", "writes"].into_iter();
    let mut lists = lists.filter_map(|name| Some((name, event[name].as_array()?)));
    let Some((name, entries)) = lists.next() else {
        return message(event);
    };
    let mut text = String::new();
    for (part, entry) in entries.iter().enumerate() {
        let mut piece = event.clone();
        piece.as_object_mut().unwrap().remove("cursor");
        piece[name] = json!([entry]);
        piece["part"] = json!(part);
        text.push_str(&message(&piece));
    }
    let mut last = event.clone();
    last[name] = json!([]);
    last["part"] = json!(entries.len());
    last["last"] = json!(true);
    text + &message(&last)
}

/// All that comes after a cursor.
fn after(path: &str) -> String {
    let events = events();
    let cursor = path
        .split_once("cursor=")
        .map(|(_, cursor)| cursor.replace("%3A", ":"));
    let from = cursor.map_or(0, |cursor| {
        events
            .iter()
            .position(|event| event["cursor"] == *cursor)
            .unwrap()
            + 1
    });
    events[from..].iter().map(sent).collect()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Each goes on after the last whole event. (That a stream which breaks off at any byte gives whole events alone is tested
/// beside the code.)
#[test]
fn connections_cut_anywhere_lose_nothing_and_repeat_nothing() {
    let whole = format!("{HEAD}{}", after(""));
    for cut in (0..whole.len()).step_by(101).chain([whole.len()]) {
        let mut connections = 0;
        let address = Double::start().answer(move |path| {
            connections += 1;
            let answer = format!("{HEAD}{}", after(path));
            let cut = if connections == 1 {
                cut.min(answer.len())
            } else {
                answer.len()
            };
            answer.into_bytes()[..cut].to_vec()
        });
        let out = succeed(metashrew().args([
            "tail", "heads", "--url", &address, "--from", "first", "--until", "5", "-q",
        ]));
        assert_eq!(lines(&out), events(), "cut at {cut}");
    }
}

#[test]
fn each_flag_is_asked_for() {
    let check = |args: &[&str], expect: &str| {
        let double = Double::start();
        let mut child = metashrew()
            .args(["tail"])
            .args(args)
            .args(["--url", &double.address])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        assert_eq!(double.asked.recv().unwrap().0, expect);
        child.kill().unwrap();
        child.wait().unwrap();
    };
    check(&["heads"], "/subscribe/heads?");
    check(&["heads", "--from", "first"], "/subscribe/heads?from=first");
    check(
        &["heads", "--cursor", "7:0xab"],
        "/subscribe/heads?cursor=7%3A0xab",
    );
    check(
        &["writes", "--prefix", "00FF"],
        "/subscribe/writes?prefix=0x00ff",
    );
    check(
        &["writes", "--storage", "a b"],
        "/subscribe/writes?storage=a%20b",
    );
    check(
        &["view", "a/b", "hi", "--as", "json"],
        "/subscribe/view/a%2Fb?input=0x6869&as=json",
    );
    check(&["pending"], "/subscribe/pending?");
}

#[test]
fn a_cursor_file_is_gone_on_from_and_kept() {
    let place = TempDir::new().unwrap();
    let file = place.path().join("cursor");
    let file = file.to_str().unwrap();
    let address = Double::start().answer(|path| format!("{HEAD}{}", after(path)).into_bytes());
    let mut printed = Vec::new();
    for until in ["1", "4", "5"] {
        let args = [
            "tail",
            "heads",
            "--url",
            &address,
            "--from",
            "first",
            "--until",
            until,
            "--cursor-file",
            file,
            "-q",
        ];
        printed.extend(lines(&succeed(metashrew().args(args))));
        let kept = std::fs::read_to_string(file).unwrap();
        assert_eq!(
            kept.trim_end(),
            printed.last().unwrap()["cursor"].as_str().unwrap()
        );
    }
    assert_eq!(printed, events());
}

/// Killed at any moment, it may repeat what it printed last, and loses nothing.
#[test]
fn who_is_killed_loses_nothing() {
    let place = TempDir::new().unwrap();
    let file = place.path().join("cursor");
    let args = [
        "tail",
        "heads",
        "--from",
        "first",
        "-q",
        "--cursor-file",
        file.to_str().unwrap(),
    ];
    let mut printed: Vec<Value> = Vec::new();
    for kill in 1..=events().len() {
        let double = Double::start();
        let mut child = metashrew()
            .args(args)
            .args(["--url", &double.address])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (path, answers) = double.asked.recv().unwrap();
        answers
            .send(format!("{HEAD}{}", after(&path)).into_bytes())
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = vec![out.next().unwrap().unwrap()];
        if kill % 2 == 0 {
            // What it has printed beyond.
            lines.extend(out.next().map(Result::unwrap));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        lines.extend(out.map_while(Result::ok));
        for line in lines {
            let event: Value = serde_json::from_str(&line).unwrap();
            match printed.iter().position(|printed| *printed == event) {
                Some(at) => printed.truncate(at + 1),
                None => printed.push(event),
            }
        }
        assert_eq!(printed, events()[..printed.len()]);
        if printed.len() == events().len() {
            return;
        }
    }
}

fn refusal(status: &str, code: i32, kind: &str) -> Vec<u8> {
    let body = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": code, "message": format!("no: {kind}"), "data": { "kind": kind } } }).to_string();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

#[test]
fn what_is_refused_for_good_ends_it() {
    for (status, kind) in [
        ("410 Gone", "cursor_too_old"),
        ("404 Not Found", "no_such_view"),
        ("400 Bad Request", "invalid_params"),
    ] {
        let address = Double::start().answer(move |_| refusal(status, -32016, kind));
        let stderr = fail(
            metashrew().args(["tail", "heads", "--cursor", "1:0xaa", "--url", &address]),
            1,
        );
        assert!(
            stderr.contains(&format!("caused by: no: {kind}")),
            "{stderr}"
        );
    }
}

#[test]
fn what_may_come_is_tried_again() {
    let mut refusals = vec![
        refusal("503 Service Unavailable", -32006, "no_room"),
        refusal("409 Conflict", -32016, "cursor_ahead"),
        b"HTTP/1.1 200 OK\r\n\r\ndata: {\"type\":\"end\",\"reason\":\"shutdown\"}\n\n".to_vec(),
        b"HTTP/1.1 200 OK\r\n\r\ndata: no JSON\n\n".to_vec(),
    ];
    let address = Double::start().answer(move |path| {
        refusals
            .pop()
            .unwrap_or_else(|| format!("{HEAD}{}", after(path)).into_bytes())
    });
    let output = metashrew()
        .args([
            "tail", "heads", "--from", "first", "--until", "5", "--url", &address,
        ])
        .output()
        .unwrap();
    assert_eq!(lines(&String::from_utf8(output.stdout).unwrap()), events());
    let stderr = String::from_utf8(output.stderr).unwrap();
    for cause in [
        "no: no_room",
        "no: cursor_ahead",
        "ended the subscription: shutdown",
        "what is no event",
    ] {
        assert!(stderr.contains(cause), "{cause} in {stderr}");
    }
}

#[test]
fn a_pending_block_that_was_told_is_not_told_again() {
    let mut connections = 0;
    let address = Double::start().answer(move |_| {
        connections += 1;
        let event = json!({ "type": "pending", "number": connections / 2, "height": 9 });
        format!("{HEAD}data: {event}\n\n").into_bytes()
    });
    let mut child = spawn(&["tail", "pending", "--url", &address, "-qq"]);
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    for number in 0..3 {
        let event: Value = serde_json::from_str(&out.next().unwrap().unwrap()).unwrap();
        assert_eq!(event["number"], number);
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

fn spawn(args: &[&str]) -> std::process::Child {
    metashrew()
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_signal_ends_it_while_it_waits() {
    for name in ["TERM", "INT"] {
        let double = Double::start();
        let mut child = spawn(&["tail", "heads", "--url", &double.address]);
        let (_, answers) = double.asked.recv().unwrap();
        answers
            .send(format!("{HEAD}{}", sent(&block(1))).into_bytes())
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut String::new()).unwrap();
        let kill = format!("kill -{name} {}", child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(child.wait().unwrap().code(), Some(0));
        drop(answers);
    }
}

#[test]
fn who_has_read_enough_ends_it_quietly() {
    let double = Double::start();
    let mut child = spawn(&["tail", "heads", "--url", &double.address]);
    let (_, answers) = double.asked.recv().unwrap();
    drop(child.stdout.take());
    answers
        .send(format!("{HEAD}{}", sent(&block(1))).into_bytes())
        .unwrap();
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(stderr, "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
