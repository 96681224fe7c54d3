//! How a caller names a block: by height, by hash, by both, or the newest.

use std::fmt;
use std::str::FromStr;

use crate::block::{BlockHash, Height, hex32};

/// A name of a block, to be looked up in a [`Snapshot`](crate::Snapshot).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockId {
    /// The last committed block.
    Latest,
    /// The block at this height, whatever its hash.
    Height(Height),
    /// The block with this hash, if it is in the chain.
    Hash(BlockHash),
    /// The block at this height, if it has this hash.
    Anchored {
        /// The height.
        height: Height,
        /// The hash the block must have.
        hash: BlockHash,
    },
}

/// A text that names no block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` names no block: expected `latest`, a height (decimal or 0x hex, below 2^32), a block hash (64 hex digits) or `height:hash`"
)]
pub struct ParseBlockIdError {
    /// The text as it was given.
    pub text: String,
}

impl FromStr for BlockId {
    type Err = ParseBlockIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = if text == "latest" {
            Some(Self::Latest)
        } else if let Some((height, hash)) = text.split_once(':') {
            parse_height(height)
                .zip(parse_hash(hash))
                .map(|(height, hash)| Self::Anchored { height, hash })
        } else {
            parse_hash(text)
                .map(Self::Hash)
                .or_else(|| parse_height(text).map(Self::Height))
        };
        parsed.ok_or_else(|| ParseBlockIdError {
            text: text.to_owned(),
        })
    }
}

/// A text of hex digits without the `0x` or `0X` that may stand before them.
pub fn without_hex_prefix(text: &str) -> &str {
    text.strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text)
}

fn parse_hash(text: &str) -> Option<BlockHash> {
    let mut bytes = hex32(without_hex_prefix(text))?;
    bytes.reverse();
    Some(BlockHash::from_bytes(bytes))
}

fn parse_height(text: &str) -> Option<Height> {
    let digits = without_hex_prefix(text);
    let (radix, longest) = if digits.len() < text.len() {
        (16, 8)
    } else {
        (10, 10)
    };
    // `from_str_radix` would take a sign, which is no digit of a height.
    let well_formed = !digits.is_empty()
        && digits.len() <= longest
        && digits.chars().all(|digit| digit.is_digit(radix));
    well_formed
        .then(|| Height::from_str_radix(digits, radix).ok())
        .flatten()
}

impl fmt::Display for BlockId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => formatter.write_str("latest"),
            Self::Height(height) => write!(formatter, "{height}"),
            Self::Hash(hash) => write!(formatter, "{hash}"),
            Self::Anchored { height, hash } => write!(formatter, "{height}:{hash}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "00000000839a8e6886ab5951d76f411475428afc90947ee320161bbf18eb6048";

    fn check(text: &str, expect: Option<BlockId>) {
        assert_eq!(text.parse().ok(), expect, "{text}");
    }

    #[test]
    fn every_form_of_a_block_name() {
        let hash = HASH.parse().unwrap();
        check("latest", Some(BlockId::Latest));
        check("0", Some(BlockId::Height(0)));
        check("840000", Some(BlockId::Height(840_000)));
        check("4294967295", Some(BlockId::Height(u32::MAX)));
        check("0xff", Some(BlockId::Height(255)));
        check("0xffffffff", Some(BlockId::Height(u32::MAX)));
        check("0XfF", Some(BlockId::Height(255)));
        check(&format!("0X{HASH}"), Some(BlockId::Hash(hash)));
        check(HASH, Some(BlockId::Hash(hash)));
        check(&format!("0x{HASH}"), Some(BlockId::Hash(hash)));
        let anchored = BlockId::Anchored { height: 1, hash };
        check(&format!("1:{HASH}"), Some(anchored));
        check(&format!("0x1:0x{HASH}"), Some(anchored));
    }

    #[test]
    fn what_names_no_block() {
        for text in [
            "",
            "Latest",
            "-1",
            "+1",
            "4294967296",
            "0x",
            "0x+1",
            "0X",
            "0x0x1",
            "0X0x1",
            "0x100000000",
            "0x000000001",
            "12a",
            ":",
            "1:",
            "1:2",
            " 1",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn names_print_as_they_parse() {
        for text in ["latest", "17", HASH, &format!("17:{HASH}")] {
            let id: BlockId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
        }
    }
}
