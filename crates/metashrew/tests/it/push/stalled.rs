//! Subscribers that read nothing while the chain grows by blocks that write much: they cost a
//! bounded amount of memory, and nobody else anything. They are closed, and resume.

#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, reason = "what was measured")]

use std::net::SocketAddr;
use std::process::Command;
use std::thread;

use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::guests;
use metashrew_testing::push::{Applied, Failed, Kind, Replay, Socket};
use serde_json::json;

use super::connection::{Connection, Topic, Transport};
use crate::followed::{Desk, wait_until};
use crate::harness::Running;
use crate::hostile::peak;

/// Each block writes these keys anew, with values of so many bytes: 2 MiB of JSON.
const KEYS: u32 = 4;
const VALUE: u32 = 256 << 10;

/// By how many blocks the chain grows.
const GROWTH: usize = 40;

/// Subscribers that stall, of each kind by each transport. What they are told is four times what
/// is allowed below, for each of them that was told it without reading.
const STALLED: usize = 4;

/// Subscriptions of one more connection that reads nothing.
const CROWD: usize = 200;

/// What requests and answers may have together, events among them.
const BUDGET: u64 = 64 << 20;

/// What the process may take besides: blocks that are indexed, the caches of the database, and
/// what the allocator gives back a moment later.
const SLACK: u64 = 256 << 20;

/// A subscription, and what its client has of it.
struct Subscription {
    transport: Transport,
    topic: Topic,
    replay: Replay,
    /// The heights of the answers that it was told, of a view's.
    answers: Vec<u32>,
    /// None while it is closed.
    connection: Option<Connection>,
}

impl Subscription {
    fn new(transport: Transport, topic: &Topic) -> Self {
        Self {
            transport,
            topic: topic.clone(),
            replay: Replay::new(topic.kind),
            answers: Vec::new(),
            connection: None,
        }
    }

    /// Subscribes, behind what it has.
    fn open(&mut self, address: SocketAddr) {
        self.replay.interrupted();
        let cursor = self.replay.cursor.as_deref();
        let opened = Connection::open(address, self.transport, &self.topic, cursor);
        self.connection = Some(opened.unwrap());
    }

    fn height(&self) -> u32 {
        let position = self.replay.position.as_ref();
        position.map_or(0, |(height, _)| *height)
    }

    /// Reads up to a height; whether it was told of it before the connection's end.
    fn read_to(&mut self, height: u32) -> bool {
        while self.height() < height {
            let connection = self.connection.as_mut().unwrap();
            let event = match connection.event() {
                Ok(event) => event,
                Err(Failed::Gone(_)) => return false,
                Err(refused) => panic!("{refused}"),
            };
            match self.replay.apply(event).unwrap() {
                Applied::Moved { what, to, .. } if what == "answer" => self.answers.push(to.0),
                Applied::Moved { .. } | Applied::Part | Applied::Begun => {}
                Applied::Ended(_) => return false,
            }
        }
        true
    }

    /// What it has is what the server has.
    fn check(&self, running: &Running, heights: &[u32]) {
        let get = |key: &str| running.result("metashrew_view", &json!(["get", key]));
        let told = self.replay.chain.iter().map(|(height, _)| *height);
        if self.topic.kind == Kind::Writes {
            assert_eq!(told.collect::<Vec<_>>(), heights);
            assert_eq!(self.replay.state.len(), KEYS as usize);
            for (key, value) in &self.replay.state {
                assert!(get(key) == value.as_str(), "{key}");
            }
        } else {
            // Each block changes it.
            assert_eq!(self.answers, heights);
            assert!(self.replay.answer == Some(get(&self.topic.input)));
        }
    }
}

fn stat(running: &Running, pointer: &str) -> u64 {
    let stats = running.result("metashrew_stats", &json!([]));
    let number = stats.pointer(pointer).and_then(serde_json::Value::as_u64);
    number.unwrap_or_else(|| panic!("no {pointer} in {stats}"))
}

/// A server whose clients may read nothing for so long.
fn spawn(start: &mut Command, send_timeout_ms: u64) -> Running {
    start.env("METASHREW_REQUEST_MEMORY", BUDGET.to_string());
    start.env("METASHREW_SEND_TIMEOUT_MS", send_timeout_ms.to_string());
    Running::spawn(start)
}

/// A key that each block writes.
fn key(address: SocketAddr) -> String {
    let writes = Topic {
        kind: Kind::Writes,
        prefix: None,
        input: String::new(),
    };
    let mut subscription = Subscription::new(Transport::Socket, &writes);
    subscription.open(address);
    assert!(subscription.read_to(1));
    subscription.replay.state.keys().next().unwrap().clone()
}

/// Subscriptions of both kinds by both transports.
fn subscriptions(input: &str) -> Vec<Subscription> {
    let topic = |kind| Topic {
        kind,
        prefix: None,
        input: input.to_owned(),
    };
    let topics = [Kind::Writes, Kind::View].map(topic);
    topics
        .iter()
        .flat_map(|topic| Transport::ALL.map(|transport| Subscription::new(transport, topic)))
        .collect()
}

#[test]
fn subscribers_that_read_nothing_cost_little_and_only_themselves() {
    let node = Bitcoind::start();
    node.mine(3);
    let desk = Desk::with(&guests::rewriting_values(KEYS, VALUE, 1));
    let mut start = desk.follow("db", &node.rpc_url(), &["--cache", "16MiB"]);
    // None of them is closed while the chain grows.
    let running = spawn(&mut start, 600_000);
    running.wait_for_tip(&node);
    let key = key(running.address);
    let mut stalled: Vec<_> = (0..STALLED).flat_map(|_| subscriptions(&key)).collect();
    let half = stalled.len() / 2;
    for (number, subscription) in stalled.iter_mut().enumerate() {
        subscription.open(running.address);
        // Half of them have all that there is, and wait for what comes.
        let height = if number < half { 3 } else { 1 };
        assert!(subscription.read_to(height));
    }
    let mut crowd = Socket::open(running.address).unwrap();
    for _ in 0..CROWD {
        crowd.subscribe(&json!({ "kind": "writes" })).unwrap();
    }
    let before = peak(&running);
    let last = node.height() + u32::try_from(GROWTH).unwrap();
    let mut good = subscriptions(&key);
    thread::scope(|scope| {
        for subscription in &mut good {
            subscription.open(running.address);
            scope.spawn(move || assert!(subscription.read_to(last), "a reader was closed"));
        }
        // Blocks go on being indexed.
        for _ in 0..GROWTH / 4 {
            node.mine(4);
            running.wait_for_tip(&node);
        }
    });
    let heights: Vec<_> = (0..=last).collect();
    for subscription in &good {
        subscription.check(&running, &heights);
    }
    drop(good);
    let (peak, held) = (peak(&running), stat(&running, "/request_memory/bytes"));
    println!("resident: {before} bytes before, {peak} at most; {held} bytes of events");
    assert!(peak <= before + BUDGET + SLACK, "{peak} after {before}");
    // All of them are there, and are in the middle of something.
    for way in ["event_stream", "websocket"] {
        assert!(stat(&running, &format!("/push/open/{way}")) >= 2 * STALLED as u64);
    }
    assert!(held > 0);
    // It waits for none of them to end.
    running.end();
    drop(crowd);
    for subscription in &mut stalled {
        assert!(!subscription.read_to(last), "it was told all of it");
    }
    they_are_closed_and_resume(&mut start, stalled, &heights);
}

/// Begins with one subscription of each kind by each transport, which do not read.
fn they_are_closed_and_resume(
    start: &mut Command,
    mut stalled: Vec<Subscription>,
    heights: &[u32],
) {
    let running = spawn(start, 500);
    let last = *heights.last().unwrap();
    running.wait_for_height(last);
    stalled.truncate(4);
    for subscription in &mut stalled {
        subscription.open(running.address);
    }
    wait_until("they are closed", || {
        stat(&running, "/connections/closed/slow_consumer") == 4
    });
    for mut subscription in stalled {
        assert!(!subscription.read_to(last), "it was told all of it");
        // On a busy machine one that reads may be closed, too.
        loop {
            subscription.open(running.address);
            if subscription.read_to(last) {
                break;
            }
        }
        subscription.check(&running, heights);
    }
    running.end();
}
