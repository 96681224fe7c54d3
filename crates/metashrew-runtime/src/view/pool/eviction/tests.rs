//! Who gets memory, at whose cost, and who waits for it.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use metashrew_store::wait;
use proptest::prelude::*;

use super::*;
use crate::view::budget::{Budget, Shares};
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

#[test]
fn large_calls_leave_something_to_small_ones() {
    let shares = Shares {
        all: 100,
        assured: 5,
        for_small: 20,
    };
    let budget = Budget::new(shares, 1);
    assert!(budget.take(80, 80));
    assert!(!budget.take(1, 6) && budget.take(5, 5));
    assert_eq!((budget.rest(6, 85), budget.rest(5, 85)), (0, 15));
    // Nor do they get anything while an older one waits, but small ones do.
    let mut wait = Box::pin(budget.wait(7, || None::<()>));
    let mut task = Context::from_waker(Waker::noop());
    assert!(wait.as_mut().poll(&mut task).is_pending());
    assert!(budget.is_behind(8, 6) && !budget.is_behind(8, 5) && !budget.is_behind(6, 6));
    drop(wait);
    assert!(!budget.is_behind(8, 6));
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
        order in proptest::collection::vec(any::<usize>(), 0..400),
    ) {
        let pool = pool(calls.len(), 2);
        let mut hungry: Vec<_> = (0..).zip(&calls)
            .map(|(age, (needs, step))| Hungry::new(&pool, age, *needs, *step))
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
