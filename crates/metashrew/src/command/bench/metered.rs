//! A source of blocks whose work is counted: fetching, and the checks of what came.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use metashrew_store::{BlockHash, Height};
use metashrew_sync::{Accept, Network, Node, NodeBlock, NodeError};

/// What the source did so far. Times are of all threads that fetch, together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fetches {
    /// Blocks that were asked for and came.
    pub(super) blocks: u64,
    /// Bytes of all copies that came.
    pub(super) bytes: u64,
    /// How long it took until they were there.
    pub(super) fetching: Duration,
    /// How long it took to check them: whole, the one asked for, with its work.
    pub(super) checking: Duration,
}

/// A node, and what it did.
pub(super) struct Metered {
    node: Arc<dyn Node>,
    blocks: AtomicU64,
    bytes: AtomicU64,
    fetching_nanos: AtomicU64,
    checking_nanos: AtomicU64,
}

impl Metered {
    pub(super) fn new(node: Arc<dyn Node>) -> Self {
        Self {
            node,
            blocks: AtomicU64::default(),
            bytes: AtomicU64::default(),
            fetching_nanos: AtomicU64::default(),
            checking_nanos: AtomicU64::default(),
        }
    }

    pub(super) fn fetches(&self) -> Fetches {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Fetches {
            blocks: read(&self.blocks),
            bytes: read(&self.bytes),
            fetching: Duration::from_nanos(read(&self.fetching_nanos)),
            checking: Duration::from_nanos(read(&self.checking_nanos)),
        }
    }
}

fn add(counter: &AtomicU64, time: Duration) {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    counter.fetch_add(nanos, Ordering::Relaxed);
}

impl Node for Metered {
    fn tip(&self) -> Result<Option<NodeBlock>, NodeError> {
        self.node.tip()
    }

    fn first(&self) -> Result<Option<Height>, NodeError> {
        self.node.first()
    }

    fn network(&self) -> Result<Option<Network>, NodeError> {
        self.node.network()
    }

    fn default_start(&self) -> Result<Option<Height>, NodeError> {
        self.node.default_start()
    }

    fn hash_at(&self, height: Height) -> Result<Option<BlockHash>, NodeError> {
        self.node.hash_at(height)
    }

    fn hashes(&self, from: Height, count: usize) -> Result<Vec<BlockHash>, NodeError> {
        self.node.hashes(from, count)
    }

    fn headers(&self, from: Height, count: usize) -> Result<Vec<[u8; 80]>, NodeError> {
        self.node.headers(from, count)
    }

    fn block(&self, hash: &BlockHash) -> Result<Bytes, NodeError> {
        self.node.block(hash)
    }

    fn genesis(&self) -> Result<Option<BlockHash>, NodeError> {
        self.node.genesis()
    }

    fn magic(&self) -> Option<[u8; 4]> {
        self.node.magic()
    }

    fn place(&self, hash: &BlockHash) -> Option<String> {
        self.node.place(hash)
    }

    fn offer(&self, hash: &BlockHash, accept: &mut Accept<'_>) -> Result<(), NodeError> {
        let mut checking = Duration::ZERO;
        let since = Instant::now();
        let offered = self.node.offer(hash, &mut |bytes| {
            self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            let since = Instant::now();
            let accepted = accept(bytes);
            checking += since.elapsed();
            accepted
        });
        add(
            &self.fetching_nanos,
            since.elapsed().saturating_sub(checking),
        );
        add(&self.checking_nanos, checking);
        self.blocks
            .fetch_add(u64::from(offered.is_ok()), Ordering::Relaxed);
        offered
    }
}
