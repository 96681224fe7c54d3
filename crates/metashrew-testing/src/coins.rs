//! The unspent outputs a chain can still spend, drawn at random by kind.

use std::collections::HashMap;

use bitcoin::{OutPoint, TxOut};

use crate::census::Kind;
use crate::rng::Rng;

/// An unspent output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coin {
    pub(crate) outpoint: OutPoint,
    pub(crate) satoshi: u64,
    pub(crate) kind: Kind,
}

impl Coin {
    pub(crate) fn new(outpoint: OutPoint, output: &TxOut) -> Self {
        Self {
            outpoint,
            satoshi: output.value.to_sat(),
            kind: Kind::of(&output.script_pubkey),
        }
    }
}

/// Unspent outputs by kind. Drawing one depends on nothing but the seed and the
/// order of additions and removals.
#[derive(Debug, Clone, Default)]
pub(crate) struct Coins {
    by_kind: [Vec<Coin>; Kind::ALL.len()],
    places: HashMap<OutPoint, (Kind, usize)>,
}

/// Unspent outputs of earlier blocks.
pub(crate) trait Unspent {
    /// Adds an output, unless it can never be spent.
    fn add(&mut self, coin: Coin);

    /// Takes the output out, if it is here.
    fn take(&mut self, outpoint: &OutPoint) -> Option<Coin>;

    fn holds(&self, outpoint: &OutPoint) -> bool;

    /// Takes a random output of the kind, if there is one.
    fn draw(&mut self, rng: &mut Rng, kind: Kind) -> Option<Coin>;

    /// Takes a random output of the kind there is most of.
    fn draw_commonest(&mut self, rng: &mut Rng) -> Option<Coin>;

    /// Takes in all that a block leaves unspent.
    fn absorb(&mut self, rng: &mut Rng, block: &mut Coins);
}

impl Coins {
    /// Takes out all there is.
    pub(crate) fn drain(&mut self) -> Vec<Coin> {
        self.places.clear();
        let by_kind = self.by_kind.iter_mut();
        by_kind.flat_map(|coins| coins.drain(..)).collect()
    }
}

impl Unspent for Coins {
    fn add(&mut self, coin: Coin) {
        if coin.kind == Kind::OpReturn {
            return;
        }
        if let Some(coins) = self.by_kind.get_mut(coin.kind as usize) {
            self.places.insert(coin.outpoint, (coin.kind, coins.len()));
            coins.push(coin);
        }
    }

    fn take(&mut self, outpoint: &OutPoint) -> Option<Coin> {
        let (kind, place) = self.places.remove(outpoint)?;
        let coins = self.by_kind.get_mut(kind as usize)?;
        let coin = coins.swap_remove(place);
        if let Some(moved) = coins.get(place) {
            self.places.insert(moved.outpoint, (kind, place));
        }
        Some(coin)
    }

    fn holds(&self, outpoint: &OutPoint) -> bool {
        self.places.contains_key(outpoint)
    }

    fn draw(&mut self, rng: &mut Rng, kind: Kind) -> Option<Coin> {
        let coins = self.by_kind.get(kind as usize)?;
        let outpoint = coins.get(rng.index(coins.len()))?.outpoint;
        self.take(&outpoint)
    }

    fn draw_commonest(&mut self, rng: &mut Rng) -> Option<Coin> {
        let kind = Kind::ALL
            .into_iter()
            .max_by_key(|kind| self.by_kind.get(*kind as usize).map(Vec::len))?;
        self.draw(rng, kind)
    }

    fn absorb(&mut self, _rng: &mut Rng, block: &mut Coins) {
        for coin in block.drain() {
            self.add(coin);
        }
    }
}
