//! Bodies that are too long, too slow, or not as HTTP has them: every client reads why it
//! is refused, whatever it does meanwhile.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use metashrew_server::ServerOptions;
use serde_json::{Value, json};

use crate::harness::{Served, Setup, read_answer, status, view_request};

const MAX: usize = 64 * 1024;

/// More than the buffers of both sockets hold.
const LENGTH: usize = 64 << 20;

fn serve(options: ServerOptions) -> Served {
    Setup {
        server: ServerOptions {
            max_request: u32::try_from(MAX).unwrap(),
            ..options
        },
        ..Setup::default()
    }
    .serve()
}

fn connect(served: &Served, lines: &str) -> TcpStream {
    let mut stream = TcpStream::connect(served.handle.local_addr()).unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{lines}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

fn assert_too_long(stream: &mut TcpStream) {
    let (head, body) = read_answer(stream);
    assert_eq!(status(&head), 413, "{head}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["error"]["code"], -32007);
    let data = json!({ "kind": "request_too_long", "limit": MAX });
    assert_eq!(answer["error"]["data"], data);
}

#[test]
fn a_client_that_sends_all_before_it_reads_learns_that_it_was_too_long() {
    let served = serve(ServerOptions::default());
    for _ in 0..5 {
        let mut stream = connect(&served, &format!("content-length: {LENGTH}\r\n"));
        stream.write_all(&vec![b' '; LENGTH]).unwrap();
        assert_too_long(&mut stream);
    }
    // So does one that does not know its length before, and one that has sent a part.
    let mut stream = connect(&served, "transfer-encoding: chunked\r\n");
    for _ in 0..64 {
        stream.write_all(b"100000\r\n").unwrap();
        stream.write_all(&vec![b' '; 1 << 20]).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_too_long(&mut stream);
    let mut stream = connect(&served, "content-length: 1000000000000\r\n");
    stream.write_all(&vec![b' '; 1 << 20]).unwrap();
    assert_too_long(&mut stream);
}

#[test]
fn who_asks_first_need_not_send() {
    let served = serve(ServerOptions::default());
    let lines = "expect: 100-continue\r\ncontent-length: 100000\r\n";
    assert_too_long(&mut connect(&served, lines));
    let body = view_request(1, &json!(["echo", "0x2a"])).to_string();
    let lines = format!(
        "expect: 100-continue\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    let mut stream = connect(&served, &lines);
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).unwrap();
    assert!(read_answer(&mut stream).1.contains("0x2a"));
}

#[test]
fn a_body_of_the_greatest_length_is_taken() {
    let served = serve(ServerOptions::default());
    for chunked in [false, true] {
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"metashrew_height"}"#;
        let body = format!("{call}{}", " ".repeat(MAX - call.len()));
        let (lines, body) = if chunked {
            let body = format!("{MAX:x}\r\n{body}\r\n0\r\n\r\n");
            ("transfer-encoding: chunked\r\n".to_owned(), body)
        } else {
            (format!("content-length: {MAX}\r\n"), body)
        };
        let mut stream = connect(&served, &format!("connection: close\r\n{lines}"));
        // Piece by piece.
        for piece in body.as_bytes().chunks(10_001) {
            stream.write_all(piece).unwrap();
        }
        let (head, answer) = read_answer(&mut stream);
        assert_eq!(
            (status(&head), answer.contains("104")),
            (200, true),
            "{head}"
        );
    }
}

#[test]
fn a_body_that_stops_or_trickles_is_given_up() {
    let served = serve(ServerOptions {
        body_timeout: Duration::from_millis(200),
        ..ServerOptions::default()
    });
    let mut stopped = connect(&served, "content-length: 1000\r\n");
    stopped.write_all(b"[").unwrap();
    let mut trickling = connect(&served, "transfer-encoding: chunked\r\n");
    trickling.set_nonblocking(true).unwrap();
    // Far fewer than a kibibyte a second, and more often than the timeout.
    let mut first = [0; 1];
    while trickling.read(&mut first).is_err() {
        let _ = trickling.write_all(b"1\r\n \r\n");
        std::thread::sleep(Duration::from_millis(20));
    }
    trickling.set_nonblocking(false).unwrap();
    let (rest, body) = read_answer(&mut trickling);
    let trickled = (format!("h{rest}"), body);
    for (head, body) in [read_answer(&mut stopped), trickled] {
        assert_eq!(status(&head), 408, "{head}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["error"]["data"]["kind"], "too_slow");
    }
}

#[test]
fn what_is_no_body_is_a_bad_request() {
    let served = serve(ServerOptions::default());
    let mut stream = connect(&served, "transfer-encoding: chunked\r\n");
    stream.write_all(b"nonsense\r\n").unwrap();
    let (head, body) = read_answer(&mut stream);
    assert_eq!(status(&head), 400, "{head}");
    assert!(body.contains("bad_body"), "{body}");
    // One that ends too early has nobody who waits for it.
    let mut stream = connect(&served, "content-length: 1000\r\n");
    stream.write_all(b"[").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(served.get("/health").0, 200);
}
