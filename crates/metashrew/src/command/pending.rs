//! Keeps the pending block: what the node would mine next, on top of the last indexed block, so
//! that views can answer as if it were there.
//!
//! A thread offers such a block whenever there may be another one. Neither it nor anybody else
//! asks the node or the guest for it until a call needs it.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use metashrew_runtime::{
    AssembleError, BlockFrame, MetashrewRuntime, PendingOffer, PendingState, assemble_block,
};
use metashrew_store::BlockHash;
use metashrew_sync::{BlockTemplate, CoreNode, IndexState, Progress, Stop};
use parking_lot::Mutex;

/// How often it is looked whether there may be another pending block.
const TICK: Duration = Duration::from_millis(100);

/// What it takes to keep the pending block.
pub(super) struct Pending {
    pub(super) node: Arc<CoreNode>,
    pub(super) runtime: MetashrewRuntime,
    pub(super) progress: Arc<Progress>,
    /// How long one that was asked for stays, while the last indexed block does.
    pub(super) interval: Duration,
}

/// The pending block that is offered now.
struct Offered {
    parent: BlockHash,
    offer: PendingOffer,
    /// Since when it is known what came of it.
    since: Option<Instant>,
}

/// The last template that was fetched, as a block.
struct Template {
    parent: BlockHash,
    time: u32,
    block: Bytes,
}

impl Pending {
    /// Keeps it, on a thread of its own, until a stop is requested.
    pub(super) fn keep(self, stop: &Stop) -> io::Result<()> {
        let stop = stop.clone();
        thread::Builder::new()
            .name("metashrew-offer".to_owned())
            .spawn(move || self.offer_until(&stop))
            .map(drop)
    }

    fn offer_until(&self, stop: &Stop) {
        let last = Arc::new(Mutex::new(None));
        let mut offered = None;
        let mut fails = false;
        while !stop.wait(TICK) {
            let Some(tip) = self.tip() else {
                self.withdraw(&mut offered);
                continue;
            };
            if let Some(Offered {
                parent,
                offer,
                since,
            }) = &mut offered
                && *parent == tip
            {
                if since.is_none() && is_over(offer, &mut fails) {
                    *since = Some(Instant::now());
                }
                if since.is_none_or(|since| since.elapsed() < self.interval) {
                    continue;
                }
            }
            offered = self.offer(tip, &last);
        }
    }

    /// The last indexed block, if a pending one may stand on it: below the node's tip, the
    /// node's template stands on no indexed block.
    fn tip(&self) -> Option<BlockHash> {
        let follows = self.progress.status().state == IndexState::Following;
        let snapshot = self.runtime.store().snapshot();
        snapshot.tip().filter(|_| follows).map(|tip| tip.hash)
    }

    fn withdraw(&self, offered: &mut Option<Offered>) {
        if offered.take().is_some() {
            // Taking it away runs nothing, and so cannot fail.
            let _ = self.runtime.set_pending(None);
            tracing::debug!("there is no pending block for now");
        }
    }

    fn offer(&self, parent: BlockHash, last: &Arc<Mutex<Option<Template>>>) -> Option<Offered> {
        let (node, last) = (Arc::clone(&self.node), Arc::clone(last));
        let fetch = move || fetch(&node, parent, &mut last.lock());
        // It fails if there is another last block by now: the next tick sees that one.
        let offer = self.runtime.offer_pending(parent, fetch).ok()?;
        Some(Offered {
            parent,
            offer,
            since: None,
        })
    }
}

/// Whether it is known what came of an offer; the first of failures in a row is told.
fn is_over(offer: &PendingOffer, fails: &mut bool) -> bool {
    match offer.state() {
        PendingState::Unasked | PendingState::Running => false,
        PendingState::Executed => {
            *fails = false;
            true
        }
        PendingState::Failed(error) => {
            let error = anyhow::Error::new(error);
            if *fails {
                tracing::debug!("there is no pending block: {error:#}");
            } else {
                tracing::warn!("there is no pending block: {error:#}");
            }
            *fails = true;
            true
        }
    }
}

/// Why there is no block to be executed.
#[derive(Debug, thiserror::Error)]
#[error("the node's template stands on block {0}, which is not indexed yet")]
struct OtherParent(BlockHash);

/// The block that the node would mine on `parent`. Where the transactions are those of the last
/// template, it is the same to the byte.
fn fetch(
    node: &CoreNode,
    parent: BlockHash,
    last: &mut Option<Template>,
) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
    let template = node.block_template()?;
    if template.parent != parent {
        return Err(OtherParent(template.parent).into());
    }
    if let Some(last) = last
        && last.parent == parent
        && assemble(&template, last.time)? == last.block
    {
        return Ok(last.block.clone());
    }
    let block = Bytes::from(assemble(&template, template.time)?);
    *last = Some(Template {
        parent,
        time: template.time,
        block: block.clone(),
    });
    Ok(block)
}

fn assemble(template: &BlockTemplate, time: u32) -> Result<Vec<u8>, AssembleError> {
    let frame = BlockFrame {
        parent: template.parent,
        height: template.height,
        time,
        version: template.version,
        bits: template.bits,
    };
    assemble_block(&frame, &template.transactions)
}
