//! What the server is told about indexing by whoever runs it.

use std::fmt;
use std::time::Duration;

use metashrew_store::{BlockHash, Height};

/// Somebody who knows how indexing goes.
pub trait IndexingStatus: Send + Sync {
    /// How it goes now. `/ready`, `/metrics` and `metashrew_stats` ask at every
    /// request, on the server's own threads: it must not wait for anything.
    fn report(&self) -> IndexingReport;
}

impl fmt::Debug for dyn IndexingStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.report().fmt(formatter)
    }
}

/// How indexing goes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IndexingReport {
    /// What the indexer does. Default: [`IndexingState::Unknown`].
    pub state: IndexingState,
    /// The height of the last block of the node's chain, as far as known.
    pub node_tip: Option<Height>,
    /// Blocks committed per second, of late.
    pub blocks_per_second: Option<f64>,
    /// Bytes of blocks committed per second, of late.
    pub bytes_per_second: Option<f64>,
    /// How long it takes, at this speed, until the index is at the node's tip.
    pub eta: Option<Duration>,
    /// What is wrong: why indexing has halted, or what it waits for.
    pub error: Option<String>,
    /// What can be done about it.
    pub hint: Option<String>,
    /// The block that indexing has halted at.
    pub failed_block: Option<(Height, BlockHash)>,
    /// The block that the guest is processing.
    pub current_block: Option<CurrentBlock>,
    /// The commit or rollback that is under way.
    pub current_write: Option<CurrentWrite>,
    /// The last reorganisation since the start.
    pub last_reorg: Option<Reorg>,
    /// What was done since the start. Default: not known.
    pub totals: Option<IndexingTotals>,
    /// Where blocks came from since the start: each source's name, and how many.
    pub sources: Vec<(String, u64)>,
}

/// A block that the guest is processing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrentBlock {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub block_hash: BlockHash,
    /// For how long it has been processed.
    pub elapsed: Duration,
}

/// A write to the database that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrentWrite {
    /// What it is, in a fixed word.
    pub kind: &'static str,
    /// The lowest block that it is about.
    pub first: Height,
    /// The highest one.
    pub last: Height,
    /// For how long it has been under way.
    pub elapsed: Duration,
}

/// What the indexer has done since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexingTotals {
    /// Blocks committed.
    pub blocks: u64,
    /// Time that the guest ran over blocks, without its reads.
    pub guest: Duration,
    /// Time that the guest's reads took while it ran over blocks.
    pub reads: Duration,
    /// Time spent committing; the guest runs meanwhile.
    pub commit: Duration,
    /// Reorganisations followed.
    pub reorgs: u64,
    /// Blocks that they undid.
    pub undone_blocks: u64,
    /// How often the node failed to answer as it should: each kind's name, and how often.
    pub node_failures: Vec<(&'static str, u64)>,
    /// How often the machine failed: at a write, for want of room or descriptors.
    pub machine_failures: u64,
    /// Values that the guest read while it ran over blocks.
    pub block_reads: u64,
    /// What was read ahead.
    pub scouts: Scouts,
}

/// Runs of the guest over blocks whose turn is still to come, so that what they read is in
/// the store's caches by then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scouts {
    /// How many there are now.
    pub count: usize,
    /// Runs by how they ended: each end's name, and how many.
    pub runs: Vec<(&'static str, u64)>,
    /// Values that they read.
    pub reads: u64,
    /// Bytes of WebAssembly memory that they have now.
    pub memory: usize,
}

/// A reorganisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reorg {
    /// The height of the last block that both branches share.
    pub height: Height,
    /// Blocks above it that were undone.
    pub depth: u32,
}

/// What the indexer does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IndexingState {
    /// It has not heard of a chain yet.
    Starting,
    /// It indexes blocks, and there are more.
    Syncing,
    /// It is at the node's tip, and waits for the next block.
    Following,
    /// The node cannot be reached or does not answer as it should.
    WaitingForNode,
    /// The machine fails to do what is needed; it is tried again and again.
    WaitingForMachine,
    /// There is too little room on the disk.
    WaitingForDisk,
    /// All blocks that there were to index are indexed.
    Done,
    /// It failed at a block, and goes no further.
    Halted,
    /// It was told to stop.
    Stopped,
    /// Nobody told. The default.
    #[default]
    Unknown,
}

impl IndexingState {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Starting,
        Self::Syncing,
        Self::Following,
        Self::WaitingForNode,
        Self::WaitingForMachine,
        Self::WaitingForDisk,
        Self::Done,
        Self::Halted,
        Self::Stopped,
        Self::Unknown,
    ];

    /// A fixed word for it, as in `metashrew_stats`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Syncing => "syncing",
            Self::Following => "following",
            Self::WaitingForNode => "waiting_for_node",
            Self::WaitingForMachine => "waiting_for_machine",
            Self::WaitingForDisk => "waiting_for_disk",
            Self::Done => "done",
            Self::Halted => "halted",
            Self::Stopped => "stopped",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for IndexingState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
