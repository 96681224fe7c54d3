//! The budget of requests and answers: what is held is given back, what finds no room is
//! told so, and who stalls makes room for others.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::time::Duration;

use metashrew_runtime::ViewOptions;
use metashrew_server::ServerOptions;
use serde_json::{Value, json};

use crate::harness::{Served, Setup, status, view_request, wait_until};

const MEMORY: usize = 4 << 20;

fn serve() -> Served {
    Setup {
        server: ServerOptions {
            request_memory: MEMORY,
            request_wait: Duration::from_mins(10),
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve()
}

fn held(served: &Served) -> u64 {
    let stats = served.result("metashrew_stats", &json!([]));
    assert_eq!(stats["request_memory"]["limit_bytes"], MEMORY);
    stats["request_memory"]["bytes"].as_u64().unwrap()
}

/// A call that takes so many bytes, and its answer as many.
fn echo(bytes: usize) -> String {
    view_request(1, &json!(["echo", "5a".repeat(bytes / 2)])).to_string()
}

fn post(served: &Served, body: &str) -> (u16, Value) {
    let (head, body) = served.send("POST", &[("content-type", "application/json")], body);
    (status(&head), serde_json::from_str(&body).unwrap())
}

/// A request of which only a part comes.
fn stall(served: &Served, length: usize, sent: usize) -> TcpStream {
    let mut stream = served.open("POST", &[("content-type", "application/json")], length);
    stream.write_all(&vec![b' '; sent]).unwrap();
    stream
}

#[test]
fn what_a_request_held_is_given_back() {
    let served = serve();
    for _ in 0..5 {
        assert_eq!(post(&served, &echo(1 << 20)).0, 200);
    }
    wait_until(|| held(&served) == 0);
    // So is what one that went away had sent.
    for _ in 0..5 {
        let stream = stall(&served, 2 << 20, 1 << 20);
        wait_until(|| held(&served) > 0);
        drop(stream);
        wait_until(|| held(&served) == 0);
    }
}

#[test]
fn what_can_never_have_room_is_told_so_at_once() {
    let served = serve();
    let (status, answer) = post(&served, &echo(2 * MEMORY));
    assert_eq!(status, 503);
    assert_eq!(answer["error"]["code"], -32006);
    let data = json!({ "kind": "no_room", "limit": MEMORY });
    assert_eq!(answer["error"]["data"], data);
    wait_until(|| held(&served) == 0);
}

#[test]
fn small_requests_need_no_room_and_stalled_ones_make_it() {
    let served = serve();
    // Each of them could fill it alone.
    let stalled: Vec<_> = (0..20).map(|_| stall(&served, 8 << 20, 1 << 20)).collect();
    wait_until(|| held(&served) > MEMORY as u64 / 2);
    for _ in 0..20 {
        assert_eq!(served.result("metashrew_height", &json!([])), "104");
    }
    // This one needs most of it.
    let (status, answer) = post(&served, &echo(MEMORY / 4));
    assert_eq!(status, 200, "{answer}");
    drop(stalled);
}

#[test]
fn an_answer_is_counted_until_it_is_sent_whatever_it_is_made_of() {
    // More than the buffers of both sockets hold.
    const LENGTH: usize = 30 << 20;
    let served = Served::new();
    let id = "x".repeat(LENGTH);
    let body = json!({ "jsonrpc": "2.0", "id": id, "method": "metashrew_height" });
    let mut stream = served.start(&body);
    stream.read_exact(&mut [0; 12]).unwrap();
    let bytes = || {
        let stats = served.result("metashrew_stats", &json!([]));
        stats["request_memory"]["bytes"].as_u64().unwrap()
    };
    let counted = LENGTH as u64 - 16 * 1024;
    assert!(bytes() >= counted, "{}", bytes());
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.len() > LENGTH);
    wait_until(|| bytes() == 0);
}

#[test]
fn answers_of_a_batch_are_counted_while_others_of_it_run() {
    const ANSWER: usize = 1 << 20;
    let served = Setup {
        wasm: metashrew_testing::guests::verbose(1 << 20),
        views: ViewOptions {
            timeout: Duration::from_hours(1),
            ..ViewOptions::default()
        },
        server: ServerOptions {
            request_memory: MEMORY,
            batch_parallel: NonZeroUsize::new(2).unwrap(),
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let views = |count: usize| {
        let long = std::iter::repeat_n("long", count);
        std::iter::once("spin").chain(long)
    };
    let multicall = |count| {
        let calls: Vec<_> = views(count).map(|view| json!([view])).collect();
        let params = json!([calls]);
        json!({ "jsonrpc": "2.0", "id": 1, "method": "metashrew_multicall", "params": params })
    };
    let batch = |count| {
        let calls = views(count).map(|view| view_request(1, &json!([view])));
        Value::Array(calls.collect())
    };
    for body in [multicall(3), batch(3), json!([multicall(3)])] {
        let running = served.start(&body);
        wait_until(|| held(&served) > (3 * ANSWER - 16 * 1024) as u64);
        drop(running);
        wait_until(|| held(&served) == 0);
    }
    // One that takes more than there is ends, whatever else of it runs.
    let data = json!({ "kind": "no_room", "limit": MEMORY });
    for body in [multicall(5), batch(5), json!([multicall(5)])] {
        let (status, answer) = post(&served, &body.to_string());
        let answer = answer.get(0).unwrap_or(&answer);
        assert_eq!((status, &answer["error"]["code"]), (200, &json!(-32006)));
        assert_eq!(answer["error"]["data"], data);
        wait_until(|| held(&served) == 0);
    }
    wait_until(|| served.runtime.view_stats().busy == 0);
}

#[test]
fn readers_that_stall_make_room_too() {
    let served = Setup {
        server: ServerOptions {
            request_memory: 24 << 20,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let body = view_request(1, &json!(["echo", "5a".repeat(4 << 20)]));
    let mut stalled = Vec::new();
    let mut answered = 0;
    while answered < 10 {
        // Nobody reads what these are answered.
        stalled.push(served.start(&body));
        let (status, answer) = post(&served, &body.to_string());
        match status {
            200 => answered += 1,
            _ => assert_eq!(answer["error"]["data"]["kind"], "no_room"),
        }
        let bytes = served.result("metashrew_stats", &json!([]))["request_memory"]["bytes"].clone();
        assert!(bytes.as_u64().unwrap() <= 48 << 20, "{bytes}");
    }
}
