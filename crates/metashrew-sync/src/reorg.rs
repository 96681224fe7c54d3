//! Finds the last block that the node's chain and the indexed one have in
//! common, and takes the store back to it.
//!
//! Nothing is undone on a bare claim: the node's branch must have more work than the
//! indexed one, by headers that have it, and the node must hand out the block that
//! stands in the place of the lowest one undone. A node whose chain ends within
//! the indexed one has lost blocks, or lags; it is waited for.

use std::cmp::Ordering;

use metashrew_store::{BlockHash, BlockRecord, Chainwork, Height, Snapshot, Store};

use crate::branch::Branch;
use crate::downwards::Downwards;
use crate::error::IndexError;
use crate::fetch::{Start, good_block};
use crate::network::Network;
use crate::node::{Node, NodeError};
use crate::options::IndexOptions;
use crate::progress::{Progress, WriteKind};
use crate::targets::Targets;

/// How the node's chain and the indexed one compare.
pub(crate) enum Compared {
    /// What was indexed is in the node's chain: it goes on from here.
    At(Start),
    /// The node has no block at all, or nothing says that its chain is to replace
    /// ours: it ends within ours, or has no more work.
    Behind(NodeError),
    /// Some of what was indexed is not in the node's chain any more.
    Reorganised(Reorganised),
}

/// What is to be undone.
pub(crate) struct Reorganised {
    tip: Height,
    /// The last block to keep; none if all that was indexed goes.
    fork: Option<Height>,
    /// Where it goes on.
    start: Start,
}

/// Where the node's chain and the indexed one part.
enum Fork {
    /// Above this block. Then comes the node's next block, if it has one.
    Above(BlockRecord, Option<BlockHash>),
    /// Right below the first indexed block, where the node has this one.
    BelowFirst(BlockHash),
    /// Deeper than may be undone: in place of this block, the node has the one with that
    /// hash.
    TooDeep(BlockRecord, BlockHash),
}

/// Compares the indexed chain with the node's.
pub(crate) struct Comparison<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) node: &'a dyn Node,
    pub(crate) options: &'a IndexOptions,
    /// The network, if its rules are known.
    pub(crate) network: Option<Network>,
}

impl Comparison<'_> {
    /// Changes nothing: the node may take its time, and nobody has to wait for it.
    pub(crate) fn compare(&self) -> Result<Compared, IndexError> {
        let Some(tip) = self.snapshot.tip().copied() else {
            return self.first();
        };
        // An index that holds it is done, whatever the node has by now.
        exit_is_not_below(self.snapshot.first().unwrap_or(tip.height), self.options)?;
        let top = match self.node.hash_at(tip.height)? {
            Some(hash) if hash == tip.hash => return Ok(Compared::At(above(&tip))),
            Some(_) => tip.height,
            None => match self.node.tip()? {
                None => return Ok(no_blocks()),
                // The source holds later blocks only: they must connect.
                Some(node_tip) if node_tip.height > tip.height => return self.later(&tip),
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
        if self.snapshot.first().is_some_and(|first| top < first) {
            return behind();
        }
        match self.fork_point(tip.height, top)? {
            Fork::Above(fork, None) if fork.height < tip.height => behind(),
            // As good as equal: the chain has changed between two questions.
            Fork::Above(fork, None) => Ok(Compared::At(above(&fork))),
            Fork::Above(fork, Some(next)) => self.replaced(&tip, Some(&fork), next),
            Fork::BelowFirst(next) => self.replaced(&tip, None, next),
            // It may have lost its chain, and come by an old branch on its way back.
            Fork::TooDeep(..) if top < tip.height && self.options.follow => behind(),
            Fork::TooDeep(ours, theirs) => self.too_deep(&tip, &ours, theirs),
        }
    }

    /// The node's chain is another one at the lowest block that may be undone, and below.
    /// That ends indexing only if it has more work from there on, and the block.
    fn too_deep(
        &self,
        tip: &BlockRecord,
        ours: &BlockRecord,
        theirs: BlockHash,
    ) -> Result<Compared, IndexError> {
        let height = ours.height;
        let below = match height.checked_sub(1) {
            Some(below) => self.snapshot.block(below)?.map(|below| below.chainwork),
            None => None,
        };
        let base = self.snapshot.base().map(|base| base.chainwork);
        let branch = Branch {
            node: self.node,
            network: self.network,
            // What comes before is not known.
            targets: Targets::unknown(self.network, height),
            start: Start {
                height,
                parent: None,
                chainwork: below.or(base).unwrap_or(Chainwork::ZERO),
            },
            parent: None,
            first: theirs,
        };
        if !self.options.accept_less_work {
            let work = branch.compare(tip)?;
            if work != Ordering::Greater {
                let work = as_much_or_less(work);
                return Ok(Compared::Behind(NodeError::NoMoreWork {
                    what: format!(
                        "it is another one from below block {height} on, deeper than may be undone, and has {work} from there on; it is waited for"
                    ),
                }));
            }
        }
        self.parent_of(height, &theirs)?;
        Err(IndexError::TooDeep {
            tip: tip.height,
            horizon: self.options.reorg_horizon,
        })
    }

    /// What was indexed above a fork, or all of it, is to give way to a branch of the
    /// node that begins with that block, if the branch is good enough.
    fn replaced(
        &self,
        tip: &BlockRecord,
        fork: Option<&BlockRecord>,
        next: BlockHash,
    ) -> Result<Compared, IndexError> {
        let base = self.snapshot.base();
        let start = match (fork, base) {
            (Some(fork), _) => above(fork),
            (None, base) => Start {
                height: self.snapshot.first().unwrap_or_default(),
                parent: None,
                chainwork: base.map_or(Chainwork::ZERO, |base| base.chainwork),
            },
        };
        let parent = match (fork, base) {
            (Some(fork), _) => fork.hash,
            (None, Some(base)) => base.hash,
            (None, None) => return Ok(Compared::At(start)),
        };
        if !self.options.accept_less_work {
            let branch = Branch {
                node: self.node,
                network: self.network,
                targets: Targets::indexed(self.network, start.height, self.snapshot)?,
                start,
                parent: Some(parent),
                first: next,
            };
            let work = branch.compare(tip)?;
            if work != Ordering::Greater {
                return Ok(outweighed(start.height, work));
            }
        }
        if self.parent_of(start.height, &next)? != parent {
            let height = start.height;
            let what = format!("block {height} does not stand on the block before it");
            return Err(NodeError::BadAnswer { what }.into());
        }
        Ok(Compared::Reorganised(Reorganised {
            tip: tip.height,
            fork: fork.map(|fork| fork.height),
            start,
        }))
    }

    /// The start of an empty store.
    fn first(&self) -> Result<Compared, IndexError> {
        let Some((first, default)) = self.node.first()?.zip(self.node.default_start()?) else {
            return Ok(no_blocks());
        };
        let height = self.options.start_height.unwrap_or(default);
        if height < first {
            return Err(IndexError::Gap {
                height,
                first,
                hint: format!(
                    "give a source that has block {height} (a node that is not pruned), or begin at block {first} or above on purpose: the state is then another one than that of an index from block {height}"
                ),
            });
        }
        exit_is_not_below(height, self.options)?;
        if let Some(behind) = not_reached(self.node, height, self.options)? {
            return Ok(Compared::Behind(behind));
        }
        Ok(Compared::At(Start {
            height,
            parent: None,
            chainwork: Chainwork::ZERO,
        }))
    }

    /// A source whose first block is above our tip is good only if it is the next.
    fn later(&self, tip: &BlockRecord) -> Result<Compared, IndexError> {
        let height = tip.height.saturating_add(1);
        let first = self.node.first()?.unwrap_or(height);
        if first > height {
            return Err(IndexError::Gap {
                height,
                first,
                hint: format!("give a source that has block {height}"),
            });
        }
        if first < height {
            // It must have had the block when it was asked, unless it has grown since.
            return Err(inconsistent(tip.height).into());
        }
        let hash = self.node.hash_at(height)?;
        let hash = hash.ok_or_else(|| inconsistent(height))?;
        if self.parent_of(height, &hash)? != tip.hash {
            return Err(IndexError::OtherChain { first: tip.height });
        }
        Ok(Compared::At(above(tip)))
    }

    /// The highest block at or below `top` that both chains have.
    fn fork_point(&self, tip: Height, top: Height) -> Result<Fork, IndexError> {
        let first = self.snapshot.first().unwrap_or(tip);
        let lowest = tip.saturating_sub(self.options.reorg_horizon).max(first);
        let mut node = Downwards::new(self.node, top, lowest);
        let mut height = top;
        let mut next = None;
        loop {
            let Some(ours) = self.snapshot.block(height)? else {
                return Err(IndexError::OtherChain { first });
            };
            let Some(theirs) = node.next()? else {
                return match self.node.first()? {
                    Some(lowest) if lowest > height => Err(IndexError::OtherChain { first }),
                    _ => Err(inconsistent(height).into()),
                };
            };
            if ours.hash == theirs {
                return Ok(Fork::Above(ours, next));
            }
            if tip - height >= self.options.reorg_horizon {
                return Ok(Fork::TooDeep(ours, theirs));
            }
            if height == first {
                // Only a chain that parts from ours just here may replace all of it.
                let same = self.parent_of(height, &theirs)? == ours.parent;
                return if same && first > 0 {
                    Ok(Fork::BelowFirst(theirs))
                } else {
                    Err(IndexError::OtherChain { first })
                };
            }
            next = Some(theirs);
            height -= 1;
        }
    }

    /// The parent of a node's block.
    fn parent_of(&self, height: Height, hash: &BlockHash) -> Result<BlockHash, NodeError> {
        let (header, _) = good_block(self.node, self.network, height, hash)?;
        Ok(header.parent)
    }
}

impl Reorganised {
    /// Rolls back, once, to the last block that both chains have, and answers where
    /// it goes on.
    pub(crate) fn undo(self, store: &Store, progress: &Progress) -> Result<Start, IndexError> {
        let Self { tip, fork, start } = self;
        let lowest = start.height;
        let depth = tip.saturating_sub(lowest).saturating_add(1);
        tracing::warn!(
            depth,
            fork,
            "reorganisation: {depth} blocks from {lowest} on are undone"
        );
        let rollback = || store.rollback(fork);
        progress.write(WriteKind::Rollback, (lowest, tip), rollback)?;
        progress.count_rollback(fork, depth);
        Ok(start)
    }
}

fn no_blocks() -> Compared {
    Compared::Behind(behind_with_no_block())
}

fn behind_with_no_block() -> NodeError {
    NodeError::Behind {
        what: "it has no block yet".to_owned(),
    }
}

fn outweighed(height: Height, work: Ordering) -> Compared {
    let work = as_much_or_less(work);
    Compared::Behind(NodeError::NoMoreWork {
        what: format!(
            "it is another one from block {height} on and has {work}; it is waited for (`--accept-less-work` follows it)"
        ),
    })
}

fn as_much_or_less(work: Ordering) -> &'static str {
    if work == Ordering::Equal {
        "as much"
    } else {
        "less"
    }
}

fn above(block: &BlockRecord) -> Start {
    Start {
        height: block.height.saturating_add(1),
        parent: Some(block.hash),
        chainwork: block.chainwork,
    }
}

fn exit_is_not_below(first: Height, options: &IndexOptions) -> Result<(), IndexError> {
    match options.exit_at {
        Some(exit_at) if exit_at < first => Err(IndexError::ExitBelowFirst { exit_at, first }),
        _ => Ok(()),
    }
}

/// Says so if the node's chain does not reach the first block to index, or not as far
/// above it as is wanted.
fn not_reached(
    node: &dyn Node,
    first: Height,
    options: &IndexOptions,
) -> Result<Option<NodeError>, NodeError> {
    let Some(tip) = node.tip()? else {
        return Ok(Some(behind_with_no_block()));
    };
    let confirmations = options.confirmations;
    if tip.height >= first.saturating_add(confirmations) {
        return Ok(None);
    }
    let on_top = match confirmations {
        0 => String::new(),
        count => format!(" with {count} on top of it"),
    };
    let node_is_at = tip.height;
    let what = format!("waiting for block {first}{on_top}, the node is at {node_is_at}");
    Ok(Some(NodeError::Behind { what }))
}

fn inconsistent(height: Height) -> NodeError {
    NodeError::BadAnswer {
        what: format!("there is no block {height}, below the tip"),
    }
}
