//! Where commands have blocks from that follow no chain: files, or a node.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use metashrew_sync::{BlockFiles, CoreNode, Node};

use crate::cli::BlocksArgs;

/// What hands out the blocks that the flags name. `db` is the directory of the
/// database that they are for.
pub(super) fn open(args: &BlocksArgs, db: &Path) -> Result<Arc<dyn Node>> {
    let network = args.node.magic.or(args.node.network);
    match (&args.blocks, &args.node.rpc_url) {
        (Some(path), _) => {
            let files = BlockFiles::open(path, args.start_height);
            let mut files = files.context("the blocks cannot be had")?;
            if let Some(network) = network {
                let named = files.with_network(network);
                files = named.context("the blocks are not those asked for")?;
            }
            Ok(Arc::new(files))
        }
        (None, Some(url)) => {
            let node = CoreNode::new(&args.node.settings(url, db));
            Ok(Arc::new(node.context("the node cannot be asked")?))
        }
        (None, None) => bail!("neither --rpc-url nor --blocks is given"),
    }
}
