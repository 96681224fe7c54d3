//! Makes the next block of a chain from what can be spent.

use std::sync::Arc;

use bitcoin::consensus::encode::serialize;
use bitcoin::{Amount, BlockHash, OutPoint, Transaction, TxOut};

use crate::assembly::{self, Frame};
use crate::census::Kind;
use crate::chain::{MAX_BLOCK_WEIGHT, Mined, Shape};
use crate::coins::{Coin, Unspent};
use crate::proportions;
use crate::rng::Rng;
use crate::transactions::{Scripts, Transactions};

/// Weight kept for the header and the coinbase, in weight units.
const COINBASE_WEIGHT: u64 = 1_600;

/// What a block creates besides the fees, in satoshi; at every height, so that
/// chains that start high have something to spend.
const SUBSIDY: u64 = 5_000_000_000;

/// Outputs the first block's coinbase pays at most.
const MAX_FUNDING_OUTPUTS: usize = 8_000;

/// Where a block stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) height: u32,
    pub(crate) parent: BlockHash,
    /// Whether it is the chain's first, which has nothing to spend.
    pub(crate) is_first: bool,
}

/// What decides how the next block comes out, besides what it may spend.
#[derive(Debug, Clone)]
pub(crate) struct Miner {
    pub(crate) rng: Rng,
    pub(crate) shape: Shape,
    pub(crate) with_work: bool,
    /// How many pending transactions of a thousand are included.
    pub(crate) remined: u64,
    scripts: Scripts,
}

impl Miner {
    pub(crate) fn new(seed: u64, shape: Shape) -> Self {
        Self {
            rng: Rng::new(seed),
            shape,
            with_work: true,
            remined: 500,
            scripts: Scripts::default(),
        }
    }

    /// The same, with other random numbers, and without the scripts used so far.
    pub(crate) fn reseeded(&self, seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            scripts: Scripts::default(),
            ..*self
        }
    }

    /// Makes a block, and brings the unspent outputs to after it.
    pub(crate) fn mine(
        &mut self,
        place: Place,
        coins: &mut impl Unspent,
        pending: &mut Vec<Transaction>,
    ) -> Mined {
        let (count, weight) = self.shape.targets();
        let (transactions, fees) = if place.is_first {
            (Vec::new(), 0)
        } else {
            let room = weight
                .unwrap_or(MAX_BLOCK_WEIGHT)
                .saturating_sub(COINBASE_WEIGHT);
            let mut made = Transactions::new(&mut self.rng, &mut self.scripts, coins, room);
            made.remine(pending, self.remined);
            made.mix(count);
            if weight.is_some() {
                made.fill();
            }
            made.finish()
        };
        let frame = Frame {
            height: place.height,
            parent: place.parent,
            extra_nonce: self.rng.bytes(),
            coinbase_outputs: self.coinbase_outputs(place.is_first, count, SUBSIDY + fees),
            with_work: self.with_work,
        };
        let block = assembly::assemble(&frame, transactions);
        if let Some(coinbase) = block.txdata.first() {
            add_outputs(coins, coinbase);
        }
        Mined {
            height: place.height,
            hash: block.block_hash(),
            parent: place.parent,
            bytes: Arc::new(serialize(&block)),
        }
    }

    /// One output; in the first block as many as the shape will want to spend,
    /// in equal parts.
    fn coinbase_outputs(
        &mut self,
        is_first: bool,
        transactions: usize,
        satoshi: u64,
    ) -> Vec<TxOut> {
        let count = if is_first {
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

pub(crate) fn add_outputs(coins: &mut impl Unspent, transaction: &Transaction) {
    let txid = transaction.compute_txid();
    for (vout, output) in (0..).zip(&transaction.output) {
        coins.add(Coin::new(OutPoint { txid, vout }, output));
    }
}
