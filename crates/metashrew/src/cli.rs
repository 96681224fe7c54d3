//! The command line: every flag with its meaning, unit, default and variable.

mod bench;
mod blocks;
mod codegen;
mod config;
mod defaults;
mod dev;
mod fork;
mod logs;
mod new;
mod parse;
mod project;
mod project_name;
mod replay;
mod sdk;
mod server_url;
mod shadow;
mod start;
mod tail;
mod values;
mod view_mode;
mod watched;

use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, ColorChoice, Parser, Subcommand, ValueEnum};
use metashrew_store::BlockId;

use crate::log::{self, Filter, FilterParser, GuestLevel, GuestLines};
use crate::size::Size;

pub(crate) use bench::Bench;
pub(crate) use blocks::BlocksArgs;
pub(crate) use codegen::{Codegen, Language, UntoldForm};
pub(crate) use defaults::ConfigError;
pub(crate) use dev::{Dev, WatchedView};
pub(crate) use fork::Fork;
pub(crate) use logs::Logs;
pub(crate) use new::New;
pub(crate) use parse::{parse, usage_error};
pub(crate) use replay::{Replay, ReplayBundle, ReplayMake, ReplayRun, ReplayedBlock, TimeLimit};
pub(crate) use sdk::Sdk;
pub(crate) use server_url::ServerUrl;
pub(crate) use shadow::Shadow;
pub(crate) use start::{Following, NodeArgs, OnHalt, Scouting, Serving, Start, Storage, Views};
pub(crate) use tail::{AnswerForm, Follow, Subscription, Tail};
pub(crate) use values::{Bytes, Input, Listen, Scouts, ViewBlock};
pub(crate) use watched::{Profile, Trace, Watched};

/// Index Bitcoin with a WebAssembly guest and answer its views
#[derive(Debug, Parser)]
#[command(
    version = env!("METASHREW_VERSION"),
    propagate_version = true,
    args_override_self = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Which log lines to print on stderr: a level (`off`, `error`, `warn`, `info`, `debug`,
    /// `trace`), and others for targets, as in `debug,hyper=info`; lines of libraries stay at
    /// `warn` unless their target is named [default: info]
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "RUST_LOG",
        value_parser = FilterParser,
        default_value = "",
        hide_default_value = true,
        help_heading = GLOBAL
    )]
    log: Filter,

    /// From which level on to print what the guest logs; its lines are of level `info`
    /// [default: warn, so none]
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        env = "METASHREW_GUEST_LOG",
        help_heading = GLOBAL
    )]
    guest_log: Option<GuestLevel>,

    /// How log lines look
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        env = "METASHREW_LOG_FORMAT",
        default_value = "text",
        help_heading = GLOBAL
    )]
    log_format: log::Format,

    /// More log lines: -v for `debug`, -vv for `trace`; instead of --log
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = GLOBAL)]
    verbose: u8,

    /// Fewer log lines: -q for `warn`, -qq for `error`, -qqq for none; instead of --log
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = GLOBAL)]
    quiet: u8,

    /// Whether log lines, errors and help have colours; `auto`: on a terminal, unless `NO_COLOR`
    /// is set
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        env = "METASHREW_COLOR",
        default_value = "auto",
        help_heading = GLOBAL
    )]
    color: ColorChoice,
}

/// Above the flags that every command has.
const GLOBAL: &str = "Global options";

impl Cli {
    /// Which log lines are printed, and how.
    pub(crate) fn log_options(&self) -> log::Options {
        // `dev` tells its own story on stdout.
        let is_told = matches!(self.command, Command::Dev(_));
        log::Options {
            filter: self.log.clone(),
            steps: i32::from(self.verbose) - i32::from(self.quiet) - i32::from(is_told),
            guest: self.guest_log,
            format: self.log_format,
            guest_lines: is_told.then(GuestLines::default),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    New(New),
    Dev(Box<Dev>),
    Start(Box<Start>),
    Status(Status),
    Logs(Logs),
    Tail(Box<Tail>),
    View(View),
    Inspect(Inspect),
    Codegen(Codegen),
    Keys(Keys),
    Verify(Verify),
    Rollback(Rollback),
    Fork(Fork),
    Shadow(Box<Shadow>),
    Replay(Box<Replay>),
    Trace(Box<Trace>),
    Profile(Box<Profile>),
    Bench(Box<Bench>),
}

/// Ask one view, of a server or of a database that none holds open
#[derive(Debug, Args)]
pub(crate) struct View {
    /// The view's name
    pub(crate) name: String,

    /// Its input: `0x…` is hex, `@FILE` a file's content (`@-` standard input), anything else text
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) input: Input,

    /// The block to ask about: a height, a block hash, `height:hash`, `latest`, or, of a server,
    /// `pending`
    #[arg(
        long,
        value_name = "BLOCK",
        env = "METASHREW_HEIGHT",
        default_value = "latest"
    )]
    pub(crate) height: ViewBlock,

    /// The directory of the database; needs --indexer
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

    /// The guest, a WebAssembly module
    #[arg(long, value_name = "FILE", env = "METASHREW_INDEXER")]
    pub(crate) indexer: Option<PathBuf>,

    /// Answer with this guest though another one wrote the last block; right only if the blocks would
    /// have come out the same with it
    #[arg(long)]
    pub(crate) accept_guest_change: bool,

    /// Ask the server at this address instead, such as `http://127.0.0.1:8080`
    #[arg(
        long,
        value_name = "URL",
        env = "METASHREW_URL",
        hide_env_values = true,
        value_parser = values::server_url()
    )]
    pub(crate) url: Option<ServerUrl>,

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

/// Ask a running `metashrew start` how far it is, and what it is doing
///
/// Ends with exit code 0 whenever it answers, whatever it says.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) server: Serves,

    /// Print all that it says of itself, as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A running `metashrew start`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Serves {
    /// Where it serves
    #[arg(
        long,
        value_name = "URL",
        env = "METASHREW_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8080",
        value_parser = values::server_url()
    )]
    pub(crate) url: ServerUrl,
}

/// Tell what a guest imports, exports and says of itself, or what a database is
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The guest, a WebAssembly module
    #[arg(value_name = "FILE", required_unless_present = "db")]
    pub(crate) indexer: Option<PathBuf>,

    /// A database instead: its format, its network, where it begins, and which guests wrote it;
    /// whoever has it open
    #[arg(
        long,
        alias = "db-path",
        value_name = "DIR",
        conflicts_with = "indexer",
        value_parser = values::database_path()
    )]
    pub(crate) db: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print the state at a block, one JSON object a line, in the order of the keys
///
/// Each line is {"key":"0x…","value":"0x…","height":n}: the height is that of the block which wrote
/// the value. Values of zero length are included. With --indexer, keys of tables that the guest tells
/// of are {"table":"balances","key":{"owner":"0x…","token":7},…}.
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
    #[arg(long, value_name = "HEX", env = "METASHREW_PREFIX")]
    pub(crate) prefix: Option<Bytes>,

    /// Stop after so many keys [default: all]
    #[arg(long, value_name = "KEYS", env = "METASHREW_LIMIT")]
    pub(crate) limit: Option<u64>,

    /// The guest, a WebAssembly module: its `__meta` names the tables and the parts of their keys
    #[arg(long, value_name = "FILE", env = "METASHREW_INDEXER")]
    pub(crate) indexer: Option<PathBuf>,

    /// Print all keys in hex, whatever the guest tells
    #[arg(long)]
    pub(crate) raw: bool,
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

    /// The memory to sort versions in, in bytes, or with a suffix such as MiB; at least 16 MiB count
    /// [default: 256MiB, or an eighth of the memory that the process may have if that is less]
    #[arg(long, value_name = "SIZE", env = "METASHREW_VERIFY_MEMORY")]
    pub(crate) memory: Option<Size>,

    /// Where a nameless temporary file lies, as large as all keys and values ever written [default:
    /// the database's directory, or the system's if nothing can be written there]
    #[arg(long, value_name = "DIR", env = "METASHREW_TEMP_DIR")]
    pub(crate) temp_dir: Option<PathBuf>,
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

/// The memory that a command has for caches.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Cache {
    /// The memory for caches of the database, in bytes, or with a suffix such as MiB [default: a
    /// quarter of the memory that the process may have]
    #[arg(
        id = "cache",
        long,
        value_name = "SIZE",
        env = "METASHREW_CACHE",
        value_parser = values::parse_cache
    )]
    pub(crate) size: Option<Size>,
}

#[derive(Debug, Args)]
pub(crate) struct Database {
    /// The directory of the database
    #[arg(
        long,
        alias = "db-path",
        value_name = "DIR",
        env = "METASHREW_DB",
        value_parser = values::database_path()
    )]
    pub(crate) db: PathBuf,

    #[command(flatten)]
    pub(crate) cache: Cache,
}

/// Whom `metashrew view` asks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ViewSource<'a> {
    Server { url: &'a ServerUrl },
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
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
