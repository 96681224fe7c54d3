//! Finds the last block that the node's chain and the indexed one have in
//! common, and takes the store back to it.

use metashrew_store::{BlockHash, BlockRecord, Height, Snapshot, Store};

use crate::block;
use crate::error::IndexError;
use crate::fetch::Start;
use crate::node::{Node, NodeError};
use crate::options::IndexOptions;
use crate::progress::Progress;

/// Where indexing goes on.
pub(crate) enum Aligned {
    /// From here; what was indexed before is in the node's chain.
    At(Start),
    /// The node's chain ends below our tip, and as far as it goes it is ours.
    Behind,
    /// There is no block at all.
    NoBlocks,
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
            None => return Ok(Aligned::NoBlocks),
            // The source holds later blocks only: they must connect.
            Some(node_tip) if node_tip.height > tip.height => return later(node, &tip),
            Some(node_tip) => node_tip.height,
        },
    };
    if snapshot.first().is_some_and(|first| top < first) {
        return Ok(Aligned::Behind);
    }
    let Some(fork) = fork_point(&snapshot, node, options, tip.height, top)? else {
        let first = snapshot.first().unwrap_or(tip.height);
        tracing::warn!(
            "reorganisation: all blocks from {first} to {} are undone",
            tip.height
        );
        store.rollback(None)?;
        progress.count_rollback();
        progress.set_height(None);
        return Ok(Aligned::At(Start {
            height: first,
            parent: None,
        }));
    };
    if fork.height == top && top < tip.height {
        return Ok(Aligned::Behind);
    }
    let depth = tip.height - fork.height;
    tracing::warn!(
        "reorganisation: {depth} blocks from {} on are undone",
        fork.height + 1
    );
    store.rollback(Some(fork.height))?;
    progress.count_rollback();
    progress.set_height(Some(fork.height));
    Ok(above(&fork))
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
        return Ok(Aligned::NoBlocks);
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
    let hash = node.hash_at(height)?.ok_or_else(|| inconsistent(height))?;
    if parent_of(node, height, &hash)? != tip.hash {
        return Err(IndexError::OtherChain { first: tip.height });
    }
    Ok(above(tip))
}

/// The highest block at or below `top` that both chains have. None if they
/// part right below our first block.
fn fork_point(
    snapshot: &Snapshot,
    node: &dyn Node,
    options: &IndexOptions,
    tip: Height,
    top: Height,
) -> Result<Option<BlockRecord>, IndexError> {
    let first = snapshot.first().unwrap_or(tip);
    let too_deep = IndexError::TooDeep {
        tip,
        horizon: options.reorg_horizon,
    };
    let mut height = top;
    loop {
        let (Some(ours), Some(theirs)) = (snapshot.block(height)?, node.hash_at(height)?) else {
            return Err(IndexError::OtherChain { first });
        };
        if ours.hash == theirs {
            return Ok(Some(ours));
        }
        if tip - height >= options.reorg_horizon {
            return Err(too_deep);
        }
        if height == first {
            // Only a chain that parts from ours just here may replace all of it.
            let same = first > 0 && parent_of(node, height, &theirs)? == ours.parent;
            return if same {
                Ok(None)
            } else {
                Err(IndexError::OtherChain { first })
            };
        }
        height -= 1;
    }
}

/// The parent of a node's block.
fn parent_of(node: &dyn Node, height: Height, hash: &BlockHash) -> Result<BlockHash, NodeError> {
    let bytes = node.block(hash)?;
    let header = block::check(&bytes, hash).map_err(|fault| NodeError::BadAnswer {
        what: format!("block {height}: {fault}"),
    })?;
    Ok(header.parent)
}

fn inconsistent(height: Height) -> NodeError {
    NodeError::BadAnswer {
        what: format!("there is no block {height}, below the tip"),
    }
}
