//! The command line: every flag with its meaning, unit, default and variable.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::builder::FalseyValueParser;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use metashrew_server::Cors;
use metashrew_store::BlockId;

use crate::size::Size;

/// Index Bitcoin with a WebAssembly guest and answer its views
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    args_override_self = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Which log lines to print on stderr, as `level` or `target=level,…`; what the guest logs is
    /// `metashrew::guest`, at level `info`
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "RUST_LOG",
        default_value = "warn,metashrew=info,metashrew::guest=warn",
        help_heading = "Global options"
    )]
    pub(crate) log: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Start(Box<Start>),
    View(View),
    Inspect(Inspect),
    Keys(Keys),
    Verify(Verify),
    Rollback(Rollback),
}

/// Index a block source and serve JSON-RPC, meanwhile and after
///
/// Resumes where the database stands. SIGINT and SIGTERM end it with exit code 0. If the guest
/// fails on a block, indexing halts there and views go on being served; with --exit-at, the
/// command ends with exit code 1 instead.
#[derive(Debug, Args)]
#[allow(clippy::struct_field_names, reason = "fields are named as their flags")]
pub(crate) struct Start {
    /// The guest, a WebAssembly module
    #[arg(long, value_name = "FILE", env = "METASHREW_INDEXER")]
    pub(crate) indexer: PathBuf,

    /// Where the blocks are: a file of framed blocks (as Core's blk*.dat), a directory of such
    /// files, or one raw block
    #[arg(long, value_name = "PATH", env = "METASHREW_BLOCKS")]
    pub(crate) blocks: PathBuf,

    /// The directory of the database; created if missing
    #[arg(long, alias = "db-path", value_name = "DIR", env = "METASHREW_DB")]
    pub(crate) db: PathBuf,

    /// The height to begin at; where the blocks don't tell their heights, that of the first one
    /// [default: the first block there is]
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

    #[command(flatten)]
    pub(crate) serving: Serving,

    #[command(flatten)]
    pub(crate) views: Views,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Serving")]
pub(crate) struct Serving {
    /// The address to serve JSON-RPC on; port 0 takes any free one
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "METASHREW_LISTEN",
        default_value = "127.0.0.1:8080"
    )]
    pub(crate) listen: String,

    /// Replaces the host in --listen
    #[arg(long, value_name = "HOST", env = "METASHREW_HOST")]
    pub(crate) host: Option<String>,

    /// Replaces the port in --listen
    #[arg(long, value_name = "PORT", env = "METASHREW_PORT")]
    pub(crate) port: Option<u16>,

    /// Which web pages may call: `*`, `localhost`, `off`, or origins separated by commas
    #[arg(
        long,
        value_name = "ORIGINS",
        env = "METASHREW_CORS",
        default_value = "localhost"
    )]
    pub(crate) cors: Cors,

    /// What `metashrew_height` answers
    #[arg(
        long,
        value_name = "WHICH",
        env = "METASHREW_HEIGHT_COMPAT",
        default_value = "last"
    )]
    pub(crate) height_compat: HeightCompat,

    /// The longest request, in bytes, or with a suffix such as MiB
    #[arg(
        long,
        value_name = "SIZE",
        env = "METASHREW_MAX_REQUEST",
        default_value = "40MiB"
    )]
    pub(crate) max_request: Size,

    /// How many calls a batch may hold
    #[arg(
        long,
        value_name = "CALLS",
        env = "METASHREW_MAX_BATCH",
        default_value_t = 1000
    )]
    pub(crate) max_batch: usize,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum HeightCompat {
    /// The height of the last committed block
    Last,
    /// One more, as an older host did
    Next,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Views")]
#[allow(clippy::struct_field_names, reason = "fields are named as their flags")]
pub(crate) struct Views {
    /// Answer every view from a fresh instance
    #[arg(long, env = "METASHREW_NO_STATEFUL_VIEWS", value_parser = FalseyValueParser::new())]
    pub(crate) no_stateful_views: bool,

    /// How many views run at a time; 1 serialises them [default: the number of cores]
    #[arg(long, value_name = "COUNT", env = "METASHREW_VIEW_INSTANCES")]
    pub(crate) view_instances: Option<NonZeroUsize>,

    /// How many calls may wait for an instance; more are refused as busy
    #[arg(
        long,
        value_name = "CALLS",
        env = "METASHREW_VIEW_QUEUE",
        default_value_t = 1024
    )]
    pub(crate) view_queue: usize,

    /// Which instances may answer which calls
    #[arg(
        long,
        value_name = "SCOPE",
        env = "METASHREW_VIEW_SCOPE",
        default_value = "auto"
    )]
    pub(crate) view_scope: Scope,

    /// How long a view may run, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_VIEW_TIMEOUT_MS",
        default_value_t = 10_000
    )]
    pub(crate) view_timeout_ms: u64,

    /// The memory of all persistent instances together, in bytes, or with a suffix such as MiB
    #[arg(
        long,
        value_name = "SIZE",
        env = "METASHREW_VIEW_MEMORY_BUDGET",
        default_value = "1GiB"
    )]
    pub(crate) view_memory_budget: Size,

    /// The memory of one instance [default: --view-memory-budget]
    #[arg(long, value_name = "SIZE", env = "METASHREW_VIEW_MAX_INSTANCE_MEMORY")]
    pub(crate) view_max_instance_memory: Option<Size>,

    /// The longest input of a view
    #[arg(
        long,
        value_name = "SIZE",
        env = "METASHREW_VIEW_MAX_INPUT",
        default_value = "16MiB"
    )]
    pub(crate) view_max_input: Size,

    /// The longest answer of a view
    #[arg(
        long,
        value_name = "SIZE",
        env = "METASHREW_VIEW_MAX_OUTPUT",
        default_value = "64MiB"
    )]
    pub(crate) view_max_output: Size,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Scope {
    /// As `shared` for a guest that says it keeps heights apart, else as `block`
    Auto,
    /// An instance answers for one block
    Block,
    /// An instance answers for every block
    Shared,
}

/// Ask one view, of a server or of a database that none holds open
#[derive(Debug, Args)]
pub(crate) struct View {
    /// The view's name
    pub(crate) name: String,

    /// Its input: `0x…` is hex, `@FILE` a file's content (`@-` standard input), anything else text
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) input: String,

    /// The block to ask about: a height, a block hash, `height:hash` or `latest`
    #[arg(
        long,
        value_name = "BLOCK",
        env = "METASHREW_HEIGHT",
        default_value = "latest"
    )]
    pub(crate) height: BlockId,

    /// The directory of the database; needs --indexer
    #[arg(long, alias = "db-path", value_name = "DIR", env = "METASHREW_DB")]
    pub(crate) db: Option<PathBuf>,

    /// The guest, a WebAssembly module
    #[arg(long, value_name = "FILE", env = "METASHREW_INDEXER")]
    pub(crate) indexer: Option<PathBuf>,

    /// Ask the server at this address instead, such as `http://127.0.0.1:8080`
    #[arg(long, value_name = "URL", env = "METASHREW_URL")]
    pub(crate) url: Option<String>,

    /// How to print the answer [default: as text if it is printable UTF-8, else as hex]
    #[arg(long = "as", value_name = "FORM", env = "METASHREW_AS")]
    pub(crate) form: Option<Form>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Form {
    /// `0x` and two digits a byte
    Hex,
    /// As it is; an error if it is not UTF-8
    Utf8,
}

/// Tell what a guest imports, exports and says of itself
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The guest, a WebAssembly module
    #[arg(value_name = "FILE")]
    pub(crate) indexer: PathBuf,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print the state at a block, one JSON object a line, in the order of the keys
///
/// Each line is {"key":"0x…","value":"0x…","height":n}: the height is that of the block which wrote
/// the value. Values of zero length are included.
#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(flatten)]
    pub(crate) database: Database,

    /// The block: a height, a block hash, `height:hash` or `latest`
    #[arg(
        long,
        value_name = "BLOCK",
        env = "METASHREW_HEIGHT",
        default_value = "latest"
    )]
    pub(crate) height: BlockId,

    /// Only keys that begin with these bytes, in hex [default: all]
    #[arg(long, value_name = "HEX", env = "METASHREW_PREFIX", value_parser = parse_hex)]
    pub(crate) prefix: Option<Bytes>,

    /// Stop after so many keys [default: all]
    #[arg(long, value_name = "KEYS", env = "METASHREW_LIMIT")]
    pub(crate) limit: Option<u64>,
}

/// Recompute every history root from what is stored, and compare
#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) database: Database,

    /// Accept that the last commits are gone although they had been durable, so that `start` goes
    /// on from the last block that is left
    #[arg(long)]
    pub(crate) accept_lost_commits: bool,
}

/// Drop the blocks above a height from a database that no process holds open
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    #[command(flatten)]
    pub(crate) database: Database,

    /// The height of the last block to keep
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) to: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Database {
    /// The directory of the database
    #[arg(long, alias = "db-path", value_name = "DIR", env = "METASHREW_DB")]
    pub(crate) db: PathBuf,
}

/// Bytes given in hex. A type of its own because `Vec` means a repeated flag to clap.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

fn parse_hex(text: &str) -> Result<Bytes, hex::FromHexError> {
    hex::decode(text).map(Bytes)
}

/// The command line; on a mistake in it, ends the process with exit code 2.
pub(crate) fn parse() -> Cli {
    let cli = Cli::parse();
    if let Command::View(view) = &cli.command
        && view.source().is_none()
    {
        Cli::command()
            .error(
                ErrorKind::MissingRequiredArgument,
                "either --url, or --db and --indexer are needed",
            )
            .exit();
    }
    cli
}

/// Whom `metashrew view` asks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ViewSource<'a> {
    Server { url: &'a str },
    Database { db: &'a Path, indexer: &'a Path },
}

impl View {
    /// A server goes before a database: the variables of a database may be set for
    /// other commands.
    pub(crate) fn source(&self) -> Option<ViewSource<'_>> {
        if let Some(url) = &self.url {
            return Some(ViewSource::Server { url });
        }
        Some(ViewSource::Database {
            db: self.db.as_deref()?,
            indexer: self.indexer.as_deref()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
