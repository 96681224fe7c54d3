//! One block, fetched and checked: for who looks at a block and indexes none.

use bytes::Bytes;
use metashrew_store::{BlockHash, BlockRef, Height};

use crate::fetch::good_block;
use crate::node::{Node, NodeError};

/// The block of that hash, at that height, once it is seen to be whole, to hash to what was
/// asked for, and to have its work: as blocks are checked that are indexed.
///
/// # Errors
/// If the node does not have it, or not a good copy.
pub fn fetch_block(
    node: &dyn Node,
    height: Height,
    hash: &BlockHash,
) -> Result<(BlockRef, Bytes), NodeError> {
    let network = node.network()?;
    let (header, bytes) = good_block(node, network, height, hash)?;
    let block = BlockRef {
        time: header.time,
        bits: header.bits,
        ..BlockRef::new(height, header.hash, header.parent)
    };
    Ok((block, bytes))
}
