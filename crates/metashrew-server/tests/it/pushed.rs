//! Subscriptions of all kinds, by both transports, while blocks are indexed and undone: what each
//! consumer makes of its events is what the database held at every block, however often it goes
//! away and comes back.

mod consumer;
mod source;
mod world;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use metashrew_runtime::ViewOptions;
use metashrew_server::ServerOptions;
use metashrew_testing::push::{EventStream, Failed, Socket, without_sdk};
use metashrew_testing::rng::Rng;

use crate::harness::Setup;
use consumer::{Consumer, Subject};
use source::{Made, Mined, Source};
use world::World;

/// Subscriptions of one WebSocket.
const PER_SOCKET: usize = 20;

/// How often consumers are told an event before they go away, at most.
const EVENTS: u64 = 300;

/// For how many blocks they stay away, at most.
const AWAY: u64 = 40;

/// The tables that the guest tells of, and how their keys begin.
const TABLES: [(&str, &str); 2] = [("items", "0x6b"), ("fifth", "0x6b05")];

/// How many consumers there are, and blocks.
struct Load {
    sockets: usize,
    streams: usize,
    steps: usize,
}

fn setup(wasm: Vec<u8>, load: &Load) -> Setup {
    Setup {
        wasm,
        blocks: 0,
        views: ViewOptions::default(),
        server: ServerOptions {
            max_open_connections: 4 * (load.sockets + load.streams) + 100,
            // All of them come from here.
            client_share: 100,
            pending_interval: Duration::from_millis(20),
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
}

/// Indexes, while consumers of these subjects are told.
fn check(wasm: Vec<u8>, load: &Load, subjects: &[Subject], source: impl Source + Send, seed: u64) {
    let served = setup(wasm, load).serve();
    let views = subjects.iter().filter_map(Subject::view).collect();
    let world = World::new(served.runtime.clone(), served.handle.local_addr(), views);
    let mut rng = Rng::new(seed);
    let mut writer = world.writer(source, Rng::new(rng.next_u64()));
    writer.begin();
    let mut number = 0;
    let mut next = |rng: &mut Rng| {
        let subject = subjects[number % subjects.len()].clone();
        number += 1;
        Consumer::new(subject, Arc::clone(&world), Rng::new(rng.next_u64()))
    };
    let sockets: Vec<Vec<_>> = (0..load.sockets)
        .map(|_| (0..PER_SOCKET).map(|_| next(&mut rng)).collect())
        .collect();
    let streams: Vec<_> = (0..load.streams).map(|_| next(&mut rng)).collect();
    thread::scope(|scope| {
        let monitor = Consumer::new(Subject::Heads, Arc::clone(&world), Rng::new(1));
        scope.spawn(|| watch(monitor));
        for consumers in sockets {
            scope.spawn(|| on_a_socket(consumers));
        }
        for consumer in streams {
            scope.spawn(|| on_a_stream(consumer));
        }
        writer.run(load.steps);
    });
}

/// A consumer that stays, by which the others see how far the events are.
fn watch(mut consumer: Consumer) {
    let mut stream = EventStream::open(consumer.world.address, &consumer.path(), None).unwrap();
    while !consumer.is_done {
        consumer.take(stream.event().unwrap());
        consumer.world.seen(consumer.replay.position.as_ref());
    }
}

fn on_a_stream(mut consumer: Consumer) {
    while !consumer.is_done {
        let cursor = consumer.resume();
        let (address, path) = (consumer.world.address, consumer.path());
        let mut stream = EventStream::open(address, &path, cursor.as_deref()).unwrap();
        for _ in 0..consumer.patience(EVENTS / PER_SOCKET as u64) {
            consumer.take(stream.event().unwrap());
            if consumer.is_done {
                return;
            }
        }
        drop(stream);
        consumer.stay_away(AWAY);
    }
}

fn on_a_socket(mut consumers: Vec<Consumer>) {
    loop {
        consumers.retain(|consumer| !consumer.is_done);
        let Some(first) = consumers.first() else {
            return;
        };
        let mut socket = Socket::open(first.world.address).unwrap();
        let mut names = Vec::new();
        for consumer in &mut consumers {
            names.push(subscribe(&mut socket, consumer));
        }
        for _ in 0..consumers[0].patience(EVENTS) {
            if consumers.iter().all(|consumer| consumer.is_done) {
                return;
            }
            let (name, event) = socket.event().unwrap();
            let Some(index) = names.iter().position(|known| *known == name) else {
                // It came before its end was answered.
                continue;
            };
            consumers[index].take(event);
            if consumers[index].leaves() {
                let ended = socket.call("metashrew_unsubscribe", &serde_json::json!([name]));
                assert_eq!(ended.unwrap(), true);
                names[index] = subscribe(&mut socket, &mut consumers[index]);
            }
        }
        drop(socket);
        consumers[0].stay_away(AWAY);
    }
}

fn subscribe(socket: &mut Socket, consumer: &mut Consumer) -> String {
    let cursor = consumer.resume();
    match socket.subscribe(&consumer.params(cursor.as_deref())) {
        Ok(name) => name,
        Err(error @ (Failed::Gone(_) | Failed::Refused(_))) => panic!("{cursor:?}: {error}"),
    }
}

fn number(setting: &str, default: u64) -> u64 {
    std::env::var(setting).map_or(default, |number| number.parse().unwrap())
}

/// All kinds, with many filters.
fn subjects(views: &[(&'static str, String)]) -> Vec<Subject> {
    let prefixes = (0..Made::GROUPS).map(|group| Subject::Writes {
        prefix: Made::key(group, None),
    });
    let keys = (0..Made::GROUPS).map(|group| Subject::Writes {
        prefix: Made::key(group, Some(group % Made::ITEMS)),
    });
    let all = Subject::Writes {
        prefix: "0x".to_owned(),
    };
    let views = views.iter().map(|(name, input)| Subject::View {
        name,
        input: input.clone(),
    });
    let views: Vec<_> = views.collect();
    let tables = TABLES.into_iter().flat_map(|(name, prefix)| {
        let prefix = prefix.to_owned();
        let writes = Subject::Storage {
            name,
            prefix: prefix.clone(),
        };
        [writes, Subject::Pending { name, prefix }]
    });
    prefixes
        .chain(keys)
        .enumerate()
        .flat_map(|(number, writes)| [writes, views[number % views.len()].clone()])
        .chain([Subject::Heads, all, Subject::Heads])
        .chain(tables)
        .collect()
}

fn check_made(load: &Load, seed: u64) {
    let views: Vec<_> = (0..Made::GROUPS)
        .map(|group| {
            let name = ["get", "chain", "height"][usize::from(group) % 3];
            (name, Made::key(group, Some(group % Made::ITEMS)))
        })
        .collect();
    check(
        without_sdk(),
        load,
        &subjects(&views),
        Made::default(),
        seed,
    );
}

#[test]
fn consumers_replay_what_the_database_holds() {
    let seed = number("METASHREW_TEST_PUSH_SEED", 1);
    let load = Load {
        sockets: 6,
        streams: 40,
        steps: 150,
    };
    check_made(&load, seed);
}

#[test]
fn two_thousand_consumers_replay_what_the_database_holds() {
    let load = Load {
        sockets: 94,
        streams: 120,
        steps: 40,
    };
    check_made(&load, number("METASHREW_TEST_PUSH_SEED", 2));
}

/// Its views read ranges, and their answers tell the height.
#[test]
fn views_of_a_guest_of_the_sdk_answer_as_if_they_were_polled() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guests/wasm/blocks.wasm");
    let wasm = std::fs::read(path).unwrap();
    let view = |name, input: &str| Subject::View {
        name,
        input: hex::encode_prefixed(input),
    };
    let subjects = [
        view("tip", "{}"),
        view("range", r#"{"from":100,"limit":3}"#),
        view("range", r#"{"from":140,"limit":20}"#),
        Subject::Heads,
        Subject::Writes {
            prefix: "0x".to_owned(),
        },
    ];
    let load = Load {
        sockets: 2,
        streams: 10,
        steps: 40,
    };
    check(wasm, &load, &subjects, Mined::new(3), 3);
}
