//! Asks the node for the hashes of its chain, ahead of need, and decides what is
//! fetched next; at the end of the chain, ends or waits for more of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use metashrew_store::{BlockHash, Height};

use crate::fetch::{ClosedOnPanic, Start};
use crate::node::{Node, NodeBlock, NodeError};
use crate::options::IndexOptions;
use crate::progress::{Asked, Progress};
use crate::queue::{FetchEnd, Planned, Queue};
use crate::wakeups::Wakeups;

pub(crate) struct Planner {
    pub(crate) node: Arc<dyn Node>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) options: IndexOptions,
    pub(crate) wakeups: Wakeups,
    /// What to plan next.
    pub(crate) next: Start,
    /// The tip of the chain in which the block before the next was last seen.
    pub(crate) seen_in: Option<BlockHash>,
    /// When the end of the chain was last waited for, and something happened.
    pub(crate) woken: Option<Instant>,
    /// Whether anything was planned.
    pub(crate) has_planned: bool,
}

/// What a look at the node's chain says.
enum Look {
    /// These are next.
    Hashes(VecDeque<BlockHash>),
    /// There is nothing to plan yet.
    AtTip,
    End(FetchEnd),
}

impl Planner {
    /// Plans until there is an end, or the queue is closed.
    pub(crate) fn run(mut self) {
        let _guard = ClosedOnPanic(Arc::clone(&self.queue));
        let mut failures = 0;
        while !self.queue.is_closed() {
            let looked = self.look();
            if looked.is_ok() {
                failures = 0;
                self.progress.answered(Asked::Chain);
            }
            if matches!(looked, Ok(Look::AtTip)) && !self.has_planned {
                // A block that did not connect is in the node's chain no more.
                self.progress.answered(Asked::Connection);
            }
            let go_on = match looked {
                Ok(Look::Hashes(hashes)) => self.plan(hashes),
                Ok(Look::AtTip) if self.options.follow => self.wait(),
                Ok(Look::AtTip) => self.finish(FetchEnd::Tip),
                Ok(Look::End(end)) => self.finish(end),
                Err(error) if error.waits_for().is_some() => {
                    failures += 1;
                    let pause = self.options.backoff.pause(failures);
                    self.progress.failed(Asked::Chain, &error, Some(pause));
                    !self.queue.wait_closed(pause)
                }
                Err(error) => self.finish(FetchEnd::Failed(error)),
            };
            if !go_on {
                return;
            }
        }
    }

    fn look(&mut self) -> Result<Look, NodeError> {
        let height = self.next.height;
        let exit_at = self.options.exit_at.unwrap_or(Height::MAX);
        if height > exit_at {
            return Ok(Look::End(FetchEnd::Exit));
        }
        let tip = self.node.tip()?;
        let last = self.options.target(tip);
        self.progress.set_tip(tip, last);
        self.progress.tell_caught_up(&self.options);
        let Some(tip) = tip else {
            return Ok(match self.next.parent {
                Some(_) => Look::End(FetchEnd::Changed),
                None => Look::AtTip,
            });
        };
        if self.seen_in != Some(tip.hash) {
            if self.is_left_behind(tip)? {
                return Ok(Look::End(FetchEnd::Changed));
            }
            self.seen_in = Some(tip.hash);
        }
        let Some(left) = last.and_then(|last| last.checked_sub(height)) else {
            return Ok(Look::AtTip);
        };
        let count = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .saturating_add(1)
            .min(self.options.max_fetched_blocks.max(1));
        let mut hashes = self.node.hashes(height, count)?;
        hashes.truncate(count);
        if hashes.is_empty() {
            // The chain may have changed between the two questions.
            return Err(NodeError::BadAnswer {
                what: format!("there is no block {height}, below the tip {}", tip.height),
            });
        }
        Ok(Look::Hashes(hashes.into()))
    }

    /// Whether the node's chain has another block where ours has its last one,
    /// or does not reach so far any more.
    fn is_left_behind(&self, tip: NodeBlock) -> Result<bool, NodeError> {
        let (Some(parent), Some(height)) = (self.next.parent, self.next.height.checked_sub(1))
        else {
            return Ok(false);
        };
        Ok(match self.node.hash_at(height)? {
            Some(hash) => hash != parent,
            None => tip.height < height,
        })
    }

    /// Answers whether to go on.
    fn plan(&mut self, hashes: VecDeque<BlockHash>) -> bool {
        self.has_planned = true;
        for hash in hashes {
            let planned = Planned {
                height: self.next.height,
                hash,
                noticed: self.woken,
            };
            if !self.queue.plan(planned) {
                return false;
            }
            self.next = Start {
                height: planned.height.saturating_add(1),
                parent: Some(hash),
                ..self.next
            };
        }
        // What comes next was not waited for.
        self.woken = None;
        true
    }

    fn wait(&mut self) -> bool {
        let closed = self.wakeups.wait(self.queue.closed());
        self.woken = Some(Instant::now());
        !closed
    }

    fn finish(&self, end: FetchEnd) -> bool {
        self.queue.finish(end);
        false
    }
}
