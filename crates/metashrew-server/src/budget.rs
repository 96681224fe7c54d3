//! The memory of requests and answers: one budget of bytes for all of them.
//!
//! A [`Lease`] is what one request holds of it, from its body's first byte to its answer's
//! last; dropping it is the only way back. Small requests need no room, so that they find
//! some whatever others do: how many there are is bounded by the connections. Where there
//! is no room, transfers go first whose clients do not send or read.

mod books;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::connections::Connection;
use books::{Priority, State, Waiting};

pub(crate) use books::Rank;

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
