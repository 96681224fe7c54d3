//! A subscription over either transport, from the first block on or from a cursor.

use std::net::SocketAddr;

use metashrew_testing::push::{EventStream, Failed, Kind, Socket};
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Socket,
    Stream,
}

impl Transport {
    pub(super) const ALL: [Self; 2] = [Self::Socket, Self::Stream];
}

/// What is subscribed to.
#[derive(Debug, Clone)]
pub(super) struct Topic {
    pub(super) kind: Kind,
    /// Of the keys of `writes`; none for all.
    pub(super) prefix: Option<String>,
    /// What the view `get` is asked.
    pub(super) input: String,
}

pub(super) struct Connection(Either);

enum Either {
    Socket(Box<Socket>),
    Stream(EventStream),
}

impl Connection {
    pub(super) fn open(
        address: SocketAddr,
        transport: Transport,
        topic: &Topic,
        cursor: Option<&str>,
    ) -> Result<Self, Failed> {
        match transport {
            Transport::Socket => {
                let mut socket = Box::new(Socket::open(address)?);
                socket.subscribe(&topic.params(cursor))?;
                Ok(Self(Either::Socket(socket)))
            }
            Transport::Stream => {
                let stream = EventStream::open(address, &topic.path(cursor), cursor)?;
                Ok(Self(Either::Stream(stream)))
            }
        }
    }

    pub(super) fn event(&mut self) -> Result<Value, Failed> {
        match &mut self.0 {
            Either::Socket(socket) => socket.event().map(|(_, event)| event),
            Either::Stream(stream) => stream.event(),
        }
    }
}

impl Topic {
    fn params(&self, cursor: Option<&str>) -> Value {
        let mut params = match self.kind {
            Kind::Heads => json!({ "kind": "heads" }),
            Kind::Writes => json!({ "kind": "writes" }),
            Kind::View => json!({ "kind": "view", "function": "get", "input": self.input }),
        };
        if let (Kind::Writes, Some(prefix)) = (self.kind, &self.prefix) {
            params["prefix"] = prefix.as_str().into();
        }
        match cursor {
            Some(cursor) => params["cursor"] = cursor.into(),
            None => params["from"] = "first".into(),
        }
        params
    }

    /// A cursor goes into a header.
    fn path(&self, cursor: Option<&str>) -> String {
        let mut path = match (self.kind, &self.prefix) {
            (Kind::Heads, _) => "/subscribe/heads?".to_owned(),
            (Kind::Writes, None) => "/subscribe/writes?".to_owned(),
            (Kind::Writes, Some(prefix)) => format!("/subscribe/writes?prefix={prefix}&"),
            (Kind::View, _) => format!("/subscribe/view/get?input={}&", self.input),
        };
        if cursor.is_none() {
            path.push_str("from=first");
        }
        path.trim_end_matches(['?', '&']).to_owned()
    }
}
