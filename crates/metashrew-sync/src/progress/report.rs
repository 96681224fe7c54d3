//! What the counters of [`Progress`](super::Progress) held at one moment.

use std::fmt;
use std::time::{Duration, Instant};

use metashrew_runtime::ScoutEnd;
use metashrew_store::{BlockHash, Height};

use crate::node::NodeBlock;
use crate::status::Reorg;

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

/// A write to the database that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writing {
    /// What becomes of the blocks.
    pub kind: WriteKind,
    /// The lowest block that it is about.
    pub first: Height,
    /// The highest one.
    pub last: Height,
    /// When it began.
    pub since: Instant,
}

/// What a write does to blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteKind {
    /// They are added.
    Commit,
    /// They are undone.
    Rollback,
}

impl WriteKind {
    /// A fixed word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Rollback => "rollback",
        }
    }
}

impl fmt::Display for Writing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, first, last) = (self.kind.as_str(), self.first, self.last);
        if first == last {
            write!(formatter, "the {kind} of block {first}")
        } else {
            write!(formatter, "the {kind} of blocks {first} to {last}")
        }
    }
}

/// What [`Progress`](super::Progress) held at one moment.
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
    /// Blocks undone by reorganisations.
    pub undone_blocks: u64,
    /// Blocks fetched from the node and found good since the start; those of
    /// branches that died are among them.
    pub fetched_blocks: u64,
    /// Bytes of those blocks.
    pub fetched_bytes: u64,
    /// Questions that the node did not answer, or answered wrongly.
    pub failures: u64,
    /// How often the machine failed at what indexing needs.
    pub machine_failures: u64,
    /// The last block of the node's chain, as last heard.
    pub node_tip: Option<NodeBlock>,
    /// The last reorganisation since the start.
    pub last_reorg: Option<Reorg>,
    /// How long the last block that was waited for took from when it was noticed
    /// to when views could see it.
    pub latency: Option<Duration>,
    /// The block being processed.
    pub running: Option<Running>,
    /// The write to the database that is under way.
    pub writing: Option<Writing>,
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

/// What scouts did since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoutReport {
    /// How many there are now.
    pub count: usize,
    /// Runs over blocks, by how they ended, in the order of
    /// [`ScoutEnd::ALL`].
    pub runs: [(ScoutEnd, u64); ScoutEnd::ALL.len()],
    /// Values that they read.
    pub reads: u64,
}

impl ScoutReport {
    /// Runs that ended so.
    pub fn runs_that(&self, end: ScoutEnd) -> u64 {
        let runs = self.runs.iter().find(|(of, _)| *of == end);
        runs.map_or(0, |(_, count)| *count)
    }
}
