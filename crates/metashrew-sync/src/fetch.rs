//! Fetches blocks ahead of the guest, several at a time: none goes on that does
//! not hash to what was asked for, is not whole, or does not connect.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use metashrew_store::{BlockHash, Chainwork, Height};

use crate::block::{self, BlockFault, Header, Rules};
use crate::network::Network;
use crate::node::{Node, NodeError};
use crate::options::Backoff;
use crate::progress::{Asked, Progress};
use crate::queue::{FetchEnd, Fetched, Job, Queue};
use crate::targets::Targets;
use crate::work;

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) height: Height,
    /// The hash of the block before; none if any will do.
    pub(crate) parent: Option<BlockHash>,
    /// The work of the block before and of all below it.
    pub(crate) chainwork: Chainwork,
}

/// One of the threads that fetch.
pub(crate) struct Fetcher {
    pub(crate) node: Arc<dyn Node>,
    /// The network, if its rules are known.
    pub(crate) network: Option<Network>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) backoff: Backoff,
}

impl Fetcher {
    /// Fetches what the queue wants until it is closed. A block that cannot be
    /// had does not keep others from being fetched.
    pub(crate) fn run(self) {
        let _guard = ClosedOnPanic(Arc::clone(&self.queue));
        while let Some(job) = self.queue.take() {
            match good_block(self.node.as_ref(), self.network, job.height, &job.hash) {
                Ok((header, bytes)) => {
                    self.progress.count_fetched(bytes.len());
                    self.progress.answered(Asked::Block(job.height));
                    self.queue.fill(&job, header, bytes);
                }
                Err(error) if error.waits_for().is_some() => self.try_later(&job, &error),
                Err(error) => self.queue.cut(&job, FetchEnd::Failed(error)),
            }
        }
    }

    /// A block that is not in the node's chain any more may never come: then
    /// nothing above it is wanted either.
    fn try_later(&self, job: &Job, error: &NodeError) {
        let unreachable = matches!(error, NodeError::Unavailable(_));
        if !unreachable
            && let Ok(Some(hash)) = self.node.hash_at(job.height)
            && hash != job.hash
        {
            self.progress.answered(Asked::Block(job.height));
            self.queue.cut(job, FetchEnd::Changed);
            return;
        }
        let pause = self.backoff.pause(job.failures.saturating_add(1));
        self.progress
            .failed(Asked::Block(job.height), error, Some(pause));
        self.queue.put_back(job, pause);
    }
}

/// The block of that hash, from the first copy that is seen to be whole and to be that
/// block.
pub(crate) fn good_block(
    node: &dyn Node,
    network: Option<Network>,
    height: Height,
    hash: &BlockHash,
) -> Result<(Header, Bytes), NodeError> {
    let mut good = None;
    node.offer(hash, &mut |bytes| {
        let header = block::check(&bytes, hash, Rules::at(network, height))?;
        good = Some((header, bytes));
        Ok(())
    })?;
    good.ok_or_else(|| NodeError::BadAnswer {
        what: format!("nothing came for block {height} ({hash})"),
    })
}

/// What a fault of a block means: that of a fixed source stays.
fn bad_block(node: &dyn Node, height: Height, hash: &BlockHash, source: BlockFault) -> NodeError {
    match node.place(hash) {
        Some(place) => NodeError::Damaged { place, source },
        None => NodeError::BadAnswer {
            what: format!("block {height}: {source}"),
        },
    }
}

/// The in-order end of the queue, where blocks are seen to connect, and to name the
/// targets that follow from the blocks before.
pub(crate) struct Blocks {
    queue: Arc<Queue>,
    node: Arc<dyn Node>,
    /// The hash of the last block; none if any will do.
    last: Option<BlockHash>,
    /// The work up to it.
    chainwork: Chainwork,
    targets: Targets,
}

impl Blocks {
    pub(crate) fn new(
        queue: Arc<Queue>,
        node: Arc<dyn Node>,
        start: &Start,
        targets: Targets,
    ) -> Self {
        Self {
            queue,
            node,
            last: start.parent,
            chainwork: start.chainwork,
            targets,
        }
    }

    /// Waits for the next block or the end; none if the queue is closed.
    pub(crate) fn next(&mut self) -> Option<Fetched> {
        let mut fetched = self.queue.pop()?;
        if let Fetched::Block(fetched) = &mut fetched {
            let block = &mut fetched.block;
            let height = block.height;
            if self.last.is_some_and(|last| last != block.parent) {
                let what = format!("block {height} does not stand on the block before it");
                let error = NodeError::BadAnswer { what };
                return Some(Fetched::End(FetchEnd::Unconnected(error)));
            }
            if let Err(fault) = self.targets.push(block.time, block.bits) {
                let error = bad_block(self.node.as_ref(), height, &block.hash, fault);
                return Some(Fetched::End(if error.is_transient() {
                    FetchEnd::Unconnected(error)
                } else {
                    FetchEnd::Failed(error)
                }));
            }
            self.last = Some(block.hash);
            self.chainwork = self.chainwork.saturating_add(work::work(block.bits));
            block.chainwork = self.chainwork;
        }
        Some(fetched)
    }
}

/// A thread that panics (in the node's code) sends no end: whoever waits for it
/// must not wait for ever.
pub(crate) struct ClosedOnPanic(pub(crate) Arc<Queue>);

impl Drop for ClosedOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
        }
    }
}

/// An error and all its causes, in one line.
pub(crate) struct Causes<'a>(pub(crate) &'a dyn std::error::Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
