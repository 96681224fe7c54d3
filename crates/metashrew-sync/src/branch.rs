//! How much work the node's branch has: by its headers, each of which is seen to stand
//! on the one before, to have its work, and to name the target it must.

use std::cmp::Ordering;

use metashrew_store::{BlockHash, BlockRecord, Height};

use crate::block::Header;
use crate::fetch::Start;
use crate::network::Network;
use crate::node::{Node, NodeError};
use crate::targets::Targets;
use crate::work;

/// Headers of a branch that are looked at, at most: ten times those between two
/// retargets. A branch that has no more work by then is not followed.
const MAX_HEADERS: Height = 20_160;

/// Headers that are asked for at once.
const AT_ONCE: usize = 2_000;

/// A branch of the node's chain, from where it leaves the indexed one.
pub(crate) struct Branch<'a> {
    pub(crate) node: &'a dyn Node,
    /// The network, if its rules are known.
    pub(crate) network: Option<Network>,
    /// What the indexed chain has below the branch.
    pub(crate) targets: Targets,
    pub(crate) start: Start,
    /// The block that the first one of the branch stands on; none if any will do.
    pub(crate) parent: Option<BlockHash>,
    /// The hash of the first block of the branch.
    pub(crate) first: BlockHash,
}

impl Branch<'_> {
    /// How the work of the branch compares with that of the indexed chain. No more
    /// headers are asked for than it takes to see that it is more.
    pub(crate) fn compare(self, tip: &BlockRecord) -> Result<Ordering, NodeError> {
        let Self {
            node,
            network,
            mut targets,
            start,
            mut parent,
            first,
        } = self;
        let mut chainwork = start.chainwork;
        let mut height = start.height;
        // As many as are to be replaced, and one more.
        let replaced = tip.height.saturating_sub(height).saturating_add(2);
        let mut count = usize::try_from(replaced).unwrap_or(AT_ONCE).min(AT_ONCE);
        while height - start.height < MAX_HEADERS {
            let headers = node.headers(height, count)?;
            if headers.is_empty() {
                break;
            }
            for header in headers {
                let Some(header) = Header::read(&header) else {
                    break;
                };
                let is_next = parent.is_none_or(|parent| header.parent == parent)
                    && (height > start.height || header.hash == first);
                if !is_next {
                    return Err(bad(height, "its header does not stand on the one before"));
                }
                if network.is_some() {
                    work::check(&header, network).map_err(|fault| bad(height, fault))?;
                }
                let target = targets.push(header.time, header.bits);
                target.map_err(|fault| bad(height, fault))?;
                chainwork = chainwork.saturating_add(work::work(header.bits));
                if chainwork > tip.chainwork {
                    return Ok(Ordering::Greater);
                }
                parent = Some(header.hash);
                height = height.saturating_add(1);
            }
            count = AT_ONCE;
        }
        Ok(chainwork.cmp(&tip.chainwork))
    }
}

fn bad(height: Height, what: impl std::fmt::Display) -> NodeError {
    NodeError::BadAnswer {
        what: format!("block {height}: {what}"),
    }
}
