//! The flags of `metashrew start`.

mod node;
mod serving;
mod views;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum, value_parser};
use metashrew_store::Durability;

use super::Cache;
use super::values::{self, Scouts};
use crate::memory::Memory;
use crate::size::Size;

pub(crate) use node::{Following, NodeArgs};
pub(crate) use serving::Serving;
pub(crate) use views::Views;

/// Index blocks from a node or from files and serve JSON-RPC, meanwhile and after
///
/// The blocks come from a node (--rpc-url), whose chain is followed through reorganisations, or from
/// files (--blocks). Resumes where the database stands. SIGINT and SIGTERM end it with exit code 0.
/// If the guest fails on a block, indexing halts there and views go on being served, or the command
/// ends with exit code 1: see --on-halt.
#[derive(Debug, Args)]
#[allow(clippy::struct_field_names, reason = "fields are named as their flags")]
pub(crate) struct Start {
    /// A file (TOML) with flags of this command, each under its name without the dashes, those of
    /// views in a table `views` [default: none]
    ///
    /// Flags and variables go before what it says.
    #[arg(long, value_name = "FILE", env = "METASHREW_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// The guest, a WebAssembly module
    #[arg(long, value_name = "FILE", env = "METASHREW_INDEXER")]
    pub(crate) indexer: PathBuf,

    /// Where the compiled guest is kept, so that the next start need not compile it: a directory, or
    /// `off` for nowhere [default: the user's cache directory]
    #[arg(long, value_name = "DIR", env = "METASHREW_GUEST_CACHE")]
    pub(crate) guest_cache: Option<PathBuf>,

    /// Where the blocks are if there is no node: a file of framed blocks (as Core's blk*.dat), a
    /// directory of such files, or one raw block [default: none, see --rpc-url]
    #[arg(long, value_name = "PATH", env = "METASHREW_BLOCKS")]
    pub(crate) blocks: Option<PathBuf>,

    /// The directory of the database; created if missing
    #[arg(
        long,
        alias = "db-path",
        value_name = "DIR",
        env = "METASHREW_DB",
        value_parser = super::values::database_path()
    )]
    pub(crate) db: PathBuf,

    /// The height to begin at; where the blocks don't tell their heights, that of the first one
    /// [default: 0 from a node, the first block there is from files]
    #[arg(
        long,
        alias = "start-block",
        value_name = "HEIGHT",
        env = "METASHREW_START_HEIGHT"
    )]
    pub(crate) start_height: Option<u32>,

    /// End with exit code 0 once this height is indexed and durable [default: never]
    #[arg(long, value_name = "HEIGHT", env = "METASHREW_EXIT_AT")]
    pub(crate) exit_at: Option<u32>,

    /// How many blocks must be on top of a block before it is indexed: with 6, block H is indexed
    /// once the chain reaches H + 6
    #[arg(
        long,
        value_name = "BLOCKS",
        env = "METASHREW_CONFIRMATIONS",
        default_value_t = 0
    )]
    pub(crate) confirmations: u32,

    /// How many blocks a reorganisation may undo; a deeper one halts indexing
    #[arg(
        long,
        value_name = "BLOCKS",
        env = "METASHREW_REORG_HORIZON",
        default_value_t = 144
    )]
    pub(crate) reorg_horizon: u32,

    /// How many blocks that reorganisations undid the database keeps on record, so that who had seen
    /// them can go on from there; the oldest go first
    #[arg(
        long,
        value_name = "BLOCKS",
        env = "METASHREW_UNDONE_BLOCKS",
        default_value_t = 1_000
    )]
    pub(crate) undone_blocks: u64,

    /// How much room the keys that those blocks wrote may take in the database, in bytes, or with a
    /// suffix such as MiB
    #[arg(
        long,
        value_name = "SIZE",
        env = "METASHREW_UNDONE_SIZE",
        default_value = "256MiB"
    )]
    pub(crate) undone_size: Size,

    /// Follow the node to a branch that has no more work than the indexed one: for a node whose
    /// blocks were declared invalid on purpose
    ///
    /// Without it, such a branch is waited out, whatever the node says.
    #[arg(long, env = "METASHREW_ACCEPT_LESS_WORK", value_parser = BoolishValueParser::new())]
    pub(crate) accept_less_work: bool,

    /// Go on in a database that another guest wrote; right only if the blocks so far would come out
    /// the same with this one
    #[arg(long, env = "METASHREW_ACCEPT_GUEST_CHANGE", value_parser = BoolishValueParser::new())]
    pub(crate) accept_guest_change: bool,

    /// What to do when indexing halts for good: go on answering views about what is indexed, or
    /// end with exit code 1 [default: exit if nothing is indexed, if the command line or the
    /// configuration is at fault, or with --exit-at; else serve]
    #[arg(long, value_name = "WHAT", env = "METASHREW_ON_HALT")]
    pub(crate) on_halt: Option<OnHalt>,

    /// How long a commit or a rollback may take, in milliseconds; one that takes longer is told of,
    /// and ends the command where it would end if indexing had halted: see --on-halt
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_WRITE_TIMEOUT_MS",
        value_parser = value_parser!(u64).range(1..),
        default_value_t = 600_000
    )]
    pub(crate) write_timeout_ms: u64,

    /// How much room to leave on the disk: with less, indexing pauses until there is more; 0 for
    /// none [default: 2GiB, or 5% of the file system if that is less]
    #[arg(long, value_name = "SIZE", env = "METASHREW_MIN_FREE_SPACE")]
    pub(crate) min_free_space: Option<Size>,

    #[command(flatten)]
    pub(crate) scouting: Scouting,

    /// How much memory what the guest logs may take, so that it can be asked for by block
    /// (`metashrew_logs`), in bytes, or with a suffix such as MiB; the lines of the blocks that ran
    /// first go first. 0 keeps none
    #[arg(
        long,
        value_name = "SIZE",
        env = "METASHREW_GUEST_LOG_MEMORY",
        default_value = "16MiB"
    )]
    pub(crate) guest_log_memory: Size,

    /// How much of --guest-log-memory one block may take; of one that logs more, the first lines
    /// and the last ones are kept
    #[arg(
        long,
        value_name = "SIZE",
        env = "METASHREW_GUEST_LOG_BLOCK_MEMORY",
        default_value = "1MiB"
    )]
    pub(crate) guest_log_block_memory: Size,

    #[command(flatten)]
    pub(crate) storage: Storage,

    #[command(flatten)]
    pub(crate) node: NodeArgs,

    #[command(flatten)]
    pub(crate) following: Following,

    #[command(flatten)]
    pub(crate) serving: Serving,

    #[command(flatten)]
    pub(crate) views: Views,

    /// How the memory is shared out, by these flags and the machine.
    #[arg(skip)]
    pub(crate) memory: Memory,
}

/// How the database is kept.
#[derive(Debug, Args)]
#[command(next_help_heading = "Storage")]
pub(crate) struct Storage {
    #[command(flatten)]
    pub(crate) cache: Cache,

    /// What a block survives once it can be seen
    #[arg(
        long,
        value_name = "WHAT",
        env = "METASHREW_DURABILITY",
        value_parser = values::durability(),
        default_value = "synced"
    )]
    pub(crate) durability: Durability,

    /// How many files of the database are kept open [default: a quarter of the file descriptors
    /// that the process may have, 8192 at most]
    #[arg(long, value_name = "COUNT", env = "METASHREW_MAX_OPEN_FILES")]
    pub(crate) max_open_files: Option<NonZeroUsize>,

    /// How many threads compact the database [default: half the number of cores, 4 at most]
    #[arg(long, value_name = "COUNT", env = "METASHREW_WORKERS")]
    pub(crate) workers: Option<NonZeroUsize>,
}

/// What runs the guest ahead of the block that is indexed.
#[derive(Debug, Clone, Copy, Args)]
#[allow(clippy::struct_field_names, reason = "fields are named as their flags")]
pub(crate) struct Scouting {
    /// How many scouts run the guest ahead over blocks that are fetched, so that what these read
    /// is in memory when it is their turn: as many as help (`auto`), or a number, 64 at most; 0 for
    /// none
    #[arg(
        long,
        value_name = "COUNT",
        env = "METASHREW_SCOUTS",
        default_value = "auto"
    )]
    pub(crate) scouts: Scouts,

    /// The memory of all scouts together, in bytes, or with a suffix such as MiB [default: 512MiB,
    /// or an eighth of the memory that the process may have if that is less]
    #[arg(long, value_name = "SIZE", env = "METASHREW_SCOUT_MEMORY")]
    pub(crate) scout_memory: Option<Size>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnHalt {
    /// Go on answering views
    Serve,
    /// End with exit code 1
    Exit,
}
