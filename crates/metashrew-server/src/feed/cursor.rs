//! Where a subscription stands, as its client keeps it.

use std::fmt;
use std::str::FromStr;

use metashrew_store::{BlockHash, BlockId, BlockRecord, Height};
use serde::{Serialize, Serializer};

use crate::wire;

/// A block up to which everything was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Cursor {
    /// Before the first block held.
    First,
    /// After this block.
    Block { height: Height, hash: BlockHash },
}

impl Cursor {
    /// The block's height; none before the first one.
    pub(super) fn height(&self) -> Option<Height> {
        match self {
            Self::First => None,
            Self::Block { height, .. } => Some(*height),
        }
    }
}

impl From<&BlockRecord> for Cursor {
    fn from(block: &BlockRecord) -> Self {
        Self::Block {
            height: block.height,
            hash: block.hash,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => formatter.write_str("first"),
            Self::Block { height, hash } => {
                write!(formatter, "{height}:{}", wire::block_hash(hash))
            }
        }
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be a cursor: `height:hash` as an event tells it, or `first`")]
pub(crate) struct ParseCursorError;

impl FromStr for Cursor {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(BlockId::Anchored { height, hash }) => Ok(Self::Block { height, hash }),
            _ if text == "first" => Ok(Self::First),
            _ => Err(ParseCursorError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_parse_as_they_print() {
        let hash = "00".repeat(31) + "ab";
        for text in ["first".to_owned(), format!("7:0x{hash}")] {
            let cursor: Cursor = text.parse().unwrap();
            assert_eq!(cursor.to_string(), text);
        }
        for text in ["", "latest", "7", "7:", "0xab", "pending"] {
            assert_eq!(text.parse::<Cursor>(), Err(ParseCursorError), "{text}");
        }
    }
}
