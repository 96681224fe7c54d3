//! The pool with things that are only counted, by one thread at a time against a naive model,
//! and by many.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin as Pinned;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll, Waker};

use metashrew_store::{BlockHash, wait};
use proptest::prelude::*;

use super::*;
use crate::view::budget::{Shares, Slot, headroom};
use crate::view::key::Key;
use crate::view::lease::Keep;

/// What the pools of these tests hold.
#[derive(Debug)]
pub(super) struct Thing {
    pub(super) number: u64,
    account: Arc<Account>,
    _slot: Slot,
}

impl Pooled for Thing {
    fn account(&self) -> &Arc<Account> {
        &self.account
    }

    fn gone(&self, _: DropReason) {}
}

pub(super) type Leased<'a> = Lease<'a, Thing>;

pub(super) const LIMIT: usize = 100;
pub(super) const PERMITS: usize = 3;

pub(super) fn pool(permits: usize, shards: usize) -> Arc<Pool<Thing>> {
    let division = Shares {
        all: LIMIT,
        assured: 5,
        for_small: 0,
    };
    pool_with(permits, shards, division, 50)
}

pub(super) fn pool_with(
    permits: usize,
    shards: usize,
    division: Shares,
    room: usize,
) -> Arc<Pool<Thing>> {
    let size = PoolSize {
        permits,
        queue: 64,
        shards,
    };
    let budget = Budget::new(division, room);
    let pool = Pool::new(size, budget, &PerView::default(), Ticking::default());
    pool.enable();
    pool
}

pub(super) fn pin(block: u8) -> Pin {
    Pin {
        generation: 0,
        to: PinnedTo::Block {
            height: block.into(),
            hash: BlockHash::from_bytes([block; 32]),
        },
    }
}

pub(super) fn wanted(block: u8) -> Wanted {
    Wanted {
        key: Key::Pinned(pin(block)),
        pin: pin(block),
    }
}

pub(super) fn keep(block: u8) -> Keep {
    Keep {
        key: Key::Pinned(pin(block)),
        pin: pin(block),
        follows_tip: false,
    }
}

pub(super) fn enter(pool: &Pool<Thing>, block: u8) -> Option<Leased<'_>> {
    pool.enter(Some(&wanted(block)), Moment::default())
}

/// A thing that has its bytes, or the lease back.
pub(super) fn make(
    pool: &Pool<Thing>,
    lease: &mut Leased<'_>,
    number: u64,
    bytes: usize,
    age: u64,
) -> bool {
    let account = Account::empty(pool.budget());
    let slot = pool.slot().expect("there is room");
    let made = pool.grow(&account, bytes, LIMIT, age);
    if made {
        lease.hold(Thing {
            number,
            account,
            _slot: slot,
        });
    }
    made
}

/// Answers a call about a block on a thing of so many bytes.
pub(super) fn answer(pool: &Pool<Thing>, block: u8, number: u64, bytes: usize) -> Option<u64> {
    let mut lease = enter(pool, block)?;
    if lease.thing().is_none() && !make(pool, &mut lease, number, bytes, number) {
        return None;
    }
    let served = lease.thing().map(|thing| thing.number);
    lease.end(Ok(keep(block)), clock::now(), |_| {});
    served
}

#[test]
fn one_caller_finds_its_thing_whatever_thread_it_comes_from() {
    let pool = pool(8, 8);
    for _ in 0..32 {
        let pool = &pool;
        let served = thread::scope(|scope| scope.spawn(|| answer(pool, 1, 7, 10)).join().unwrap());
        assert_eq!(served, Some(7));
    }
    assert_eq!((pool.idle(), pool.busy(), pool.budget().used()), (1, 0, 10));
}

#[test]
fn a_drained_pool_is_empty_once_it_is_off() {
    let pool = pool(8, 4);
    for block in 0..8 {
        answer(&pool, block, block.into(), 10).unwrap();
    }
    let next = Moment {
        generation: 1,
        tip: 0,
    };
    drop(pool.enter(None, next).unwrap());
    assert_eq!(pool.idle(), 0);
    pool.disable();
    assert_eq!(pool.budget().used(), 0);
    let tally = pool.tally();
    assert_eq!(tally.dropped.reorg, 8);
}

#[test]
fn what_followed_the_tip_goes_before_what_is_older() {
    let pool = pool(2, 2);
    let moment = |tip| Moment { generation: 0, tip };
    for (block, follows_tip) in [(1, false), (2, true)] {
        let mut lease = pool.enter(None, moment(2)).unwrap();
        assert!(make(&pool, &mut lease, block.into(), 40, 0));
        let keep = Keep {
            follows_tip,
            ..keep(block)
        };
        lease.end(Ok(keep), clock::now(), |_| {});
    }
    let mut lease = pool.enter(None, moment(3)).unwrap();
    assert!(make(&pool, &mut lease, 3, 40, 0));
    assert_eq!(enter(&pool, 1).unwrap().thing().unwrap().number, 1);
    assert!(enter(&pool, 2).is_some_and(|mut lease| lease.thing().is_none()));
}

/// A call as the model knows it.
struct Running<'a> {
    lease: Leased<'a>,
    block: u8,
    number: u64,
    has: usize,
}

/// The pool as a list of what is idle, the last used last, that is searched from end to end.
#[derive(Debug, Default)]
struct Model {
    idle: Vec<(u8, u64, usize)>,
    busy: BTreeMap<u64, usize>,
}

impl Model {
    fn used(&self) -> usize {
        self.idle.iter().map(|(_, _, bytes)| bytes).sum::<usize>()
            + self.busy.values().sum::<usize>()
    }

    fn take(&mut self, block: u8) -> Option<(u64, usize)> {
        let index = self.idle.iter().rposition(|(of, _, _)| *of == block)?;
        let (_, number, bytes) = self.idle.remove(index);
        Some((number, bytes))
    }

    /// Whether `bytes` more can be had by one that `has` some; what is idle goes for it.
    fn grow(&mut self, has: usize, bytes: usize) -> bool {
        if self.used() + bytes <= LIMIT {
            return true;
        }
        let busy: usize = self.busy.values().sum();
        if busy + bytes.max(headroom(has, LIMIT)) > LIMIT {
            return false;
        }
        while self.used() + bytes > LIMIT {
            self.idle.remove(0);
        }
        true
    }
}

#[derive(Debug, Clone)]
enum Step {
    Come { block: u8, bytes: usize },
    Grow { which: usize, bytes: usize },
    Answer(usize),
    Fail(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..5_u8, 1..60_usize).prop_map(|(block, bytes)| Step::Come { block, bytes }),
        3 => (any::<usize>(), 1..40_usize).prop_map(|(which, bytes)| Step::Grow { which, bytes }),
        4 => any::<usize>().prop_map(Step::Answer),
        1 => any::<usize>().prop_map(Step::Fail),
    ];
    proptest::collection::vec(step, 0..150)
}

proptest! {
    #[test]
    fn the_pool_answers_like_a_list(steps in steps(), shards in 1..4_usize) {
        let pool = pool(PERMITS, shards);
        let mut model = Model::default();
        let mut running: Vec<Running<'_>> = Vec::new();
        let mut number = 0;
        for step in steps {
            match step {
                Step::Come { block, bytes } => {
                    let entered = enter(&pool, block);
                    prop_assert_eq!(entered.is_some(), running.len() < PERMITS);
                    let Some(mut lease) = entered else { continue };
                    let found = lease.thing().map(|thing| thing.number);
                    let expected = model.take(block);
                    prop_assert_eq!(found, expected.map(|(number, _)| number));
                    let (served, has) = if let Some(known) = expected {
                        known
                    } else {
                        number += 1;
                        let made = make(&pool, &mut lease, number, bytes, number);
                        prop_assert_eq!(made, model.grow(0, bytes));
                        if !made { continue }
                        (number, bytes)
                    };
                    model.busy.insert(served, has);
                    running.push(Running { lease, block, number: served, has });
                }
                Step::Grow { which, bytes } if !running.is_empty() => {
                    let index = which % running.len();
                    let call = &mut running[index];
                    if call.has + bytes > LIMIT { continue }
                    let account = Arc::clone(call.lease.thing().unwrap().account());
                    let grown = pool.grow(&account, bytes, LIMIT, call.number);
                    prop_assert_eq!(grown, model.grow(call.has, bytes));
                    if grown {
                        call.has += bytes;
                        model.busy.insert(call.number, call.has);
                    }
                }
                Step::Answer(which) if !running.is_empty() => {
                    let call = running.remove(which % running.len());
                    model.busy.remove(&call.number);
                    model.idle.push((call.block, call.number, call.has));
                    call.lease.end(Ok(keep(call.block)), clock::now(), |_| {});
                }
                Step::Fail(which) if !running.is_empty() => {
                    let call = running.remove(which % running.len());
                    model.busy.remove(&call.number);
                    drop(call.lease);
                }
                _ => {}
            }
            prop_assert_eq!(pool.budget().used(), model.used());
            prop_assert!(pool.budget().used() <= LIMIT);
            prop_assert_eq!(pool.idle(), model.idle.len());
            prop_assert_eq!(pool.busy(), running.len());
        }
        running.clear();
        pool.disable();
        prop_assert_eq!((pool.budget().used(), pool.busy()), (0, 0));
    }
}

proptest! {
    /// No permit is lost, and none is there twice, in whatever order calls come, wait, give up
    /// and end; they get their permits in the order they came.
    #[test]
    fn permits_go_to_those_who_wait_longest(
        permits in 1..4_usize,
        steps in proptest::collection::vec((0..4_u8, any::<usize>()), 0..200),
    ) {
        let pool = pool(permits, 2);
        let mut running = Vec::new();
        let mut waiting: Vec<(u64, Pinned<Box<dyn Future<Output = _> + '_>>)> = Vec::new();
        let mut task = Context::from_waker(Waker::noop());
        let mut came = 0;
        for (step, which) in steps {
            match step {
                0 => if let Some(lease) = pool.enter(None, Moment::default()) {
                    running.push(lease);
                } else {
                    came += 1;
                    let mut wait = Box::pin(pool.wait());
                    prop_assert!(wait.as_mut().poll(&mut task).is_pending());
                    waiting.push((came, wait));
                },
                1 if !running.is_empty() => drop(running.remove(which % running.len())),
                2 if !waiting.is_empty() => drop(waiting.remove(which % waiting.len())),
                _ => {}
            }
            // Whoever waits longest has its permit before anybody who came later.
            let mut got = BTreeSet::new();
            waiting = waiting.into_iter().filter_map(|(came, mut wait)| {
                match wait.as_mut().poll(&mut task) {
                    Poll::Ready(lease) => {
                        got.insert(came);
                        running.push(lease.expect("the queue is long enough"));
                        None
                    }
                    Poll::Pending => Some((came, wait)),
                }
            }).collect();
            let first_left = waiting.first().map_or(u64::MAX, |(came, _)| *came);
            prop_assert!(got.iter().all(|came| *came < first_left));
            prop_assert_eq!(pool.busy(), running.len());
            prop_assert!(running.len() == permits || waiting.is_empty());
            prop_assert_eq!(pool.queue().len(), waiting.len());
        }
        drop(waiting);
        drop(running);
        prop_assert_eq!((pool.busy(), pool.queue().len()), (0, 0));
    }
}

#[test]
fn many_threads_leave_nothing_behind() {
    let pool = pool(3, 3);
    let (answered, number) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for caller in 0..8_u8 {
            let (pool, answered, number) = (&pool, &answered, &number);
            scope.spawn(move || {
                for call in 0..2_000_u64 {
                    let block = (call % 3) as u8 + caller % 2;
                    let mut lease = enter(pool, block).unwrap_or_else(|| {
                        let mut lease = wait(pool.wait()).expect("the queue is long enough");
                        pool.pick_for(&mut lease, &wanted(block), Moment::default());
                        lease
                    });
                    if lease.thing().is_none() {
                        let number = number.fetch_add(1, Ordering::Relaxed);
                        let slot = pool.slot().expect("there is room");
                        let account = Account::empty(pool.budget());
                        if !pool.grow(&account, 20, LIMIT, number) {
                            drop(account);
                            drop(lease);
                            drop(wait(pool.reserve(20, 40, number)));
                            continue;
                        }
                        lease.hold(Thing {
                            number,
                            account,
                            _slot: slot,
                        });
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                    if call % 5 == 0 {
                        continue; // as if its caller had gone
                    }
                    lease.end(Ok(keep(block)), clock::now(), |_| {});
                }
            });
        }
    });
    assert!(answered.into_inner() > 0);
    assert_eq!(
        (pool.busy(), pool.queue().len(), pool.budget().waiting()),
        (0, 0, 0)
    );
    pool.disable();
    assert_eq!(pool.budget().used(), 0);
}

/// Where each permit has room for one instance, its call always gets it, whatever others take,
/// keep and drop at the same moment.
#[test]
fn a_call_with_a_permit_always_finds_room_for_an_instance() {
    let shares = Shares {
        all: LIMIT,
        assured: LIMIT,
        for_small: 0,
    };
    let pool = pool_with(PERMITS, PERMITS, shares, PERMITS);
    thread::scope(|scope| {
        for caller in 0..8_u8 {
            let pool = &pool;
            scope.spawn(move || {
                for call in 0..20_000_u64 {
                    let block = (call % 7) as u8 + caller;
                    let queue = || wait(pool.wait()).expect("the queue is long enough");
                    let mut lease = enter(pool, block).unwrap_or_else(queue);
                    if lease.thing().is_none() {
                        let slot = pool.slot().expect("there is room");
                        lease.hold(Thing {
                            number: call,
                            account: Account::empty(pool.budget()),
                            _slot: slot,
                        });
                    }
                    lease.end(Ok(keep(block)), clock::now(), |_| {});
                }
            });
        }
    });
}
