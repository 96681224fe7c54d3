//! A plain view over many values: the SDK keeps what it read.

use crate::state;
use guest_wire::json;
use metashrew_core::lru_cache_stats;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;

/// Blocks added up: by default, and at most.
const BLOCKS: (u32, u32) = (100, 10_000);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    blocks: Option<u32>,
}

#[derive(Serialize)]
struct Recent {
    height: u32,
    blocks: u32,
    bytes: u64,
    asked: u64,
}

/// Bytes of the newest blocks together, and for how many values the host had to
/// be asked: none, the next time.
pub(crate) fn recent(height: u32, input: &[u8]) -> Result<Vec<u8>, Infallible> {
    json::answer(input, |question: Question| {
        let wanted = question.blocks.unwrap_or(BLOCKS.0);
        if !(1..=BLOCKS.1).contains(&wanted) {
            return Err(format!("`blocks` is {wanted}; it may be 1 to {}", BLOCKS.1));
        }
        let before = lru_cache_stats().misses;
        let first = state::first()?.max((height + 1).saturating_sub(wanted));
        let blocks = state::blocks(first..=height)?;
        let bytes = blocks.iter().map(|block| u64::from(block.size)).sum();
        Ok(Recent {
            height,
            blocks: height + 1 - first,
            bytes,
            asked: lru_cache_stats().misses - before,
        })
    })
}
