//! The unspent outputs of a chain that is not kept, drawn by age.

use std::collections::VecDeque;

use bitcoin::OutPoint;

use crate::ages::Ages;
use crate::census::Kind;
use crate::coins::{Coin, Coins, Unspent};
use crate::rng::Rng;

/// From this age on, in blocks, a block's outputs are thinned out.
const THINNED_FROM: usize = 1_008;

/// How many outputs of a block of that age may still be spent: about twice as many as
/// [`Ages::MAINNET`] spends of a full block from then on.
const KEPT: usize = 1_500;

/// How many ages are drawn before any coin will do.
const TRIES: usize = 16;

/// How many coins of a block are looked at for one of the kind that is wanted.
const LOOKS: usize = 16;

/// Unspent outputs by block. Those that are never to be spent are forgotten.
#[derive(Debug, Clone)]
pub(crate) struct AgedCoins {
    ages: Ages,
    blocks: VecDeque<Vec<Coin>>,
}

impl AgedCoins {
    pub(crate) fn new(ages: Ages) -> Self {
        Self {
            ages,
            blocks: VecDeque::new(),
        }
    }

    /// The place of a block with coins, as old as the ages have it.
    fn draw_block(&self, rng: &mut Rng) -> Option<usize> {
        let count = self.blocks.len();
        let has_coins = |place: &usize| self.blocks.get(*place).is_some_and(|own| !own.is_empty());
        let mut drawn = (0..TRIES).map(|_| {
            let age = self.ages.draw(rng).map(|age| age as usize);
            let age = age.filter(|age| *age <= count);
            age.map_or_else(|| rng.index(count), |age| count - age)
        });
        let drawn = drawn.find(has_coins);
        drawn.or_else(|| (0..count).rev().find(has_coins))
    }

    fn draw_where(&mut self, rng: &mut Rng, wanted: impl Fn(&Coin) -> bool) -> Option<Coin> {
        let place = self.draw_block(rng)?;
        let coins = self.blocks.get_mut(place)?;
        let mut at = rng.index(coins.len());
        for _ in 1..LOOKS {
            if coins.get(at).is_some_and(&wanted) {
                break;
            }
            at = rng.index(coins.len());
        }
        Some(coins.swap_remove(at))
    }
}

impl Unspent for AgedCoins {
    fn add(&mut self, coin: Coin) {
        if coin.kind == Kind::OpReturn {
            return;
        }
        match self.blocks.back_mut() {
            Some(newest) => newest.push(coin),
            None => self.blocks.push_back(vec![coin]),
        }
    }

    fn holds(&self, outpoint: &OutPoint) -> bool {
        let mut coins = self.blocks.iter().flatten();
        coins.any(|coin| coin.outpoint == *outpoint)
    }

    fn take(&mut self, outpoint: &OutPoint) -> Option<Coin> {
        let is_it = |coin: &Coin| coin.outpoint == *outpoint;
        let mut blocks = self.blocks.iter_mut();
        blocks.find_map(|coins| Some(coins.swap_remove(coins.iter().position(is_it)?)))
    }

    /// A coin as old as the ages have it; of the kind if one is soon found.
    fn draw(&mut self, rng: &mut Rng, kind: Kind) -> Option<Coin> {
        self.draw_where(rng, |coin| coin.kind == kind)
    }

    fn draw_commonest(&mut self, rng: &mut Rng) -> Option<Coin> {
        self.draw_where(rng, |_| true)
    }

    fn absorb(&mut self, rng: &mut Rng, block: &mut Coins) {
        self.blocks.push_back(block.drain());
        let Some(old) = self.blocks.len().checked_sub(THINNED_FROM) else {
            return;
        };
        if let Some(coins) = self.blocks.get_mut(old) {
            while coins.len() > KEPT {
                coins.swap_remove(rng.index(coins.len()));
            }
            coins.shrink_to_fit();
        }
    }
}
