//! Keeps the pending block: what the node would mine next, executed on the last
//! indexed block, so that views can answer as if it were there.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use metashrew_runtime::{BlockFrame, MetashrewRuntime, PendingBlock, assemble_block};
use metashrew_store::BlockHash;
use metashrew_sync::{BlockTemplate, CoreNode, IndexState, Progress, Stop};

/// How often it is looked whether there is a new last block.
const TICK: Duration = Duration::from_millis(100);

/// What it takes to keep the pending block.
pub(super) struct Pending {
    pub(super) node: Arc<CoreNode>,
    pub(super) runtime: MetashrewRuntime,
    pub(super) progress: Arc<Progress>,
    /// How often the node is asked, beside when there is a new last block.
    pub(super) interval: Duration,
}

/// The block that is pending now.
#[derive(PartialEq, Eq)]
struct Kept {
    parent: BlockHash,
    transactions: Vec<Bytes>,
}

impl Pending {
    /// Keeps it, on a thread of its own, until a stop is requested.
    pub(super) fn keep(self, stop: Stop) -> io::Result<()> {
        thread::Builder::new()
            .name("metashrew-pending".to_owned())
            .spawn(move || self.run(&stop))
            .map(drop)
    }

    fn run(&self, stop: &Stop) {
        let mut kept = None;
        let mut asked: Option<(BlockHash, Instant)> = None;
        let mut fails = false;
        while !stop.wait(TICK) {
            let Some(tip) = self.runtime.store().snapshot().tip().map(|tip| tip.hash) else {
                continue;
            };
            let is_due =
                asked.is_none_or(|(of, when)| of != tip || when.elapsed() >= self.interval);
            // Below the node's tip, its template stands on no indexed block.
            if !is_due || self.progress.status().state != IndexState::Following {
                continue;
            }
            asked = Some((tip, Instant::now()));
            let renewed = self.renew(tip, &mut kept);
            if let Err(error) = &renewed {
                if !fails {
                    tracing::warn!("there is no pending block: {error:#}");
                }
                tracing::debug!("the pending block is not renewed: {error:#}");
            }
            fails = renewed.is_err();
        }
    }

    fn renew(&self, tip: BlockHash, kept: &mut Option<Kept>) -> Result<()> {
        let template = self.node.block_template()?;
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
        let new = Kept {
            parent,
            transactions,
        };
        if kept.as_ref() == Some(&new) {
            return Ok(());
        }
        let frame = BlockFrame {
            parent,
            height,
            time,
            version,
            bits,
        };
        let block = assemble_block(&frame, &new.transactions)
            .context("the node's template makes no block")?;
        let block = Bytes::from(block);
        self.runtime
            .set_pending(Some(PendingBlock { parent, block }))?;
        *kept = Some(new);
        Ok(())
    }
}
