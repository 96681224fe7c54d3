//! Who has how many bytes, who waits for some, and who gets them next: the rule, without
//! threads and wakers.
//!
//! - Small wishes get theirs in the order their calls came, and so do large ones.
//! - A large wish waits behind every older one.
//! - A small wish passes older large ones, for as long as it leaves the oldest of them what that
//!   waits for. Large ones together never have what is for small ones, so there is always some
//!   to pass with.

use std::collections::BTreeMap;

use super::Shares;

/// Bytes by who has them: small ones, which have no more than they are assured, or large ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) small: usize,
    pub(crate) large: usize,
}

impl Usage {
    fn all(self) -> usize {
        self.small + self.large
    }

    /// Counts what one has.
    pub(crate) fn add(&mut self, bytes: usize, shares: &Shares) {
        *self.class(bytes, shares) += bytes;
    }

    fn class(&mut self, bytes: usize, shares: &Shares) -> &mut usize {
        if shares.is_small(bytes) {
            &mut self.small
        } else {
            &mut self.large
        }
    }
}

/// What goes for whoever needs it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spare {
    pub(crate) idle: Usage,
    /// Bytes that are being given back.
    pub(crate) leaving: usize,
    /// Whether no call runs that could take any.
    pub(crate) is_quiet: bool,
}

/// What a call waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    /// It cannot begin with less.
    pub(crate) least: usize,
    /// It takes so much if it can be had.
    pub(crate) most: usize,
}

/// A wish in the queue.
#[derive(Debug)]
struct Waiting {
    wish: Wish,
    granted: Option<usize>,
}

/// The next who can have its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Next {
    /// Its place in the queue.
    pub(crate) number: u64,
    pub(crate) bytes: usize,
    /// What it must leave to the large one that it passes.
    earmarked: usize,
}

#[derive(Debug)]
pub(super) struct Books {
    pub(super) shares: Shares,
    taken: Usage,
    /// By when the call came.
    queue: BTreeMap<u64, Waiting>,
}

impl Books {
    pub(super) fn new(shares: Shares) -> Self {
        Self {
            shares,
            taken: Usage::default(),
            queue: BTreeMap::new(),
        }
    }

    pub(super) fn used(&self) -> usize {
        self.taken.all()
    }

    /// How many wait and have nothing yet.
    pub(super) fn waiting(&self) -> usize {
        self.unserved().count()
    }

    fn unserved(&self) -> impl Iterator<Item = (u64, Wish)> {
        let unserved = self.queue.iter().filter(|(_, it)| it.granted.is_none());
        unserved.map(|(number, waiting)| (*number, waiting.wish))
    }

    /// Bytes that one which has `has` could have more, to become small or large with `total`, if
    /// all that is spare went.
    pub(super) fn obtainable(&self, has: usize, total: usize, spare: &Spare) -> usize {
        let shares = &self.shares;
        let spared = spare.idle.all() + spare.leaving;
        let rest = shares
            .all
            .saturating_sub(self.used().saturating_sub(spared));
        if shares.is_small(total) {
            return rest;
        }
        let large = self.taken.large.saturating_sub(spare.idle.large);
        let own = if shares.is_small(has) { has } else { 0 };
        rest.min(shares.for_large().saturating_sub(large + own))
    }

    /// Has one that had `from` bytes have `to`; false if they are not free.
    pub(super) fn change(&mut self, from: usize, to: usize) -> bool {
        let fits = to <= from || self.obtainable(from, to, &Spare::default()) >= to - from;
        if fits {
            *self.taken.class(from, &self.shares) -= from;
            self.taken.add(to, &self.shares);
        }
        fits
    }

    /// Whether a call that came at `age`, and has `has` bytes, must wait before it has `total`. One
    /// that has begun may go on to what it is assured.
    pub(super) fn is_behind(&self, age: u64, has: usize, total: usize) -> bool {
        let older = self.unserved().take_while(|(number, _)| *number < age);
        let mut older = older.map(|(_, wish)| wish);
        if !self.shares.is_small(total) {
            return older.next().is_some();
        }
        let is_small = |wish: Wish| self.shares.is_small(wish.least);
        has == 0
            && older.any(|wish| {
                is_small(wish) || self.taken.small + total + self.enough(wish) > self.shares.all
            })
    }

    /// With so much a wish is served even if others go for it: large ones leave it room to grow.
    fn enough(&self, wish: Wish) -> usize {
        let least = wish.least;
        if self.shares.is_small(least) {
            return least;
        }
        least.saturating_add(headroom(least, self.shares.for_large()))
    }

    /// Adds a wish to the queue, and tells its place there.
    pub(super) fn join(&mut self, age: u64, wish: Wish) -> u64 {
        let mut number = age;
        while self.queue.contains_key(&number) {
            number += 1;
        }
        let granted = None;
        self.queue.insert(number, Waiting { wish, granted });
        number
    }

    /// What was granted to one that waits. It is in the queue until it leaves.
    pub(super) fn granted(&self, number: u64) -> Option<usize> {
        self.queue.get(&number)?.granted
    }

    /// Takes one out of the queue; answers what it was granted.
    pub(super) fn leave(&mut self, number: u64) -> Option<usize> {
        self.queue.remove(&number)?.granted
    }

    /// The first in the queue that is not served yet.
    pub(super) fn first(&self) -> Option<u64> {
        self.unserved().next().map(|(number, _)| number)
    }

    /// The first that can have its bytes, if what is spare goes.
    pub(super) fn next(&self, spare: &Spare) -> Option<Next> {
        let (mut earmarked, mut has_small) = (0, false);
        for (number, wish) in self.unserved() {
            let is_small = self.shares.is_small(wish.least);
            let is_behind = has_small || !is_small && earmarked > 0;
            if !is_behind && let Some(bytes) = self.servable(wish, earmarked, spare) {
                return Some(Next {
                    number,
                    bytes,
                    earmarked,
                });
            }
            has_small |= is_small;
            if !is_small && earmarked == 0 {
                earmarked = self.enough(wish);
            }
        }
        None
    }

    /// How much a wish can have, if it can have enough.
    fn servable(&self, wish: Wish, earmarked: usize, spare: &Spare) -> Option<usize> {
        let Wish { least, most } = wish;
        let mut obtainable = self.obtainable(0, least, spare);
        if self.shares.is_small(least) {
            let small = self.taken.small.saturating_sub(spare.idle.small);
            let rest = self.shares.all.saturating_sub(earmarked + small);
            obtainable = obtainable.min(rest).min(self.shares.assured);
        }
        let is_free = self.obtainable(0, least, &Spare::default()) >= least;
        let enough = if is_free || spare.is_quiet {
            least
        } else {
            self.enough(wish)
        };
        (obtainable >= enough).then(|| most.clamp(least, obtainable))
    }

    /// Gives `next` its bytes; false if they are not free. One that has left needs none.
    pub(super) fn grant(&mut self, next: &Next) -> bool {
        let Next { number, bytes, .. } = *next;
        let waiting = self.queue.get(&number);
        if waiting.is_none_or(|it| it.granted.is_some()) {
            return true;
        }
        let is_small = self.shares.is_small(bytes);
        let small = if is_small {
            self.taken.small + bytes
        } else {
            0
        };
        if small + next.earmarked > self.shares.all || !self.change(0, bytes) {
            return false;
        }
        if let Some(waiting) = self.queue.get_mut(&number) {
            waiting.granted = Some(bytes);
        }
        true
    }

    /// Whether an instance of so many bytes is in the way at the end of its call, where what is
    /// spare, and it is among that, is not enough for anybody: any is in the way of a small wish. In the way
    /// of a large one are large ones, and small ones once they alone are.
    pub(super) fn is_in_the_way(&self, bytes: usize, spare: &Spare) -> bool {
        if self.next(spare).is_some() {
            return false;
        }
        let is_small = self.shares.is_small(bytes);
        let mut has_large = false;
        self.unserved().any(|(_, wish)| {
            let least = wish.least;
            if self.shares.is_small(least) {
                return is_small || self.obtainable(0, least, spare) < least;
            }
            if std::mem::replace(&mut has_large, true) {
                return false;
            }
            let large = self.taken.large.saturating_sub(spare.idle.large);
            !is_small || large + self.enough(wish) <= self.shares.for_large()
        })
    }
}

/// What must be left for one to grow into that has `has` of at most `limit`, if others are to
/// go for it: as much again, but not more than half of what it may have yet.
pub(crate) fn headroom(has: usize, limit: usize) -> usize {
    has.min(limit.saturating_sub(has) / 2)
}
