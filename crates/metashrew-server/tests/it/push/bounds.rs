//! What clients may take: those that do not read, do not answer or do not end are closed, and
//! are nobody else's trouble.

use std::io::{Read, Write};
use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::StreamExt;
use metashrew_server::ServerOptions;
use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{Client, EventStream, get, raw, stat};
use crate::harness::{Served, Setup, wait_until};

/// Blocks whose writes are more together than the buffers of two sockets hold.
const BLOCKS: usize = 20;

/// A server whose blocks write a lot.
fn loud(options: ServerOptions) -> Served {
    Setup {
        wasm: metashrew_testing::guests::rewriting_values(16, 64 * 1024, 1),
        blocks: BLOCKS,
        server: options,
        ..Setup::default()
    }
    .serve()
}

fn impatient() -> ServerOptions {
    ServerOptions {
        send_timeout: Duration::from_millis(300),
        ..ServerOptions::default()
    }
}

fn closed(served: &Served, reason: &str) -> u64 {
    stat(served, &["connections", "closed", reason])
}

#[test]
fn a_client_that_does_not_read_is_closed_and_holds_little_meanwhile() {
    let served = loud(ServerOptions {
        batch_parallel: NonZeroUsize::MIN,
        // Nobody is served only because these two are closed.
        send_timeout: Duration::from_mins(10),
        ..ServerOptions::default()
    });
    let mut stream = get(&served, "/subscribe/writes?from=first", &[]);
    served.block_on(async {
        let mut client = Client::connect(&served).await;
        // While one of them is written, the others wait for what their events are read with.
        for _ in 0..4 {
            client
                .subscribe(json!(["writes", { "from": "first" }]))
                .await;
        }
        // Both are stuck in the middle of an event; one of at most a few MiB is counted.
        let held = || stat(&served, &["request_memory", "bytes"]);
        wait_until(|| held() > 1 << 20);
        assert!(held() < 8 << 20, "{}", held());
        // Others are served meanwhile.
        told_all(&served).await;
    });
    stream.read_exact(&mut [0; 12]).unwrap();
}

/// Another client is told of every block.
async fn told_all(served: &Served) {
    let mut other = Client::connect(served).await;
    other
        .subscribe(json!(["writes", { "from": "first" }]))
        .await;
    let mut last = 0;
    while last < 100 + BLOCKS - 1 {
        let (_, event) = other.block().await;
        last = event["cursor"].as_str().map_or(last, height_of);
    }
}

/// Each of them has some subscriptions that wait for the one thread that reads the database.
#[test]
fn clients_that_do_not_read_leave_others_what_events_are_read_with() {
    let served = loud(ServerOptions {
        batch_parallel: NonZeroUsize::MIN,
        send_timeout: Duration::from_mins(10),
        ..ServerOptions::default()
    });
    served.block_on(async {
        let mut stalled = Vec::new();
        for _ in 0..20 {
            let mut client = Client::connect(&served).await;
            for _ in 0..4 {
                client
                    .subscribe(json!(["writes", { "from": "first" }]))
                    .await;
            }
            stalled.push(client);
        }
        told_all(&served).await;
    });
}

#[test]
fn a_client_that_reads_nothing_for_too_long_is_closed() {
    let served = loud(impatient());
    let stream = get(&served, "/subscribe/writes?from=first", &[]);
    wait_until(|| closed(&served, "slow_consumer") == 1);
    let client = served.block_on(async {
        let mut client = Client::connect(&served).await;
        client
            .subscribe(json!(["writes", { "from": "first" }]))
            .await;
        client
    });
    wait_until(|| closed(&served, "slow_consumer") == 2);
    wait_until(|| stat(&served, &["push", "open", "event_stream"]) == 0);
    wait_until(|| stat(&served, &["push", "open", "websocket"]) == 0);
    wait_until(|| stat(&served, &["request_memory", "bytes"]) == 0);
    assert_eq!(closed(&served, "send_timeout"), 0);
    drop((stream, client));
}

/// The height in a cursor.
fn height_of(cursor: &str) -> usize {
    let (height, _) = cursor.split_once(':').unwrap();
    height.parse().unwrap()
}

#[test]
fn one_that_was_closed_goes_on_where_it_was() {
    let served = loud(impatient());
    let (mut last, mut heights, mut streams) = (None::<String>, Vec::new(), 0);
    while heights.len() < BLOCKS {
        let id = last.clone().map(|id| ("last-event-id", id));
        let headers: Vec<_> = id.iter().map(|(name, id)| (*name, &**id)).collect();
        let mut stream = EventStream::open(&served, "/subscribe/writes?from=first", &headers);
        streams += 1;
        if streams == 1 {
            wait_until(|| closed(&served, "slow_consumer") == 1);
        }
        // What had been sent is whole up to the last event that ends. On a busy machine a later
        // stream may be closed, too.
        while heights.len() < BLOCKS
            && let Ok(Some(came)) =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stream.next_block()))
        {
            if let Some(id) = came.id {
                heights.push(height_of(&id));
                last = Some(id);
            }
        }
    }
    assert!(streams > 1);
    let expect: Vec<_> = (100..100 + BLOCKS).collect();
    assert_eq!(heights, expect);
}

#[test]
fn a_quiet_client_stays_and_one_that_is_gone_does_not() {
    let served = Setup {
        server: ServerOptions {
            heartbeat: Duration::from_millis(100),
            idle_timeout: Duration::from_millis(100),
            head_timeout: Duration::from_millis(100),
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let mut events = EventStream::open(&served, "/subscribe/heads", &[]);
    // It answers no pings.
    let gone = raw(&served);
    served.block_on(async {
        let mut client = Client::connect(&served).await;
        let mut pings = 0;
        while pings < 10 {
            let message = client.web_socket.next().await.unwrap().unwrap();
            assert!(message.is_ping(), "{message:?}");
            pings += 1;
        }
        assert_eq!(client.result("metashrew_height", json!([])).await, "104");
    });
    wait_until(|| closed(&served, "silent") == 1);
    drop(gone);
    assert_eq!(events.block().as_deref(), Some("retry: 1000"));
    assert_eq!(events.event().unwrap().kind, "position");
    for _ in 0..10 {
        assert_eq!(events.block().as_deref(), Some(":"));
    }
    assert_eq!(stat(&served, &["push", "open", "event_stream"]), 1);
}

#[test]
fn a_heartbeat_of_zero_is_none() {
    let served = Setup {
        server: ServerOptions {
            heartbeat: Duration::ZERO,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let mut events = EventStream::open(&served, "/subscribe/heads", &[]);
    let quiet = raw(&served);
    assert_eq!(events.event().unwrap().kind, "position");
    served.block_on(async {
        let mut client = Client::connect(&served).await;
        assert_eq!(client.result("metashrew_height", json!([])).await, "104");
    });
    assert_eq!(closed(&served, "silent"), 0);
    drop(quiet);
}

#[test]
fn a_message_that_does_not_come_is_given_up() {
    let served = Setup {
        server: ServerOptions {
            body_timeout: Duration::from_millis(200),
            body_min_rate: 1000,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let mut stream = raw(&served);
    // The first half of a frame.
    stream.write_all(&[0x81, 0x8a, 0, 0, 0, 0, b' ']).unwrap();
    let mut rest = Vec::new();
    let mut end = [0; 2];
    stream.read_exact(&mut end).unwrap();
    assert_eq!(end[0], 0x88);
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest[..2], 1008_u16.to_be_bytes());
    assert_eq!(&rest[2..], b"a message came too slowly");
    // One that comes at its pace is taken, however long that is.
    let call = br#"{"jsonrpc":"2.0","id":1,"method":"metashrew_height"}"#;
    let mut stream = raw(&served);
    let mut head = vec![0x81, 0x80 | 0x7e];
    head.extend_from_slice(&20_000_u16.to_be_bytes());
    head.extend_from_slice(&[0; 4]);
    stream.write_all(&head).unwrap();
    for _ in 0..19 {
        stream.write_all(&[b' '; 1000]).unwrap();
        std::thread::sleep(Duration::from_millis(30));
    }
    stream.write_all(&[b' '; 1000 - 52]).unwrap();
    stream.write_all(call).unwrap();
    let mut first = [0];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(first, [0x81]);
}

#[test]
fn a_server_that_stops_waits_for_nobody_who_does_not_read() {
    let served = loud(ServerOptions::default());
    let stream = get(&served, "/subscribe/writes?from=first", &[]);
    let client = served.block_on(async {
        let mut client = Client::connect(&served).await;
        client
            .subscribe(json!(["writes", { "from": "first" }]))
            .await;
        client
    });
    wait_until(|| stat(&served, &["request_memory", "bytes"]) > 1 << 20);
    let Served { handle, tokio, .. } = served;
    // It ends: nothing else does it for these two.
    tokio.block_on(handle.stop());
    drop((stream, client));
}

#[test]
fn long_events_are_told_whatever_the_memory_is() {
    // One value with its hex is all that it holds.
    let memory = 300 * 1024;
    let served = loud(ServerOptions {
        request_memory: memory,
        ..ServerOptions::default()
    });
    let mut stream = EventStream::open(&served, "/subscribe/writes?from=first", &[]);
    let (mut heights, mut values) = (Vec::new(), 0);
    while heights.len() < BLOCKS {
        let came = stream.next_block().unwrap();
        for write in came.data["writes"].as_array().unwrap() {
            assert_eq!(write["value"].as_str().unwrap().len(), 2 + 2 * 64 * 1024);
            values += 1;
        }
        heights.extend(came.id.as_deref().map(height_of));
    }
    let expect: Vec<_> = (100..100 + BLOCKS).collect();
    assert_eq!(heights, expect);
    assert_eq!(values, 16 * BLOCKS);
}

#[test]
fn an_answer_that_memory_cannot_hold_is_an_error_and_a_shorter_one_is_told() {
    let memory = 1 << 20;
    let serve = |bytes| {
        Setup {
            wasm: metashrew_testing::guests::verbose(bytes),
            server: ServerOptions {
                request_memory: memory,
                ..ServerOptions::default()
            },
            ..Setup::default()
        }
        .serve()
    };
    let served = serve(2 << 20);
    let mut stream = EventStream::open(&served, "/subscribe/view/long", &[]);
    let answer = stream.event().unwrap().data;
    assert_eq!(answer["error"]["code"], -32008, "{answer}");
    let data = json!({ "kind": "answer_too_long", "length": (4 << 20) + 4, "limit": memory / 2 });
    assert_eq!(answer["error"]["data"], data);
    assert!(stat(&served, &["request_memory", "bytes"]) < 1 << 10);
    let served = serve(200 << 10);
    let mut stream = EventStream::open(&served, "/subscribe/view/long", &[]);
    let answer = stream.event().unwrap().data;
    assert_eq!(answer["result"].as_str().unwrap().len(), 2 + (400 << 10));
}

#[test]
fn a_message_that_finds_no_room_is_told_so() {
    let served = Setup {
        wasm: metashrew_testing::guests::verbose(2 << 20),
        server: ServerOptions {
            request_memory: 1 << 20,
            request_wait: Duration::from_millis(1),
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    served.block_on(async {
        // It is never read to its end.
        let mut client = Client::connect(&served).await;
        client.send(" ".repeat(4 << 20)).await;
        let closed = client.closed().await.unwrap();
        assert_eq!(closed.code, CloseCode::Again);
        // An answer that finds none is an error of its call.
        let mut client = Client::connect(&served).await;
        let answer = client.answer("metashrew_view", json!(["long"])).await;
        assert_eq!(answer["error"]["code"], -32006, "{}", answer["error"]);
        let data = json!({ "kind": "no_room", "limit": 1 << 20 });
        assert_eq!(answer["error"]["data"], data);
        assert_eq!(client.result("metashrew_height", json!([])).await, "104");
    });
}

#[test]
fn idle_connections_are_many_and_stay() {
    const MANY: usize = 1000;
    let served = Setup {
        server: ServerOptions {
            max_open_connections: 2 * MANY,
            client_share: 100,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let open: Vec<_> = (0..MANY).map(|_| raw(&served)).collect();
    assert_eq!(stat(&served, &["push", "open", "websocket"]), MANY as u64);
    assert_eq!(stat(&served, &["request_memory", "bytes"]), 0);
    drop(open);
    wait_until(|| stat(&served, &["push", "open", "websocket"]) == 0);
}
