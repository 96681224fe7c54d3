//! Who holds what of the budget, who waits for more, and who goes where there is no room.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use super::Lease;
use crate::connections::Connection;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) used: usize,
    /// Those that hold more than is small, by their numbers: the first one came first.
    pub(super) holders: BTreeMap<u64, Holder>,
    /// Those that wait for room. Only the first one may take any.
    pub(super) waiting: BTreeMap<Priority, Arc<Waiting>>,
}

/// Which of those that wait comes first: a whole body, which will be answered and gone
/// whatever its client does; then the shortest one, so that no long request keeps a short
/// one waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// A body of so many bytes that is there.
    Whole(usize),
    /// It comes, and is to have so many bytes.
    Comes(usize),
}

impl Rank {
    pub(super) fn length(self) -> usize {
        match self {
            Self::Whole(length) | Self::Comes(length) => length,
        }
    }
}

/// A rank, and the request's number: of two alike the older one is first.
pub(super) type Priority = (Rank, u64);

#[derive(Debug)]
pub(super) struct Holder {
    pub(super) bytes: usize,
    /// What its body is to have, while it comes. No longer one has it closed.
    length: usize,
    connection: Arc<Connection>,
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) look: Notify,
    /// Whether it has to give back what it holds, so that another can go on.
    yields: AtomicBool,
}

impl Waiting {
    pub(super) fn yields(&self) -> bool {
        self.yields.load(Ordering::Relaxed)
    }

    fn give_back(&self) {
        self.yields.store(true, Ordering::Relaxed);
        self.look.notify_one();
    }
}

impl State {
    /// Whether one of that priority may take so many bytes now.
    pub(super) fn has_room(&self, limit: usize, priority: Priority, bytes: usize) -> bool {
        let is_first = self
            .waiting
            .keys()
            .next()
            .is_none_or(|first| *first >= priority);
        is_first && self.used.saturating_add(bytes) <= limit
    }

    pub(super) fn take(&mut self, lease: &Lease, bytes: usize, length: usize) {
        self.used += bytes;
        let holder = self.holders.entry(lease.number);
        let holder = holder.or_insert_with(|| Holder {
            bytes: 0,
            length,
            connection: Arc::clone(&lease.connection),
        });
        holder.bytes += bytes;
        holder.length = length;
    }

    /// Bytes that are about to be given back.
    fn leaving(&self) -> usize {
        let closing = self
            .holders
            .values()
            .filter(|one| one.connection.is_closing());
        let yielding = self.waiting.iter().filter(|(_, one)| one.yields());
        closing.map(|one| one.bytes).sum::<usize>()
            + yielding
                .map(|(priority, _)| self.held(priority))
                .sum::<usize>()
    }

    /// Closes transfers that have stalled, the slowest ones first, until so many bytes are
    /// about to be given back; answers how many are. Shorter ones than `length` stay.
    pub(super) fn close_stalled(&self, wanted: usize, length: usize) -> usize {
        let mut leaving = self.leaving();
        if leaving >= wanted {
            return leaving;
        }
        let mut stalled: Vec<_> = self
            .holders
            .values()
            .filter(|holder| holder.length >= length)
            .filter_map(|holder| Some((holder.connection.stalled()?, holder)))
            .collect();
        stalled.sort_by_key(|(pace, holder)| (*pace, Reverse(holder.bytes)));
        for (_, holder) in stalled {
            if leaving >= wanted {
                break;
            }
            if holder.connection.close_stalled() {
                leaving += holder.bytes;
            }
        }
        leaving
    }

    /// As [`Self::close_stalled`]; where that is not enough, those that wait give back what
    /// they hold, the last ones first.
    pub(super) fn make_room(&self, wanted: usize) -> usize {
        let mut leaving = self.close_stalled(wanted, 0);
        for (priority, waiting) in self.waiting.iter().rev() {
            if leaving >= wanted {
                break;
            }
            let held = self.held(priority);
            if held > 0 && !waiting.yields() {
                waiting.give_back();
                leaving += held;
            }
        }
        leaving
    }

    fn held(&self, priority: &Priority) -> usize {
        self.holders
            .get(&priority.1)
            .map_or(0, |holder| holder.bytes)
    }

    /// If all that is held is held by those that wait for more, none would ever go on: the
    /// last one has to give back what it holds.
    pub(super) fn break_deadlock(&self) {
        let by_waiting: usize = self
            .waiting
            .keys()
            .map(|priority| self.held(priority))
            .sum();
        if by_waiting < self.used || self.leaving() > 0 {
            return;
        }
        let mut others = self.waiting.iter().skip(1).rev();
        if let Some((_, waiting)) = others.find(|(priority, _)| self.held(priority) > 0) {
            waiting.give_back();
        }
    }

    pub(super) fn wake_first(&self) {
        if let Some(first) = self.waiting.values().next() {
            first.look.notify_one();
        }
    }
}
