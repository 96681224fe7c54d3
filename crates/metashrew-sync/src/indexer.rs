//! The indexer: follows a node's chain, round after round, through
//! reorganisations and faults, until there is an end.
//!
//! Only the thread that called [`Indexer::run`] commits and rolls back, so a
//! block that is abandoned half-way, however long it runs on, leaves no trace.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crossbeam_channel::Receiver;
use metashrew_runtime::MetashrewRuntime;
use metashrew_store::{Claim, Store};

use crate::error::IndexError;
use crate::execute::Processed;
use crate::identify::identify;
use crate::network::Network;
use crate::node::{Node, NodeError};
use crate::options::IndexOptions;
use crate::progress::{Asked, Progress, Span};
use crate::reorg::{Compared, Comparison};
use crate::round::{self, Round};
use crate::stop::Stop;
use crate::wakeups::Wakeups;

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
    wakeups: Option<Receiver<()>>,
    /// The network, once the node has told it: it stays what it is.
    network: Arc<OnceLock<Option<Network>>>,
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
        let progress = Progress::new();
        progress.set_height(runtime.store().snapshot().tip().map(|tip| tip.height));
        Self {
            runtime,
            node,
            options,
            progress: Arc::new(progress),
            wakeups: None,
            network: Arc::default(),
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
    /// A node that fails for a while is asked again until it answers.
    pub fn run(&self, stop: &Stop) -> Result<IndexEnd, IndexError> {
        self.progress.begin();
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
                Ok(Turn::Changed) => (Asked::Comparison, contradiction()),
                Ok(Turn::Unconnected(error)) => (Asked::Connection, error),
                Err(IndexError::Node(error)) if error.is_transient() => (Asked::Comparison, error),
                Err(error) => return Err(error),
            };
            let pause = self.options.backoff.pause(idle.max(1));
            self.progress.failed(asked, &error, Some(pause));
            if stop.wait(pause) {
                return Ok(IndexEnd::Stopped);
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
        let known = Arc::clone(&self.network);
        let task = "compares the chains";
        let thread = round::spawn(task, "metashrew-compare", move || {
            let compared = claim_network(&store, node.as_ref())
                .and_then(|()| network(node.as_ref(), &known))
                .and_then(|network| {
                    let comparison = Comparison {
                        snapshot: &snapshot,
                        node: node.as_ref(),
                        options: &options,
                        network,
                    };
                    Ok((network, comparison.compare()?))
                });
            drop((store, snapshot));
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

    /// Commits blocks, all at once.
    pub(crate) fn commit(&self, blocks: &[Processed]) -> Result<(), IndexError> {
        let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else {
            return Ok(());
        };
        let batch: Vec<_> = blocks
            .iter()
            .map(|block| (block.block, Arc::clone(&block.writes)))
            .collect();
        let since = Instant::now();
        let result = self.runtime.store().commit_batch(&batch);
        self.progress.spend(Span::Committing, since);
        let (first, last) = (first.block.height, last.block.height);
        result.map_err(|source| IndexError::Commit {
            first,
            last,
            source,
        })?;
        self.progress.set_height(Some(last));
        for block in blocks {
            self.progress.count_block(block.bytes, block.writes.len());
            if let Some(noticed) = block.noticed {
                self.progress.visible(noticed);
                let (height, took) = (block.block.height, noticed.elapsed());
                let committing = since.elapsed();
                tracing::debug!(height, ?took, ?committing, "a new block can be seen");
            }
        }
        let took = since.elapsed();
        tracing::debug!(first, last, ?took, "blocks are committed");
        self.progress.count_commit();
        self.progress.tell_caught_up(&self.options);
        self.progress.answered(Asked::Connection);
        Ok(())
    }
}

/// The network whose rules the blocks must keep. A node that says another one than
/// before would have its blocks checked by other rules, or by none.
fn network(
    node: &dyn Node,
    known: &OnceLock<Option<Network>>,
) -> Result<Option<Network>, IndexError> {
    let network = node.network()?.filter(|network| network.is_named());
    if *known.get_or_init(|| network) == network {
        return Ok(network);
    }
    let what = "its genesis block was another network's before".to_owned();
    Err(NodeError::BadAnswer { what }.into())
}

/// Claims the database for the network that the node is on. It is asked every time: it
/// may be another node than before.
fn claim_network(store: &Store, node: &dyn Node) -> Result<(), IndexError> {
    let network = identify(node)?;
    let claim = Claim {
        network: (!network.is_unknown()).then_some(network),
        ..Claim::default()
    };
    Ok(store.claim(&claim)?)
}

fn contradiction() -> NodeError {
    NodeError::BadAnswer {
        what: "its chain is said to have changed, again and again, and has not".to_owned(),
    }
}
