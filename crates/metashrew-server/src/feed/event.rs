//! Events as JSON objects.

use bytes::Bytes;
use metashrew_store::BlockRecord;
use serde::Serialize;
use serde_json::json;

use super::cursor::Cursor;
use super::scan::{Undo, of_undone};
use crate::wire;

/// Something that a subscriber is told, or a part of it.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// From where to resume once this was received; none before the last part of an event.
    pub(crate) cursor: Option<Cursor>,
    /// Its `type`.
    pub(crate) kind: &'static str,
    /// The JSON object.
    pub(crate) data: Bytes,
    /// Whether it is the last one of its subscription.
    pub(crate) end: bool,
}

/// An event that is being written.
#[derive(Debug)]
pub(super) struct Draft {
    kind: &'static str,
    /// The members but `type` and `cursor`, each behind a comma.
    members: String,
    /// Whether the array of writes was begun, and whether it has any.
    writes: Option<bool>,
}

impl Draft {
    pub(super) fn new(kind: &'static str) -> Self {
        Self {
            kind,
            members: String::new(),
            writes: None,
        }
    }

    /// A block that came.
    pub(super) fn of_block(kind: &'static str, block: &BlockRecord) -> Self {
        Self::new(kind)
            .with("height", &block.height)
            .with("hash", &wire::block_hash(&block.hash))
            .with("parent", &wire::block_hash(&block.parent))
            .with("historyRoot", &wire::history_root(&block.history_root))
    }

    /// Something about the state at `at`.
    pub(super) fn at(kind: &'static str, at: &Cursor) -> Self {
        let (height, hash) = match at {
            Cursor::First => (None, None),
            Cursor::Block { height, hash } => (Some(height), Some(wire::block_hash(hash))),
        };
        Self::new(kind).with("height", &height).with("hash", &hash)
    }

    /// With the blocks that went.
    pub(super) fn undone(self, undo: &Undo) -> Self {
        let undone: Vec<_> = undo.blocks.iter().map(of_undone).collect();
        self.with("undone", &undone)
    }

    pub(super) fn with(mut self, name: &str, value: &impl Serialize) -> Self {
        // Each is made of texts and numbers, which can be written.
        let value = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
        self.raw(name, &value);
        self
    }

    /// A member whose value is JSON.
    pub(super) fn raw(&mut self, name: &str, json: &str) {
        self.members.push_str(",\"");
        self.members.push_str(name);
        self.members.push_str("\":");
        self.members.push_str(json);
    }

    /// Begins the array of writes: the last member, but for those of parts.
    pub(super) fn begin_writes(&mut self) {
        self.members.push_str(",\"writes\":[");
        self.writes = Some(false);
    }

    pub(super) fn write(&mut self, key: &[u8], value: &[u8]) {
        if self.writes.replace(true) == Some(true) {
            self.members.push(',');
        }
        let text = &mut self.members;
        text.push_str("{\"key\":\"");
        push_hex(text, key);
        text.push_str("\",\"value\":\"");
        push_hex(text, value);
        text.push_str("\"}");
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    fn end_writes(&mut self) {
        if self.writes.take().is_some() {
            self.members.push(']');
        }
    }

    /// Ends it as the part `number` of an event that has more.
    pub(super) fn part(mut self, number: u32) -> Event {
        self.end_writes();
        self.with("part", &number).finish(None)
    }

    /// Ends it as the last part of an event, which alone has the cursor.
    pub(super) fn last_part(mut self, number: u32, cursor: Option<Cursor>) -> Event {
        self.end_writes();
        let last = self.with("part", &number).with("last", &true);
        last.finish(cursor)
    }

    pub(super) fn finish(mut self, cursor: Option<Cursor>) -> Event {
        self.end_writes();
        let mut data = format!("{{\"type\":{}", json!(self.kind));
        if let Some(cursor) = &cursor {
            data.push_str(",\"cursor\":");
            data.push_str(&json!(cursor).to_string());
        }
        data.push_str(&self.members);
        data.push('}');
        Event {
            cursor,
            kind: self.kind,
            data: data.into(),
            end: false,
        }
    }
}

/// Appends `0x` and the bytes.
fn push_hex(text: &mut String, bytes: &[u8]) {
    text.push_str(&hex::encode_prefixed(bytes));
}

/// A subscription stands at `at`.
pub(super) fn position(at: Cursor) -> Event {
    Draft::at("position", &at).finish(Some(at))
}

/// A subscription is served from the database: so many blocks come before the tip.
pub(super) fn behind(told: Cursor, blocks: u32) -> Event {
    Draft::new("behind")
        .with("blocks", &blocks)
        .finish(Some(told))
}

/// A subscription is over.
pub(super) fn end(told: Cursor, reason: &str) -> Event {
    let event = Draft::new("end").with("reason", &reason).finish(Some(told));
    Event { end: true, ..event }
}

#[cfg(test)]
mod tests {
    use metashrew_store::BlockHash;

    use super::*;

    fn cursor() -> Cursor {
        Cursor::Block {
            height: 7,
            hash: BlockHash::from_bytes([0xab; 32]),
        }
    }

    fn check(event: &Event, expect: &serde_json::Value) {
        let read: serde_json::Value = serde_json::from_slice(&event.data).unwrap();
        assert_eq!(read, *expect);
        assert_eq!(read["type"], event.kind);
    }

    #[test]
    fn events_are_json() {
        let (text, hash) = (cursor().to_string(), format!("0x{}", "ab".repeat(32)));
        check(
            &position(cursor()),
            &json!({ "type": "position", "cursor": text, "height": 7, "hash": hash }),
        );
        check(
            &position(Cursor::First),
            &json!({ "type": "position", "cursor": "first", "height": null, "hash": null }),
        );
        let event = end(cursor(), "a \"reason\"");
        check(
            &event,
            &json!({ "type": "end", "cursor": text, "reason": "a \"reason\"" }),
        );
        assert!(event.end);
    }

    #[test]
    fn only_the_last_part_has_the_cursor() {
        let mut first = Draft::new("block").with("height", &7);
        first.begin_writes();
        first.write(b"\x01", b"");
        first.write(b"\x02", b"\xff");
        let writes = json!([{ "key": "0x01", "value": "0x" }, { "key": "0x02", "value": "0xff" }]);
        check(
            &first.part(0),
            &json!({ "type": "block", "height": 7, "writes": writes, "part": 0 }),
        );
        let mut last = Draft::new("block");
        last.begin_writes();
        let last = last.last_part(1, Some(cursor()));
        check(
            &last,
            &json!({
                "type": "block", "cursor": cursor().to_string(), "writes": [], "part": 1,
                "last": true,
            }),
        );
        assert_eq!(last.cursor, Some(cursor()));
    }
}
