//! Fetches blocks ahead of the guest, in order: none goes on that does not hash
//! to what was asked for, is not whole, or does not connect.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use metashrew_store::{BlockHash, BlockRef, Height};

use crate::block;
use crate::node::{Node, NodeError};
use crate::options::{Backoff, IndexOptions};
use crate::progress::Progress;
use crate::queue::Queue;

/// What comes out of the fetcher: blocks, and one end.
pub(crate) enum Fetched {
    Block(BlockRef, Bytes),
    End(FetchEnd),
}

/// Why there are no more blocks.
pub(crate) enum FetchEnd {
    /// The last block wanted.
    Exit,
    /// The node has no more.
    Tip,
    /// The node's chain does not contain the last block any more.
    Forked,
    Failed(NodeError),
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) height: Height,
    /// The hash of the block before; none if any will do.
    pub(crate) parent: Option<BlockHash>,
}

pub(crate) struct Fetcher {
    node: Arc<dyn Node>,
    queue: Arc<Queue<Fetched>>,
    progress: Arc<Progress>,
    backoff: Backoff,
    exit_at: Option<Height>,
    next: Start,
    failures: u32,
}

impl Fetcher {
    pub(crate) fn new(
        node: Arc<dyn Node>,
        queue: Arc<Queue<Fetched>>,
        progress: Arc<Progress>,
        options: &IndexOptions,
        start: Start,
    ) -> Self {
        Self {
            node,
            queue,
            progress,
            backoff: options.backoff,
            exit_at: options.exit_at,
            next: start,
            failures: 0,
        }
    }

    /// Fetches until there is an end, or the queue is closed.
    pub(crate) fn run(mut self) {
        while !self.queue.is_closed() {
            let pushed = match self.fetch() {
                Ok(Fetched::Block(block, bytes)) => {
                    self.failures = 0;
                    self.next = Start {
                        height: block.height + 1,
                        parent: Some(block.hash),
                    };
                    let length = bytes.len();
                    self.queue.push(Fetched::Block(block, bytes), length)
                }
                Ok(end) => {
                    self.queue.push(end, 0);
                    return;
                }
                Err(error) if error.is_transient() => !self.pause(&error),
                Err(error) => {
                    self.queue.push(Fetched::End(FetchEnd::Failed(error)), 0);
                    return;
                }
            };
            if !pushed {
                return;
            }
        }
    }

    fn fetch(&mut self) -> Result<Fetched, NodeError> {
        let Start { height, parent } = self.next;
        if self.exit_at.is_some_and(|exit_at| height > exit_at) {
            return Ok(Fetched::End(FetchEnd::Exit));
        }
        self.look_ahead(height)?;
        let Some(hash) = self.node.hash_at(height)? else {
            let end = if self.left_behind()? {
                FetchEnd::Forked
            } else {
                FetchEnd::Tip
            };
            return Ok(Fetched::End(end));
        };
        let bytes = self.node.block(&hash)?;
        let header =
            block::check(&bytes, &hash).map_err(|source| match self.node.place(&hash) {
                Some(place) => NodeError::Damaged { place, source },
                None => wrong(height, source),
            })?;
        if parent.is_some_and(|parent| parent != header.parent) {
            if self.left_behind()? {
                return Ok(Fetched::End(FetchEnd::Forked));
            }
            // The chain may have changed between the two questions.
            return Err(wrong(
                height,
                format!("its parent {} is not the block before", header.parent),
            ));
        }
        Ok(Fetched::Block(
            BlockRef {
                height,
                hash,
                parent: header.parent,
            },
            bytes,
        ))
    }

    /// Whether the node's chain has another block where ours has its last one.
    fn left_behind(&self) -> Result<bool, NodeError> {
        let (Some(parent), Some(height)) = (self.next.parent, self.next.height.checked_sub(1))
        else {
            return Ok(false);
        };
        Ok(self
            .node
            .hash_at(height)?
            .is_some_and(|hash| hash != parent))
    }

    /// Finds out how far the chain goes, when we got to where we thought it ends.
    fn look_ahead(&self, height: Height) -> Result<(), NodeError> {
        if self
            .progress
            .report()
            .target
            .is_none_or(|target| target < height)
        {
            let tip = self.node.tip()?.map(|tip| tip.height);
            self.progress
                .set_target(tip.map(|tip| self.exit_at.map_or(tip, |exit_at| exit_at.min(tip))));
        }
        Ok(())
    }

    /// Tells of a failure and waits; answers whether the queue was closed.
    fn pause(&mut self, error: &NodeError) -> bool {
        self.failures = self.failures.saturating_add(1);
        let pause = self.backoff.pause(self.failures);
        let causes = Causes(error);
        tracing::warn!(
            height = self.next.height,
            failures = self.failures,
            "{causes}; trying again in {pause:?}"
        );
        self.queue.wait_closed(pause)
    }
}

impl Drop for Fetcher {
    /// A fetcher that panics (in the node's code) sends no end: the one who waits
    /// for it must not wait for ever.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.queue.close();
        }
    }
}

fn wrong(height: Height, what: impl fmt::Display) -> NodeError {
    NodeError::BadAnswer {
        what: format!("block {height}: {what}"),
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
