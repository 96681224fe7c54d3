//! Events as JSON objects, each on one line.

use bytes::Bytes;
use metashrew_store::{BlockHash, BlockRecord};
use serde::Serialize;
use serde_json::json;

use super::cursor::Cursor;
use super::undone::UndoneHead;
use crate::budget::Lease;
use crate::wire;

/// Something that a subscriber is told, or a part of it.
#[derive(Debug)]
pub(crate) struct Event {
    /// From where to resume once this was received; none before the last part of an event.
    pub(crate) cursor: Option<Cursor>,
    /// Its `type`.
    pub(crate) kind: &'static str,
    /// The JSON object, without ends of lines.
    pub(crate) data: Bytes,
    /// Whether it is the last one of its subscription.
    pub(crate) end: bool,
    /// The memory that it holds until it is written; none where nothing is counted yet.
    pub(crate) lease: Option<Lease>,
}

/// Bytes that are kept for what comes first and is known last, the `type` and the cursor: so a
/// long event is not copied to put it before.
const HEAD: usize = 160;

/// Bytes of a write's JSON besides the digits.
const AROUND_WRITE: usize = r#",{"key":"0x","value":"0x"}"#.len();

/// More of an event's buffer than this is not left unused.
const UNUSED: usize = 64 * 1024;

/// An event that is being written.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    kind: &'static str,
    /// Room for the head, then the members, each behind a comma.
    text: Vec<u8>,
    /// Whether the array of writes was begun, and whether it has any.
    writes: Option<bool>,
}

impl Draft {
    pub(super) fn new(kind: &'static str) -> Self {
        Self {
            kind,
            text: vec![b' '; HEAD],
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

    /// Bytes that a block of [`Self::undone`] takes at most.
    pub(super) const UNDONE_LENGTH: usize =
        r#",{"height":4294967295,"hash":"0x"}"#.len() + 2 * size_of::<BlockHash>();

    /// With blocks that went.
    pub(super) fn undone(mut self, blocks: &[UndoneHead]) -> Self {
        let text = &mut self.text;
        text.extend_from_slice(b",\"undone\":[");
        text.reserve_exact(blocks.len() * Self::UNDONE_LENGTH);
        for (index, block) in blocks.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let (height, hash) = (block.height, wire::block_hash(&block.hash));
            let item = format!("{comma}{{\"height\":{height},\"hash\":\"{hash}\"}}");
            text.extend_from_slice(item.as_bytes());
        }
        text.push(b']');
        self
    }

    pub(super) fn with(mut self, name: &str, value: &impl Serialize) -> Self {
        // Each is made of texts and numbers, which can be written.
        let value = serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec());
        self.member(name, value.len()).extend_from_slice(&value);
        self
    }

    /// Where to append the JSON of a member's value, which has so many bytes.
    pub(super) fn member(&mut self, name: &str, length: usize) -> &mut Vec<u8> {
        let text = &mut self.text;
        text.extend_from_slice(b",\"");
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b"\":");
        if length > UNUSED {
            // Nothing is to come but the end.
            text.reserve_exact(length + 1);
        }
        text
    }

    /// Begins the array of writes: the last member, but for those of parts.
    pub(super) fn begin_writes(&mut self) {
        self.text.extend_from_slice(b",\"writes\":[");
        self.writes = Some(false);
    }

    /// Bytes that a write takes.
    pub(super) fn write_length(key: &[u8], value: &[u8]) -> usize {
        AROUND_WRITE + 2 * (key.len() + value.len())
    }

    pub(super) fn write(&mut self, key: &[u8], value: &[u8]) {
        self.begin_write(key);
        self.text.extend_from_slice(b"\",\"value\":\"");
        push_hex(&mut self.text, value);
        self.text.extend_from_slice(b"\"}");
    }

    /// A write whose value, of so many bytes, is too long to be told.
    pub(super) fn write_without_value(&mut self, key: &[u8], length: usize) {
        self.begin_write(key);
        let rest = format!("\",\"value\":null,\"length\":{length}}}");
        self.text.extend_from_slice(rest.as_bytes());
    }

    fn begin_write(&mut self, key: &[u8]) {
        if self.writes.replace(true) == Some(true) {
            self.text.push(b',');
        }
        self.text.extend_from_slice(b"{\"key\":\"");
        push_hex(&mut self.text, key);
    }

    /// Whether any write is in it.
    pub(super) fn has_writes(&self) -> bool {
        self.writes == Some(true)
    }

    /// Bytes of the members so far.
    pub(super) fn len(&self) -> usize {
        self.text.len() - HEAD
    }

    fn end_writes(&mut self) {
        if self.writes.take().is_some() {
            self.text.push(b']');
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
        let mut text = self.text;
        text.push(b'}');
        let mut head = format!("{{\"type\":{}", json!(self.kind));
        if let Some(cursor) = &cursor {
            head.push_str(",\"cursor\":");
            head.push_str(&json!(cursor).to_string());
        }
        let begin = HEAD.saturating_sub(head.len());
        text.splice(begin..HEAD, head.into_bytes());
        if text.capacity() - text.len() > UNUSED {
            text.shrink_to_fit();
        }
        Event {
            cursor,
            kind: self.kind,
            data: Bytes::from(text).slice(begin..),
            end: false,
            lease: None,
        }
    }
}

/// Appends `0x` and the bytes.
fn push_hex(text: &mut Vec<u8>, bytes: &[u8]) {
    text.extend_from_slice(b"0x");
    let begin = text.len();
    text.resize(begin + 2 * bytes.len(), 0);
    let digits = text.get_mut(begin..).unwrap_or_default();
    hex::encode_to_slice(bytes, digits).expect("there are two digits for each byte");
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
pub(super) fn end(told: Option<Cursor>, reason: &str) -> Event {
    let event = Draft::new("end").with("reason", &reason).finish(told);
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
        let event = end(Some(cursor()), "a \"reason\"");
        check(
            &event,
            &json!({ "type": "end", "cursor": text, "reason": "a \"reason\"" }),
        );
        assert!(event.end);
    }

    #[test]
    fn the_length_of_a_write_is_known_before() {
        let mut draft = Draft::new("block");
        draft.begin_writes();
        draft.write(b"first", b"");
        let before = draft.len();
        draft.write(b"key", &[7; 100]);
        assert_eq!(draft.len() - before, Draft::write_length(b"key", &[7; 100]));
    }

    #[test]
    fn what_blocks_that_went_take_is_known_before() {
        let (height, hash) = (u32::MAX, BlockHash::from_bytes([0xab; 32]));
        let blocks = [UndoneHead { height, hash }; 3];
        let draft = Draft::new("undo").undone(&blocks);
        let around = r#","undone":[]"#.len();
        assert_eq!(draft.len() + 1, around + 3 * Draft::UNDONE_LENGTH);
        let block = json!({ "height": height, "hash": format!("0x{}", "ab".repeat(32)) });
        check(
            &draft.part(0),
            &json!({ "type": "undo", "undone": [block, block, block], "part": 0 }),
        );
        let none = Draft::new("undo").undone(&[]).finish(None);
        check(&none, &json!({ "type": "undo", "undone": [] }));
    }

    #[test]
    fn a_long_member_takes_no_more_than_it_is_long() {
        let long = vec![b'7'; 10 * UNUSED];
        let mut draft = Draft::new("answer");
        draft.member("result", long.len()).extend_from_slice(&long);
        let all = draft.text.capacity();
        assert!(all < long.len() + 1024, "{all}");
        let event = draft.finish(Some(cursor()));
        assert!(
            event
                .data
                .starts_with(b"{\"type\":\"answer\",\"cursor\":\"7:0xab")
        );
        assert!(event.data.ends_with(b"777}"));
    }

    #[test]
    fn only_the_last_part_has_the_cursor() {
        let mut first = Draft::new("block").with("height", &7);
        first.begin_writes();
        first.write(b"\x01", b"");
        first.write(b"\x02", b"\xff");
        first.write_without_value(b"\x03", 7);
        let writes = json!([
            { "key": "0x01", "value": "0x" },
            { "key": "0x02", "value": "0xff" },
            { "key": "0x03", "value": null, "length": 7 },
        ]);
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
