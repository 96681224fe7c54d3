//! The settings of an indexer, and their bounds.

use std::time::Duration;

use metashrew_store::Height;

use crate::node::NodeBlock;

/// What to index, and how much to have under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexOptions {
    /// The first block of an empty database; one that has blocks must have begun there. Default: block 0 from a node, the first
    /// one there is from files (see
    /// [`Node::default_start`](crate::Node::default_start)).
    pub start_height: Option<Height>,
    /// Whether to go on in a database that another guest wrote. That is right only if
    /// the blocks so far would come out the same with this one. Default: false.
    pub accept_guest_change: bool,
    /// The last block to index. Default: none, all that the node has.
    pub exit_at: Option<Height>,
    /// Whether to wait for new blocks at the node's tip, until a stop is
    /// requested, instead of ending there. Default: false.
    pub follow: bool,
    /// How many blocks must be on top of a block before it is indexed: with 6,
    /// block H is indexed once the node's tip is at H + 6 or above. A block that
    /// was indexed stays if fewer are on top of it later. Default: 0, every block
    /// as soon as the node has it.
    pub confirmations: u32,
    /// How often the node is asked for new blocks at its tip. Default: every
    /// second; every 10 s if somebody says when there are any (see
    /// [`Indexer::with_wakeups`](crate::Indexer::with_wakeups)).
    pub poll_interval: Option<Duration>,
    /// How many blocks a reorganisation may undo. Default: 144, a day of Bitcoin.
    pub reorg_horizon: u32,
    /// Whether the node's branch is followed even if it has no more work than the
    /// indexed one: for a node whose blocks were declared invalid on purpose. Then the
    /// node's word alone decides. Default: false.
    pub accept_less_work: bool,
    /// How many blocks are fetched at a time, each by a thread. Default: 4.
    pub fetch_threads: usize,
    /// Blocks fetched ahead, at most; those under way count. Default: 64.
    pub max_fetched_blocks: usize,
    /// Bytes of blocks fetched ahead, at most; a block under way counts for 4 MB,
    /// which no block of Bitcoin exceeds. Default: 64 MiB. A single block may be
    /// larger.
    pub max_fetched_bytes: usize,
    /// Blocks processed and not committed yet, at most; so many may share one
    /// commit. Default: 64.
    pub max_uncommitted_blocks: usize,
    /// The memory of blocks processed and not committed yet, in bytes, at most: what
    /// they wrote and read, and the index of it. Default: 128 MiB. A single block may be
    /// larger, up to [`MAX_BLOCK_WRITES`](metashrew_store::MAX_BLOCK_WRITES) and what the
    /// tables for so much take.
    pub max_uncommitted_bytes: usize,
    /// A block or a commit that takes this long is reported, again after 6 and 60
    /// times as long, and then each time it has taken twice as long. Default: 10 s.
    pub slow_block: Duration,
    /// How long a stop waits for the block at hand; then the block is abandoned,
    /// uncommitted. Default: 5 s.
    pub stop_grace: Duration,
    /// How often a block is tried again when the host's own code failed, not the
    /// guest. Default: 5. A failure that the machine may get over (of a read, say,
    /// or for want of memory) is waited out, however long it takes.
    pub host_retries: u32,
    /// Bytes that must be free where the database is for blocks to be committed:
    /// with less, indexing pauses until there are more. Default: 0, any will do. See
    /// [`Indexer::with_free_space`](crate::Indexer::with_free_space).
    pub min_free_space: u64,
    /// How many scouts read ahead. Default: [`ScoutCount::Auto`].
    pub scouts: ScoutCount,
    /// The pauses between tries, of a node, of a block or of a commit.
    pub backoff: Backoff,
}

impl IndexOptions {
    /// The last block to index of a chain that ends at `tip`: the one with enough on
    /// top of it, or the one to exit at. None if there is none yet.
    pub(crate) fn target(&self, tip: Option<NodeBlock>) -> Option<Height> {
        let last = tip?.height.checked_sub(self.confirmations)?;
        Some(last.min(self.exit_at.unwrap_or(Height::MAX)))
    }
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self {
            start_height: None,
            accept_guest_change: false,
            exit_at: None,
            follow: false,
            confirmations: 0,
            poll_interval: None,
            reorg_horizon: 144,
            accept_less_work: false,
            fetch_threads: 4,
            max_fetched_blocks: 64,
            max_fetched_bytes: 64 << 20,
            max_uncommitted_blocks: 64,
            max_uncommitted_bytes: 128 << 20,
            slow_block: Duration::from_secs(10),
            stop_grace: Duration::from_secs(5),
            host_retries: 5,
            min_free_space: 0,
            scouts: ScoutCount::Auto,
            backoff: Backoff::default(),
        }
    }
}

/// How many scouts run the guest over fetched blocks whose turn is still to come, so that
/// what these blocks read is in the store's caches by then. No state depends on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScoutCount {
    /// As many as help, while reads are slow and cores idle, up to
    /// [`ScoutOptions::instances`](metashrew_runtime::ScoutOptions::instances); none
    /// where they do not. The default.
    #[default]
    Auto,
    /// That many, up to the same bound; 0 for none.
    Exactly(usize),
}

/// Pauses between tries, each twice as long as the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first pause. Default: 100 ms.
    pub first: Duration,
    /// The longest pause. Default: 10 s.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(10),
        }
    }
}

impl Backoff {
    /// The pause after a number of failures in a row.
    pub(crate) fn pause(&self, failures: u32) -> Duration {
        let factor = 1_u32
            .checked_shl(failures.saturating_sub(1))
            .unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(6),
        };
        let pauses = [1, 2, 3, 4, 40, u32::MAX].map(|failures| backoff.pause(failures).as_secs());
        assert_eq!(pauses, [1, 2, 4, 6, 6, 6]);
    }
}
