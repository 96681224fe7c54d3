//! The memory of requests and answers: one budget of bytes for all of them.
//!
//! A [`Lease`] is what one request holds of it, from its body's first byte to its answer's
//! last; dropping it is the only way back. Small requests need no room, so that they find
//! some whatever others do: how many there are is bounded by the connections. Where there
//! is no room, transfers go first whose clients do not send or read.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::connections::Connection;

/// Bytes that a request may hold without asking for room: a call of a view and its answer
/// have a few hundred. As many connections as may be open hold that much each.
pub(crate) const SMALL: usize = 16 * 1024;

/// How often one that waits for room looks whether others have stalled meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What requests and answers may hold together.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    /// How long a request waits for room.
    wait: Duration,
    next: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    used: usize,
    /// Those that hold more than is small, by their numbers: the first one came first.
    holders: BTreeMap<u64, Holder>,
    /// Those that wait for room. Only the first one may take any.
    waiting: BTreeMap<Priority, Arc<Waiting>>,
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
    fn length(self) -> usize {
        match self {
            Self::Whole(length) | Self::Comes(length) => length,
        }
    }
}

/// A rank, and the request's number: of two alike the older one is first.
type Priority = (Rank, u64);

#[derive(Debug)]
struct Holder {
    bytes: usize,
    /// What its body is to have, while it comes. No longer one has it closed.
    length: usize,
    connection: Arc<Connection>,
}

#[derive(Debug, Default)]
struct Waiting {
    look: Notify,
    /// Whether it has to give back what it holds, so that another can go on.
    yields: AtomicBool,
}

impl Waiting {
    fn yields(&self) -> bool {
        self.yields.load(Ordering::Relaxed)
    }

    fn give_back(&self) {
        self.yields.store(true, Ordering::Relaxed);
        self.look.notify_one();
    }
}

/// There is no room for what a request or its answer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("requests and answers hold the {limit} bytes that they may have together: try again")]
pub(crate) struct BudgetExhausted {
    /// Bytes that all may have together.
    pub(crate) limit: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize, wait: Duration) -> Self {
        Self {
            limit,
            wait,
            next: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    /// Bytes held, apart from what small requests hold.
    pub(crate) fn used(&self) -> usize {
        self.state.lock().used
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// For a request on `connection`; it holds nothing yet.
    pub(crate) fn lease(self: &Arc<Self>, connection: &Arc<Connection>) -> Lease {
        self.lease_of(connection, SMALL)
    }

    /// As [`Self::lease`], of which the first `free` bytes need no room: for requests that
    /// may be many on one connection.
    pub(crate) fn lease_of(self: &Arc<Self>, connection: &Arc<Connection>, free: usize) -> Lease {
        Lease {
            budget: Arc::clone(self),
            free,
            number: self.next.fetch_add(1, Ordering::Relaxed),
            bytes: Mutex::new(0),
            connection: Arc::clone(connection),
        }
    }
}

impl State {
    /// Whether one of that priority may take so many bytes now.
    fn has_room(&self, limit: usize, priority: Priority, bytes: usize) -> bool {
        let is_first = self
            .waiting
            .keys()
            .next()
            .is_none_or(|first| *first >= priority);
        is_first && self.used.saturating_add(bytes) <= limit
    }

    fn take(&mut self, lease: &Lease, bytes: usize, length: usize) {
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
    fn close_stalled(&self, wanted: usize, length: usize) -> usize {
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
    fn make_room(&self, wanted: usize) -> usize {
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
    fn break_deadlock(&self) {
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

    fn wake_first(&self) {
        if let Some(first) = self.waiting.values().next() {
            first.look.notify_one();
        }
    }
}

/// What one request holds of the budget.
#[derive(Debug)]
pub(crate) struct Lease {
    budget: Arc<Budget>,
    number: u64,
    /// Bytes held, those that need no room included. Calls of a batch add to them side by
    /// side. Locked before the budget.
    bytes: Mutex<usize>,
    /// Bytes that need no room.
    free: usize,
    connection: Arc<Connection>,
}

impl Lease {
    /// Of so many bytes, those that need room.
    fn counted(&self, bytes: usize) -> usize {
        bytes.saturating_sub(self.free)
    }

    /// Holds so many bytes more, which are to come. Waits until there is room, for as long
    /// as the budget has requests wait.
    pub(crate) async fn grow(&self, bytes: usize, rank: Rank) -> Result<(), BudgetExhausted> {
        let held = *self.bytes.lock();
        let after = held.saturating_add(bytes);
        let wanted = self.counted(after) - self.counted(held);
        let priority = (rank, self.number);
        if wanted > 0 && !self.try_take(priority, wanted) {
            if self.counted(after) > self.budget.limit {
                return Err(self.exhausted());
            }
            self.wait_for(priority, wanted).await?;
        }
        *self.bytes.lock() += bytes;
        Ok(())
    }

    /// Holds so many bytes more, which are in memory already: waiting would help nobody. If
    /// there is no room, transfers that have stalled and bodies that wait for room are given
    /// up for it; what they hold is given back a moment later.
    pub(crate) fn charge(&self, bytes: usize) -> Result<(), BudgetExhausted> {
        let mut held = self.bytes.lock();
        let sum = held.saturating_add(bytes);
        let wanted = self.counted(sum) - self.counted(*held);
        if wanted == 0 {
            *held = sum;
            return Ok(());
        }
        let mut state = self.budget.state.lock();
        let after = state.used.saturating_add(wanted);
        let over = after.saturating_sub(self.budget.limit);
        if over > 0 && state.make_room(over) < over {
            return Err(self.exhausted());
        }
        state.take(self, wanted, usize::MAX);
        *held = sum;
        Ok(())
    }

    /// Holds so many bytes more, if they are to spare: nobody waits for them, and nobody has
    /// to give any back. Answers whether it does.
    pub(crate) fn charge_spare(&self, bytes: usize) -> bool {
        let mut held = self.bytes.lock();
        let sum = held.saturating_add(bytes);
        let wanted = self.counted(sum) - self.counted(*held);
        let mut state = self.budget.state.lock();
        let after = state.used.saturating_add(wanted);
        if after > self.budget.limit || !state.waiting.is_empty() {
            return false;
        }
        state.take(self, wanted, usize::MAX);
        *held = sum;
        true
    }

    /// Gives so many bytes back, all it has at most.
    pub(crate) fn release(&self, bytes: usize) {
        let mut held = self.bytes.lock();
        let after = held.saturating_sub(bytes);
        let freed = self.counted(*held) - self.counted(after);
        *held = after;
        if freed > 0 {
            self.give_back(freed);
        }
    }

    /// Holds exactly so many bytes from now on, which are in memory already.
    pub(crate) fn settle(&self, bytes: usize) -> Result<(), BudgetExhausted> {
        let held = *self.bytes.lock();
        if bytes > held {
            self.charge(bytes - held)
        } else {
            self.release(held - bytes);
            Ok(())
        }
    }

    pub(crate) fn exhausted(&self) -> BudgetExhausted {
        BudgetExhausted {
            limit: self.budget.limit,
        }
    }

    fn try_take(&self, priority: Priority, bytes: usize) -> bool {
        let mut state = self.budget.state.lock();
        let has_room = state.has_room(self.budget.limit, priority, bytes);
        if has_room {
            state.take(self, bytes, priority.0.length());
        }
        has_room
    }

    async fn wait_for(&self, priority: Priority, bytes: usize) -> Result<(), BudgetExhausted> {
        let ticket = Ticket::new(self, priority);
        let deadline = Instant::now() + self.budget.wait;
        loop {
            {
                let mut state = self.budget.state.lock();
                if state.has_room(self.budget.limit, priority, bytes) {
                    state.take(self, bytes, priority.0.length());
                    return Ok(());
                }
                state.close_stalled(bytes, priority.0.length());
                state.break_deadlock();
            }
            let now = Instant::now();
            if now >= deadline || ticket.waiting.yields() {
                return Err(self.exhausted());
            }
            let look = ticket.waiting.look.notified();
            let _ = tokio::time::timeout_at(deadline.min(now + LOOK_AGAIN), look).await;
        }
    }

    fn give_back(&self, bytes: usize) {
        let mut state = self.budget.state.lock();
        state.used -= bytes;
        if let Some(holder) = state.holders.get_mut(&self.number) {
            holder.bytes -= bytes;
            if holder.bytes == 0 {
                state.holders.remove(&self.number);
            }
        }
        state.wake_first();
    }
}

/// What parts of an answer hold until they are put together; given back when dropped.
#[derive(Debug)]
pub(crate) struct Parts {
    lease: Arc<Lease>,
    bytes: usize,
}

impl Parts {
    pub(crate) fn new(lease: &Arc<Lease>) -> Self {
        Self {
            lease: Arc::clone(lease),
            bytes: 0,
        }
    }

    /// One more is there, of so many bytes.
    pub(crate) fn add(&mut self, bytes: usize) -> Result<(), BudgetExhausted> {
        self.lease.charge(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    pub(crate) fn give_back(&mut self) {
        self.lease.release(std::mem::take(&mut self.bytes));
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.release(usize::MAX);
    }
}

/// A place among those that wait; the next one may try when it is left.
struct Ticket<'a> {
    lease: &'a Lease,
    priority: Priority,
    waiting: Arc<Waiting>,
}

impl<'a> Ticket<'a> {
    fn new(lease: &'a Lease, priority: Priority) -> Self {
        let waiting = Arc::new(Waiting::default());
        lease.connection.waits_for_room(true);
        let mut state = lease.budget.state.lock();
        state.waiting.insert(priority, Arc::clone(&waiting));
        drop(state);
        Self {
            lease,
            priority,
            waiting,
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.lease.connection.waits_for_room(false);
        let mut state = self.lease.budget.state.lock();
        state.waiting.remove(&self.priority);
        state.wake_first();
    }
}
