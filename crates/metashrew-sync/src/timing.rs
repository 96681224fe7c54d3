//! What one block cost the thread that runs the guest, for whoever measures.

use std::time::Duration;

use metashrew_runtime::BlockReads;
use metashrew_store::Height;

/// What a block cost, told once it is committed.
///
/// The three times are of the one thread that runs the guest over blocks, and follow each
/// other: their sum over all blocks is all the time of that thread, but for what is between
/// two blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlockTiming {
    /// Its height.
    pub height: Height,
    /// Its size, in bytes.
    pub bytes: u64,
    /// Keys that it wrote; each counts once.
    pub keys: u64,
    /// What it read, and how long that took.
    pub reads: BlockReads,
    /// How long it was waited for.
    pub waiting: Duration,
    /// How long it could not run because commits were behind.
    pub stalled: Duration,
    /// How long the guest ran, with its reads.
    pub executing: Duration,
}

/// Told of each block, in order, on the thread that commits.
pub(crate) type Timings = Box<dyn Fn(BlockTiming) + Send + Sync>;
