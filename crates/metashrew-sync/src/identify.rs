//! Finds out of which network a source's blocks are.
//!
//! What ends indexing must rest on more than a claim: a genesis block counts if it is
//! that of a network with a name, or if the source hands out the block.

use metashrew_store::{BlockHash, NetworkId};

use crate::fetch::good_block;
use crate::network::Network;
use crate::node::{Node, NodeError};

/// What is known of the network of a node's blocks.
pub(crate) fn identify(node: &dyn Node) -> Result<NetworkId, NodeError> {
    let magic = node.magic();
    let claimed = node.genesis()?;
    let is_sure = |hash: &BlockHash| {
        if Network::of_genesis(hash).is_some() {
            return Ok(true);
        }
        match good_block(node, None, 0, hash) {
            Ok((header, _)) => Ok(header.parent == BlockHash::from_bytes([0; 32])),
            Err(NodeError::Pruned { .. } | NodeError::NoBlock { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    };
    let genesis = match claimed {
        Some(hash) if is_sure(&hash)? => Some(hash),
        _ => None,
    };
    let named = match (genesis, magic) {
        (Some(genesis), magic) => Network::of_genesis(&genesis)
            .filter(|network| magic.is_none_or(|magic| magic == network.magic())),
        // Blocks that hide their genesis may be of a network that is only like it.
        (None, Some(magic)) if claimed.is_none() => {
            Some(Network::of_magic(magic)).filter(|network| network.is_named())
        }
        _ => None,
    };
    Ok(NetworkId {
        name: named.map(|network| network.to_string()),
        magic,
        genesis: genesis.or_else(|| named?.genesis()),
    })
}
