//! A WebSocket with subscriptions on it.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::WebSocket;
use tokio_tungstenite::tungstenite::{Error, Message, client};

use super::{Failed, connect, ended};

/// A connection that calls methods and is told events.
pub struct Socket {
    messages: WebSocket<TcpStream>,
    calls: u64,
    /// Events that came while an answer was waited for.
    kept: VecDeque<(String, Value)>,
}

impl Socket {
    /// Connects to a server.
    ///
    /// # Errors
    /// If there is none, or it speaks no WebSocket.
    pub fn open(address: SocketAddr) -> Result<Self, Failed> {
        let stream = connect(address)?;
        let (messages, _) = client(format!("ws://{address}/"), stream).map_err(Failed::gone)?;
        Ok(Self {
            messages,
            calls: 0,
            kept: VecDeque::new(),
        })
    }

    /// The connection below.
    pub fn stream(&self) -> &TcpStream {
        self.messages.get_ref()
    }

    /// The result of a call.
    ///
    /// # Errors
    /// If it is refused, or the connection ends.
    pub fn call(&mut self, method: &str, params: &Value) -> Result<Value, Failed> {
        self.calls += 1;
        let id = self.calls;
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let message = Message::text(call.to_string());
        self.messages.send(message).map_err(Failed::gone)?;
        loop {
            let mut message = self.read()?;
            if let Some(event) = event_of(&mut message) {
                self.kept.push_back(event);
            } else if message["id"] == id {
                return match message.get("error") {
                    Some(error) => Err(Failed::Refused(error.clone())),
                    None => Ok(message["result"].take()),
                };
            } else {
                return Err(Failed::gone(format!("not asked for: {message}")));
            }
        }
    }

    /// Subscribes; answers the subscription's name.
    ///
    /// # Errors
    /// If it is refused, or the connection ends.
    pub fn subscribe(&mut self, params: &Value) -> Result<String, Failed> {
        let name = self.call("metashrew_subscribe", params)?;
        let name = name.as_str().map(str::to_owned);
        name.ok_or_else(|| Failed::gone("a subscription without a name"))
    }

    /// The next event of any subscription, and the subscription's name.
    ///
    /// # Errors
    /// If the connection ends.
    pub fn event(&mut self) -> Result<(String, Value), Failed> {
        if let Some(event) = self.kept.pop_front() {
            return Ok(event);
        }
        let mut message = self.read()?;
        event_of(&mut message).ok_or_else(|| Failed::gone(format!("no event: {message}")))
    }

    fn read(&mut self) -> Result<Value, Failed> {
        loop {
            // Pings are answered on the way.
            match self.messages.read().map_err(failed)? {
                Message::Text(text) => return serde_json::from_str(&text).map_err(Failed::gone),
                Message::Close(why) => return Err(Failed::gone(format!("closed: {why:?}"))),
                _ => {}
            }
        }
    }
}

fn failed(error: Error) -> Failed {
    match error {
        Error::Io(error) => ended(&error),
        error => Failed::gone(error),
    }
}

fn event_of(message: &mut Value) -> Option<(String, Value)> {
    if message["method"] != "metashrew_subscription" {
        return None;
    }
    let params = &mut message["params"];
    let name = params["subscription"].as_str()?.to_owned();
    Some((name, params["event"].take()))
}
