//! The indexer: follows a node's chain, round after round, through
//! reorganisations and faults, until there is an end.
//!
//! Only the thread that called [`Indexer::run`] commits and rolls back, so a
//! block that is abandoned half-way, however long it runs on, leaves no trace.

use std::sync::Arc;

use crossbeam_channel::Receiver;
use metashrew_runtime::MetashrewRuntime;
use metashrew_store::Claim;

use crate::commit::FreeSpace;
use crate::error::IndexError;
use crate::identify::Seen;
use crate::machine::WaitsFor;
use crate::network::Network;
use crate::node::{Node, NodeError};
use crate::options::IndexOptions;
use crate::progress::{Asked, Progress};
use crate::reorg::{Compared, Comparison};
use crate::round::{self, Round};
use crate::stop::Stop;
use crate::timing::{BlockTiming, Timings};
use crate::wakeups::Wakeups;
use crate::watchdog::Watchdog;

/// Why indexing ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexEnd {
    /// A stop was requested.
    Stopped,
    /// The block to exit at is committed.
    Exit,
    /// All blocks that the node has are committed; never with
    /// [`IndexOptions::follow`].
    Tip,
}

/// Has a guest process a node's blocks, and commits what it writes.
pub struct Indexer {
    pub(crate) runtime: MetashrewRuntime,
    pub(crate) node: Arc<dyn Node>,
    pub(crate) options: IndexOptions,
    pub(crate) progress: Arc<Progress>,
    pub(crate) free_space: Option<FreeSpace>,
    pub(crate) timings: Option<Timings>,
    wakeups: Option<Receiver<()>>,
    seen: Arc<Seen>,
}

/// How a round ended.
pub(crate) enum Turn {
    End(IndexEnd),
    /// The node's chain is another than it was: it has to be compared again.
    Changed,
    /// A block did not stand on the one before: the chain has changed, unless it
    /// happens again.
    Unconnected(NodeError),
    /// The node has less than was indexed, or nothing.
    Behind(NodeError),
}

impl Indexer {
    /// Blocks from `node` go through the guest of `runtime` into its store.
    pub fn new(runtime: MetashrewRuntime, node: Arc<dyn Node>, options: IndexOptions) -> Self {
        let progress = Progress::new(options.slow_block);
        progress.set_height(runtime.store().snapshot().tip().map(|tip| tip.height));
        Self {
            runtime,
            node,
            options,
            progress: Arc::new(progress),
            free_space: None,
            timings: None,
            wakeups: None,
            seen: Arc::default(),
        }
    }

    /// With [`IndexOptions::follow`], the node is asked for new blocks whenever
    /// something is received here, too. Once it is disconnected, the polling
    /// interval alone counts.
    #[must_use]
    pub fn with_wakeups(mut self, wakeups: Receiver<()>) -> Self {
        self.wakeups = Some(wakeups);
        self
    }

    /// Has [`IndexOptions::min_free_space`] watched: `free_space` answers how many
    /// bytes are free where the database is, if that can be told.
    #[must_use]
    pub fn with_free_space(
        mut self,
        free_space: impl Fn() -> Option<u64> + Send + Sync + 'static,
    ) -> Self {
        self.free_space = Some(Box::new(free_space));
        self
    }

    /// Has `told` hear what each block cost, in their order, once it is committed. It is called
    /// on the thread that commits, which waits for it.
    #[must_use]
    pub fn with_timings(mut self, told: impl Fn(BlockTiming) + Send + Sync + 'static) -> Self {
        self.timings = Some(Box::new(told));
        self
    }

    /// How far it is, and what it is doing.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Indexes from where the store is until the block to exit at is committed,
    /// or `stop` is requested, or, unless it follows the node, until the node has
    /// no more blocks. Takes the thread of the caller for so long. May be called
    /// again, for later blocks.
    ///
    /// However it ends, every block that was processed before is committed.
    /// A node or a machine that fails for a while is waited for until it works again.
    pub fn run(&self, stop: &Stop) -> Result<IndexEnd, IndexError> {
        self.progress.begin();
        let (_watched, until) = crossbeam_channel::bounded(0);
        Watchdog::watch(&self.progress, self.options.slow_block, until);
        let result = self.claim().and_then(|()| self.rounds(stop));
        self.progress.end(&result);
        result
    }

    /// After an error that [may pass](IndexError::may_pass): looks at the node's chain
    /// again from time to time, and answers whether it can be followed, or a stop was
    /// requested. Until then the indexer is as halted as before.
    pub fn wait_for_chain(&self, stop: &Stop) -> bool {
        for failures in 1_u32.. {
            if stop.wait(self.options.backoff.pause(failures)) {
                break;
            }
            match self.compare(stop) {
                Ok(None) => break,
                Ok(Some((_, Compared::At(_) | Compared::Reorganised(_)))) => return true,
                Ok(Some((_, Compared::Behind(_)))) | Err(_) => {}
            }
        }
        false
    }

    /// Claims the database for the guest and the settings; [`run`](Self::run) does so,
    /// too. Fails if it belongs to others.
    pub fn claim(&self) -> Result<(), IndexError> {
        let claim = Claim {
            network: None,
            first_height: self.options.start_height,
            guest: Some(self.runtime.guest_id().clone()),
            accept_guest_change: self.options.accept_guest_change,
        };
        Ok(self.runtime.store().claim(&claim)?)
    }

    fn rounds(&self, stop: &Stop) -> Result<IndexEnd, IndexError> {
        let mut wakeups = Wakeups::new(self.wakeups.clone(), &self.options);
        // Rounds in a row that got nowhere: a node that contradicts itself would
        // have us go round in circles.
        let mut idle = 0;
        loop {
            if stop.is_requested() {
                return Ok(IndexEnd::Stopped);
            }
            let before = self.progress.report();
            let turn = self.round(stop, &wakeups);
            let after = self.progress.report();
            idle = if (after.blocks, after.rollbacks) == (before.blocks, before.rollbacks) {
                idle + 1
            } else {
                0
            };
            let (asked, error) = match turn {
                // The chain may have changed while its last blocks were indexed.
                Ok(Turn::End(IndexEnd::Tip)) if idle == 0 => continue,
                Ok(Turn::End(end)) => return Ok(end),
                Ok(Turn::Behind(error)) if !self.options.follow => {
                    let has_blocks = after.node_tip.is_some();
                    if has_blocks && self.runtime.store().snapshot().tip().is_none() {
                        return Err(IndexError::NothingToIndex(error));
                    }
                    tracing::warn!("{error}");
                    return Ok(IndexEnd::Tip);
                }
                Ok(Turn::Behind(error)) => {
                    self.progress.failed(Asked::Comparison, &error, None);
                    idle = 0;
                    if wakeups.wait(stop.requested()) {
                        return Ok(IndexEnd::Stopped);
                    }
                    continue;
                }
                // A chain that has changed is no failure, the first time.
                Ok(Turn::Changed | Turn::Unconnected(_)) if idle <= 1 => {
                    tracing::debug!("the node's chain has changed");
                    continue;
                }
                Ok(Turn::Changed) => (Asked::Comparison, contradiction().into()),
                Ok(Turn::Unconnected(error)) => (Asked::Connection, error.into()),
                Err(error) => (Asked::Comparison, error),
            };
            let Some(waits_for) = error.waits_for() else {
                return Err(error);
            };
            let pause = self.options.backoff.pause(idle.max(1));
            self.waits(asked, waits_for, &error, pause);
            if stop.wait(pause) {
                return Ok(IndexEnd::Stopped);
            }
        }
    }

    /// Says what is waited for.
    fn waits(
        &self,
        asked: Asked,
        waits_for: WaitsFor,
        error: &IndexError,
        pause: std::time::Duration,
    ) {
        match error {
            IndexError::Node(error) => self.progress.failed(asked, error, Some(pause)),
            error => {
                let progress = &self.progress;
                progress.machine_failed(asked, waits_for, error, Some(pause));
            }
        }
    }

    /// Indexes until an end, or until the node's chain turns out to be another.
    fn round(&self, stop: &Stop, wakeups: &Wakeups) -> Result<Turn, IndexError> {
        let Some((network, compared)) = self.compare(stop)? else {
            return Ok(Turn::End(IndexEnd::Stopped));
        };
        let start = match compared {
            Compared::At(start) => start,
            Compared::Behind(error) => return Ok(Turn::Behind(error)),
            Compared::Reorganised(reorganised) => {
                reorganised.undo(self.runtime.store(), &self.progress)?
            }
        };
        self.progress.aligned(self.options.follow);
        Round::start(self, (network, start), wakeups.clone(), stop)?.run()
    }

    /// Compares the chains on a thread of its own, so that a node that hangs does
    /// not hold up a stop. None if a stop was requested.
    fn compare(&self, stop: &Stop) -> Result<Option<(Option<Network>, Compared)>, IndexError> {
        let (sender, receiver) = crossbeam_channel::bounded(1);
        let (store, snapshot) = (
            self.runtime.store().clone(),
            self.runtime.store().snapshot(),
        );
        let (node, options) = (Arc::clone(&self.node), self.options);
        let seen = Arc::clone(&self.seen);
        let progress = Arc::clone(&self.progress);
        let task = "compares the chains";
        let thread = round::spawn(task, "metashrew-compare", move || {
            let compared = seen.claim(&store, node.as_ref()).and_then(|network| {
                let comparison = Comparison {
                    snapshot: &snapshot,
                    node: node.as_ref(),
                    options: &options,
                    network,
                };
                let compared = comparison.compare()?;
                seen.compared();
                Ok((network, compared))
            });
            drop((store, snapshot));
            if let Ok((_, Compared::Behind(_))) = &compared
                && let Ok(tip) = node.tip()
            {
                // There is no round that would tell.
                progress.set_tip(tip, options.target(tip).max(options.start_height));
            }
            // Nobody waits any more if a stop was requested.
            let _ = sender.send(compared);
        })?;
        crossbeam_channel::select! {
            recv(receiver) -> compared => match compared {
                Ok(compared) => {
                    // It has let go of the store.
                    let _ = thread.join();
                    compared.map(Some)
                }
                Err(_) => Err(IndexError::Thread { task, source: None }),
            },
            recv(stop.requested()) -> _ => Ok(None),
        }
    }
}

fn contradiction() -> NodeError {
    NodeError::BadAnswer {
        what: "its chain is said to have changed, again and again, and has not".to_owned(),
    }
}
