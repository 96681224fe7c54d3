//! The bytes that all instances have together, who has how many, and who waits for some.

mod books;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

use books::Books;
pub(crate) use books::{Next, Spare, Usage, Wish, headroom};

/// How the bytes are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    /// What all calls have together.
    pub(crate) all: usize,
    /// What a call may have once it has begun, even if an older one waits. One with more is a
    /// large one.
    pub(crate) assured: usize,
    /// What large ones leave to the others.
    pub(crate) for_small: usize,
}

impl Shares {
    pub(crate) fn is_small(&self, bytes: usize) -> bool {
        bytes <= self.assured
    }

    /// What large ones may have together.
    fn for_large(&self) -> usize {
        self.all.saturating_sub(self.for_small)
    }
}

/// Bytes within a limit, and room for a number of instances.
///
/// A call that waits for bytes holds none, so that no two calls wait for each other. Bytes that
/// come free are given to those that wait, not left for whoever takes them first: a call need
/// not be awake to get its own. Who is next is the [books'](books) affair.
#[derive(Debug)]
pub(crate) struct Budget {
    shares: Shares,
    accounts: Mutex<Accounts>,
    /// How many wait and have nothing yet.
    waiting: AtomicUsize,
    room: usize,
    instances: AtomicUsize,
}

#[derive(Debug)]
struct Accounts {
    books: Books,
    /// Of those in the queue.
    wakers: HashMap<u64, Waker>,
}

impl Budget {
    pub(super) fn new(shares: Shares, room: usize) -> Arc<Self> {
        let accounts = Accounts {
            books: Books::new(shares),
            wakers: HashMap::new(),
        };
        Arc::new(Self {
            shares,
            accounts: Mutex::new(accounts),
            waiting: AtomicUsize::new(0),
            room,
            instances: AtomicUsize::new(0),
        })
    }

    pub(super) fn shares(&self) -> &Shares {
        &self.shares
    }

    pub(super) fn limit(&self) -> usize {
        self.shares.all
    }

    pub(super) fn used(&self) -> usize {
        self.accounts.lock().books.used()
    }

    /// Bytes that one which has `has` could have more, to have `total`, if all that is spare went.
    pub(super) fn obtainable(&self, has: usize, total: usize, spare: &Spare) -> usize {
        self.accounts.lock().books.obtainable(has, total, spare)
    }

    /// How many calls wait for bytes.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Whether a call that came at `age` must wait before it has `total` bytes, of which it has
    /// `has`, since one that came before it does.
    pub(super) fn is_behind(&self, age: u64, has: usize, total: usize) -> bool {
        self.waiting() > 0 && self.accounts.lock().books.is_behind(age, has, total)
    }

    /// Has one that has `from` bytes have `to`; false if they are not free.
    pub(super) fn take(&self, from: usize, to: usize) -> bool {
        self.accounts.lock().books.change(from, to)
    }

    fn give_back(&self, from: usize, to: usize) {
        let mut accounts = self.accounts.lock();
        accounts.books.change(from, to);
        // Whoever is woken looks for all who wait.
        let first = accounts.books.first();
        let waker = first.and_then(|first| accounts.wakers.get(&first).cloned());
        drop(accounts);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Room for one more instance; none if there is none.
    pub(super) fn slot(self: &Arc<Self>) -> Option<Slot> {
        let more = |count: usize| (count < self.room).then_some(count + 1);
        let taken = self
            .instances
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
        taken.is_ok().then(|| Slot(Arc::clone(self)))
    }

    /// The first of those that wait which can have its bytes, if what is spare goes.
    pub(super) fn next(&self, spare: &Spare) -> Option<Next> {
        self.accounts.lock().books.next(spare)
    }

    /// Gives `next` its bytes, and wakes it; false if they are not free.
    pub(super) fn grant(&self, next: &Next) -> bool {
        let mut accounts = self.accounts.lock();
        if !accounts.books.grant(next) {
            return false;
        }
        let waker = accounts.wakers.remove(&next.number);
        self.count(&accounts);
        drop(accounts);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    fn count(&self, accounts: &Accounts) {
        let waiting = accounts.books.waiting();
        self.waiting.store(waiting, Ordering::SeqCst);
    }

    /// Whether an instance of so many bytes must go at the end of its call, for those that wait.
    pub(super) fn is_in_the_way(&self, bytes: usize, spare: &Spare) -> bool {
        self.accounts.lock().books.is_in_the_way(bytes, spare)
    }
}

/// A call's place among those that wait, which it leaves when this is dropped.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    budget: &'a Arc<Budget>,
    number: Option<u64>,
}

impl<'a> Ticket<'a> {
    pub(super) fn new(budget: &'a Arc<Budget>) -> Self {
        let number = None;
        Self { budget, number }
    }

    /// Waits, or goes on waiting, as a call that came at `age`. Its bytes, if it was given them.
    pub(super) fn wait(&mut self, age: u64, wish: Wish, waker: &Waker) -> Option<Arc<Account>> {
        let budget = self.budget;
        let mut accounts = budget.accounts.lock();
        let number = *self
            .number
            .get_or_insert_with(|| accounts.books.join(age, wish));
        if let Some(bytes) = accounts.books.granted(number) {
            accounts.books.leave(number);
            self.number = None;
            return Some(Account::with(budget, bytes));
        }
        accounts.wakers.insert(number, waker.clone());
        budget.count(&accounts);
        None
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut accounts = self.budget.accounts.lock();
        accounts.wakers.remove(&number);
        let granted = accounts.books.leave(number);
        self.budget.count(&accounts);
        drop(accounts);
        self.budget.give_back(granted.unwrap_or(0), 0);
    }
}

/// Bytes of one call or instance. They are given back when it is dropped, which must be
/// after what they stand for is gone.
#[derive(Debug)]
pub(crate) struct Account {
    budget: Arc<Budget>,
    bytes: AtomicUsize,
}

impl Account {
    /// One with `bytes` that were taken already.
    pub(super) fn with(budget: &Arc<Budget>, bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            budget: Arc::clone(budget),
            bytes: AtomicUsize::new(bytes),
        })
    }

    pub(super) fn empty(budget: &Arc<Budget>) -> Arc<Self> {
        Self::with(budget, 0)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives back what is more than `bytes`.
    pub(crate) fn trim(&self, bytes: usize) {
        let has = self.bytes();
        if has > bytes {
            self.bytes.store(bytes, Ordering::Relaxed);
            self.budget.give_back(has, bytes);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.trim(0);
    }
}

/// Room for one instance, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Budget>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.instances.fetch_sub(1, Ordering::SeqCst);
    }
}
