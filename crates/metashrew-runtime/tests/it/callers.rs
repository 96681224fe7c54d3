//! 64 callers, while blocks come and go: every answer is the one that the state
//! after its block gives, and that a fresh instance gives on the same snapshot.
//!
//! `METASHREW_TEST_FULL=1` makes five times as many calls.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use metashrew_runtime::{Basis, Chain, Route, ViewAnswer, ViewCall, ViewError};
use metashrew_store::{BlockHash, BlockId, BlockRef, Snapshot};
use metashrew_testing::guests;
use metashrew_testing::rng::Rng;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use crate::{Bench, assert_adds_up};

const CALLERS: u64 = 64;

/// Heights below this one are never undone.
const FLOOR: u32 = 8;

/// The chain is never higher.
const CEILING: u32 = 24;

/// After so many calls, of all callers together, the chain changes.
const CALLS_A_CHANGE: u64 = 300;

const MULTIPLIER: u64 = 6_364_136_223_846_793_005;

/// What the guests must know of the chain up to one block.
struct Known {
    height: u32,
    hash: BlockHash,
    /// `acc` of the well-behaved guest after each block.
    accs: Vec<u64>,
    /// The accounts of the guest `ledger`.
    balances: [u64; 64],
}

impl Known {
    /// What is known after one more block.
    fn after(parent: Option<&Self>, header: &[u8; 80]) -> Self {
        let hash = BlockHash::from_bytes(Sha256::digest(Sha256::digest(header)).into());
        let height = parent.map_or(0, |parent| parent.height + 1);
        let mut accs = parent.map_or_else(Vec::new, |parent| parent.accs.clone());
        let acc = accs.last().copied().unwrap_or(0);
        let root = u64::from_le_bytes(header[36..44].try_into().unwrap());
        let added = u64::from(height).wrapping_add(root);
        accs.push(acc.wrapping_mul(MULTIPLIER).wrapping_add(added));
        let mark = u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap());
        let mut balances = parent.map_or([0; 64], |parent| parent.balances);
        for (number, balance) in (0u64..).zip(&mut balances) {
            *balance = balance
                .wrapping_mul(MULTIPLIER)
                .wrapping_add(mark)
                .wrapping_add(number);
        }
        Self {
            height,
            hash,
            accs,
            balances,
        }
    }

    fn acc(&self, key: &[u8]) -> Vec<u8> {
        let height = match *key {
            [b'a', b'c', b'c', b'/', _, _, _, height] => height.into(),
            _ => self.height,
        };
        self.accs
            .get(height as usize)
            .map_or_else(Vec::new, |acc| acc.to_le_bytes().to_vec())
    }

    fn ledger_tip(&self) -> Vec<u8> {
        [&self.height.to_le_bytes()[..], self.hash.as_bytes()].concat()
    }

    fn sum(&self, accounts: &[u8]) -> Vec<u8> {
        let sum = accounts.iter().fold(0u64, |sum, &number| {
            sum.wrapping_add(self.balances[usize::from(number) % 64])
        });
        [&self.ledger_tip()[..], &sum.to_le_bytes()].concat()
    }
}

/// A view, its input, and what it answers after a block.
type Question = (&'static str, Vec<u8>, fn(&Known, &[u8]) -> Vec<u8>);

/// Of the well-behaved guest; `cached_get` keeps what it read first, for ever.
fn of_chained(rng: &mut Rng) -> Question {
    let height = u8::try_from(rng.below(u64::from(CEILING) + 2)).unwrap();
    match rng.below(8) {
        0 => {
            let length = rng.index(200);
            let input = rng.bytes::<200>()[..length].to_vec();
            ("echo", input, |_, input| input.to_vec())
        }
        1 => ("height", Vec::new(), |known, _| {
            known.height.to_le_bytes().to_vec()
        }),
        2 => ("get", b"acc".to_vec(), Known::acc),
        3 => (
            "get",
            vec![b'a', b'c', b'c', b'/', 0, 0, 0, height],
            Known::acc,
        ),
        4 | 5 => ("cached_get", b"acc".to_vec(), Known::acc),
        _ => (
            "cached_get",
            vec![b'a', b'c', b'c', b'/', 0, 0, 0, height],
            Known::acc,
        ),
    }
}

/// Of the guest `ledger`, in which the SDK caches all it reads, by height.
fn of_ledger(rng: &mut Rng) -> Question {
    let length = 1 + rng.index(6);
    let mut accounts = rng.bytes::<6>()[..length].to_vec();
    match rng.below(4) {
        0 => ("get", b"tip".to_vec(), |known, _| known.ledger_tip()),
        1 => ("get", vec![b'a', b'/', accounts[0] % 64], |known, key| {
            known.balances[usize::from(key[2])].to_le_bytes().to_vec()
        }),
        2 => ("sum", accounts, Known::sum),
        _ => {
            // Few enough lists that they are asked for again.
            accounts.truncate(1);
            ("cached", accounts, Known::sum)
        }
    }
}

/// A chain that grows and loses blocks, and all that is known of it.
struct Changing {
    bench: Bench,
    known: RwLock<HashMap<BlockHash, Arc<Known>>>,
    blocks: AtomicU64,
    calls: AtomicU64,
    samples: AtomicU64,
    losses: AtomicU64,
}

impl Changing {
    fn new(bench: Bench) -> Self {
        let changing = Self {
            bench,
            known: RwLock::default(),
            blocks: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            samples: AtomicU64::new(0),
            losses: AtomicU64::new(0),
        };
        for _ in 0..CEILING {
            changing.grow();
        }
        changing
    }

    fn known(&self, hash: &BlockHash) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap()[hash])
    }

    /// Commits one block that never was before.
    fn grow(&self) {
        let store = &self.bench.store;
        let tip = store.snapshot().tip().copied();
        let number = self.blocks.fetch_add(1, Ordering::Relaxed);
        let mut header = [0; 80];
        header[36..44].copy_from_slice(&number.wrapping_mul(MULTIPLIER).to_le_bytes());
        let parent = tip.map(|tip| self.known(&tip.hash));
        let known = Arc::new(Known::after(parent.as_deref(), &header));
        let below = tip.map_or(BlockHash::from_bytes([0; 32]), |tip| tip.hash);
        let block = BlockRef::new(known.height, known.hash, below);
        self.known.write().unwrap().insert(known.hash, known);
        let writes = self.bench.runtime.process_block(block.height, &header);
        store.commit(&block, &writes.unwrap()).unwrap();
    }

    /// Undoes some blocks, or none, and commits others.
    fn change(&self, rng: &mut Rng) {
        let height = |snapshot: Snapshot| snapshot.tip().unwrap().height;
        let tip = height(self.bench.store.snapshot());
        let keep = tip.saturating_sub(u32::try_from(rng.below(6)).unwrap());
        self.bench.store.rollback(Some(keep.max(FLOOR))).unwrap();
        for _ in 0..=rng.below(5) {
            if height(self.bench.store.snapshot()) < CEILING {
                self.grow();
            }
        }
    }
}

/// One of the callers.
struct Caller<'a> {
    changing: &'a Changing,
    questions: fn(&mut Rng) -> Question,
    is_async: bool,
    session: String,
    /// Calls of the session since it was started.
    session_calls: u64,
    /// One moment for many calls.
    chain: Chain,
    rng: Rng,
}

impl Caller<'_> {
    async fn ask(&self, call: ViewCall<'_>) -> Result<ViewAnswer, ViewError> {
        if self.is_async {
            self.changing.bench.runtime.call(call).await
        } else {
            self.changing.bench.runtime.call_sync(call)
        }
    }

    async fn call(&mut self) {
        let (function, input, expected) = (self.questions)(&mut self.rng);
        if self.rng.chance(20) {
            self.chain = self.changing.bench.runtime.chain();
        }
        let chain = self.chain.clone();
        let given = self.rng.chance(500).then_some(&chain);
        // Without a moment only what is never undone is there for certain.
        let tip = given.map_or(FLOOR, |chain| chain.tip().unwrap().height);
        let at = match self.rng.below(3) {
            0 => BlockId::Latest,
            _ => BlockId::Height(u32::try_from(self.rng.below(u64::from(tip) + 1)).unwrap()),
        };
        let kind = self.rng.below(20);
        let session = self.session.clone();
        let call = ViewCall {
            at: given.map_or_else(|| at.into(), |chain| Basis::In(chain, at.into())),
            route: match kind {
                0 => Route::Fresh,
                1..=3 => Route::Session(&session),
                _ => Route::Pooled,
            },
            ..ViewCall::new(function, &input)
        };
        let answer = self.answer(call).await;
        let known = self.changing.known(&answer.block.hash);
        assert_eq!(answer.bytes, expected(&known, &input), "`{function}`");
        match at {
            BlockId::Height(height) => assert_eq!(answer.block.height, height),
            _ => assert_eq!(answer.block, answer.tip),
        }
        if let Some(chain) = given {
            assert_eq!(Some(&answer.tip), chain.tip());
            if self.rng.chance(30) {
                self.compare(chain, call, &answer).await;
            }
        }
    }

    /// Asks; a session that is lost is told so, and starts anew.
    async fn answer(&mut self, call: ViewCall<'_>) -> ViewAnswer {
        loop {
            match self.ask(call).await {
                Ok(answer) => {
                    if answer.session_call.is_some() {
                        self.session_calls += 1;
                        assert_eq!(answer.session_call, Some(self.session_calls));
                    }
                    return answer;
                }
                Err(ViewError::SessionLost { .. }) if self.session_calls > 0 => {
                    self.session_calls = 0;
                    self.changing.losses.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// A fresh instance answers the same at the same moment.
    async fn compare(&self, chain: &Chain, call: ViewCall<'_>, answer: &ViewAnswer) {
        let context = chain.at(BlockId::Hash(answer.block.hash).into()).await;
        let context = context.unwrap();
        let fresh = ViewCall {
            at: (&context).into(),
            route: Route::Fresh,
            ..call
        };
        let fresh = self.ask(fresh).await.unwrap();
        assert_eq!(fresh.bytes, answer.bytes);
        assert_eq!(fresh.block, answer.block);
        self.changing.samples.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many calls each caller makes.
fn calls() -> u64 {
    if std::env::var_os("METASHREW_TEST_FULL").is_some() {
        20_000
    } else {
        4_000
    }
}

fn run(bench: Bench, questions: fn(&mut Rng) -> Question) {
    let calls = calls();
    let changing = Changing::new(bench);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .build()
        .unwrap();
    let (due, changes) = sync_channel(1);
    std::thread::scope(|scope| {
        for number in 0..CALLERS {
            let (changing, due) = (&changing, due.clone());
            let handle = runtime.handle().clone();
            scope.spawn(move || call_on(&handle, changing, questions, number, calls, &due));
        }
        drop(due);
        let mut rng = Rng::new(CALLERS);
        for () in changes {
            changing.change(&mut rng);
        }
    });
    let stats = changing.bench.runtime.view_stats();
    let [samples, losses] =
        [&changing.samples, &changing.losses].map(|n| n.load(Ordering::Relaxed));
    assert_adds_up(&stats);
    assert_eq!(stats.calls.answered, CALLERS * calls + samples);
    assert_eq!(stats.latency.count(), stats.calls.answered);
    assert_eq!(
        (stats.errors.total(), stats.errors.session),
        (losses, losses)
    );
    assert_eq!(stats.calls.retried, 0);
    assert_eq!(changing.bench.runtime.view_differences(), []);
    assert!(stats.checks.run > 0, "{stats:?}");
    assert!(
        stats.dropped.reorg > 0 && stats.calls.reused > 0,
        "{stats:?}"
    );
    assert!(samples > calls / 2, "{samples} samples");
}

/// Makes the calls of one caller; every other caller is asynchronous.
fn call_on(
    handle: &Handle,
    changing: &Changing,
    questions: fn(&mut Rng) -> Question,
    number: u64,
    calls: u64,
    due: &SyncSender<()>,
) {
    let mut caller = Caller {
        changing,
        questions,
        is_async: number.is_multiple_of(2),
        session: format!("caller {number}"),
        session_calls: 0,
        chain: changing.bench.runtime.chain(),
        rng: Rng::new(number),
    };
    handle.block_on(async {
        for _ in 0..calls {
            caller.call().await;
            let calls = changing.calls.fetch_add(1, Ordering::Relaxed);
            if calls.is_multiple_of(CALLS_A_CHANGE) {
                due.try_send(()).ok(); // one that is due already is enough
            }
        }
    });
}

#[test]
fn a_guest_that_caches_all_it_reads_answers_like_fresh_instances() {
    let bench = Bench::with(&guests::chained(), |views| {
        views.timeout = Duration::from_hours(1);
    });
    run(bench, of_chained);
}

#[test]
fn a_guest_whose_sdk_caches_by_height_answers_like_fresh_instances() {
    let bench = Bench::with(&crate::ledger(), |views| {
        views.timeout = Duration::from_hours(1);
        views.instances = NonZeroUsize::new(8).unwrap();
    });
    run(bench, of_ledger);
}
