//! The flags of `metashrew logs`.

use clap::Args;
use metashrew_store::BlockId;

use super::Serves;

/// Print what the guest logged while a running `metashrew start` indexed a block
///
/// That is kept for the blocks that ran since it was started, within --guest-log-memory. Each line
/// has its number in front.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The block: a height, a block hash, `height:hash` or `latest` [default: the one that the guest
    /// ran over last, or is running over]
    #[arg(value_name = "BLOCK")]
    pub(crate) block: Option<BlockId>,

    /// Only the last so many lines [default: all that are kept]
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) last: Option<u32>,

    #[command(flatten)]
    pub(crate) server: Serves,

    /// Print a JSON object for each line
    #[arg(long)]
    pub(crate) json: bool,
}
