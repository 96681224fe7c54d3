//! The pending block: what the next block may hold. It is executed when somebody first asks
//! about it, once for all who ask, on a thread of its own: nobody's going away ends it.

use std::error::Error;
use std::fmt;
use std::mem;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use metashrew_store::{BlockHash, Height, ResolveError, Snapshot, State, Store, WriteSet};
use parking_lot::{Mutex, RwLock};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::desk::Desk;
use super::engine::ViewEngine;
use crate::context::Call;
use crate::deadline::{Alarms, Deadline};
use crate::engine::Ticker;
use crate::error::{PendingError, ViewError};
use crate::guest::Guest;
use crate::instance::Instance;
use crate::limits::Allowance;
use crate::options::ViewOptions;

/// Bytes of a block's header.
const HEADER: usize = 80;

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
}

impl Executed {
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
    pub(super) fn new(
        guest: &Arc<Guest>,
        desk: &Arc<Desk>,
        alarms: Option<&Arc<Alarms>>,
        options: &ViewOptions,
    ) -> Self {
        let executor = Executor {
            guest: Arc::clone(guest),
            desk: Arc::clone(desk),
            alarms: alarms.cloned(),
            timeout: options.pending_timeout,
            max_memory: options.max_instance_memory,
            epochs: OnceLock::new(),
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
        self.executor.desk.see_pending(number);
    }

    /// Has the epochs advance for as long as a pending block may be executed.
    pub(super) fn keep_epochs(&self, epochs: Ticker) {
        // There is one engine, and so one ticker.
        let _ = self.executor.epochs.set(epochs);
    }
}

/// Executes pending blocks, one at a time.
struct Executor {
    guest: Arc<Guest>,
    desk: Arc<Desk>,
    alarms: Option<Arc<Alarms>>,
    /// What the time limit rests on. Here, as an execution may outlive the runtime.
    epochs: OnceLock<Ticker>,
    /// How long one may take.
    timeout: Duration,
    /// Bytes of memory that the guest may have meanwhile.
    max_memory: usize,
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
        let writes = self.execute(height, block, snapshot.latest())?;
        let executed = Arc::new(Executed {
            id,
            parent,
            content,
            writes: Arc::new(writes),
        });
        let mut last = self.last.lock();
        if number > last.withdrawn {
            last.executed = Some(Arc::clone(&executed));
        }
        drop(last);
        self.desk.see_pending(number);
        Ok(executed)
    }

    fn execute(&self, height: Height, block: Bytes, on: State) -> Result<WriteSet, PendingError> {
        let call = Call::index(on, height, block);
        let deadline = Deadline::after(self.timeout, false).with_alarms(self.alarms.as_ref());
        Instance::create(&self.guest.viewing, call, self.allowance(), deadline)
            .and_then(|mut instance| instance.start())
            .map_err(|fault| PendingError::Execution(ViewEngine::error(fault, self.timeout)))
    }

    /// The memory of the guest meanwhile: no call waits for it.
    fn allowance(&self) -> Allowance {
        Allowance::within(self.max_memory, &self.desk, true)
    }
}

/// The hash of a block's header.
fn header_hash(block: &[u8]) -> BlockHash {
    let header = block.get(..HEADER).unwrap_or(block);
    BlockHash::from_bytes(Sha256::digest(Sha256::digest(header)).into())
}
