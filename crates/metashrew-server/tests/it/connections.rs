//! Connections are bounded: idle ones give way, those that wait for an answer do not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::time::Duration;

use metashrew_runtime::ViewOptions;
use metashrew_server::ServerOptions;
use serde_json::{Value, json};

use crate::harness::{Served, Setup, status, view_request, wait_until};

fn serve(max_open_connections: usize) -> Served {
    Setup {
        views: ViewOptions {
            instances: NonZeroUsize::new(4).unwrap(),
            timeout: Duration::from_hours(1),
            ..ViewOptions::default()
        },
        server: ServerOptions {
            max_open_connections,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve()
}

fn connect(served: &Served) -> TcpStream {
    TcpStream::connect(served.handle.local_addr()).unwrap()
}

fn open(served: &Served) -> Value {
    served.result("metashrew_stats", &json!([]))["connections"].clone()
}

#[test]
fn idle_connections_give_way_to_new_ones() {
    let served = serve(8);
    let mut idle: Vec<_> = (0..30).map(|_| connect(&served)).collect();
    for _ in 0..20 {
        let (status, ..) = served.get("/health");
        assert_eq!(status, 200);
    }
    let told = open(&served);
    assert_eq!(told["limit"], 8);
    assert!(told["open"].as_u64().unwrap() <= 8, "{told}");
    // The first ones were closed; reading finds the end.
    let first = idle.first_mut().unwrap();
    assert_eq!(first.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn a_connection_that_was_used_and_is_idle_gives_way_too() {
    let served = serve(2);
    let request = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut kept: Vec<_> = (0..2).map(|_| connect(&served)).collect();
    for stream in &mut kept {
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
    }
    let (status, ..) = served.get("/health");
    assert_eq!(status, 200);
    // The one that was idle for longer has ended, after its answer.
    let mut rest = String::new();
    kept[0].read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with(r#"{"status":"alive"}"#), "{rest}");
}

#[test]
fn connections_that_wait_for_an_answer_stay_and_others_wait_for_them() {
    let served = serve(2);
    let first = served.start(&view_request(1, &json!(["spin"])));
    let _second = served.start(&view_request(2, &json!(["spin"])));
    wait_until(|| served.runtime.view_stats().busy == 2);
    let mut third = connect(&served);
    third
        .write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .unwrap();
    third
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    assert!(third.read(&mut [0]).is_err(), "there is no room for it");
    assert_eq!(served.runtime.view_stats().busy, 2);
    drop(first);
    third.set_read_timeout(None).unwrap();
    let mut answer = String::new();
    third.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), 200);
    assert_eq!(served.runtime.view_stats().busy, 1);
}
