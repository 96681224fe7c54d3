//! Server-sent events, and what `tail` has to know of each.

use std::io::{self, BufRead, Read as _};

use serde::Deserialize;
use serde_json::{Map, Value};

/// The longest line that is read, in bytes.
const MAX_LINE: u64 = 1 << 30;

/// A whole event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Its JSON, on one line.
    pub(super) line: String,
    pub(super) head: Head,
}

/// What of an event says where it stands.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Head {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) cursor: Option<String>,
    pub(super) height: Option<u32>,
    /// Why the server ends the subscription.
    reason: Option<String>,
    part: Option<usize>,
    last: Option<bool>,
}

/// What ends a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error("the connection broke")]
    Read(#[from] io::Error),
    #[error("the server closed the connection")]
    Closed,
    #[error("the server ended the subscription: {0}")]
    Ended(String),
    #[error("the server sent what is no event")]
    Json(#[from] serde_json::Error),
    #[error("part {expected} of an event is missing")]
    Part { expected: usize },
}

/// The events of one connection.
#[derive(Debug)]
pub(super) struct Events<R> {
    stream: io::BufReader<R>,
    parts: Vec<Map<String, Value>>,
}

impl<R: io::Read> Events<R> {
    pub(super) fn new(stream: R) -> Self {
        Self {
            stream: io::BufReader::with_capacity(64 << 10, stream),
            parts: Vec::new(),
        }
    }

    /// Whether there is more that has come already.
    pub(super) fn has_more(&self) -> bool {
        self.stream.buffer().windows(2).any(|ends| ends == b"\n\n")
    }

    /// Waits for the next whole event. What the connection broke off in the midst of is none.
    pub(super) fn next(&mut self) -> Result<Event, Lost> {
        loop {
            let line = self.data()?;
            let head: Head = serde_json::from_str(&line)?;
            if head.kind == "end" {
                return Err(Lost::Ended(head.reason.unwrap_or_default()));
            }
            let Some(part) = head.part else {
                return Ok(Event { line, head });
            };
            let expected = self.parts.len();
            if part != expected {
                return Err(Lost::Part { expected });
            }
            self.parts.push(serde_json::from_str(&line)?);
            if head.last == Some(true) {
                let whole = joined(self.parts.drain(..));
                let line = Value::Object(whole).to_string();
                let head = serde_json::from_str(&line)?;
                return Ok(Event { line, head });
            }
        }
    }

    /// The data of the next event, on one line.
    fn data(&mut self) -> Result<String, Lost> {
        let mut data = None::<String>;
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut stream = (&mut self.stream).take(MAX_LINE);
            stream.read_until(b'\n', &mut line)?;
            let Some(line) = line.strip_suffix(b"\n") else {
                return Err(Lost::Closed);
            };
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if let Some(value) = line.strip_prefix(b"data:") {
                let value = value.strip_prefix(b" ").unwrap_or(value);
                let value = String::from_utf8_lossy(value);
                match &mut data {
                    None => data = Some(value.into_owned()),
                    // Lines of JSON end between values only.
                    Some(data) => {
                        data.push(' ');
                        data.push_str(&value);
                    }
                }
            } else if line.is_empty()
                && let Some(data) = data.take()
            {
                return Ok(data);
            }
        }
    }
}

/// One event of its parts: what they list is put one behind the other.
fn joined(parts: impl Iterator<Item = Map<String, Value>>) -> Map<String, Value> {
    let mut whole = Map::new();
    for part in parts {
        for (name, value) in part {
            match (whole.get_mut(&name), value) {
                (Some(Value::Array(have)), Value::Array(more)) => have.extend(more),
                (_, value) => {
                    whole.insert(name, value);
                }
            }
        }
    }
    whole.remove("part");
    whole.remove("last");
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> (Vec<String>, Lost) {
        let mut events = Events::new(text.as_bytes());
        let mut lines = Vec::new();
        loop {
            match events.next() {
                Ok(event) => lines.push(event.line),
                Err(lost) => return (lines, lost),
            }
        }
    }

    #[test]
    fn whole_events_are_read_and_nothing_else() {
        let text = ": heartbeat\n\nid: 1:0x00\nevent: block\ndata: {\"type\":\"block\",\ndata: \"height\":1}\n\n\
                    data:{\"type\":\"none\"}\r\n\r\n\n\ndata: {\"type\":\"block\"}\n";
        let (lines, lost) = events(text);
        assert_eq!(
            lines,
            [r#"{"type":"block", "height":1}"#, r#"{"type":"none"}"#]
        );
        assert!(matches!(lost, Lost::Closed), "{lost:?}");
    }

    #[test]
    fn parts_are_joined() {
        let text = "data: {\"type\":\"block\",\"height\":7,\"part\":0,\"writes\":[1,2]}\n\n\
                    data: {\"type\":\"block\",\"height\":7,\"part\":1,\"writes\":[]}\n\n\
                    data: {\"type\":\"block\",\"height\":7,\"cursor\":\"7:0x\",\"part\":2,\"last\":true,\"writes\":[3]}\n\n";
        let mut events = Events::new(text.as_bytes());
        let event = events.next().unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&event.line).unwrap(),
            serde_json::json!({"type": "block", "height": 7, "cursor": "7:0x", "writes": [1, 2, 3]})
        );
        assert_eq!(event.head.cursor.as_deref(), Some("7:0x"));
        assert!(matches!(events.next(), Err(Lost::Closed)));
    }

    #[test]
    fn what_is_not_in_order_is_no_event() {
        let (lines, lost) = events("data: {\"type\":\"block\",\"part\":1,\"last\":true}\n\n");
        assert!(lines.is_empty());
        assert!(matches!(lost, Lost::Part { expected: 0 }), "{lost:?}");
        let (_, lost) = events("data: {\"type\":\"end\",\"reason\":\"shutdown\"}\n\n");
        assert_eq!(
            lost.to_string(),
            "the server ended the subscription: shutdown"
        );
        assert!(matches!(events("data: x\n\n").1, Lost::Json(_)));
    }

    #[test]
    fn what_breaks_off_at_any_byte_gives_whole_events_alone() {
        let text = "id: 1:0x\ndata: {\"type\":\"a\",\"cursor\":\"1:0x\"}\n\n: beat\n\n\
                    data: {\"type\":\"b\",\"part\":0,\"writes\":[1]}\n\n\
                    data: {\"type\":\"b\",\"part\":1,\"last\":true,\"cursor\":\"2:0x\",\"writes\":[2]}\n\n\
                    data: {\"type\":\"c\"}\n\n";
        let ends = [
            text.find("\n\n: beat"),
            text.rfind("\n\ndata: {\"type\":\"c"),
            text.rfind("\n\n"),
        ];
        for cut in 0..=text.len() {
            let whole = ends
                .iter()
                .filter(|end| end.is_some_and(|end| cut >= end + 2))
                .count();
            let (lines, lost) = events(&text[..cut]);
            assert_eq!(lines.len(), whole, "cut at {cut}");
            assert!(matches!(lost, Lost::Closed), "{lost:?}");
        }
    }

    #[test]
    fn more_is_there_when_a_whole_event_is() {
        let mut events =
            Events::new(&b"data: {\"type\":\"none\"}\n\ndata: {\"type\":\"none\"}\n\nda"[..]);
        events.next().unwrap();
        assert!(events.has_more());
        events.next().unwrap();
        assert!(!events.has_more());
    }
}
