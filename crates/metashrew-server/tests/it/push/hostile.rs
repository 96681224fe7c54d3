//! What no client should send over a WebSocket: each is told why it is closed, and costs no
//! more than it may.

use std::io::{Read, Write};
use std::net::TcpStream;

use metashrew_server::ServerOptions;
use serde_json::json;

use super::{Client, raw, stat};
use crate::harness::{Served, Setup, view_request, wait_until};

const FIN: u8 = 0x80;
const CONTINUE: u8 = 0;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The head of a frame that announces so many bytes, with a mask that changes nothing.
fn head(first: u8, length: u64) -> Vec<u8> {
    let mut head = vec![first, 0x80 | 127];
    head.extend_from_slice(&length.to_be_bytes());
    head.extend_from_slice(&[0; 4]);
    head
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(first, payload.len() as u64);
    frame.extend_from_slice(payload);
    frame
}

/// The next frame of the server: its first byte and its payload; none at the end.
fn read(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut start = [0; 2];
    stream.read_exact(&mut start).ok()?;
    let length = match start[1] {
        126 => {
            let mut length = [0; 2];
            stream.read_exact(&mut length).ok()?;
            u16::from_be_bytes(length).into()
        }
        127 => {
            let mut length = [0; 8];
            stream.read_exact(&mut length).ok()?;
            u64::from_be_bytes(length)
        }
        short => short.into(),
    };
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).ok()?;
    Some((start[0], payload))
}

/// The code and the reason of the frame that closes it.
fn closed(stream: &mut TcpStream) -> (u16, String) {
    loop {
        let (first, payload) = read(stream).expect("it is told why it is closed");
        if first == FIN | CLOSE {
            let (code, reason) = payload.split_at(2);
            let code = u16::from_be_bytes(code.try_into().unwrap());
            return (code, String::from_utf8(reason.to_vec()).unwrap());
        }
    }
}

fn small() -> Served {
    Setup {
        server: ServerOptions {
            max_request: 1 << 20,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve()
}

#[test]
fn what_is_no_protocol_is_closed_with_its_code() {
    let served = small();
    let check = |sent: &[u8], expect: u16| {
        let mut stream = raw(&served);
        stream.write_all(sent).unwrap();
        let (code, reason) = closed(&mut stream);
        assert_eq!(code, expect, "{reason}");
        assert!(!reason.is_empty());
        // The connection ends once the client has ended it.
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    };
    let protocol = 1002;
    // Not masked, short and long.
    check(&[FIN | TEXT, 2, b'{', b'}'], protocol);
    let mut long = vec![FIN | TEXT, 127];
    long.extend_from_slice(&(1_u64 << 40).to_be_bytes());
    long.resize(long.len() + 20_000, b'x');
    check(&long, protocol);
    // Bits that nobody has agreed on.
    check(&frame(FIN | 0x40 | TEXT, b"{}"), protocol);
    // Kinds that nobody knows.
    check(&frame(FIN | 3, b"{}"), protocol);
    check(&frame(FIN | 0x0b, b"{}"), protocol);
    // A control frame that is too long, or not the last one.
    check(&frame(FIN | PING, &[0; 126]), protocol);
    check(&frame(FIN | PING, &vec![0; 40_000]), protocol);
    check(&frame(PING, b""), protocol);
    // What continues nothing, and what begins within another.
    check(&frame(FIN | CONTINUE, b"{}"), protocol);
    check(
        &[frame(TEXT, b"{"), frame(FIN | TEXT, b"}")].concat(),
        protocol,
    );
    // A reason that is half a code.
    check(&frame(FIN | CLOSE, &[3]), protocol);
    // Not UTF-8.
    check(&frame(FIN | TEXT, b"\"\xff\""), 1007);
    check(
        &[frame(TEXT, b"\"\xc3"), frame(FIN | CONTINUE, b"\"")].concat(),
        1007,
    );
    wait_until(|| stat(&served, &["push", "open", "websocket"]) == 0);
}

#[test]
fn a_message_that_is_too_long_is_told_so_however_it_comes() {
    let served = small();
    let piece = vec![b' '; 1 << 16];
    let pieces = 1 + ((1 << 20) >> 16);
    let mut whole = raw(&served);
    whole.write_all(&head(FIN | TEXT, u64::MAX)).unwrap();
    for _ in 0..pieces {
        let _ = whole.write_all(&piece);
    }
    let mut parts = raw(&served);
    parts.write_all(&frame(TEXT, b"")).unwrap();
    for _ in 0..pieces {
        let _ = parts.write_all(&frame(CONTINUE, &piece));
    }
    for mut stream in [whole, parts] {
        let (code, reason) = closed(&mut stream);
        assert_eq!(code, 1009);
        assert_eq!(
            reason,
            "a message is longer than the limit of 1048576 bytes"
        );
    }
    // One that is as long as may be is taken.
    let mut stream = raw(&served);
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"metashrew_height"}"#;
    let padded = format!("{}{call}", " ".repeat((1 << 20) - call.len()));
    stream
        .write_all(&frame(FIN | TEXT, padded.as_bytes()))
        .unwrap();
    let (first, answer) = read(&mut stream).unwrap();
    assert_eq!(first, FIN | TEXT);
    assert!(answer.ends_with(br#""result":"104"}"#));
}

#[test]
fn what_comes_with_the_request_is_part_of_it() {
    let served = Served::new();
    let address = served.handle.local_addr();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "GET / HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"metashrew_height"}"#;
    let mut sent = head.into_bytes();
    sent.extend(frame(FIN | TEXT, call.as_bytes()));
    stream.write_all(&sent).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    let (_, answer) = read(&mut stream).unwrap();
    assert!(answer.ends_with(br#""result":"104"}"#));
}

#[test]
fn pings_are_answered_also_within_a_message() {
    let served = Served::new();
    let mut stream = raw(&served);
    let call = br#"{"jsonrpc":"2.0","id":1,"method":"metashrew_height"}"#;
    stream.write_all(&frame(TEXT, &call[..20])).unwrap();
    for number in 0..100_u8 {
        stream
            .write_all(&frame(FIN | PING, &[number; 125]))
            .unwrap();
        assert_eq!(read(&mut stream), Some((FIN | PONG, vec![number; 125])));
    }
    stream
        .write_all(&frame(FIN | CONTINUE, &call[20..]))
        .unwrap();
    let (first, answer) = read(&mut stream).unwrap();
    assert_eq!(first, FIN | TEXT);
    assert!(answer.ends_with(br#""result":"104"}"#));
    stream
        .write_all(&frame(FIN | CLOSE, &1000_u16.to_be_bytes()))
        .unwrap();
    assert_eq!(closed(&mut stream).0, 1000);
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn a_flood_of_pings_keeps_nobody_else_waiting() {
    let served = Served::new();
    let mut stream = raw(&served);
    let flood = frame(FIN | PING, &[0; 125]).repeat(1000);
    let reads = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        let writes = scope.spawn(move || {
            for _ in 0..50 {
                stream.write_all(&flood).unwrap();
            }
            stream
        });
        // Nothing of what is answered is read meanwhile.
        served.block_on(async {
            let mut client = Client::connect(&served).await;
            for _ in 0..20 {
                let answer = client.result("metashrew_view", json!(["echo", "01"])).await;
                assert_eq!(answer, "0x01");
            }
        });
        drop(reads);
        drop(writes.join().unwrap());
    });
    wait_until(|| stat(&served, &["push", "open", "websocket"]) == 0);
}

#[test]
fn a_long_message_takes_room_as_it_comes_and_gives_it_back() {
    let served = Served::new();
    let held = || stat(&served, &["request_memory", "bytes"]);
    let mut stream = raw(&served);
    // What is announced takes none.
    stream.write_all(&head(FIN | TEXT, 32 << 20)).unwrap();
    stream.write_all(&[b' '; 1000]).unwrap();
    assert_eq!(held(), 0);
    stream.write_all(&vec![b' '; 4 << 20]).unwrap();
    wait_until(|| held() >= 8 << 20);
    assert!(held() <= 12 << 20, "{}", held());
    drop(stream);
    wait_until(|| held() == 0);
    // So does one that is answered.
    let body = view_request(1, &json!(["echo", "5a".repeat(2 << 20)])).to_string();
    served.block_on(async {
        let mut client = Client::connect(&served).await;
        client.send(body).await;
        let answer = client.text().await;
        assert!(answer.len() > 4 << 20 && answer.ends_with("5a\"}"));
    });
    wait_until(|| held() == 0);
}

/// Frames that are made at random never break the server, and it tells each client why it is
/// closed or goes on.
#[test]
fn frames_at_random_are_answered_or_closed() {
    let served = small();
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for _ in 0..200 {
        let mut stream = raw(&served);
        for _ in 0..=random(5) {
            let first = u8::try_from(random(256)).unwrap();
            let longest = [5, 127, 20_000][usize::try_from(random(3)).unwrap()];
            let length = random(longest);
            let byte = u8::try_from(random(256)).unwrap();
            let payload = vec![byte; usize::try_from(length).unwrap()];
            if stream.write_all(&frame(first, &payload)).is_err() {
                break;
            }
        }
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    wait_until(|| stat(&served, &["push", "open", "websocket"]) == 0);
    assert_eq!(served.result("metashrew_height", &json!([])), "104");
}
