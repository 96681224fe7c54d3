//! The flags of `metashrew replay`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, value_parser};

use super::{BlocksArgs, Cache, values};

/// Run one block on the state below it, and tell what it reads and writes; nothing is committed
///
/// The block is one that the database holds, or the next one: the one on which a guest failed, say.
/// It comes from a node (--rpc-url) or from files (--blocks). What it writes is compared with what the
/// database holds of it: the exit code is 3 if that differs. The database is opened for reading only.
///
/// `replay make` packs a block and all that it reads into a file, which `replay run` runs anywhere.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Replay {
    #[command(subcommand)]
    pub(crate) bundle: Option<ReplayBundle>,

    /// Print each key that differs
    #[arg(long)]
    pub(crate) diff: bool,

    #[command(flatten)]
    pub(crate) time: TimeLimit,

    #[command(flatten)]
    pub(crate) block: ReplayedBlock,
}

/// How long the guest may take for a block.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct TimeLimit {
    /// How long the guest may take for a block, in milliseconds; with a limit it runs a sixth to a
    /// quarter slower [default: as long as it takes]
    #[arg(long, value_name = "MS", value_parser = value_parser!(u64).range(1..))]
    timeout_ms: Option<u64>,
}

impl TimeLimit {
    pub(crate) fn of_a_block(self) -> Option<Duration> {
        self.timeout_ms.map(Duration::from_millis)
    }
}

/// What is done with a bundle.
#[derive(Debug, Subcommand)]
pub(crate) enum ReplayBundle {
    Make(Box<ReplayMake>),
    Run(ReplayRun),
}

/// Which block is run, and on what. What is needed of it is checked once all is read.
#[derive(Debug, Args)]
pub(crate) struct ReplayedBlock {
    /// The height of the block: one that the database holds, or the next one
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) height: Option<u32>,

    /// The directory of the database
    #[arg(
        long,
        alias = "db-path",
        value_name = "DIR",
        env = "METASHREW_DB",
        value_parser = values::database_path()
    )]
    pub(crate) db: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) cache: Cache,

    /// The guest, a WebAssembly module: the one that wrote the database, or another
    #[arg(long, value_name = "FILE", env = "METASHREW_INDEXER")]
    pub(crate) indexer: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) blocks: BlocksArgs,
}

/// Pack a block, all that the guest reads in it, and what comes of it into a file
#[derive(Debug, Args)]
pub(crate) struct ReplayMake {
    /// The file to write; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,

    /// Pack the guest, too
    #[arg(long)]
    pub(crate) with_guest: bool,

    #[command(flatten)]
    pub(crate) time: TimeLimit,

    #[command(flatten)]
    pub(crate) block: ReplayedBlock,
}

/// Run the block of a file that `replay make` wrote, without the database
///
/// What it writes is compared with what was packed: the exit code is 3 if that differs.
#[derive(Debug, Args)]
pub(crate) struct ReplayRun {
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) bundle: PathBuf,

    /// The guest, a WebAssembly module [default: the one that is packed]
    #[arg(long, value_name = "FILE")]
    pub(crate) indexer: Option<PathBuf>,

    /// Print each key that differs
    #[arg(long)]
    pub(crate) diff: bool,

    #[command(flatten)]
    pub(crate) time: TimeLimit,
}
