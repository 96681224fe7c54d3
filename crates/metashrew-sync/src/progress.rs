//! How far indexing is, for consoles, metrics and benches. The indexer writes,
//! anybody may read at any time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use metashrew_store::{BlockHash, Height};
use parking_lot::Mutex;

/// Counters that grow while the indexer runs.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    blocks: AtomicU64,
    bytes: AtomicU64,
    keys: AtomicU64,
    commits: AtomicU64,
    rollbacks: AtomicU64,
    waiting: AtomicU64,
    executing: AtomicU64,
    stalled: AtomicU64,
    committing: AtomicU64,
    /// Height + 1; 0 for none.
    height: AtomicU64,
    /// Height + 1; 0 for none.
    target: AtomicU64,
    running: Mutex<Option<Running>>,
}

/// The block that the guest is processing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
    /// When it began.
    pub since: Instant,
}

/// What [`Progress`] held at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgressReport {
    /// The last committed block.
    pub height: Option<Height>,
    /// The block to get to, as far as known: the node's tip, or the height to exit at.
    pub target: Option<Height>,
    /// Blocks committed since the start.
    pub blocks: u64,
    /// Bytes of those blocks.
    pub bytes: u64,
    /// Keys written by them.
    pub keys: u64,
    /// Batches they were committed in.
    pub commits: u64,
    /// Reorganisations.
    pub rollbacks: u64,
    /// The block being processed.
    pub running: Option<Running>,
    /// Time since the indexer was made.
    pub elapsed: Duration,
    /// Time spent waiting for blocks to be fetched.
    pub waiting: Duration,
    /// Time the guest ran.
    pub executing: Duration,
    /// Time the guest could not run because commits were behind.
    pub stalled: Duration,
    /// Time spent committing; the guest runs meanwhile.
    pub committing: Duration,
}

/// The times that are told apart.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Span {
    Waiting,
    Executing,
    Stalled,
    Committing,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            blocks: AtomicU64::default(),
            bytes: AtomicU64::default(),
            keys: AtomicU64::default(),
            commits: AtomicU64::default(),
            rollbacks: AtomicU64::default(),
            waiting: AtomicU64::default(),
            executing: AtomicU64::default(),
            stalled: AtomicU64::default(),
            committing: AtomicU64::default(),
            height: AtomicU64::default(),
            target: AtomicU64::default(),
            running: Mutex::new(None),
        }
    }

    /// All of it now.
    pub fn report(&self) -> ProgressReport {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let height = |counter: &AtomicU64| {
            count(counter)
                .checked_sub(1)
                .and_then(|height| Height::try_from(height).ok())
        };
        let time = |counter: &AtomicU64| Duration::from_nanos(count(counter));
        ProgressReport {
            height: height(&self.height),
            target: height(&self.target),
            blocks: count(&self.blocks),
            bytes: count(&self.bytes),
            keys: count(&self.keys),
            commits: count(&self.commits),
            rollbacks: count(&self.rollbacks),
            running: self.running(),
            elapsed: self.started.elapsed(),
            waiting: time(&self.waiting),
            executing: time(&self.executing),
            stalled: time(&self.stalled),
            committing: time(&self.committing),
        }
    }

    pub(crate) fn running(&self) -> Option<Running> {
        *self.running.lock()
    }

    pub(crate) fn set_running(&self, running: Option<Running>) {
        *self.running.lock() = running;
    }

    pub(crate) fn set_height(&self, height: Option<Height>) {
        self.height.store(
            height.map_or(0, |height| u64::from(height) + 1),
            Ordering::Relaxed,
        );
    }

    pub(crate) fn set_target(&self, height: Option<Height>) {
        self.target.store(
            height.map_or(0, |height| u64::from(height) + 1),
            Ordering::Relaxed,
        );
    }

    pub(crate) fn count_block(&self, bytes: usize, keys: usize) {
        self.blocks.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.keys.fetch_add(keys as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_rollback(&self) {
        self.rollbacks.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds the time since an instant.
    pub(crate) fn spend(&self, span: Span, since: Instant) {
        let counter = match span {
            Span::Waiting => &self.waiting,
            Span::Executing => &self.executing,
            Span::Stalled => &self.stalled,
            Span::Committing => &self.committing,
        };
        let nanos = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        counter.fetch_add(nanos, Ordering::Relaxed);
    }
}
