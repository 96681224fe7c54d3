//! The pending block: what the next block may hold. It is executed when somebody first asks
//! about it, once for all who ask, on a thread of its own: nobody's going away ends it.

use std::error::Error;
use std::fmt;
use std::mem;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use metashrew_store::{BlockHash, Height, ResolveError, Snapshot, State, Store, WriteSet, wait};
use parking_lot::{Mutex, RwLock};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::budget::Account;
use super::kept::Maker;
use super::sizes::Sizes;
use crate::context::Call;
use crate::deadline::Deadline;
use crate::error::{GuestBacktrace, PendingError, ViewError};
use crate::fault::Fault;
use crate::options::ViewOptions;
use crate::ticker::{Ticker, Ticking};

/// Bytes of a block's header.
const HEADER: usize = 80;

/// The part of the views' budget that what a pending block writes may have. Nothing makes it
/// go but another one.
const HELD_PART: usize = 8;

/// A block that may be the next one: for instance the one that a node would mine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingBlock {
    /// The block it stands on.
    pub parent: BlockHash,
    /// The block, consensus-encoded.
    pub block: Bytes,
}

/// Which pending block an answer stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingId {
    /// Grows with every pending block of this runtime.
    pub number: u64,
    /// Its height: that of its parent, and one.
    pub height: Height,
    /// The hash of its header. It has no proof of work.
    pub hash: BlockHash,
}

/// A pending block that the guest has executed.
pub(super) struct Executed {
    pub(super) id: PendingId,
    parent: BlockHash,
    /// SHA-256 of the whole block.
    content: [u8; 32],
    writes: Arc<WriteSet>,
    /// Of the views' budget, for as long as somebody stands on the block.
    _account: Arc<Account>,
}

impl fmt::Debug for Executed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Executed")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Executed {
    pub(super) fn writes(&self) -> &Arc<WriteSet> {
        &self.writes
    }

    /// The state with the block on top of `snapshot`, whose tip is its parent.
    pub(super) fn on(&self, snapshot: &Snapshot) -> State {
        snapshot
            .latest()
            .with_block(self.id.height, Arc::clone(&self.writes))
    }
}

type Outcome = Result<Arc<Executed>, Arc<PendingError>>;

/// Brings the block, when it is asked about.
pub(super) type Fetch = Box<dyn FnOnce() -> Result<Bytes, Box<dyn Error + Send + Sync>> + Send>;

/// A pending block that may not be executed, nor even fetched, yet.
pub(super) struct Offer {
    number: u64,
    parent: BlockHash,
    executor: Arc<Executor>,
    stage: Mutex<Stage>,
}

enum Stage {
    Unasked(Fetch),
    /// It runs, or has run: what came of it. Without a sender and a value, its thread died.
    Asked(watch::Receiver<Option<Outcome>>),
}

impl fmt::Debug for Offer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Offer")
            .field("number", &self.number)
            .field("parent", &self.parent)
            .finish_non_exhaustive()
    }
}

impl Offer {
    /// The block, executed on `snapshot` if nobody has asked about it before.
    pub(super) async fn executed(&self, snapshot: &Snapshot) -> Result<Arc<Executed>, ViewError> {
        if snapshot.tip().is_none_or(|tip| tip.hash != self.parent) {
            return Err(ViewError::NoPending);
        }
        let mut told = self.start(snapshot);
        let outcome = match told.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone(),
            Err(_) => None,
        };
        outcome
            .unwrap_or_else(|| Err(Arc::new(PendingError::Thread)))
            .map_err(ViewError::PendingFailed)
    }

    /// Has it executed, unless it has been already.
    fn start(&self, snapshot: &Snapshot) -> watch::Receiver<Option<Outcome>> {
        let (tell, told) = watch::channel(None);
        let fetch = {
            let mut stage = self.stage.lock();
            if let Stage::Asked(told) = &*stage {
                return told.clone();
            }
            match mem::replace(&mut *stage, Stage::Asked(told.clone())) {
                Stage::Unasked(fetch) => fetch,
                Stage::Asked(told) => return told,
            }
        };
        let (number, parent) = (self.number, self.parent);
        let (executor, snapshot) = (Arc::clone(&self.executor), snapshot.clone());
        // Where no thread can be had, `tell` goes with what it should have run, and those who
        // wait know.
        let _ = thread::Builder::new()
            .name("metashrew-pending".to_owned())
            .spawn(move || {
                let outcome = executor.run(number, parent, fetch, &snapshot);
                tell.send_replace(Some(outcome.map_err(Arc::new)));
            });
        told
    }
}

/// A pending block that was offered: what has become of it. See
/// [`MetashrewRuntime::offer_pending`](crate::MetashrewRuntime::offer_pending).
#[derive(Debug, Clone)]
pub struct PendingOffer(Arc<Offer>);

/// What has become of a pending block.
#[derive(Debug, Clone)]
pub enum PendingState {
    /// Nobody has asked about it: it is neither fetched nor executed.
    Unasked,
    /// It is fetched or executed now.
    Running,
    /// It answers calls.
    Executed,
    /// It answers none.
    Failed(Arc<PendingError>),
}

impl PendingOffer {
    /// What has become of it.
    pub fn state(&self) -> PendingState {
        let told = match &*self.0.stage.lock() {
            Stage::Unasked(_) => return PendingState::Unasked,
            Stage::Asked(told) => told.clone(),
        };
        // Before the value is looked at: afterwards it may have been told.
        let is_alive = told.has_changed().is_ok();
        match &*told.borrow() {
            Some(Ok(_)) => PendingState::Executed,
            Some(Err(error)) => PendingState::Failed(Arc::clone(error)),
            None if is_alive => PendingState::Running,
            None => PendingState::Failed(Arc::new(PendingError::Thread)),
        }
    }
}

/// The pending block that is offered now, if there is one.
pub(super) struct Pending {
    executor: Arc<Executor>,
    current: RwLock<Current>,
}

#[derive(Default)]
struct Current {
    /// How many there were, and how often one was taken away.
    number: u64,
    offer: Option<Arc<Offer>>,
}

impl Pending {
    pub(super) fn new(maker: Maker, sizes: Sizes, options: &ViewOptions, ticking: Ticking) -> Self {
        let executor = Executor {
            maker,
            timeout: options.pending_timeout,
            max_held: sizes.all_instances / HELD_PART,
            epochs: OnceLock::new(),
            ticking,
            running: Mutex::default(),
            last: Mutex::default(),
        };
        Self {
            executor: Arc::new(executor),
            current: RwLock::default(),
        }
    }

    pub(super) fn current(&self) -> Option<Arc<Offer>> {
        self.current.read().offer.clone()
    }

    /// Offers the block that `fetch` brings, on top of `parent`, which must be the tip.
    pub(super) fn offer(
        &self,
        store: &Store,
        parent: BlockHash,
        fetch: Fetch,
    ) -> Result<PendingOffer, ViewError> {
        let snapshot = store.snapshot();
        if snapshot.tip().ok_or(ResolveError::Empty)?.hash != parent {
            return Err(ViewError::NoPending);
        }
        let mut current = self.current.write();
        current.number += 1;
        let offer = Arc::new(Offer {
            number: current.number,
            parent,
            executor: Arc::clone(&self.executor),
            stage: Mutex::new(Stage::Unasked(fetch)),
        });
        current.offer = Some(Arc::clone(&offer));
        Ok(PendingOffer(offer))
    }

    /// Takes it away. Contexts that stand on it keep it.
    pub(super) fn withdraw(&self) {
        let number = {
            let mut current = self.current.write();
            current.number += 1;
            current.offer = None;
            current.number
        };
        *self.executor.last.lock() = Last {
            withdrawn: number,
            executed: None,
        };
        self.executor.maker.pool.see_pending(number);
    }

    /// Has the epochs advance for as long as a pending block may be executed.
    pub(super) fn keep_epochs(&self, epochs: Ticker) {
        // There is one engine, and so one ticker.
        let _ = self.executor.epochs.set(epochs);
    }
}

/// Executes pending blocks, one at a time.
struct Executor {
    maker: Maker,
    ticking: Ticking,
    /// What the time limit rests on. Here, as an execution may outlive the runtime.
    epochs: OnceLock<Ticker>,
    /// How long one may take.
    timeout: Duration,
    /// Bytes that what it writes may take for as long as it is pending.
    max_held: usize,
    /// Held while one is executed: there is room for one.
    running: Mutex<()>,
    last: Mutex<Last>,
}

/// The last pending block that was executed.
#[derive(Default)]
struct Last {
    /// The number under which one was last taken away. What was offered before counts no
    /// more.
    withdrawn: u64,
    executed: Option<Arc<Executed>>,
}

impl Executor {
    fn run(
        &self,
        number: u64,
        parent: BlockHash,
        fetch: Fetch,
        snapshot: &Snapshot,
    ) -> Result<Arc<Executed>, PendingError> {
        let _running = self.running.lock();
        let block = fetch().map_err(PendingError::Fetch)?;
        let content = Sha256::digest(&block).into();
        if let Some(same) = self.last.lock().executed.as_ref()
            && (same.parent, same.content) == (parent, content)
        {
            return Ok(Arc::clone(same));
        }
        let height = snapshot.tip().map_or(0, |tip| tip.height.saturating_add(1));
        let id = PendingId {
            number,
            height,
            hash: header_hash(&block),
        };
        let execution = self.execute(height, &block, &snapshot.latest());
        let (writes, account) = execution.map_err(PendingError::Execution)?;
        let executed = Arc::new(Executed {
            id,
            parent,
            content,
            writes: Arc::new(writes),
            _account: account,
        });
        let mut last = self.last.lock();
        if number > last.withdrawn {
            last.executed = Some(Arc::clone(&executed));
        }
        drop(last);
        self.maker.pool.see_pending(number);
        Ok(executed)
    }

    /// Runs the block, on bytes of the views' budget. Where others have them it gives back
    /// what it has, waits for so much, and runs again.
    fn execute(
        &self,
        height: Height,
        block: &Bytes,
        on: &State,
    ) -> Result<(WriteSet, Arc<Account>), ViewError> {
        let _ticking = self.ticking.hold();
        let pool = &self.maker.pool;
        let deadline = Deadline::after(self.timeout, false);
        let mut account = Account::empty(pool.budget());
        loop {
            let call = Call::overlay(on.clone(), height, block.clone());
            let run = self.run_once(call, deadline.clone(), Arc::clone(&account));
            let wanted = match wait(pin!(run)) {
                Ok(writes) => return self.hold(writes, account),
                Err(Fault::Starved { wanted }) => wanted,
                Err(fault) => return Err(fault.into_view_error(self.timeout)),
            };
            drop(account);
            let most = wanted.saturating_mul(2).min(self.maker.limit).max(wanted);
            let reserved = pool.reserve(wanted, most, deadline.age());
            let reserved = wait(pin!(self.maker.alarms.until(deadline.end(), reserved)));
            account = reserved.ok_or_else(|| pool.busy_error(wanted, 0))?;
        }
    }

    async fn run_once(
        &self,
        call: Call,
        deadline: Deadline,
        account: Arc<Account>,
    ) -> Result<WriteSet, Fault> {
        let mut kept = self.maker.make(call, deadline, account, 0, None).await?;
        kept.instance.start_async().await
    }

    /// What is left of an execution: what it wrote, which counts for as long as it is held.
    fn hold(
        &self,
        writes: WriteSet,
        account: Arc<Account>,
    ) -> Result<(WriteSet, Arc<Account>), ViewError> {
        let (wanted, limit) = (writes.bytes(), self.max_held);
        if wanted > limit {
            return Err(ViewError::MemoryLimit {
                wanted,
                limit,
                backtrace: GuestBacktrace::default(),
            });
        }
        account.trim(wanted);
        Ok((writes, account))
    }
}

/// The hash of a block's header.
fn header_hash(block: &[u8]) -> BlockHash {
    let header = block.get(..HEADER).unwrap_or(block);
    BlockHash::from_bytes(Sha256::digest(Sha256::digest(header)).into())
}
