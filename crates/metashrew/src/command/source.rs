//! Where blocks come from, files or a node, and what the server is told of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use metashrew_runtime::MetashrewRuntime;
use metashrew_server::{
    CurrentBlock, CurrentWrite, IndexingReport, IndexingState, IndexingStatus, IndexingTotals,
};
use metashrew_sync::{
    BlockFiles, CoreNode, CoreSettings, IndexError, IndexOptions, IndexState, IndexStatus, Indexer,
    Network, NewBlocks, Node, Progress, ProgressReport, WaitsFor, subscribe,
};
use parking_lot::Mutex;

use crate::cli::Start;
use crate::reading::Reading;

/// What can be done where the guest is at one block for long.
const SLOW_HINT: &str = "`metashrew logs` shows what the guest has logged at this block; once this process has ended, `metashrew profile` shows where the block's time goes";

/// The blocks that the flags name.
pub(super) enum Source {
    Files(Arc<BlockFiles>),
    Node {
        node: Arc<CoreNode>,
        /// Ends the subscription when dropped.
        new_blocks: Option<NewBlocks>,
    },
}

impl Source {
    pub(super) fn open(args: &Start) -> Result<Self> {
        match (&args.blocks, &args.node.rpc_url) {
            (Some(path), _) => Self::files(
                path,
                args.start_height,
                args.node.magic.or(args.node.network),
            ),
            (None, Some(url)) => Self::node_at(
                &args.node.settings(url, &args.db),
                args.following.zmq.as_deref(),
            ),
            (None, None) => bail!("neither --rpc-url nor --blocks is given"),
        }
    }

    /// A node, and where it publishes new blocks.
    pub(super) fn node_at(settings: &CoreSettings, zmq: Option<&str>) -> Result<Self> {
        let node = CoreNode::new(settings).context("the node cannot be followed")?;
        let new_blocks = zmq.map(subscribe).transpose();
        let new_blocks = new_blocks.context("new blocks cannot be listened for")?;
        // What the URL has beside these may be a secret.
        tracing::info!(node = node.address(), "following");
        Ok(Self::Node {
            node: Arc::new(node),
            new_blocks,
        })
    }

    /// The files at a path, whose first block has a height, where they do not tell it, and
    /// which must be of a network, if one is named.
    pub(super) fn files(
        path: &Path,
        start_height: Option<u32>,
        network: Option<Network>,
    ) -> Result<Self> {
        let mut files = BlockFiles::open(path, start_height).context("the blocks cannot be had")?;
        if let Some(network) = network {
            files = files
                .with_network(network)
                .context("the blocks are not those asked for")?;
        }
        tracing::info!(
            blocks = %path.display(),
            from = files.first_height(),
            to = files.last_height(),
            "indexing"
        );
        Ok(Self::Files(Arc::new(files)))
    }

    /// Checks that `--exit-at` is not below the first block that a new database would
    /// have. Of a node's blocks that is known only once the node has answered.
    pub(super) fn check_exit(&self, args: &Start) -> Result<(), IndexError> {
        let Self::Files(files) = self else {
            return Ok(());
        };
        let first = args.start_height.unwrap_or_else(|| files.first_height());
        match args.exit_at {
            Some(exit_at) if exit_at < first => Err(IndexError::ExitBelowFirst { exit_at, first }),
            _ => Ok(()),
        }
    }

    /// An indexer of these blocks.
    pub(super) fn indexer(&self, runtime: MetashrewRuntime, mut options: IndexOptions) -> Indexer {
        let node = self.blocks();
        if let Self::Files(files) = self
            && files.height_was_given()
        {
            // It says where these blocks are, not where the database begins.
            options.start_height = None;
        }
        let store = runtime.store().clone();
        let indexer =
            Indexer::new(runtime, node, options).with_free_space(move || store.free_space());
        match self {
            Self::Node {
                new_blocks: Some(new_blocks),
                ..
            } => indexer.with_wakeups(new_blocks.signals().clone()),
            _ => indexer,
        }
    }

    /// What hands out the blocks.
    pub(super) fn blocks(&self) -> Arc<dyn Node> {
        match self {
            Self::Files(files) => Arc::<BlockFiles>::clone(files),
            Self::Node { node, .. } => Arc::<CoreNode>::clone(node),
        }
    }

    /// The node, if there is one.
    pub(super) fn node(&self) -> Option<Arc<CoreNode>> {
        match self {
            Self::Files(_) => None,
            Self::Node { node, .. } => Some(Arc::clone(node)),
        }
    }

    /// What tells the server how indexing goes.
    pub(super) fn reporter(&self, progress: Arc<Progress>, runtime: MetashrewRuntime) -> Reporter {
        Reporter {
            progress,
            runtime,
            node: self.node(),
            hint: Mutex::default(),
            guest: HighestYet::default(),
        }
    }
}

/// Tells the server how indexing goes.
pub(super) struct Reporter {
    progress: Arc<Progress>,
    runtime: MetashrewRuntime,
    /// What can be done about what halted indexing last.
    hint: Mutex<Option<String>>,
    /// None if the blocks come from files.
    node: Option<Arc<CoreNode>>,
    /// The time in the guest that was told last.
    guest: HighestYet,
}

/// A time that never goes back: a counter of Prometheus that does counts as one that
/// began anew.
#[derive(Default)]
struct HighestYet(Mutex<Duration>);

impl HighestYet {
    fn with(&self, time: Duration) -> Duration {
        let mut highest = self.0.lock();
        *highest = time.max(*highest);
        *highest
    }
}

impl Reporter {
    /// Indexing has halted; there may be something to be done about it.
    pub(super) fn halted(&self, hint: Option<String>) {
        *self.hint.lock() = hint;
    }

    fn totals(&self, progress: &ProgressReport) -> IndexingTotals {
        let metashrew_runtime::BlockReads {
            count, time: reads, ..
        } = self.runtime.block_reads();
        let scouts = self.progress.scouts();
        IndexingTotals {
            blocks: progress.blocks,
            // When a block ends, its reads count a moment before its time does.
            guest: self.guest.with(progress.executing.saturating_sub(reads)),
            reads,
            commit: progress.committing,
            reorgs: progress.rollbacks,
            undone_blocks: progress.undone_blocks,
            node_failures: self.progress.node_failures(),
            machine_failures: progress.machine_failures,
            block_reads: count,
            scouts: metashrew_server::Scouts {
                count: scouts.count,
                runs: scouts.runs.map(|(end, runs)| (end.as_str(), runs)).into(),
                reads: scouts.reads,
                memory: self.runtime.scout_memory(),
            },
        }
    }
}

impl IndexingStatus for Reporter {
    fn report(&self) -> IndexingReport {
        let status = self.progress.status();
        let sources = match &self.node {
            None => vec![("files", status.progress.fetched_blocks)],
            Some(node) => {
                let counts = node.source_counts();
                vec![
                    ("files", counts.files),
                    ("rest", counts.rest),
                    ("rpc", counts.rpc),
                ]
            }
        };
        let sources = sources.into_iter();
        let has_halted = matches!(status.state, IndexState::Halted { .. });
        let is_slow = Reading::is_slow(&status);
        let hint = match (has_halted, is_slow) {
            (true, _) => self.hint.lock().clone(),
            (false, true) => Some(SLOW_HINT.to_owned()),
            (false, false) => None,
        };
        IndexingReport {
            hint,
            totals: Some(self.totals(&status.progress)),
            sources: sources
                .map(|(name, count)| (name.to_owned(), count))
                .collect(),
            ..report(status)
        }
    }
}

fn report(status: IndexStatus) -> IndexingReport {
    let progress = status.progress;
    let mut report = IndexingReport {
        node_tip: progress.node_tip.map(|tip| tip.height),
        blocks_per_second: Some(status.blocks_per_second),
        bytes_per_second: Some(status.bytes_per_second),
        eta: status.left,
        current_block: progress.running.map(|block| CurrentBlock {
            height: block.height,
            block_hash: block.hash,
            elapsed: block.since.elapsed(),
        }),
        current_write: progress.writing.map(|writing| CurrentWrite {
            kind: writing.kind.as_str(),
            first: writing.first,
            last: writing.last,
            elapsed: writing.since.elapsed(),
        }),
        // A branch that replaced the first block has no block in common with it.
        last_reorg: progress.last_reorg.and_then(|reorg| {
            Some(metashrew_server::Reorg {
                height: reorg.fork?,
                depth: reorg.depth,
            })
        }),
        ..IndexingReport::default()
    };
    report.state = match status.state {
        IndexState::Starting => IndexingState::Starting,
        IndexState::Syncing => IndexingState::Syncing,
        IndexState::Following => IndexingState::Following,
        IndexState::Done => IndexingState::Done,
        IndexState::Stopped => IndexingState::Stopped,
        IndexState::Waiting {
            waits_for, error, ..
        } => {
            report.error = Some(error);
            match waits_for {
                WaitsFor::Node => IndexingState::WaitingForNode,
                WaitsFor::Machine => IndexingState::WaitingForMachine,
                WaitsFor::Disk => IndexingState::WaitingForDisk,
            }
        }
        IndexState::Halted {
            error,
            height,
            hash,
            ..
        } => {
            report.error = Some(error);
            report.failed_block = height.zip(hash);
            IndexingState::Halted
        }
    };
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_in_the_guest_does_not_go_back() {
        let told = HighestYet::default();
        let of = |seconds| told.with(Duration::from_secs(seconds)).as_secs();
        assert_eq!([3, 1, 3, 4].map(of), [3, 3, 3, 4]);
    }
}
