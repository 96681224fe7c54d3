//! Makes chains of connected blocks: the same seed and calls, the same bytes.

use std::sync::Arc;

use bitcoin::consensus::encode::deserialize;
use bitcoin::hashes::Hash;
use bitcoin::{Block, BlockHash, Network, Transaction, constants};

use crate::coins::{Coins, Unspent};
use crate::miner::{Miner, Place, add_outputs};

/// The weight a block may have at most, in weight units.
pub const MAX_BLOCK_WEIGHT: u64 = 4_000_000;

/// The size and make-up of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Nothing but a coinbase.
    Coinbase,
    /// This many transactions of the mix besides the coinbase, as far as they
    /// fit in a block.
    Transactions(usize),
    /// Transactions of the mix up to a number, then inscriptions up to a weight.
    Weight {
        /// Transactions of the mix.
        transactions: usize,
        /// Weight units to fill; at most [`MAX_BLOCK_WEIGHT`].
        weight: u64,
    },
    /// As full as can be: about 3,000 transactions and 4,000,000 WU.
    Full,
}

impl Shape {
    /// Transactions of the mix, and the weight to fill up if there is one.
    pub(crate) fn targets(self) -> (usize, Option<u64>) {
        match self {
            Self::Coinbase => (0, None),
            Self::Transactions(count) => (count, None),
            Self::Weight {
                transactions,
                weight,
            } => (transactions, Some(weight.min(MAX_BLOCK_WEIGHT))),
            Self::Full => (3_000, Some(MAX_BLOCK_WEIGHT)),
        }
    }
}

/// A block made by [`Chain::mine`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mined {
    /// Its height.
    pub height: u32,
    /// Its hash.
    pub hash: BlockHash,
    /// The hash of the block it stands on.
    pub parent: BlockHash,
    /// The block, consensus-encoded.
    pub bytes: Arc<Vec<u8>>,
}

impl Mined {
    /// The block, decoded.
    ///
    /// # Panics
    /// Never: the generator encoded it.
    pub fn block(&self) -> Block {
        deserialize(&self.bytes).expect("the generator encoded it")
    }
}

/// A chain that grows by [`mine`](Self::mine) and branches by [`fork`](Self::fork).
///
/// Blocks follow every rule an indexer can see: they connect, merkle roots,
/// witness commitments, BIP34 heights and proof of work (at regtest difficulty)
/// are right, and each input spends an unspent output of an earlier or of the
/// same block. Keys and signatures are random bytes of the right form, and
/// coinbases may be spent at once.
///
/// The first block is always a coinbase alone, which pays as many outputs as
/// the following blocks need to spend from.
///
/// ```
/// use metashrew_testing::chain::{Chain, Shape};
///
/// let mut chain = Chain::new(7).start(800_000).shape(Shape::Transactions(20));
/// chain.mine(3);
/// let mut branch = chain.fork(800_001, 8);
/// branch.mine(5);
/// assert_eq!(chain.blocks()[1], branch.blocks()[1]);
/// assert_ne!(chain.blocks()[2].hash, branch.blocks()[2].hash);
/// ```
#[derive(Debug, Clone)]
pub struct Chain {
    miner: Miner,
    start: u32,
    parent: BlockHash,
    coins: Coins,
    pending: Vec<Transaction>,
    blocks: Vec<Mined>,
}

impl Chain {
    /// A chain on top of regtest's genesis block, with blocks of 10 transactions.
    pub fn new(seed: u64) -> Self {
        Self {
            miner: Miner::new(seed, Shape::Transactions(10)),
            start: 1,
            parent: constants::genesis_block(Network::Regtest).block_hash(),
            coins: Coins::default(),
            pending: Vec::new(),
            blocks: Vec::new(),
        }
    }

    /// The height of the first block. Its parent is regtest's genesis block for
    /// height 1, nothing for height 0, and a made-up hash for other heights.
    ///
    /// # Panics
    /// If blocks were mined already.
    #[must_use]
    pub fn start(mut self, height: u32) -> Self {
        assert!(
            self.blocks.is_empty(),
            "the start of a chain that has blocks"
        );
        self.start = height;
        self.parent = match height {
            0 => BlockHash::all_zeros(),
            1 => constants::genesis_block(Network::Regtest).block_hash(),
            _ => BlockHash::from_byte_array(self.miner.rng.bytes()),
        };
        self
    }

    /// The hash of the block before the first one.
    ///
    /// # Panics
    /// If blocks were mined already.
    #[must_use]
    pub fn parent(mut self, parent: BlockHash) -> Self {
        assert!(
            self.blocks.is_empty(),
            "the parent of a chain that has blocks"
        );
        self.parent = parent;
        self
    }

    /// The shape of the blocks to come.
    #[must_use]
    pub fn shape(mut self, shape: Shape) -> Self {
        self.miner.shape = shape;
        self
    }

    /// From now on blocks claim work that was not done: their hashes miss their targets.
    #[must_use]
    pub fn without_work(mut self) -> Self {
        self.miner.with_work = false;
        self
    }

    /// How many of a thousand transactions that [`fork`](Self::fork) abandoned
    /// each of the next blocks mines again (default 500).
    #[must_use]
    pub fn remine(mut self, per_mille: u64) -> Self {
        self.miner.remined = per_mille;
        self
    }

    /// Adds blocks, and answers them.
    pub fn mine(&mut self, count: usize) -> &[Mined] {
        let before = self.blocks.len();
        for _ in 0..count {
            let mined = self.next();
            self.blocks.push(mined);
        }
        self.blocks.split_at(before).1
    }

    /// The blocks, lowest first.
    pub fn blocks(&self) -> &[Mined] {
        &self.blocks
    }

    /// The block at a height, if it was mined.
    pub fn at(&self, height: u32) -> Option<&Mined> {
        self.blocks
            .get(usize::try_from(height.checked_sub(self.start)?).ok()?)
    }

    /// The highest block.
    pub fn tip(&self) -> Option<&Mined> {
        self.blocks.last()
    }

    /// Another branch: it shares the blocks up to and including `height`, and
    /// goes its own way from there. `height` may be one below the first block.
    /// What the abandoned blocks held waits to be mined again.
    #[must_use]
    pub fn fork(&self, height: u32, seed: u64) -> Self {
        let shared = (height + 1).saturating_sub(self.start) as usize;
        let shared = shared.min(self.blocks.len());
        let (kept, abandoned) = self.blocks.split_at(shared);
        let mut coins = Coins::default();
        for mined in kept {
            replay(&mut coins, &mined.block());
        }
        Self {
            miner: self.miner.reseeded(seed),
            coins,
            blocks: kept.to_vec(),
            pending: abandoned
                .iter()
                .flat_map(|mined| mined.block().txdata.into_iter().skip(1))
                .collect(),
            ..self.clone()
        }
    }

    fn next(&mut self) -> Mined {
        let place = match self.tip() {
            Some(tip) => Place {
                height: tip.height + 1,
                parent: tip.hash,
                is_first: false,
            },
            None => Place {
                height: self.start,
                parent: self.parent,
                is_first: true,
            },
        };
        self.miner.mine(place, &mut self.coins, &mut self.pending)
    }
}

/// The block with a nonce by which its hash meets its target; for targets of regtest.
pub fn with_work(mut block: Block) -> Block {
    while !block.header.target().is_met_by(block.block_hash()) {
        block.header.nonce = block.header.nonce.wrapping_add(1);
    }
    block
}

/// Brings the unspent outputs from before a block to after it.
fn replay(coins: &mut Coins, block: &Block) {
    for transaction in &block.txdata {
        for input in &transaction.input {
            coins.take(&input.previous_output);
        }
        add_outputs(coins, transaction);
    }
}
