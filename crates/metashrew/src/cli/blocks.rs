//! The flags of commands that take some blocks, and follow no chain.

use std::path::PathBuf;

use clap::Args;

use super::NodeArgs;

/// Where blocks are.
#[derive(Debug, Args)]
pub(crate) struct BlocksArgs {
    /// Where the blocks are if there is no node: a file of framed blocks (as Core's blk*.dat), a
    /// directory of such files, or one raw block [default: none, see --rpc-url]
    #[arg(long, value_name = "PATH", env = "METASHREW_BLOCKS")]
    pub(crate) blocks: Option<PathBuf>,

    /// The height of the first one, where the blocks in files don't tell their heights [default: as
    /// they tell]
    #[arg(
        long,
        alias = "start-block",
        value_name = "HEIGHT",
        env = "METASHREW_START_HEIGHT"
    )]
    pub(crate) start_height: Option<u32>,

    #[command(flatten)]
    pub(crate) node: NodeArgs,
}
