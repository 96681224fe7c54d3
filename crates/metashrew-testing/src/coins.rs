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

impl Coins {
    /// Adds an output, unless it can never be spent.
    pub(crate) fn add(&mut self, coin: Coin) {
        if coin.kind == Kind::OpReturn {
            return;
        }
        if let Some(coins) = self.by_kind.get_mut(coin.kind as usize) {
            self.places.insert(coin.outpoint, (coin.kind, coins.len()));
            coins.push(coin);
        }
    }

    /// Takes the output out, if it is here.
    pub(crate) fn take(&mut self, outpoint: &OutPoint) -> Option<Coin> {
        let (kind, place) = self.places.remove(outpoint)?;
        let coins = self.by_kind.get_mut(kind as usize)?;
        let coin = coins.swap_remove(place);
        if let Some(moved) = coins.get(place) {
            self.places.insert(moved.outpoint, (kind, place));
        }
        Some(coin)
    }

    pub(crate) fn holds(&self, outpoint: &OutPoint) -> bool {
        self.places.contains_key(outpoint)
    }

    /// Takes a random output of the kind, if there is one.
    pub(crate) fn draw(&mut self, rng: &mut Rng, kind: Kind) -> Option<Coin> {
        let coins = self.by_kind.get(kind as usize)?;
        let outpoint = coins.get(rng.index(coins.len()))?.outpoint;
        self.take(&outpoint)
    }

    /// Takes a random output of the kind there is most of.
    pub(crate) fn draw_commonest(&mut self, rng: &mut Rng) -> Option<Coin> {
        let kind = Kind::ALL
            .into_iter()
            .max_by_key(|kind| self.by_kind.get(*kind as usize).map(Vec::len))?;
        self.draw(rng, kind)
    }

    /// Moves everything of another into this one.
    pub(crate) fn absorb(&mut self, other: &mut Self) {
        for coin in other.by_kind.iter_mut().flat_map(|coins| coins.drain(..)) {
            self.add(coin);
        }
        other.places.clear();
    }
}
