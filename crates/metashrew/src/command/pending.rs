//! Keeps the pending block: what the node would mine next, executed on the last
//! indexed block, so that views can answer as if it were there.
//!
//! One thread asks the node and has the block executed. Another, which waits for
//! nobody, takes the block away once it may be stale.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use metashrew_runtime::{BlockFrame, MetashrewRuntime, PendingBlock, assemble_block};
use metashrew_store::BlockHash;
use metashrew_sync::{BlockTemplate, CoreNode, IndexState, Progress, Stop};
use parking_lot::Mutex;

/// How often it is looked whether there is a new last block, and whether what is
/// pending is stale.
const TICK: Duration = Duration::from_millis(100);

/// How many intervals a block stays pending without the node having said so again.
const INTERVALS: u32 = 3;

/// It stays so long at least: a node may take its time.
const SHORTEST_LIFE: Duration = Duration::from_secs(5);

/// What it takes to keep the pending block.
pub(super) struct Pending {
    pub(super) node: Arc<CoreNode>,
    pub(super) runtime: MetashrewRuntime,
    pub(super) progress: Arc<Progress>,
    /// How often the node is asked, beside when there is a new last block.
    pub(super) interval: Duration,
}

/// What both threads know. Nobody holds it while the guest runs.
#[derive(Default)]
struct Shared {
    kept: Option<Kept>,
    /// Whether the node is to be asked without waiting for the interval: a block was taken
    /// away that it may well give again.
    is_due: bool,
}

/// The block that is pending now.
struct Kept {
    parent: BlockHash,
    transactions: Vec<Bytes>,
    /// When the node last said so.
    said: Instant,
}

impl Kept {
    /// Whether it is not, or may not be, what the node would mine on `tip`.
    fn is_stale(&self, tip: Option<BlockHash>, follows: bool, interval: Duration) -> bool {
        let life = interval.saturating_mul(INTERVALS).max(SHORTEST_LIFE);
        !follows || tip != Some(self.parent) || self.said.elapsed() > life
    }
}

impl Pending {
    /// Keeps it, on threads of its own, until a stop is requested.
    pub(super) fn keep(self, stop: &Stop) -> io::Result<()> {
        let pending = Arc::new(self);
        let shared = Arc::new(Mutex::new(Shared::default()));
        let spawn = |name: &str, run: fn(&Self, &Stop, &Mutex<Shared>)| {
            let (pending, stop) = (Arc::clone(&pending), stop.clone());
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || run(&pending, &stop, &shared))
                .map(drop)
        };
        spawn("metashrew-pending", Self::renew_often)?;
        spawn("metashrew-stale", Self::drop_stale)
    }

    fn tip(&self) -> Option<BlockHash> {
        let snapshot = self.runtime.store().snapshot();
        snapshot.tip().map(|tip| tip.hash)
    }

    /// Whether the index is at the node's tip, and the node answers. Below it, the
    /// node's template stands on no indexed block.
    fn follows(&self) -> bool {
        self.progress.status().state == IndexState::Following
    }

    fn drop_stale(&self, stop: &Stop, shared: &Mutex<Shared>) {
        while !stop.wait(TICK) {
            self.drop_if_stale(&mut shared.lock());
        }
    }

    fn drop_if_stale(&self, shared: &mut Shared) {
        let follows = self.follows();
        if let Some(block) = &shared.kept
            && block.is_stale(self.tip(), follows, self.interval)
        {
            // Not so where the guest takes longer than a block stays pending: it would run
            // all the time.
            self.take_away(shared, !follows);
        }
    }

    fn take_away(&self, shared: &mut Shared, is_due: bool) {
        shared.kept = None;
        shared.is_due |= is_due;
        // Taking it away runs nothing, and so cannot fail.
        let _ = self.runtime.set_pending(None);
        tracing::debug!("the pending block may be stale, and is dropped");
    }

    fn renew_often(&self, stop: &Stop, shared: &Mutex<Shared>) {
        let mut asked: Option<(BlockHash, Instant)> = None;
        let mut fails = false;
        while !stop.wait(TICK) {
            let Some(tip) = self.tip() else {
                continue;
            };
            // What was dropped while the node was away is pending again once it is back.
            let is_due = shared.lock().is_due
                || asked.is_none_or(|(of, when)| of != tip || when.elapsed() >= self.interval);
            if !is_due || !self.follows() {
                continue;
            }
            asked = Some((tip, Instant::now()));
            shared.lock().is_due = false;
            let renewed = self.renew(tip, shared);
            if let Err(error) = &renewed {
                if !fails {
                    tracing::warn!("there is no pending block: {error:#}");
                }
                tracing::debug!("the pending block is not renewed: {error:#}");
            }
            fails = renewed.is_err();
        }
    }

    fn renew(&self, tip: BlockHash, shared: &Mutex<Shared>) -> Result<()> {
        let template = self.node.block_template()?;
        let said = Instant::now();
        if template.parent != tip {
            // A block is on its way: once it is indexed, it is asked again.
            return Ok(());
        }
        let BlockTemplate {
            parent,
            height,
            time,
            version,
            bits,
            transactions,
            ..
        } = template;
        let replaces = {
            let mut shared = shared.lock();
            if let Some(kept) = &mut shared.kept
                && (kept.parent, &kept.transactions) == (parent, &transactions)
            {
                kept.said = said;
                return Ok(());
            }
            self.drop_if_stale(&mut shared);
            shared.is_due = false;
            shared.kept.is_some()
        };
        let frame = BlockFrame {
            parent,
            height,
            time,
            version,
            bits,
        };
        let block =
            assemble_block(&frame, &transactions).context("the node's template makes no block")?;
        let block = Bytes::from(block);
        self.runtime
            .set_pending(Some(PendingBlock { parent, block }))?;
        let new = Kept {
            parent,
            transactions,
            said,
        };
        let mut shared = shared.lock();
        // While the guest ran, the chain may have moved on. And where the block before was
        // dropped meanwhile, this one may have gone with it: nobody knows which came first.
        let may_be_gone = replaces && shared.kept.is_none();
        let follows = self.follows();
        if may_be_gone || new.is_stale(self.tip(), follows, self.interval) {
            self.take_away(&mut shared, may_be_gone || !follows);
        } else {
            shared.kept = Some(new);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_pending_only_as_long_as_the_node_would_mine_it_next() {
        let [tip, other] = [1, 2].map(|byte| BlockHash::from_bytes([byte; 32]));
        let kept = |said| Kept {
            parent: tip,
            transactions: Vec::new(),
            said,
        };
        let now = Instant::now();
        let hour = Duration::from_hours(1);
        assert!(!kept(now).is_stale(Some(tip), true, hour));
        assert!(kept(now).is_stale(Some(tip), false, hour));
        assert!(kept(now).is_stale(Some(other), true, hour));
        assert!(kept(now).is_stale(None, true, hour));
        if let Some(before) = now.checked_sub(Duration::from_secs(30)) {
            assert!(!kept(before).is_stale(Some(tip), true, Duration::from_secs(20)));
            assert!(kept(before).is_stale(Some(tip), true, Duration::from_secs(1)));
        }
    }
}
