//! Connections that close, and a server that stops.

use std::io::Read;
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::time::Duration;

use metashrew_runtime::ViewOptions;
use metashrew_server::ServerOptions;
use serde_json::json;

use crate::harness::{Served, Setup, view_request, wait_until};

fn patient(views: usize) -> Served {
    Setup {
        views: ViewOptions {
            instances: NonZeroUsize::new(views).unwrap(),
            // Nothing in these tests may wait for the deadline.
            timeout: Duration::from_hours(1),
            ..ViewOptions::default()
        },
        server: impatient(),
        ..Setup::default()
    }
    .serve()
}

/// A client that sends no more may still read: its call goes on for a moment.
fn impatient() -> ServerOptions {
    ServerOptions {
        half_closed_timeout: Duration::from_millis(1),
        ..ServerOptions::default()
    }
}

fn start_endless_view(served: &Served) -> TcpStream {
    served.start(&view_request(1, &json!(["spin"])))
}

#[test]
fn a_closed_connection_ends_its_call() {
    let served = patient(1);
    for _ in 0..20 {
        let stream = start_endless_view(&served);
        wait_until(|| served.runtime.view_stats().busy == 1);
        drop(stream);
        wait_until(|| served.runtime.view_stats().busy == 0);
        // The one place is free again.
        let answer = served.result("metashrew_view", &json!(["echo", "01"]));
        assert_eq!(answer, "0x01");
    }
}

#[test]
fn a_closed_connection_ends_all_calls_of_its_multicall_or_batch() {
    let served = Setup {
        views: ViewOptions {
            instances: NonZeroUsize::new(2).unwrap(),
            timeout: Duration::from_hours(1),
            ..ViewOptions::default()
        },
        server: ServerOptions {
            batch_parallel: NonZeroUsize::new(3).unwrap(),
            ..impatient()
        },
        ..Setup::default()
    }
    .serve();
    let multicall = json!({
        "jsonrpc": "2.0", "id": 1, "method": "metashrew_multicall",
        "params": [[["spin"], ["spin"], ["spin"], ["spin"]]],
    });
    let batch: Vec<_> = (0..4)
        .map(|id| view_request(id, &json!(["spin"])))
        .collect();
    for body in [multicall, batch.into()] {
        for _ in 0..10 {
            let stream = served.start(&body);
            wait_until(|| {
                let stats = served.runtime.view_stats();
                (stats.busy, stats.waiting) == (2, 1)
            });
            drop(stream);
            wait_until(|| {
                let stats = served.runtime.view_stats();
                (stats.busy, stats.waiting) == (0, 0)
            });
            // None of those that had not begun is begun.
            let answer = served.result("metashrew_view", &json!(["echo", "01"]));
            assert_eq!(answer, "0x01");
            assert_eq!(served.runtime.view_stats().busy, 0);
        }
    }
}

#[test]
fn a_call_that_waits_for_its_turn_is_given_up_too() {
    let served = patient(1);
    let running = start_endless_view(&served);
    wait_until(|| served.runtime.view_stats().busy == 1);
    let waiting = start_endless_view(&served);
    wait_until(|| served.runtime.view_stats().waiting == 1);
    drop(waiting);
    wait_until(|| served.runtime.view_stats().waiting == 0);
    drop(running);
    wait_until(|| served.runtime.view_stats().busy == 0);
}

#[test]
fn a_full_queue_is_busy() {
    let served = Setup {
        views: ViewOptions {
            instances: NonZeroUsize::MIN,
            queue: 1,
            timeout: Duration::from_hours(1),
            ..ViewOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let _running = start_endless_view(&served);
    wait_until(|| served.runtime.view_stats().busy == 1);
    let _waiting = start_endless_view(&served);
    wait_until(|| served.runtime.view_stats().waiting == 1);
    let error = served.error("metashrew_view", &json!(["echo"]));
    assert_eq!(error["code"], -32006);
    assert_eq!(error["data"], json!({ "kind": "busy", "queue": 1 }));
    // What needs no instance is answered all the same.
    assert_eq!(served.result("metashrew_height", &json!([])), "104");
}

#[test]
fn stopping_answers_what_is_under_way_and_takes_no_more() {
    let served = Setup {
        views: ViewOptions {
            timeout: Duration::from_millis(300),
            ..ViewOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let mut under_way = start_endless_view(&served);
    wait_until(|| served.runtime.view_stats().busy == 1);
    let address = served.handle.local_addr();
    let Served { handle, tokio, .. } = served;
    tokio.block_on(handle.stop());
    let mut answer = String::new();
    under_way.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("-32005"), "{answer}");
    assert!(TcpStream::connect(address).is_err());
}
