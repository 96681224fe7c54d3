//! The flags of `metashrew shadow`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::{BlocksArgs, Database, TimeLimit, values};

/// Run another guest over blocks that a database holds, and tell where it writes otherwise
///
/// Each block is run on the state that the database holds below it, so each difference is that
/// block's own. What the database holds of the block stands for the guest that wrote it. With
/// --against, what two databases hold of the same blocks is compared instead, and no guest runs.
/// The exit code is 3 if the state differs. Nothing is changed: databases are opened for reading only,
/// but for --follow, which indexes into --db.
#[derive(Debug, Args)]
pub(crate) struct Shadow {
    #[command(flatten)]
    pub(crate) database: Database,

    /// The guest to run, a WebAssembly module; needs --blocks or --rpc-url
    #[arg(
        long = "with",
        value_name = "FILE",
        required_unless_present = "against",
        conflicts_with = "against"
    )]
    pub(crate) guest: Option<PathBuf>,

    /// Another database instead, such as a fork with which another guest went on
    #[arg(long, value_name = "DIR", value_parser = values::database_path())]
    pub(crate) against: Option<PathBuf>,

    /// A guest whose `__meta` names the tables and the parts of their keys [default: that of --with]
    #[arg(long, value_name = "FILE", env = "METASHREW_INDEXER")]
    pub(crate) indexer: Option<PathBuf>,

    /// The height of the first block to compare [default: the first one held]
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) from: Option<u32>,

    /// The height of the last one [default: the last one held; with --follow none]
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) to: Option<u32>,

    /// Go on with blocks as they come, until --to, a signal, or, without --all, a difference: they are
    /// indexed into --db by the guest of --indexer, which must be the one that wrote it, and compared.
    /// For a fork of a database that is served
    #[arg(long, requires = "indexer", conflicts_with = "against")]
    pub(crate) follow: bool,

    /// Go on after the first block that differs
    #[arg(long)]
    pub(crate) all: bool,

    /// How many keys of a block to print, and with --all how many blocks that differ
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub(crate) limit: usize,

    /// How many blocks to run at a time [default: the number of cores]
    #[arg(long, value_name = "COUNT")]
    pub(crate) threads: Option<NonZeroUsize>,

    #[command(flatten)]
    pub(crate) time: TimeLimit,

    #[command(flatten)]
    pub(crate) blocks: BlocksArgs,
}
