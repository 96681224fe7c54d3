//! Who gets memory, at whose cost, and who waits for it.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use metashrew_store::wait;
use proptest::prelude::*;

use super::*;
use crate::clock;
use crate::view::budget::{Account, Shares};
use crate::view::key::Moment;
use crate::view::pool::tests::*;

#[test]
fn nobody_goes_for_a_call_that_cannot_be_served() {
    let pool = pool(PERMITS, 2);
    for block in 0..4 {
        answer(&pool, block, block.into(), 15).unwrap();
    }
    let mut large = enter(&pool, 9).unwrap();
    assert!(make(&pool, &mut large, 9, 35, 9), "it is free");
    // 5 bytes are free, and 60 would be if everybody went.
    let mut other = enter(&pool, 8).unwrap();
    assert!(!make(&pool, &mut other, 8, 66, 8));
    assert_eq!(pool.idle(), 4);
    // Nor for one that grows step by step and has no room to double.
    let thing = large.thing().unwrap();
    let account = Arc::clone(thing.account());
    assert!(pool.grow(&account, 5, LIMIT, 9));
    drop(other);
    for block in 0..3 {
        drop(enter(&pool, block).unwrap());
    }
    assert_eq!((pool.idle(), pool.budget().used()), (1, 55));
    let mut third = enter(&pool, 7).unwrap();
    assert!(make(&pool, &mut third, 7, 45, 7));
    assert!(
        !pool.grow(&account, 1, LIMIT, 9),
        "it has 40, and 15 can be had"
    );
    assert_eq!(pool.idle(), 1);
    // What it really needs it gets once it says so.
    drop(third);
    drop(account);
    drop(large);
    let got = wait(pool.reserve(90, 100, 9)).bytes();
    assert_eq!((got, pool.idle()), (100, 0));
}

/// Of 100 bytes small calls, of up to 10 each, have 20 for themselves.
const FOR_SMALL: Shares = Shares {
    all: LIMIT,
    assured: 10,
    for_small: 20,
};

fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    let mut task = Context::from_waker(Waker::noop());
    future.as_mut().poll(&mut task)
}

#[test]
fn large_calls_leave_something_to_small_ones() {
    let pool = pool_with(PERMITS, 1, FOR_SMALL, 50);
    let account = || Account::empty(pool.budget());
    let (large, small, other) = (account(), account(), account());
    assert!(pool.grow(&large, 80, LIMIT, 0));
    assert!(
        !pool.grow(&large, 1, LIMIT, 0),
        "the rest is for small ones"
    );
    assert!(pool.grow(&small, 10, LIMIT, 0) && pool.grow(&other, 10, LIMIT, 0));
    assert!(!pool.grow(&account(), 1, LIMIT, 0), "there is no more");
    // What small ones have is not taken from the large ones' part.
    drop((large, other));
    assert!(pool.grow(&account(), 80, LIMIT, 0));
}

#[test]
fn while_one_waits_those_that_came_later_may_go_on_to_what_they_are_assured() {
    let pool = pool_with(PERMITS, 1, FOR_SMALL, 50);
    let account = || Account::empty(pool.budget());
    let (large, small) = (account(), account());
    assert!(pool.grow(&large, 50, LIMIT, 0) && pool.grow(&small, 5, LIMIT, 8));
    let mut waits = Box::pin(pool.reserve(40, 40, 7));
    assert!(poll(&mut waits).is_pending());
    assert!(!pool.grow(&small, 6, LIMIT, 8) && pool.grow(&small, 5, LIMIT, 8));
    assert!(pool.grow(&large, 5, LIMIT, 6), "it came before");
    drop(waits);
    assert!(pool.grow(&small, 6, LIMIT, 8));
}

#[test]
fn a_small_wish_that_fits_passes_a_large_one_that_waits() {
    let pool = pool_with(PERMITS, 1, FOR_SMALL, 50);
    let account = || Account::empty(pool.budget());
    let (large, small, other) = (account(), account(), account());
    assert!(pool.grow(&large, 80, LIMIT, 0));
    assert!(pool.grow(&small, 10, LIMIT, 1) && pool.grow(&other, 10, LIMIT, 2));
    let mut waits = Box::pin(pool.reserve(70, 70, 3));
    let mut passes = Box::pin(pool.reserve(10, 20, 4));
    let mut next = Box::pin(pool.reserve(1, 1, 5));
    assert!(poll(&mut waits).is_pending());
    assert!(poll(&mut passes).is_pending() && poll(&mut next).is_pending());
    drop(small);
    assert!(
        poll(&mut next).is_pending(),
        "it came later than the small one"
    );
    let Poll::Ready(got) = poll(&mut passes) else {
        panic!("ten bytes are free for small ones");
    };
    assert_eq!(got.bytes(), 10, "more would make it a large one");
    drop(other);
    assert!(poll(&mut next).is_ready() && poll(&mut waits).is_pending());
    drop(large);
    assert_eq!(pool.budget().waiting(), 1);
    assert!(poll(&mut waits).is_ready());
}

/// A wish is given its bytes by whoever gives back enough: who waits need not be awake for
/// that, and nobody takes them before it is.
#[test]
fn who_waits_is_served_before_it_wakes() {
    let pool = pool_with(PERMITS, 1, FOR_SMALL, 50);
    let mut lease = enter(&pool, 1).unwrap();
    assert!(make(&pool, &mut lease, 1, 80, 1));
    let mut waits = Box::pin(pool.reserve(70, 70, 2));
    assert!(poll(&mut waits).is_pending());
    drop(lease);
    assert_eq!((pool.budget().waiting(), pool.budget().used()), (0, 70));
    // It goes away without having looked.
    drop(waits);
    assert_eq!(pool.budget().used(), 0);
}

/// Small calls come back at once, on the instances that they left, and need no bytes for that.
#[test]
fn a_large_wish_is_served_beside_small_calls_that_never_rest() {
    let pool = pool_with(12, 2, FOR_SMALL, 50);
    let mut small = Vec::new();
    for block in 0..10 {
        let mut lease = enter(&pool, block).unwrap();
        assert!(make(&pool, &mut lease, block.into(), 10, block.into()));
        small.push(lease);
    }
    let mut waits = Box::pin(pool.reserve(80, 80, 20));
    for turn in 0_u8.. {
        assert!(turn < 30, "it starves");
        if poll(&mut waits).is_ready() {
            break;
        }
        // One ends, and comes again, while all others run.
        small
            .remove(0)
            .end(Ok(keep(turn % 10)), clock::now(), |_| {});
        let mut lease = enter(&pool, turn % 10).unwrap();
        if lease.thing().is_some() || make(&pool, &mut lease, 99, 10, 99) {
            small.push(lease);
        } else {
            drop(lease);
        }
        assert!(!small.is_empty(), "small ones have a part of their own");
    }
    assert_eq!(small.len(), 2);
}

/// Nor do large ones come back on what they left while another waits for it.
#[test]
fn large_calls_do_not_pass_the_memory_to_each_other() {
    let pool = pool_with(3, 1, FOR_SMALL, 50);
    let mut large = Vec::new();
    for block in 0..2 {
        let mut lease = enter(&pool, block).unwrap();
        assert!(make(&pool, &mut lease, block.into(), 35, block.into()));
        large.push(lease);
    }
    let mut waits = Box::pin(pool.reserve(60, 60, 9));
    assert!(poll(&mut waits).is_pending());
    large.remove(0).end(Ok(keep(0)), clock::now(), |_| {});
    let again = enter(&pool, 0).unwrap();
    large.remove(0).end(Ok(keep(1)), clock::now(), |_| {});
    assert!(poll(&mut waits).is_ready());
    drop(again);
}

/// A call of nearly all that one may have is served at the cost of idle instances, although
/// small calls come and go all the time.
#[test]
fn one_that_wants_nearly_all_is_served_beside_small_calls() {
    let shares = Shares {
        all: LIMIT,
        assured: 1,
        for_small: 6,
    };
    let pool = pool_with(PERMITS, 1, shares, 50);
    assert_eq!(answer(&pool, 1, 1, 20), Some(1));
    let small = pool
        .enter(None, Moment::default())
        .expect("a permit is free");
    let mut reserved = Box::pin(pool.reserve(90, 90, 2));
    let mut task = Context::from_waker(Waker::noop());
    let Poll::Ready(account) = reserved.as_mut().poll(&mut task) else {
        panic!("90 of {LIMIT} bytes could be had");
    };
    assert_eq!((account.bytes(), pool.idle()), (90, 0));
    drop(small);
}

/// A call of the next test: what it needs in the end, step by step.
struct Hungry<'a> {
    pool: &'a Pool<Thing>,
    age: u64,
    needs: usize,
    step: usize,
    stage: Stage<'a>,
}

enum Stage<'a> {
    /// Bytes that it asked for when it last gave back.
    Waits(Pin<Box<dyn Future<Output = Arc<Account>> + 'a>>),
    /// What it has, of which it uses so much.
    Runs(Arc<Account>, usize),
    Done,
}

impl<'a> Hungry<'a> {
    fn new(pool: &'a Pool<Thing>, age: u64, needs: usize, step: usize) -> Self {
        let stage = Stage::Runs(Account::empty(pool.budget()), 0);
        Self {
            pool,
            age,
            needs,
            step,
            stage,
        }
    }

    /// One step of its run, as a guest would grow. Answers whether anything changed.
    fn go_on(&mut self) -> bool {
        match &mut self.stage {
            Stage::Done => false,
            Stage::Waits(reserved) => {
                let mut task = Context::from_waker(Waker::noop());
                let Poll::Ready(account) = reserved.as_mut().poll(&mut task) else {
                    return false;
                };
                self.stage = Stage::Runs(account, 0);
                true
            }
            Stage::Runs(account, used) => {
                let wanted = (*used + self.step).min(self.needs);
                let missing = wanted.saturating_sub(account.bytes());
                if missing > 0 && !self.pool.grow(account, missing, LIMIT, self.age) {
                    // It gives back what it has and waits for all that it wanted.
                    let (pool, age) = (self.pool, self.age);
                    self.stage = Stage::Done;
                    self.stage = Stage::Waits(Box::pin(pool.reserve(wanted, wanted, age)));
                    return true;
                }
                *used = wanted;
                if wanted == self.needs {
                    self.stage = Stage::Done;
                }
                true
            }
        }
    }

    fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }
}

proptest! {
    /// However much each of them needs, one always gets on, and all are served in the end.
    #[test]
    fn calls_that_want_more_than_there_is_never_wait_for_each_other(
        calls in proptest::collection::vec((1..=LIMIT, 1..30_usize), 1..12),
        assured in 0..30_usize,
        for_small in 0..30_usize,
        order in proptest::collection::vec(any::<usize>(), 0..400),
    ) {
        let shares = Shares { all: LIMIT, assured, for_small };
        let pool = pool_with(calls.len(), 2, shares, 50);
        let most = LIMIT - shares.for_small;
        let mut hungry: Vec<_> = (0..).zip(&calls)
            .map(|(age, (needs, step))| Hungry::new(&pool, age, (*needs).min(most), *step))
            .collect();
        for which in order {
            let index = which % hungry.len();
            hungry[index].go_on();
            prop_assert!(pool.budget().used() <= LIMIT);
        }
        while !hungry.iter().all(Hungry::is_done) {
            let mut went_on = false;
            for call in &mut hungry {
                went_on |= call.go_on();
            }
            prop_assert!(went_on, "all wait for each other");
        }
        prop_assert_eq!((pool.budget().used(), pool.budget().waiting()), (0, 0));
    }
}
