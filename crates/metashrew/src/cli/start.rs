//! The flags of `metashrew start`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, ValueEnum, value_parser};
use metashrew_runtime::{Scope, ViewCheck};
use metashrew_server::{AllowedHosts, Cors, HeightCompat};
use metashrew_store::Durability;
use metashrew_sync::{Auth, Network};

use super::Cache;
use super::values::{self, Host, Listen, Scouts};
use super::view_mode::SettledView;
use crate::memory::Memory;
use crate::size::Size;

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

/// How to reach a node. Passwords are kept out of the help, which shows variables.
#[derive(Debug, Args)]
#[command(next_help_heading = "Node")]
pub(crate) struct NodeArgs {
    /// Where a node of Bitcoin Core answers JSON-RPC: `http://USER:PASSWORD@HOST:PORT`, or
    /// https where something in front of it speaks that [default: none, see --blocks]
    #[arg(
        long,
        alias = "daemon-rpc-url",
        value_name = "URL",
        env = "METASHREW_RPC_URL",
        hide_env_values = true,
        value_parser = values::rpc_url()
    )]
    pub(crate) rpc_url: Option<String>,

    /// How to log in [default: as the URL says]
    #[arg(
        long,
        value_name = "USER:PASSWORD",
        env = "METASHREW_AUTH",
        hide_env_values = true,
        value_parser = values::auth()
    )]
    pub(crate) auth: Option<Auth>,

    /// The file with which to log in that the node writes at every start, `.cookie` in its
    /// folder [default: none]
    #[arg(long, value_name = "FILE", env = "METASHREW_COOKIE_FILE")]
    pub(crate) cookie_file: Option<PathBuf>,

    /// A file (PEM) with the certificates to trust over https, in place of those that the machine
    /// trusts [default: none]
    #[arg(long, value_name = "FILE", env = "METASHREW_RPC_CA")]
    pub(crate) rpc_ca: Option<PathBuf>,

    /// Take blocks by REST, on the same port, where the node has it on (`-rest`): faster than RPC
    #[arg(long, env = "METASHREW_REST", value_parser = BoolishValueParser::new())]
    pub(crate) rest: bool,

    /// The node's folder of block files, `blocks` in its own; blocks are read from there where they
    /// are [default: none]
    #[arg(long, value_name = "DIR", env = "METASHREW_BLOCKS_DIR")]
    pub(crate) blocks_dir: Option<PathBuf>,

    /// The network the blocks must be of: `main`, `testnet3`, `testnet4`, `signet` or `regtest`
    /// [default: any]
    #[arg(long, value_name = "NAME", env = "METASHREW_NETWORK")]
    pub(crate) network: Option<Network>,

    /// What the frames in the block files of another network begin with, 8 digits
    /// [default: as --network says]
    #[arg(
        long,
        value_name = "HEX",
        env = "METASHREW_MAGIC",
        value_parser = values::parse_magic
    )]
    pub(crate) magic: Option<Network>,
}

/// How a node's chain is followed at its tip.
#[derive(Debug, Args)]
#[command(next_help_heading = "Node")]
pub(crate) struct Following {
    /// Where the node publishes new blocks (`-zmqpubhashblock`), such as `tcp://127.0.0.1:28332`
    /// [default: none, the node is polled]
    #[arg(
        long,
        value_name = "ENDPOINT",
        env = "METASHREW_ZMQ",
        value_parser = values::parse_zmq
    )]
    pub(crate) zmq: Option<String>,

    /// How often the node is asked for new blocks at its tip, in milliseconds
    /// [default: 1000; 10000 with --zmq]
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_POLL_INTERVAL_MS",
        value_parser = value_parser!(u64).range(1..)
    )]
    pub(crate) poll_interval_ms: Option<u64>,

    /// How long the block `pending` is used before the node is asked again what it would mine
    /// next, in milliseconds; at every new block it is asked anyway, but only once a call is about
    /// that block. 0 for no such block
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_PENDING_INTERVAL_MS",
        default_value_t = 5_000
    )]
    pub(crate) pending_interval_ms: u64,

    /// How long the guest may take to execute the block `pending`, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_PENDING_TIMEOUT_MS",
        value_parser = value_parser!(u64).range(1..),
        default_value_t = 60_000
    )]
    pub(crate) pending_timeout_ms: u64,
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
    pub(crate) listen: Listen,

    /// Replaces the host in --listen
    #[arg(long, value_name = "HOST", env = "METASHREW_HOST")]
    pub(crate) host: Option<Host>,

    /// Replaces the port in --listen
    #[arg(long, value_name = "PORT", env = "METASHREW_PORT")]
    pub(crate) port: Option<u16>,

    /// Which names requests may give as their host, separated by commas, besides the one in
    /// --listen, those of this machine and addresses; `*` for any [default: none]
    ///
    /// A web page can have its own name point at this server; requests for other names are refused.
    #[arg(long, value_name = "NAMES", env = "METASHREW_ALLOWED_HOST")]
    pub(crate) allowed_host: Option<AllowedHosts>,

    /// Which web pages may call: `*`, `localhost`, `off`, or origins separated by commas, such as
    /// `https://example.org` or `moz-extension://…`
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
        value_parser = values::height_compat(),
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

    /// The memory of all requests together, from the first byte of their bodies to the last one of
    /// their answers, in bytes, or with a suffix such as MiB; the first 16 KiB of each are free
    /// [default: 512MiB, or an eighth of the memory that the process may have if that is less]
    #[arg(long, value_name = "SIZE", env = "METASHREW_REQUEST_MEMORY")]
    pub(crate) request_memory: Option<Size>,

    /// How long a request waits for room in --request-memory, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_REQUEST_WAIT_MS",
        default_value_t = 10_000
    )]
    pub(crate) request_wait_ms: u64,

    /// How many requests may be answered at a time; more are refused with HTTP 429
    #[arg(
        long,
        value_name = "COUNT",
        env = "METASHREW_MAX_REQUESTS",
        default_value = "1024"
    )]
    pub(crate) max_requests: NonZeroUsize,

    /// How many connections may be open; where there are as many, the one that has been idle for
    /// longest is closed for a new one [default: half of the file descriptors that the process may
    /// have, as many as take an eighth of its memory, and 10000 at most]
    #[arg(long, value_name = "COUNT", env = "METASHREW_MAX_CONNECTIONS")]
    pub(crate) max_connections: Option<NonZeroUsize>,

    /// How long a connection may be idle, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_IDLE_TIMEOUT_MS",
        value_parser = value_parser!(u64).range(1..),
        default_value_t = 120_000
    )]
    pub(crate) idle_timeout_ms: u64,

    /// How long a client may take for the head of a request, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_HEAD_TIMEOUT_MS",
        value_parser = value_parser!(u64).range(1..),
        default_value_t = 30_000
    )]
    pub(crate) head_timeout_ms: u64,

    /// How long a client may send less of a body than --body-min-rate says, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_BODY_TIMEOUT_MS",
        value_parser = value_parser!(u64).range(1..),
        default_value_t = 30_000
    )]
    pub(crate) body_timeout_ms: u64,

    /// How much of a body has to come in a second, in bytes, or with a suffix such as KiB
    #[arg(
        long,
        value_name = "SIZE",
        env = "METASHREW_BODY_MIN_RATE",
        default_value = "1KiB"
    )]
    pub(crate) body_min_rate: Size,

    /// How long a client may read nothing of its answer, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_SEND_TIMEOUT_MS",
        value_parser = value_parser!(u64).range(1..),
        default_value_t = 30_000
    )]
    pub(crate) send_timeout_ms: u64,

    /// How often something is sent over a WebSocket or an event stream that is silent otherwise, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_HEARTBEAT_MS",
        value_parser = value_parser!(u64).range(1..),
        default_value_t = 20_000
    )]
    pub(crate) heartbeat_ms: u64,

    /// How many calls a batch may hold
    #[arg(
        long,
        value_name = "CALLS",
        env = "METASHREW_MAX_BATCH",
        default_value_t = 1000
    )]
    pub(crate) max_batch: usize,

    /// How many calls of a batch or a multicall run at a time [default: the number of cores]
    #[arg(long, value_name = "COUNT", env = "METASHREW_BATCH_PARALLEL")]
    pub(crate) batch_parallel: Option<NonZeroUsize>,

    /// How many subscriptions there may be
    #[arg(
        long,
        value_name = "COUNT",
        env = "METASHREW_MAX_SUBSCRIPTIONS",
        default_value_t = 4096
    )]
    pub(crate) max_subscriptions: usize,

    /// How many subscriptions one connection may have
    #[arg(
        long,
        value_name = "COUNT",
        env = "METASHREW_MAX_SUBSCRIPTIONS_PER_CONNECTION",
        default_value_t = 256
    )]
    pub(crate) max_subscriptions_per_connection: usize,

    /// Memory for what subscriptions keep: prefixes, inputs of views, and what views read
    #[arg(
        long,
        value_name = "SIZE",
        env = "METASHREW_SUBSCRIPTION_MEMORY",
        default_value = "64MiB"
    )]
    pub(crate) subscription_memory: Size,

    /// How much of --max-subscriptions, of --subscription-memory and of the connections for
    /// WebSockets and event streams one client's address may have, in percent; 100 for all
    #[arg(
        long,
        value_name = "PERCENT",
        env = "METASHREW_CLIENT_SHARE",
        value_parser = value_parser!(u8).range(1..=100),
        default_value_t = 50
    )]
    pub(crate) client_share: u8,

    /// Memory for the keys that recent blocks wrote, kept for subscriptions, and as much for the
    /// answers of subscribed views
    #[arg(
        long,
        value_name = "SIZE",
        env = "METASHREW_SUBSCRIPTION_CACHE",
        default_value = "32MiB"
    )]
    pub(crate) subscription_cache: Size,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnHalt {
    /// Go on answering views
    Serve,
    /// End with exit code 1
    Exit,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Views")]
#[allow(clippy::struct_field_names, reason = "fields are named as their flags")]
pub(crate) struct Views {
    /// Answer every view from a fresh instance
    #[arg(long, env = "METASHREW_NO_STATEFUL_VIEWS", value_parser = BoolishValueParser::new())]
    pub(crate) no_stateful_views: bool,

    /// How many calls may be under way at a time; 1 serialises them [default: 64 for each core, at
    /// most 1024]
    #[arg(long, value_name = "COUNT", env = "METASHREW_VIEW_INSTANCES")]
    pub(crate) view_instances: Option<NonZeroUsize>,

    /// How many calls may wait to run; more are refused as busy
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
        value_parser = values::view_scope(),
        default_value = "auto"
    )]
    pub(crate) view_scope: Scope,

    /// What to do about a view that answers from what earlier calls left in its memory, where a
    /// fresh instance answers otherwise; some calls are run again to find such views
    #[arg(
        long,
        value_name = "WHAT",
        env = "METASHREW_VIEW_CHECK",
        value_parser = values::view_check(),
        default_value = "warn"
    )]
    pub(crate) view_check: ViewCheck,

    /// Settles how one view runs: `fresh`, each call on an instance of its own, or `stateful`, on
    /// instances that persist; it is not checked then [default: none is settled]
    ///
    /// May be given several times, or with several views separated by commas.
    #[arg(
        long = "view-mode",
        value_name = "VIEW=MODE",
        env = "METASHREW_VIEW_MODE",
        value_delimiter = ',',
        action = ArgAction::Append
    )]
    pub(crate) view_modes: Vec<SettledView>,

    /// How long a view may run, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_VIEW_TIMEOUT_MS",
        value_parser = value_parser!(u64).range(1..),
        default_value_t = 10_000
    )]
    pub(crate) view_timeout_ms: u64,

    /// How long a call may wait to run, for memory, or for its session's turn, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_VIEW_MAX_WAIT_MS",
        value_parser = value_parser!(u64).range(1..),
        default_value_t = 10_000
    )]
    pub(crate) view_max_wait_ms: u64,

    /// How many sessions may be known at a time; a new one more is refused
    #[arg(
        long,
        value_name = "COUNT",
        env = "METASHREW_VIEW_SESSIONS",
        default_value_t = 65_536
    )]
    pub(crate) view_sessions: usize,

    /// The memory of all instances together, in bytes, or with a suffix such as MiB [default: 1GiB,
    /// or a quarter of the memory that the process may have if that is less]
    #[arg(long, value_name = "SIZE", env = "METASHREW_VIEW_MEMORY_BUDGET")]
    pub(crate) view_memory_budget: Option<Size>,

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
