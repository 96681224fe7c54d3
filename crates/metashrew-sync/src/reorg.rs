//! Finds the last block that the node's chain and the indexed one have in
//! common, and takes the store back to it.
//!
//! Nothing is undone on a bare claim: the node must hand out the block that
//! stands in the place of the lowest one undone. A node whose chain ends within
//! the indexed one has lost blocks, or lags; it is waited for.

use metashrew_store::{BlockHash, BlockRecord, Height, Snapshot, Store};

use crate::error::IndexError;
use crate::fetch::{Start, good_block};
use crate::node::{Node, NodeError};
use crate::options::IndexOptions;
use crate::progress::Progress;

/// Where indexing goes on.
pub(crate) enum Aligned {
    /// From here; what was indexed before is in the node's chain.
    At(Start),
    /// The node has no block at all, or its chain ends below our tip and nothing
    /// says that it is to replace ours.
    Behind(NodeError),
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

/// Compares the store's chain with the node's, and undoes what is not in the
/// node's chain any more.
pub(crate) fn align(
    store: &Store,
    node: &dyn Node,
    options: &IndexOptions,
    progress: &Progress,
) -> Result<Aligned, IndexError> {
    let snapshot = store.snapshot();
    let Some(tip) = snapshot.tip().copied() else {
        return first(node, options);
    };
    let top = match node.hash_at(tip.height)? {
        Some(hash) if hash == tip.hash => return Ok(above(&tip)),
        Some(_) => tip.height,
        None => match node.tip()? {
            None => return Ok(no_blocks()),
            // The source holds later blocks only: they must connect.
            Some(node_tip) if node_tip.height > tip.height => return later(node, &tip),
            Some(node_tip) => node_tip.height,
        },
    };
    let behind = || {
        Ok(Aligned::Behind(NodeError::Behind {
            what: format!(
                "its chain ends at block {top}, the indexed one at {}",
                tip.height
            ),
        }))
    };
    if snapshot.first().is_some_and(|first| top < first) {
        return behind();
    }
    let fork = match fork_point(&snapshot, node, options, tip.height, top)? {
        Fork::Above(fork, None) if fork.height < tip.height => return behind(),
        // As good as equal: the chain has changed between two questions.
        Fork::Above(fork, None) => return Ok(above(&fork)),
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
    let first = snapshot.first().unwrap_or(tip.height);
    drop(snapshot);
    undo(store, progress, &tip, fork.as_ref(), first)?;
    Ok(match fork {
        Some(fork) => above(&fork),
        None => Aligned::At(Start {
            height: first,
            parent: None,
        }),
    })
}

/// Rolls back, once, to the fork, or to nothing.
fn undo(
    store: &Store,
    progress: &Progress,
    tip: &BlockRecord,
    fork: Option<&BlockRecord>,
    first: Height,
) -> Result<(), IndexError> {
    let lowest = fork.map_or(first, |fork| fork.height.saturating_add(1));
    let depth = tip.height.saturating_sub(lowest).saturating_add(1);
    let fork = fork.map(|fork| fork.height);
    tracing::warn!(
        depth,
        fork,
        "reorganisation: {depth} blocks from {lowest} on are undone"
    );
    store.rollback(fork)?;
    progress.count_rollback(fork, depth);
    Ok(())
}

fn no_blocks() -> Aligned {
    Aligned::Behind(NodeError::Behind {
        what: "it has no block yet".to_owned(),
    })
}

fn above(block: &BlockRecord) -> Aligned {
    Aligned::At(Start {
        height: block.height.saturating_add(1),
        parent: Some(block.hash),
    })
}

/// The start of an empty store.
fn first(node: &dyn Node, options: &IndexOptions) -> Result<Aligned, IndexError> {
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
    Ok(Aligned::At(Start {
        height,
        parent: None,
    }))
}

/// A source whose first block is above our tip is good only if it is the next.
fn later(node: &dyn Node, tip: &BlockRecord) -> Result<Aligned, IndexError> {
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
    Ok(above(tip))
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
