//! Makes chains of connected blocks: the same seed and calls, the same bytes.

use std::sync::Arc;

use bitcoin::consensus::encode::{deserialize, serialize};
use bitcoin::hashes::Hash;
use bitcoin::{Amount, Block, BlockHash, Network, OutPoint, Transaction, TxOut, constants};

use crate::assembly::{self, Frame};
use crate::census::Kind;
use crate::coins::{Coin, Coins};
use crate::proportions;
use crate::rng::Rng;
use crate::transactions::{Scripts, Transactions};

/// The weight a block may have at most, in weight units.
pub const MAX_BLOCK_WEIGHT: u64 = 4_000_000;

/// Weight kept for the header and the coinbase, in weight units.
const COINBASE_WEIGHT: u64 = 1_600;

/// What a block creates besides the fees, in satoshi; at every height, so that
/// chains that start high have something to spend.
const SUBSIDY: u64 = 5_000_000_000;

/// Outputs the first block's coinbase pays at most.
const MAX_FUNDING_OUTPUTS: usize = 8_000;

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
    fn targets(self) -> (usize, Option<u64>) {
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
    rng: Rng,
    start: u32,
    parent: BlockHash,
    shape: Shape,
    with_work: bool,
    remined: u64,
    scripts: Scripts,
    coins: Coins,
    pending: Vec<Transaction>,
    blocks: Vec<Mined>,
}

impl Chain {
    /// A chain on top of regtest's genesis block, with blocks of 10 transactions.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            start: 1,
            parent: constants::genesis_block(Network::Regtest).block_hash(),
            shape: Shape::Transactions(10),
            with_work: true,
            remined: 500,
            scripts: Scripts::default(),
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
            _ => BlockHash::from_byte_array(self.rng.bytes()),
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
        self.shape = shape;
        self
    }

    /// From now on blocks claim work that was not done: their hashes miss their targets.
    #[must_use]
    pub fn without_work(mut self) -> Self {
        self.with_work = false;
        self
    }

    /// How many of a thousand transactions that [`fork`](Self::fork) abandoned
    /// each of the next blocks mines again (default 500).
    #[must_use]
    pub fn remine(mut self, per_mille: u64) -> Self {
        self.remined = per_mille;
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
            rng: Rng::new(seed),
            coins,
            scripts: Scripts::default(),
            blocks: kept.to_vec(),
            pending: abandoned
                .iter()
                .flat_map(|mined| mined.block().txdata.into_iter().skip(1))
                .collect(),
            ..self.clone()
        }
    }

    fn next(&mut self) -> Mined {
        let (height, parent) = match self.tip() {
            Some(tip) => (tip.height + 1, tip.hash),
            None => (self.start, self.parent),
        };
        let (count, weight) = self.shape.targets();
        let (transactions, fees) = if self.blocks.is_empty() {
            (Vec::new(), 0)
        } else {
            let room = weight
                .unwrap_or(MAX_BLOCK_WEIGHT)
                .saturating_sub(COINBASE_WEIGHT);
            let mut made =
                Transactions::new(&mut self.rng, &mut self.scripts, &mut self.coins, room);
            made.remine(&mut self.pending, self.remined);
            made.mix(count);
            if weight.is_some() {
                made.fill();
            }
            made.finish()
        };
        let frame = Frame {
            height,
            parent,
            extra_nonce: self.rng.bytes(),
            coinbase_outputs: self.coinbase_outputs(count, SUBSIDY + fees),
            with_work: self.with_work,
        };
        let block = assembly::assemble(&frame, transactions);
        if let Some(coinbase) = block.txdata.first() {
            add_outputs(&mut self.coins, coinbase);
        }
        Mined {
            height,
            hash: block.block_hash(),
            parent,
            bytes: Arc::new(serialize(&block)),
        }
    }

    /// One output; in the first block as many as the shape will want to spend,
    /// in equal parts.
    fn coinbase_outputs(&mut self, transactions: usize, satoshi: u64) -> Vec<TxOut> {
        let count = if self.blocks.is_empty() {
            (2 * transactions).clamp(1, MAX_FUNDING_OUTPUTS)
        } else {
            1
        };
        let share = Amount::from_sat(satoshi / count as u64);
        let output = |_| {
            let kind = Kind::ALL
                .get(self.rng.weighted(&proportions::SPENT))
                .copied()
                .unwrap_or(Kind::P2tr);
            TxOut {
                value: share,
                script_pubkey: self.scripts.next(&mut self.rng, kind),
            }
        };
        (0..count).map(output).collect()
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

fn add_outputs(coins: &mut Coins, transaction: &Transaction) {
    let txid = transaction.compute_txid();
    for (vout, output) in (0..).zip(&transaction.output) {
        coins.add(Coin::new(OutPoint { txid, vout }, output));
    }
}
