//! Finds the last block that the node's chain and the indexed one have in
//! common, and takes the store back to it.
//!
//! Nothing is undone on a bare claim: the node must hand out the block that
//! stands in the place of the lowest one undone. A node whose chain ends within
//! the indexed one has lost blocks, or lags; it is waited for.

use metashrew_store::{BlockHash, BlockRecord, Chainwork, Height, Snapshot, Store};

use crate::error::IndexError;
use crate::fetch::{Start, good_block};
use crate::node::{Node, NodeError};
use crate::options::IndexOptions;
use crate::progress::Progress;

/// How the node's chain and the indexed one compare.
pub(crate) enum Compared {
    /// What was indexed is in the node's chain: it goes on from here.
    At(Start),
    /// The node has no block at all, or its chain ends below our tip and nothing
    /// says that it is to replace ours.
    Behind(NodeError),
    /// Some of what was indexed is not in the node's chain any more.
    Reorganised(Reorganised),
}

/// What is to be undone.
pub(crate) struct Reorganised {
    tip: BlockRecord,
    /// The last block to keep; none if all that was indexed, from `first` on, goes.
    fork: Option<BlockRecord>,
    first: Height,
    /// The work below `first`.
    below: Chainwork,
}

/// Where the node's chain and the indexed one part.
enum Fork {
    /// Above this block. Then comes the node's next block, if it has one.
    Above(BlockRecord, Option<BlockHash>),
    /// Right below the first indexed block.
    BelowFirst,
    /// Deeper than may be undone.
    TooDeep,
}

/// Compares the indexed chain with the node's. Changes nothing: the node may take
/// its time, and nobody has to wait for it.
pub(crate) fn compare(
    snapshot: &Snapshot,
    node: &dyn Node,
    options: &IndexOptions,
) -> Result<Compared, IndexError> {
    let Some(tip) = snapshot.tip().copied() else {
        return first(node, options);
    };
    let top = match node.hash_at(tip.height)? {
        Some(hash) if hash == tip.hash => return Ok(Compared::At(above(&tip))),
        Some(_) => tip.height,
        None => match node.tip()? {
            None => return Ok(no_blocks()),
            // The source holds later blocks only: they must connect.
            Some(node_tip) if node_tip.height > tip.height => return later(node, &tip),
            Some(node_tip) => node_tip.height,
        },
    };
    let behind = || {
        Ok(Compared::Behind(NodeError::Behind {
            what: format!(
                "its chain ends at block {top}, the indexed one at {}",
                tip.height
            ),
        }))
    };
    let first = snapshot.first().unwrap_or(tip.height);
    if top < first {
        return behind();
    }
    let fork = match fork_point(snapshot, node, options, tip.height, top)? {
        Fork::Above(fork, None) if fork.height < tip.height => return behind(),
        // As good as equal: the chain has changed between two questions.
        Fork::Above(fork, None) => return Ok(Compared::At(above(&fork))),
        Fork::Above(fork, Some(next)) => {
            let height = fork.height.saturating_add(1);
            if parent_of(node, height, &next)? != fork.hash {
                let what = format!("block {height} does not stand on the block before it");
                return Err(NodeError::BadAnswer { what }.into());
            }
            Some(fork)
        }
        Fork::BelowFirst => None,
        // It may have lost its chain, and come by an old branch on its way back.
        Fork::TooDeep if top < tip.height && options.follow => return behind(),
        Fork::TooDeep => {
            return Err(IndexError::TooDeep {
                tip: tip.height,
                horizon: options.reorg_horizon,
            });
        }
    };
    let below = snapshot
        .base()
        .map_or(Chainwork::ZERO, |base| base.chainwork);
    Ok(Compared::Reorganised(Reorganised {
        tip,
        fork,
        first,
        below,
    }))
}

impl Reorganised {
    /// Rolls back, once, to the last block that both chains have, and answers where
    /// it goes on.
    pub(crate) fn undo(self, store: &Store, progress: &Progress) -> Result<Start, IndexError> {
        let Self {
            tip,
            fork,
            first,
            below,
        } = self;
        let start = match &fork {
            Some(fork) => above(fork),
            None => Start {
                height: first,
                parent: None,
                chainwork: below,
            },
        };
        let lowest = start.height;
        let depth = tip.height.saturating_sub(lowest).saturating_add(1);
        let fork = fork.map(|fork| fork.height);
        tracing::warn!(
            depth,
            fork,
            "reorganisation: {depth} blocks from {lowest} on are undone"
        );
        store.rollback(fork)?;
        progress.count_rollback(fork, depth);
        Ok(start)
    }
}

fn no_blocks() -> Compared {
    Compared::Behind(NodeError::Behind {
        what: "it has no block yet".to_owned(),
    })
}

fn above(block: &BlockRecord) -> Start {
    Start {
        height: block.height.saturating_add(1),
        parent: Some(block.hash),
        chainwork: block.chainwork,
    }
}

/// The start of an empty store.
fn first(node: &dyn Node, options: &IndexOptions) -> Result<Compared, IndexError> {
    let Some(first) = node.first()? else {
        return Ok(no_blocks());
    };
    let height = options.start_height.unwrap_or(first);
    if height < first {
        let hint = "start there or above, or give a source that has it";
        return Err(IndexError::Gap {
            height,
            first,
            hint,
        });
    }
    Ok(Compared::At(Start {
        height,
        parent: None,
        chainwork: Chainwork::ZERO,
    }))
}

/// A source whose first block is above our tip is good only if it is the next.
fn later(node: &dyn Node, tip: &BlockRecord) -> Result<Compared, IndexError> {
    let height = tip.height.saturating_add(1);
    let first = node.first()?.unwrap_or(height);
    if first > height {
        let hint = "give a source that has it";
        return Err(IndexError::Gap {
            height,
            first,
            hint,
        });
    }
    if first < height {
        // It must have had the block when it was asked, unless it has grown since.
        return Err(inconsistent(tip.height).into());
    }
    let hash = node.hash_at(height)?.ok_or_else(|| inconsistent(height))?;
    if parent_of(node, height, &hash)? != tip.hash {
        return Err(IndexError::OtherChain { first: tip.height });
    }
    Ok(Compared::At(above(tip)))
}

/// The highest block at or below `top` that both chains have.
fn fork_point(
    snapshot: &Snapshot,
    node: &dyn Node,
    options: &IndexOptions,
    tip: Height,
    top: Height,
) -> Result<Fork, IndexError> {
    let first = snapshot.first().unwrap_or(tip);
    let mut height = top;
    let mut next = None;
    loop {
        let Some(ours) = snapshot.block(height)? else {
            return Err(IndexError::OtherChain { first });
        };
        let Some(theirs) = node.hash_at(height)? else {
            return match node.first()? {
                Some(lowest) if lowest > height => Err(IndexError::OtherChain { first }),
                _ => Err(inconsistent(height).into()),
            };
        };
        if ours.hash == theirs {
            return Ok(Fork::Above(ours, next));
        }
        if tip - height >= options.reorg_horizon {
            // An error that ends indexing must rest on more than a hash, too.
            parent_of(node, height, &theirs)?;
            return Ok(Fork::TooDeep);
        }
        if height == first {
            // Only a chain that parts from ours just here may replace all of it.
            let same = parent_of(node, height, &theirs)? == ours.parent;
            return if same && first > 0 {
                Ok(Fork::BelowFirst)
            } else {
                Err(IndexError::OtherChain { first })
            };
        }
        next = Some(theirs);
        height -= 1;
    }
}

/// The parent of a node's block.
fn parent_of(node: &dyn Node, height: Height, hash: &BlockHash) -> Result<BlockHash, NodeError> {
    Ok(good_block(node, height, hash)?.0.parent)
}

fn inconsistent(height: Height) -> NodeError {
    NodeError::BadAnswer {
        what: format!("there is no block {height}, below the tip"),
    }
}
