//! How far indexing is, for consoles, metrics and benches. The indexer writes,
//! anybody may read at any time.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use metashrew_runtime::{ScoutEnd, Scouted};
use metashrew_store::Height;
use parking_lot::Mutex;

use crate::error::IndexError;
use crate::indexer::IndexEnd;
use crate::machine::WaitsFor;
use crate::node::{NodeBlock, NodeError};
use crate::options::IndexOptions;
use crate::rates::Rates;
use crate::status::{self, IndexStatus, Phase, Reorg};
use crate::troubles::{Trouble, Troubles};

pub(crate) use crate::troubles::Asked;
pub use report::{ProgressReport, Running, ScoutReport, WriteKind, Writing};

mod report;

/// Counters that grow while the indexer runs, and what it is doing.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    blocks: AtomicU64,
    bytes: AtomicU64,
    keys: AtomicU64,
    commits: AtomicU64,
    rollbacks: AtomicU64,
    fetched_blocks: AtomicU64,
    fetched_bytes: AtomicU64,
    failures: AtomicU64,
    waiting: AtomicU64,
    executing: AtomicU64,
    stalled: AtomicU64,
    committing: AtomicU64,
    /// Height + 1; 0 for none.
    height: AtomicU64,
    /// Height + 1; 0 for none.
    target: AtomicU64,
    /// Whether it was said that the node's chain is caught up with.
    caught_up: AtomicBool,
    machine_failures: AtomicU64,
    undone: AtomicU64,
    scouts: AtomicUsize,
    scouted: [AtomicU64; ScoutEnd::ALL.len()],
    scout_reads: AtomicU64,
    running: Mutex<Option<Running>>,
    writing: Mutex<Option<Writing>>,
    /// A write that takes so long is what indexing waits for.
    slow_write: Duration,
    node_failures: Mutex<BTreeMap<&'static str, u64>>,
    seen: Mutex<Seen>,
    phase: Mutex<Phase>,
    troubles: Mutex<Troubles>,
    rates: Mutex<Rates>,
}

/// What happened last.
#[derive(Debug, Default)]
struct Seen {
    node_tip: Option<NodeBlock>,
    reorg: Option<Reorg>,
    latency: Option<Duration>,
}

/// Forgets the write when that is over, by a panic, too: nothing is stuck then.
struct WriteOver<'a>(&'a Mutex<Option<Writing>>);

impl Drop for WriteOver<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
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
    /// A write that takes as long as `slow_write` is what indexing waits for.
    pub(crate) fn new(slow_write: Duration) -> Self {
        Self {
            started: Instant::now(),
            blocks: AtomicU64::default(),
            bytes: AtomicU64::default(),
            keys: AtomicU64::default(),
            commits: AtomicU64::default(),
            rollbacks: AtomicU64::default(),
            fetched_blocks: AtomicU64::default(),
            fetched_bytes: AtomicU64::default(),
            failures: AtomicU64::default(),
            waiting: AtomicU64::default(),
            executing: AtomicU64::default(),
            stalled: AtomicU64::default(),
            committing: AtomicU64::default(),
            height: AtomicU64::default(),
            target: AtomicU64::default(),
            caught_up: AtomicBool::default(),
            machine_failures: AtomicU64::default(),
            undone: AtomicU64::default(),
            scouts: AtomicUsize::default(),
            scouted: Default::default(),
            scout_reads: AtomicU64::default(),
            running: Mutex::default(),
            writing: Mutex::default(),
            slow_write,
            node_failures: Mutex::default(),
            seen: Mutex::default(),
            phase: Mutex::default(),
            troubles: Mutex::default(),
            rates: Mutex::default(),
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
        let seen = self.seen.lock();
        ProgressReport {
            height: height(&self.height),
            target: height(&self.target),
            blocks: count(&self.blocks),
            bytes: count(&self.bytes),
            keys: count(&self.keys),
            commits: count(&self.commits),
            rollbacks: count(&self.rollbacks),
            undone_blocks: count(&self.undone),
            fetched_blocks: count(&self.fetched_blocks),
            fetched_bytes: count(&self.fetched_bytes),
            failures: count(&self.failures),
            machine_failures: count(&self.machine_failures),
            node_tip: seen.node_tip,
            last_reorg: seen.reorg,
            latency: seen.latency,
            running: self.running(),
            writing: self.writing(),
            elapsed: self.started.elapsed(),
            waiting: time(&self.waiting),
            executing: time(&self.executing),
            stalled: time(&self.stalled),
            committing: time(&self.committing),
        }
    }

    /// What scouts did.
    pub fn scouts(&self) -> ScoutReport {
        let mut runs = ScoutEnd::ALL.map(|end| (end, 0));
        for ((_, count), counter) in runs.iter_mut().zip(&self.scouted) {
            *count = counter.load(Ordering::Relaxed);
        }
        ScoutReport {
            count: self.scouts.load(Ordering::Relaxed),
            runs,
            reads: self.scout_reads.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn set_scouts(&self, count: usize) {
        self.scouts.store(count, Ordering::Relaxed);
    }

    pub(crate) fn count_scouted(&self, scouted: Scouted) {
        let counters = ScoutEnd::ALL.iter().zip(&self.scouted);
        for (_, counter) in counters.filter(|(end, _)| **end == scouted.end) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.scout_reads.fetch_add(scouted.reads, Ordering::Relaxed);
    }

    /// What the indexer is doing, how far it is and how fast.
    pub fn status(&self) -> IndexStatus {
        let progress = self.report();
        let mut rates = self.rates.lock();
        rates.sample(progress.elapsed, progress.blocks, progress.bytes);
        let per_second = rates.per_second();
        drop(rates);
        let phase = self.phase.lock().clone();
        let trouble = self.trouble();
        status::status(&progress, phase, trouble, per_second)
    }

    pub(crate) fn running(&self) -> Option<Running> {
        *self.running.lock()
    }

    pub(crate) fn set_running(&self, running: Option<Running>) {
        *self.running.lock() = running;
    }

    pub(crate) fn writing(&self) -> Option<Writing> {
        *self.writing.lock()
    }

    /// Does a write about blocks `first` to `last`, and tells of it meanwhile.
    pub(crate) fn write<T>(
        &self,
        kind: WriteKind,
        (first, last): (Height, Height),
        write: impl FnOnce() -> T,
    ) -> T {
        let since = Instant::now();
        *self.writing.lock() = Some(Writing {
            kind,
            first,
            last,
            since,
        });
        let _over = WriteOver(&self.writing);
        write()
    }

    /// The write that has taken as long as `limit`, as an error.
    pub fn stuck(&self, limit: Duration) -> Option<IndexError> {
        let writing = self.writing()?;
        let elapsed = writing.since.elapsed();
        (elapsed >= limit).then(|| IndexError::Stuck {
            writing,
            seconds: elapsed.as_secs(),
        })
    }

    /// What is waited for: nothing goes on while a write does not return.
    fn trouble(&self) -> Option<Trouble> {
        let stuck = self.stuck(self.slow_write).zip(self.writing());
        let stuck = stuck.map(|(error, writing)| Trouble {
            waits_for: WaitsFor::Machine,
            error: error.to_string(),
            since: SystemTime::now() - writing.since.elapsed(),
            failures: 0,
        });
        stuck.or_else(|| self.troubles.lock().first())
    }

    pub(crate) fn set_height(&self, height: Option<Height>) {
        store_height(&self.height, height);
    }

    /// The node's tip, and the last block wanted of its chain.
    pub(crate) fn set_tip(&self, tip: Option<NodeBlock>, target: Option<Height>) {
        self.seen.lock().node_tip = tip;
        store_height(&self.target, target);
    }

    /// Says so when all blocks that a followed node has are committed: once, and again
    /// after having been behind.
    pub(crate) fn tell_caught_up(&self, options: &IndexOptions) {
        let ProgressReport { height, target, .. } = self.report();
        let Some(target) = target.filter(|target| options.exit_at != Some(*target)) else {
            return;
        };
        let missing = target.saturating_sub(height.unwrap_or(0));
        if !options.follow || height.is_none() || missing > status::NEARLY {
            self.caught_up.store(false, Ordering::Relaxed);
        } else if missing == 0 && !self.caught_up.swap(true, Ordering::Relaxed) {
            tracing::info!(height, "caught up with the node");
        }
    }

    pub(crate) fn begin(&self) {
        self.troubles.lock().clear();
        *self.phase.lock() = Phase::Starting;
    }

    /// The node has answered, and the two chains were compared.
    pub(crate) fn aligned(&self, follow: bool) {
        self.answered(Asked::Comparison);
        *self.phase.lock() = Phase::Indexing { follow };
    }

    pub(crate) fn end(&self, result: &Result<IndexEnd, IndexError>) {
        self.troubles.lock().clear();
        *self.phase.lock() = match result {
            Ok(IndexEnd::Stopped) => Phase::Stopped,
            Ok(IndexEnd::Exit | IndexEnd::Tip) => Phase::Done,
            Err(error) => Phase::halted(error),
        };
    }

    /// The node did not answer a question, or wrongly; says so.
    pub(crate) fn failed(&self, asked: Asked, error: &NodeError, pause: Option<Duration>) {
        let waits_for = error.waits_for().unwrap_or(WaitsFor::Node);
        if waits_for != WaitsFor::Node {
            return self.machine_failed(asked, waits_for, error, pause);
        }
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self
            .node_failures
            .lock()
            .entry(error.kind().as_str())
            .or_default() += 1;
        self.troubles.lock().add(asked, waits_for, error, pause);
    }

    /// The machine failed at something; says so.
    pub(crate) fn machine_failed(
        &self,
        asked: Asked,
        waits_for: WaitsFor,
        error: &dyn Error,
        pause: Option<Duration>,
    ) {
        self.machine_failures.fetch_add(1, Ordering::Relaxed);
        self.troubles.lock().add(asked, waits_for, error, pause);
    }

    /// How often the node failed since the start, by the kind of failure (see
    /// [`FailureKind`](crate::FailureKind)); kinds that did not occur are left out.
    pub fn node_failures(&self) -> Vec<(&'static str, u64)> {
        let counts = self.node_failures.lock();
        counts.iter().map(|(kind, count)| (*kind, *count)).collect()
    }

    /// A question was answered after all.
    pub(crate) fn answered(&self, asked: Asked) {
        self.troubles.lock().remove(asked);
    }

    /// Forgets what only a round that is over asked.
    pub(crate) fn forget_round(&self) {
        self.troubles.lock().forget_round();
    }

    pub(crate) fn count_fetched(&self, bytes: usize) {
        self.fetched_blocks.fetch_add(1, Ordering::Relaxed);
        self.fetched_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_block(&self, bytes: usize, keys: usize) {
        self.blocks.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.keys.fetch_add(keys as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        let (blocks, bytes) = (&self.blocks, &self.bytes);
        self.rates.lock().sample(
            self.started.elapsed(),
            blocks.load(Ordering::Relaxed),
            bytes.load(Ordering::Relaxed),
        );
    }

    /// A block can be seen that was noticed at that instant.
    pub(crate) fn visible(&self, noticed: Instant) {
        self.seen.lock().latency = Some(noticed.elapsed());
    }

    /// So many blocks above that height were undone; above none, all.
    pub(crate) fn count_rollback(&self, fork: Option<Height>, depth: u32) {
        self.rollbacks.fetch_add(1, Ordering::Relaxed);
        self.undone.fetch_add(u64::from(depth), Ordering::Relaxed);
        self.set_height(fork);
        self.seen.lock().reorg = Some(Reorg {
            fork,
            depth,
            at: SystemTime::now(),
        });
    }

    /// Adds the time since an instant, and tells how long that is.
    pub(crate) fn spend(&self, span: Span, since: Instant) -> Duration {
        let counter = match span {
            Span::Waiting => &self.waiting,
            Span::Executing => &self.executing,
            Span::Stalled => &self.stalled,
            Span::Committing => &self.committing,
        };
        let spent = since.elapsed();
        let nanos = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
        counter.fetch_add(nanos, Ordering::Relaxed);
        spent
    }
}

/// As height + 1; 0 for none.
fn store_height(counter: &AtomicU64, height: Option<Height>) {
    let value = height.map_or(0, |height| u64::from(height) + 1);
    counter.store(value, Ordering::Relaxed);
}
