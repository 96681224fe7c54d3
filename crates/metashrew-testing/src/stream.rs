//! A chain that is made block by block and not kept: as long as one wants.

use bitcoin::{BlockHash, Network, constants};

use crate::aged_coins::AgedCoins;
use crate::ages::Ages;
use crate::chain::{Mined, Shape};
use crate::miner::{Miner, Place};

/// The blocks of a chain, without end, from height 1 on: as those of a
/// [`Chain`](crate::chain::Chain), but the age of what they spend is drawn, and nothing
/// is kept but what later blocks may spend (some 75 KB for each full block).
///
/// ```
/// use metashrew_testing::ages::Ages;
/// use metashrew_testing::chain::Shape;
/// use metashrew_testing::stream::Stream;
///
/// let blocks: Vec<_> = Stream::new(7, Shape::Transactions(20), Ages::MAINNET).take(3).collect();
/// assert_eq!(blocks[2].height, 3);
/// assert_eq!(blocks[2].parent, blocks[1].hash);
/// ```
#[derive(Debug, Clone)]
pub struct Stream {
    miner: Miner,
    coins: AgedCoins,
    height: u32,
    parent: BlockHash,
}

impl Stream {
    /// The same blocks for the same arguments.
    pub fn new(seed: u64, shape: Shape, ages: Ages) -> Self {
        Self {
            miner: Miner::new(seed, shape),
            coins: AgedCoins::new(ages),
            height: 1,
            parent: constants::genesis_block(Network::Regtest).block_hash(),
        }
    }
}

impl Iterator for Stream {
    type Item = Mined;

    fn next(&mut self) -> Option<Mined> {
        let place = Place {
            height: self.height,
            parent: self.parent,
            is_first: self.height == 1,
        };
        let mined = self.miner.mine(place, &mut self.coins, &mut Vec::new());
        self.height = self.height.checked_add(1)?;
        self.parent = mined.hash;
        Some(mined)
    }
}
