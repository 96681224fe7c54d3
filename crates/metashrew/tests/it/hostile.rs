//! Clients that mean harm, or are broken: they send and do not end, ask and do not read,
//! connect and say nothing. Meanwhile a good client is served, blocks are indexed, and
//! memory stays within its bound.
//!
//! `METASHREW_TEST_FULL=1` takes the full numbers; without it there are fewer clients.

#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, reason = "the figures of the full numbers")]

mod clients;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use metashrew_testing::guests;
use serde_json::{Value, json};

use crate::harness::{Place, Running, get, post};
use crate::machine::{self, assert_undisturbed, under};
use clients::Uploads;

const MIB: u64 = 1 << 20;

/// What requests and answers may have together.
const BUDGET: u64 = 128 * MIB;

/// What a connection takes at most, apart from the budget (`docs/cli.md`).
const CONNECTION: u64 = 64 << 10;

/// What the process may take besides: the guest, blocks that are indexed, and what the
/// allocator gives back a moment later.
const SLACK: u64 = 192 * MIB;

/// How many clients, where all are meant.
fn count(full: usize, few: usize) -> usize {
    if std::env::var_os("METASHREW_TEST_FULL").is_some() {
        full
    } else {
        few
    }
}

/// Settings come as variables.
fn bounded(start: &mut Command) -> &mut Command {
    start
        .env("METASHREW_REQUEST_MEMORY", BUDGET.to_string())
        .env("METASHREW_REQUEST_WAIT_MS", "60000")
}

/// A line of `/proc/PID/status`, in bytes.
pub(crate) fn memory(running: &Running, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let line = status.lines().find_map(|text| text.strip_prefix(line));
    let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<u64>().unwrap() * 1024
}

/// The most memory that was ever resident.
pub(crate) fn peak(running: &Running) -> u64 {
    memory(running, "VmHWM:")
}

fn assert_peak_within(running: &Running, before: u64, bytes: u64) {
    let peak = peak(running);
    println!("resident: {before} bytes before, {peak} at most");
    assert!(
        peak <= before + bytes,
        "{peak} bytes were resident, {before} of them before"
    );
}

/// Small calls and a request that is not small.
fn good_client_is_served(running: &Running) {
    assert_eq!(get(running.address, "/health").0, 200);
    running.result("metashrew_stats", &json!([]));
    let input = format!("0x{}", "5a".repeat(150_000));
    let answer = running.call("metashrew_view", &json!(["echo", input]));
    assert_eq!(answer["result"], input.as_str(), "{}", answer["error"]);
}

#[test]
fn stalled_uploads_take_no_more_than_the_budget_and_starve_nobody() {
    let place = machine::place();
    let running = Running::spawn(bounded(&mut place.start(&[])));
    running.wait_for_height(1);
    let before = peak(&running);
    let clients = count(1_000, 60);
    let uploads = Uploads::start(running.address, clients, 39 * MIB);
    let mut rounds = 0;
    while uploads.sent() < 4 * BUDGET || rounds < 20 {
        good_client_is_served(&running);
        rounds += 1;
    }
    let bound = BUDGET + clients as u64 * CONNECTION + SLACK;
    assert_peak_within(&running, before, bound);
    assert_undisturbed(&place, running);
    uploads.end();
}

#[test]
fn answers_that_nobody_reads_take_no_more_than_the_budget_and_starve_nobody() {
    // As hex 60 MiB.
    let place = Place::with(&guests::verbose(30 << 20), 3);
    // Guests' memory has a budget of its own.
    let flags = ["--view-memory-budget", "128MiB"];
    let running = Running::spawn(bounded(&mut place.start(&flags)));
    running.wait_for_height(3);
    running.result("metashrew_view", &json!(["long"]));
    let before = peak(&running);
    let readers = count(200, 24);
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "metashrew_view", "params": ["long"] });
    let asked = || {
        running.result("metashrew_stats", &json!([]))["requests"]["metashrew_view"]
            .as_u64()
            .unwrap()
    };
    let first = asked();
    let clients: Vec<_> = (0..readers)
        .map(|_| clients::post(running.address, &body.to_string()).unwrap())
        .collect();
    let mut good = 0;
    while asked() < first + good + readers as u64 {
        good_client_is_served(&running);
        good += 1;
    }
    for _ in 0..20 {
        good_client_is_served(&running);
        // So do those who ask for much.
        let answer = clients::try_post(running.address, &body.to_string());
        let (status, answer) = answer.unwrap();
        assert!(status == 503 || answer.len() > 60 << 20, "{status}");
    }
    assert_peak_within(&running, before, BUDGET + 128 * MIB + SLACK);
    drop(clients);
    running.end();
}

#[test]
fn many_idle_connections_cost_little() {
    let place = Place::new(3);
    let connections = count(5_000, 500);
    let running = Running::spawn(&mut place.start(&[]));
    running.wait_for_height(3);
    // Each thread that serves takes pages of 2 MiB at its first long request, which are no
    // cost of a connection: all have served one by then.
    for _ in 0..20 {
        good_client_is_served(&running);
    }
    let before = memory(&running, "VmRSS:");
    let mut clients = Vec::new();
    for index in 0..connections {
        let mut client = TcpStream::connect(running.address).unwrap();
        // Half of them have asked something.
        if index % 2 == 0 {
            write!(client, "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
            let mut head = [0; 12];
            client.read_exact(&mut head).unwrap();
            assert_eq!(&head, b"HTTP/1.1 200");
        }
        clients.push(client);
    }
    let after = memory(&running, "VmRSS:");
    good_client_is_served(&running);
    let open = running.result("metashrew_stats", &json!([]))["connections"]["open"].clone();
    assert!(open.as_u64().unwrap() >= connections as u64, "{open}");
    let each = after.saturating_sub(before) / connections as u64;
    println!("{each} bytes for each of {connections} idle connections");
    // Threads that come meanwhile take such pages, too.
    assert!(
        after <= before + connections as u64 * 24 * 1024 + 32 * MIB,
        "{each} bytes each"
    );
    drop(clients);
}

#[test]
fn few_descriptors_are_enough_where_clients_stall() {
    let place = machine::place();
    let running = Running::spawn(&mut under("ulimit -n 256", bounded(&mut place.start(&[]))));
    // More than may be connected: half of them send, half of them do not read.
    let uploads = Uploads::start(running.address, 100, 39 * MIB);
    let address = running.address;
    let readers = std::thread::spawn(move || -> Vec<_> {
        let request = long_request();
        // Until the server has ended.
        let posted = |_| clients::post(address, &request).ok();
        (0..100).map_while(posted).collect()
    });
    for _ in 0..5 {
        assert_eq!(get(running.address, "/health").0, 200);
        running.result("metashrew_stats", &json!([]));
    }
    let log = assert_undisturbed(&place, running);
    assert!(!log.contains("Too many open files"), "{log}");
    uploads.end();
    drop(readers.join().unwrap());
}

/// What is answered with some MiB, more than a socket's buffers hold.
fn long_request() -> String {
    let input = "5a".repeat(7 << 20);
    json!({ "jsonrpc": "2.0", "id": 1, "method": "metashrew_view", "params": ["echo", input] })
        .to_string()
}

#[test]
fn bodies_that_never_end_are_closed() {
    let place = Place::new(3);
    let running = Running::spawn(place.start(&[]).env("METASHREW_BODY_TIMEOUT_MS", "1000"));
    let mut clients: Vec<_> = (0..40)
        .map(|_| {
            let mut client = TcpStream::connect(running.address).unwrap();
            let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
            write!(client, "{head}transfer-encoding: chunked\r\n\r\n1\r\n[\r\n").unwrap();
            client
        })
        .collect();
    // A blank a time.
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(50));
        for client in &mut clients {
            let _ = client.write_all(b"1\r\n \r\n");
        }
    }
    for client in &mut clients {
        client
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let mut answer = Vec::new();
        let read = client.read_to_end(&mut answer);
        let waits = read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!waits, "a body may go on for ever");
    }
}

#[test]
fn many_numbers_cost_no_more_than_their_text() {
    let place = Place::new(3);
    let running = Running::spawn(bounded(&mut place.start(&[])));
    running.wait_for_height(3);
    let before = peak(&running);
    let body = format!("[{}0]", "0,".repeat((20 << 20) - 2));
    for _ in 0..3 {
        let (head, answer) = post(running.address, &body).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["error"]["code"], -32010);
    }
    assert_peak_within(&running, before, BUDGET + SLACK);
}

#[test]
fn a_page_at_a_rebound_name_is_refused() {
    let place = Place::new(3);
    let running = Running::spawn(&mut place.start(&["--cors", "*"]));
    running.wait_for_height(3);
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"metashrew_height"}"#;
    let port = running.address.port();
    let ask = |host: &str| {
        let mut stream = TcpStream::connect(running.address).unwrap();
        write!(
            stream,
            "POST / HTTP/1.1\r\nhost: {host}\r\norigin: http://{host}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        clients::read_answer(&mut stream).unwrap()
    };
    let (status, answer) = ask(&format!("evil.example:{port}"));
    assert_eq!(status, 403);
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["error"]["data"]["kind"], "host");
    assert_eq!(ask(&format!("localhost:{port}")).0, 200);
}
