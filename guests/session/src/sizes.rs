//! Something large, built over several calls: the sizes of all blocks in order,
//! so that each call costs as much as the caller allows.

use crate::memory::Memory;
use crate::state;
use guest_wire::json;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::convert::Infallible;

/// Blocks read in one call: by default, and at most.
const BLOCKS: (u32, u32) = (100, 100_000);
/// Chains whose sizes are held.
const CHAINS: usize = 4;

thread_local! {
    /// By the hash of the block that ends the chain.
    static MEMORY: RefCell<Memory<[u8; 32], Sizes>> = const { RefCell::new(Memory::new(CHAINS)) };
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    blocks: Option<u32>,
}

/// The sizes read so far.
#[derive(Default)]
struct Sizes {
    /// In order of size.
    sorted: Vec<u32>,
}

#[derive(Serialize)]
struct Progress {
    height: u32,
    loaded: u32,
    of: u32,
    complete: bool,
    smallest: Option<u32>,
    median: Option<u32>,
    largest: Option<u32>,
}

/// Reads the next blocks' sizes: how far it is, and what is known by then. With
/// 0 blocks it only tells.
pub(crate) fn sizes(height: u32, input: &[u8]) -> Result<Vec<u8>, Infallible> {
    json::answer(input, |question: Question| {
        let blocks = question.blocks.unwrap_or(BLOCKS.0);
        if blocks > BLOCKS.1 {
            return Err(format!("`blocks` is {blocks}; it may be 0 to {}", BLOCKS.1));
        }
        let first = state::first()?;
        let tip = state::block(height)?.hash;
        MEMORY.with_borrow_mut(|memory| {
            let (sizes, _) = memory.get_or_insert_with(tip, Sizes::default);
            let start = first + sizes.loaded();
            let end = start.saturating_add(blocks).min(height + 1);
            let blocks = state::blocks_once(start..end)?;
            sizes.sorted.extend(blocks.iter().map(|block| block.size));
            sizes.sorted.sort_unstable();
            Ok(sizes.progress(height, height + 1 - first))
        })
    })
}

impl Sizes {
    fn loaded(&self) -> u32 {
        u32::try_from(self.sorted.len()).expect("there are fewer blocks than 2^32")
    }

    fn progress(&self, height: u32, of: u32) -> Progress {
        let middle = self.sorted.len().saturating_sub(1) / 2;
        Progress {
            height,
            loaded: self.loaded(),
            of,
            complete: self.loaded() == of,
            smallest: self.sorted.first().copied(),
            median: self.sorted.get(middle).copied(),
            largest: self.sorted.last().copied(),
        }
    }
}
