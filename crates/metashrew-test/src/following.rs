//! What follows a chain: blocks that are there no longer are taken back, and new ones indexed.

use crate::{Block, Chain, Failed};

/// Heights and hashes of the blocks that are indexed, lowest first.
pub(crate) type Indexed = Vec<(u32, [u8; 32])>;

/// Something with a state at each block of a chain.
pub(crate) trait Following {
    /// The blocks that it has.
    fn indexed(&mut self) -> &mut Indexed;

    /// Indexes a block and notes it, or leaves no trace of it.
    fn index_next(&mut self, block: &Block) -> Result<(), Failed>;

    /// Takes the state back to that of a height; none is before the first block.
    fn roll_back(&mut self, tip: Option<u32>) -> Result<(), Failed>;

    /// Comes to where a chain is, or up to the block that fails.
    fn come_to(&mut self, chain: &Chain) -> Result<(), Failed> {
        let indexed = self.indexed();
        let there = indexed.iter().zip(chain.blocks());
        let kept = there
            .take_while(|((height, hash), block)| *height == block.height && *hash == block.hash)
            .count();
        if kept < indexed.len() {
            indexed.truncate(kept);
            let tip = indexed.last().map(|(height, _)| *height);
            self.roll_back(tip)?;
        }
        let new = chain.blocks().get(kept..).unwrap_or_default();
        new.iter().try_for_each(|block| self.index_next(block))
    }
}
