//! Makes the transactions of one block, in the measured proportions.

use std::collections::HashMap;

use bitcoin::absolute::LockTime;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, TxIn, TxOut, Txid};

use crate::census::Kind;
use crate::coins::{Coin, Coins, Unspent};
use crate::proportions::{
    self, INPUTS_EACH, LONGEST_INSCRIPTION, MANY_INPUTS, MANY_OUTPUTS, OUTPUTS_EACH,
};
use crate::rng::Rng;
use crate::scripts;

/// More weight than any transaction of the mix has, in weight units.
const HEAVIEST: u64 = 64_000;

/// Weight of an inscribing transaction besides its content, in weight units,
/// rounded up; the pushes cost 3 bytes for every 520 of content.
const INSCRIBING: u64 = 800;

/// Scripts of each kind that later outputs may pay to again.
const REMEMBERED_SCRIPTS: usize = 512;

/// Output scripts, some of which come back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scripts(HashMap<Kind, Vec<ScriptBuf>>);

impl Scripts {
    /// The script of the next output of a kind.
    pub(crate) fn next(&mut self, rng: &mut Rng, kind: Kind) -> ScriptBuf {
        if kind == Kind::OpReturn {
            return scripts::output(rng, kind);
        }
        let known = self.0.entry(kind).or_default();
        if rng.chance(proportions::SAME_SCRIPT) {
            // The low places are drawn more often: a few scripts are paid all
            // the time, most of them twice or three times.
            let reach = rng.index(known.len()) + 1;
            if let Some(script) = known.get(rng.index(reach)) {
                return script.clone();
            }
        }
        let script = scripts::output(rng, kind);
        if known.len() < REMEMBERED_SCRIPTS {
            known.push(script.clone());
        } else {
            let place = rng.index(known.len());
            if let Some(known) = known.get_mut(place) {
                known.clone_from(&script);
            }
        }
        script
    }
}

/// One block's transactions in the making, the coinbase not among them.
pub(crate) struct Transactions<'chain, Old> {
    rng: &'chain mut Rng,
    scripts: &'chain mut Scripts,
    /// Unspent outputs of earlier blocks.
    old: &'chain mut Old,
    /// Unspent outputs of this block.
    new: Coins,
    /// Weight units left.
    room: u64,
    /// What the inputs hold beyond the outputs, in satoshi.
    pub(crate) fees: u64,
    pub(crate) made: Vec<(Txid, Transaction)>,
}

impl<'chain, Old: Unspent> Transactions<'chain, Old> {
    pub(crate) fn new(
        rng: &'chain mut Rng,
        scripts: &'chain mut Scripts,
        old: &'chain mut Old,
        room: u64,
    ) -> Self {
        Self {
            rng,
            scripts,
            old,
            new: Coins::default(),
            room,
            fees: 0,
            made: Vec::new(),
        }
    }

    /// Includes those of the pending transactions, drawn with the given chance
    /// of a thousand, whose inputs are unspent. The rest stays pending.
    pub(crate) fn remine(&mut self, pending: &mut Vec<Transaction>, per_mille: u64) {
        let mut left = Vec::new();
        for transaction in pending.drain(..) {
            let spendable = transaction.input.iter().all(|input| {
                self.old.holds(&input.previous_output) || self.new.holds(&input.previous_output)
            });
            if !spendable || !self.rng.chance(per_mille) || self.room < transaction.weight().to_wu()
            {
                left.push(transaction);
                continue;
            }
            let spent: u64 = transaction
                .input
                .iter()
                .filter_map(|input| {
                    self.old
                        .take(&input.previous_output)
                        .or_else(|| self.new.take(&input.previous_output))
                })
                .map(|coin| coin.satoshi)
                .sum();
            self.include(transaction, spent);
        }
        *pending = left;
    }

    /// Makes transactions of the mix until there are `count`, or no room is left.
    pub(crate) fn mix(&mut self, count: usize) {
        while self.made.len() < count && self.room > HEAVIEST {
            let (inputs, outputs) = self.draw_counts();
            let coins: Vec<Coin> = (0..inputs).map_while(|_| self.draw_coin()).collect();
            if coins.is_empty() {
                return;
            }
            let spent = coins.iter().map(|coin| coin.satoshi).sum();
            let input = coins
                .iter()
                .map(|coin| scripts::input(self.rng, coin.outpoint, coin.kind))
                .collect();
            let output = self.outputs(outputs, spent);
            self.include(transaction(input, output), spent);
        }
    }

    /// Fills the room that is left with inscriptions.
    pub(crate) fn fill(&mut self) {
        while let Some(content) = self.room.checked_sub(INSCRIBING) {
            let content = (content - content * 3 / 520).min(LONGEST_INSCRIPTION);
            let coin = self
                .old
                .draw(self.rng, Kind::P2tr)
                .or_else(|| self.new.draw(self.rng, Kind::P2tr));
            let Some(coin) = coin else { return };
            let content = scripts::random(self.rng, content, content);
            let mut input = scripts::input(self.rng, coin.outpoint, coin.kind);
            input.witness = scripts::tapscript(self.rng, Some(&content));
            let output = TxOut {
                value: Amount::from_sat(coin.satoshi - coin.satoshi.min(content.len() as u64)),
                script_pubkey: self.scripts.next(self.rng, Kind::P2tr),
            };
            self.include(transaction(vec![input], vec![output]), coin.satoshi);
        }
    }

    /// Ends the block: what it created can be spent by the next ones.
    pub(crate) fn finish(mut self) -> (Vec<(Txid, Transaction)>, u64) {
        self.old.absorb(self.rng, &mut self.new);
        (self.made, self.fees)
    }

    fn draw_counts(&mut self) -> (u64, u64) {
        let inputs = match self.rng.weighted(&INPUTS_EACH) {
            2 => 3 + self.rng.below(2 * (MANY_INPUTS - 3) + 1),
            few => few as u64 + 1,
        };
        let outputs = match self.rng.weighted(&OUTPUTS_EACH) {
            2 => 3 + self.rng.below(2 * (MANY_OUTPUTS - 3) + 1),
            few => few as u64 + 1,
        };
        (inputs, outputs)
    }

    /// An output to spend: of the kind, and as old, as the proportions have it,
    /// or the next best.
    fn draw_coin(&mut self) -> Option<Coin> {
        let kind = Kind::ALL
            .get(self.rng.weighted(&proportions::SPENT))
            .copied()?;
        // A kind that ran out (in the long run P2SH, which is spent more often than
        // made) is replaced by what there is most of, so that the age stays right.
        if self.rng.chance(proportions::SAME_BLOCK) {
            let new = draw_from(&mut self.new, self.rng, kind);
            new.or_else(|| draw_from(self.old, self.rng, kind))
        } else {
            let old = draw_from(self.old, self.rng, kind);
            old.or_else(|| draw_from(&mut self.new, self.rng, kind))
        }
    }

    /// Outputs that share what is spent, less a fee.
    fn outputs(&mut self, count: u64, spent: u64) -> Vec<TxOut> {
        let fee = (spent / 64).min(500 + self.rng.below(30_000));
        let mut rest = spent - fee;
        let outputs = (0..count).map(|index| {
            let kind = Kind::ALL
                .get(self.rng.weighted(&proportions::CREATED))
                .copied()
                .unwrap_or(Kind::P2tr);
            let satoshi = match kind {
                Kind::OpReturn => 0,
                _ if index + 1 == count => rest,
                _ => self.rng.below(2 * rest / (count - index) + 1).min(rest),
            };
            rest -= satoshi;
            TxOut {
                value: Amount::from_sat(satoshi),
                script_pubkey: self.scripts.next(self.rng, kind),
            }
        });
        outputs.collect()
    }

    fn include(&mut self, transaction: Transaction, spent: u64) {
        let txid = transaction.compute_txid();
        let mut paid = 0;
        for (vout, output) in (0..).zip(&transaction.output) {
            paid += output.value.to_sat();
            self.new.add(Coin::new(OutPoint { txid, vout }, output));
        }
        self.fees += spent - paid;
        self.room = self.room.saturating_sub(transaction.weight().to_wu());
        self.made.push((txid, transaction));
    }
}

fn draw_from(coins: &mut impl Unspent, rng: &mut Rng, kind: Kind) -> Option<Coin> {
    let coin = coins.draw(rng, kind);
    coin.or_else(|| coins.draw_commonest(rng))
}

fn transaction(input: Vec<TxIn>, output: Vec<TxOut>) -> Transaction {
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input,
        output,
    }
}
