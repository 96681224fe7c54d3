//! The server and consumers, some of which are processes, are killed at random, while the node's
//! chain grows and changes: whoever resumes has lost nothing, and is told nothing twice.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::guests;
use metashrew_testing::push::{Applied, Failed, Kind, Position, Replay};
use metashrew_testing::rng::Rng;
use parking_lot::Mutex;
use tempfile::TempDir;

use super::connection::{Connection, Topic, Transport};
use super::tails::{self, Resumes};
use crate::followed::Desk;
use crate::harness::Running;

/// How often the server is killed, unless the environment says.
const KILLS: u64 = 10;
const SETTING: &str = "METASHREW_TEST_PUSH_KILLS";
/// What happens when, unless the environment says.
const SEED: u64 = 5;
const SEED_SETTING: &str = "METASHREW_TEST_PUSH_KILLS_SEED";

/// How many events a consumer gets before it is killed, at most.
const EVENTS: u64 = 60;
/// A consumer keeps what it has after so many events, at most: what it is told since then is lost
/// with it.
const KEEPS: u64 = 12;
/// The server is killed within so many milliseconds of a change of the chain.
const WITHIN: u64 = 150;

/// The guest keeps headers under it.
const HEADERS: &str = "0x6864722f";

/// What consumers and the one who kills share.
#[derive(Default)]
pub(super) struct Shared {
    /// Where the server is; none while there is none.
    pub(super) address: Mutex<Option<SocketAddr>>,
    /// The last block that there will be.
    pub(super) last: Mutex<Option<String>>,
    /// How many consumers were killed.
    kills: Mutex<u64>,
    /// How many of them were processes.
    pub(super) killed_processes: Mutex<u64>,
}

/// What a consumer of a kind subscribes to.
pub(super) fn topic(kind: Kind) -> Topic {
    Topic {
        kind,
        prefix: Some(HEADERS.to_owned()),
        input: hex::encode_prefixed("acc"),
    }
}

/// Waits until there is a server that the connection can be made to; a server that refuses is
/// none that may.
fn connect(shared: &Shared, transport: Transport, replay: &Replay, kind: Kind) -> Connection {
    let deadline = Instant::now() + Duration::from_mins(3);
    let (topic, cursor) = (topic(kind), replay.cursor.as_deref());
    loop {
        let address = *shared.address.lock();
        let opened = address.map(|address| Connection::open(address, transport, &topic, cursor));
        match opened {
            Some(Ok(connection)) => return connection,
            Some(Err(Failed::Refused(error))) => panic!("{:?}: {error}", replay.cursor),
            Some(Err(Failed::Gone(_))) | None => {}
        }
        assert!(Instant::now() < deadline, "no server");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Consumes up to the last block, killed again and again; answers what it has.
fn consume(shared: &Shared, transport: Transport, kind: Kind, mut rng: Rng) -> Replay {
    let mut kept = Replay::new(kind);
    loop {
        // What it has not kept is lost.
        let mut replay = kept.clone();
        let mut connection = connect(shared, transport, &replay, kind);
        let is_over = shared.last.lock().is_some();
        let events = if is_over {
            u64::MAX
        } else {
            1 + rng.below(EVENTS)
        };
        for _ in 0..events {
            let Ok(event) = connection.event() else { break };
            match replay
                .apply(event)
                .unwrap_or_else(|what| panic!("{kind:?}: {what}"))
            {
                Applied::Part | Applied::Begun => continue,
                // The server is told to end, by no one: it is killed.
                Applied::Ended(reason) => panic!("ended: {reason}"),
                Applied::Moved { .. } => {}
            }
            if is_at(&replay, shared.last.lock().as_deref()) {
                return replay;
            }
            if rng.below(KEEPS) == 0 {
                kept = replay.clone();
            }
        }
        *shared.kills.lock() += 1;
    }
}

pub(super) fn is_at(replay: &Replay, last: Option<&str>) -> bool {
    let position = replay.position.as_ref();
    last.is_some() && position.map(|(_, hash)| hash.as_str()) == last
}

/// Mines, reorganises, and kills the server, so many times.
fn disturb(shared: &Shared, node: &Bitcoind, start: &mut Command, kills: u64, rng: &mut Rng) {
    let mut running = Running::spawn(start);
    *shared.address.lock() = Some(running.address);
    for _ in 0..kills {
        for _ in 0..=rng.below(3) {
            if rng.chance(400) {
                let depth = 1 + u32::try_from(rng.below(12)).unwrap();
                node.reorganise(node.height() - depth, depth as usize + 1);
            } else {
                node.mine(1 + rng.index(4));
            }
            if rng.chance(300) {
                running.wait_for_tip(node);
            }
        }
        thread::sleep(Duration::from_millis(rng.below(WITHIN)));
        *shared.address.lock() = None;
        running.kill();
        if rng.chance(300) {
            // While nobody follows.
            let depth = 1 + u32::try_from(rng.below(12)).unwrap();
            node.reorganise(node.height() - depth, depth as usize + 2);
        }
        running = Running::spawn(start);
        *shared.address.lock() = Some(running.address);
    }
    let last = node.mine(1);
    *shared.last.lock() = Some(format!("0x{}", last[0]));
    running.wait_for_tip(node);
    // Until all consumers have ended; the scope waits for them.
    while shared.last.lock().as_deref() != Some("over") {
        thread::sleep(Duration::from_millis(5));
    }
    running.end();
}

fn number(setting: &str, default: u64) -> u64 {
    std::env::var(setting).map_or(default, |number| number.parse().unwrap())
}

#[test]
fn whoever_resumes_has_lost_nothing_and_is_told_nothing_twice() {
    let kills = number(SETTING, KILLS);
    let mut rng = Rng::new(number(SEED_SETTING, SEED));
    let node = Bitcoind::start();
    node.mine(40);
    let desk = Desk::with(&guests::chained());
    let mut start = desk.follow("db", &node.rpc_url(), &["--rest"]);
    let shared = Shared::default();
    let kinds = [Kind::Heads, Kind::Writes, Kind::View];
    let places = kinds.map(|kind| (kind, TempDir::new().unwrap(), TempDir::new().unwrap()));
    let replays: Vec<(Kind, Replay)> = thread::scope(|scope| {
        let mut consumers = Vec::new();
        for kind in kinds {
            for transport in Transport::ALL {
                let (shared, rng) = (&shared, Rng::new(rng.next_u64()));
                let consumer = scope.spawn(move || consume(shared, transport, kind, rng));
                consumers.push((kind, consumer));
            }
        }
        for (kind, by_file, by_lines) in &places {
            let ways = [
                (Resumes::FromItsFile, by_file),
                (Resumes::FromItsLines, by_lines),
            ];
            for (how, place) in ways {
                let (shared, rng) = (&shared, Rng::new(rng.next_u64()));
                let tail = move || tails::consume(shared, *kind, how, place.path(), rng);
                consumers.push((*kind, scope.spawn(tail)));
            }
        }
        let (shared, node, rng) = (&shared, &node, &mut rng);
        let disturber = scope.spawn(|| disturb(shared, node, &mut start, kills, rng));
        let ended = consumers
            .into_iter()
            .map(|(kind, consumer)| (kind, consumer.join()));
        let ended: Vec<_> = ended.collect();
        *shared.last.lock() = Some("over".to_owned());
        disturber.join().unwrap();
        let replays = ended.into_iter();
        replays
            .map(|(kind, replay)| (kind, replay.unwrap()))
            .collect()
    });
    let killed_processes = *shared.killed_processes.lock();
    eprintln!(
        "{kills} kills of the server, {} of consumers, and {killed_processes} of those that are processes",
        shared.kills.lock()
    );
    assert!(*shared.kills.lock() > kills, "each kill ends connections");
    assert!(killed_processes > kills);
    check(&node, &desk, replays);
}

/// What consumers were told comes to what the database holds.
fn check(node: &Bitcoind, desk: &Desk, replays: Vec<(Kind, Replay)>) {
    let records = desk.records("db");
    let chain: Vec<Position> = records
        .iter()
        .map(|(height, record)| (*height, format!("0x{}", record.hash)))
        .collect();
    let headers: BTreeMap<_, _> = chain
        .iter()
        .map(|position| header(node, position))
        .collect();
    assert_eq!(records, desk.fresh(node, "fresh", &["--rest"]));
    for (kind, replay) in replays {
        match kind {
            Kind::Heads => assert_eq!(replay.chain, chain),
            Kind::Writes => {
                assert_eq!(replay.state, headers);
                assert_eq!(replay.chain, chain, "each block writes one");
            }
            Kind::View => assert_eq!(replay.position.as_ref(), chain.last()),
        }
    }
}

/// What the guest keeps of a block.
fn header(node: &Bitcoind, (height, hash): &Position) -> (String, String) {
    let hash = hash.trim_start_matches("0x").parse().unwrap();
    let header = bitcoin::consensus::encode::serialize(&node.block(&hash).header);
    (
        crate::harness::header_key(*height),
        hex::encode_prefixed(header),
    )
}
