//! Push: WebSockets and server-sent events, as clients of others' making see them.

mod bounds;
mod event_streams;
mod handshake;
mod hostile;
mod shares;
mod websockets;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::harness::{Served, status};

/// A client that speaks over a WebSocket.
pub(crate) struct Client {
    pub(crate) web_socket: WebSocketStream<tokio::net::TcpStream>,
    calls: u64,
    /// What came while an answer was waited for.
    events: VecDeque<Value>,
}

impl Client {
    pub(crate) async fn connect(served: &Served) -> Self {
        let opened = Self::open(served, "/", &[]).await;
        let (client, response) = opened.unwrap();
        assert_eq!(response.status(), 101);
        client
    }

    pub(crate) async fn open(
        served: &Served,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<(Self, Response), Error> {
        let address = served.handle.local_addr();
        let mut request = format!("ws://{address}{path}").into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let socket = tokio::net::TcpStream::connect(address).await?;
        let (web_socket, response) = client_async(request, socket).await?;
        let client = Self {
            web_socket,
            calls: 0,
            events: VecDeque::new(),
        };
        Ok((client, response))
    }

    /// One at another address of this machine.
    pub(crate) async fn at(served: &Served, address: [u8; 4]) -> Result<Self, Error> {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind((address, 0).into())?;
        let address = served.handle.local_addr();
        let socket = socket.connect(address).await?;
        let (web_socket, _) = client_async(format!("ws://{address}/"), socket).await?;
        Ok(Self {
            web_socket,
            calls: 0,
            events: VecDeque::new(),
        })
    }

    pub(crate) async fn send(&mut self, text: impl Into<String>) {
        let message = Message::text(text.into());
        self.web_socket.send(message).await.unwrap();
    }

    /// What comes next but pings; an error if it is the end.
    async fn receive(&mut self) -> Result<String, Option<CloseFrame>> {
        loop {
            match self.web_socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
                Some(Ok(Message::Ping(_))) => {}
                Some(Ok(Message::Close(frame))) => return Err(frame),
                None | Some(Err(_)) => return Err(None),
                Some(Ok(other)) => panic!("{other:?}"),
            }
        }
    }

    /// The next message.
    pub(crate) async fn text(&mut self) -> String {
        self.receive().await.unwrap()
    }

    /// The frame that closes it, whatever comes before.
    pub(crate) async fn closed(&mut self) -> Option<CloseFrame> {
        loop {
            if let Err(frame) = self.receive().await {
                return frame;
            }
        }
    }

    pub(crate) async fn answer(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.send(call.to_string()).await;
        loop {
            let message: Value = serde_json::from_str(&self.text().await).unwrap();
            if message["id"] == id {
                return message;
            }
            self.events.push_back(message);
        }
    }

    pub(crate) async fn result(&mut self, method: &str, params: Value) -> Value {
        let answer = self.answer(method, params).await;
        assert_eq!(answer.get("error"), None, "{answer}");
        answer["result"].clone()
    }

    /// The id of a subscription.
    pub(crate) async fn subscribe(&mut self, params: Value) -> String {
        let id = self.result("metashrew_subscribe", params).await;
        id.as_str().unwrap().to_owned()
    }

    /// The next block that came: the subscription and the event.
    pub(crate) async fn block(&mut self) -> (String, Value) {
        loop {
            let (id, event) = self.event().await;
            if event["type"] == "block" {
                return (id, event);
            }
        }
    }

    /// The next event: its subscription and itself. That one is far behind is not looked at.
    pub(crate) async fn event(&mut self) -> (String, Value) {
        loop {
            let (id, event) = self.any_event().await;
            if event["type"] != "behind" {
                return (id, event);
            }
        }
    }

    async fn any_event(&mut self) -> (String, Value) {
        let message = match self.events.pop_front() {
            Some(message) => message,
            None => serde_json::from_str(&self.text().await).unwrap(),
        };
        assert_eq!(message["method"], "metashrew_subscription", "{message}");
        let params = &message["params"];
        let id = params["subscription"].as_str().unwrap();
        (id.to_owned(), params["event"].clone())
    }

    /// How many events came that were not asked for.
    pub(crate) fn waiting(&self) -> usize {
        self.events.len()
    }
}

/// A connection over which an upgrade was asked for as it should be, and answered.
pub(crate) fn raw(served: &Served) -> TcpStream {
    let address = served.handle.local_addr();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "GET / HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    let answer = String::from_utf8(answer).unwrap();
    assert_eq!(status(&answer), 101, "{answer}");
    assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
    stream
}

/// An event stream that is read.
pub(crate) struct EventStream {
    pub(crate) head: String,
    lines: BufReader<Chunks>,
}

/// An event as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) id: Option<String>,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

impl EventStream {
    /// One that must begin.
    pub(crate) fn open(served: &Served, target: &str, headers: &[(&str, &str)]) -> Self {
        let stream = get(served, target, headers);
        let mut lines = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(lines.read_line(&mut head).unwrap() > 0, "{head}");
        }
        assert_eq!(status(&head), 200, "{head}");
        Self {
            head: head.to_ascii_lowercase(),
            lines: BufReader::new(Chunks {
                stream: lines,
                left: 0,
            }),
        }
    }

    /// The next block of lines, without the empty one at its end; none at the end of all.
    pub(crate) fn block(&mut self) -> Option<String> {
        let mut block = String::new();
        while !block.ends_with("\n\n") {
            if self.lines.read_line(&mut block).unwrap() == 0 {
                assert_eq!(block, "");
                return None;
            }
        }
        Some(block.trim_end_matches('\n').to_owned())
    }

    /// The next block that came; none at the end.
    pub(crate) fn next_block(&mut self) -> Option<Came> {
        loop {
            let came = self.event()?;
            if came.kind == "block" {
                return Some(came);
            }
        }
    }

    /// The next event; none at the end. That one is far behind is not looked at.
    pub(crate) fn event(&mut self) -> Option<Came> {
        loop {
            let block = self.block()?;
            let mut came = Came::default();
            let mut data = String::new();
            for line in block.lines() {
                match line.split_once(": ") {
                    Some(("id", id)) => came.id = Some(id.to_owned()),
                    Some(("event", kind)) => kind.clone_into(&mut came.kind),
                    Some(("data", line)) => data.push_str(line),
                    _ => {}
                }
            }
            if !data.is_empty() && came.kind != "behind" {
                came.data = serde_json::from_str(&data).unwrap();
                assert_eq!(came.data["type"], came.kind.as_str());
                let cursor = came.data.get("cursor").and_then(Value::as_str);
                assert_eq!(cursor, came.id.as_deref());
                return Some(came);
            }
        }
    }
}

/// A body that comes in chunks.
struct Chunks {
    stream: BufReader<TcpStream>,
    /// Bytes of the chunk that are left.
    left: usize,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let length = line.trim_end();
            if length.is_empty() {
                // The connection was closed before the end of the body.
                return Ok(0);
            }
            self.left = usize::from_str_radix(length, 16).unwrap();
            if self.left == 0 {
                return Ok(0);
            }
        }
        let most = buffer.len().min(self.left);
        let read = self.stream.read(&mut buffer[..most])?;
        self.left -= read;
        if self.left == 0 {
            self.stream.read_exact(&mut [0; 2])?;
        }
        Ok(read)
    }
}

/// A connection on which a `GET` was sent.
pub(crate) fn get(served: &Served, target: &str, headers: &[(&str, &str)]) -> TcpStream {
    let address = served.handle.local_addr();
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let head = format!(
        "GET {target} HTTP/1.1\r\nhost: {address}\r\n{}\r\n",
        headers.concat()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// A member of `metashrew_stats`.
pub(crate) fn stat(served: &Served, path: &[&str]) -> u64 {
    let stats = served.result("metashrew_stats", &json!([]));
    let value = path.iter().fold(&stats, |value, name| &value[*name]);
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{path:?} of {stats}"))
}
