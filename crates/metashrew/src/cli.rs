//! The command line: every flag with its meaning, unit, default and variable.

mod config;
mod start;

use std::cmp::Ordering;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use metashrew_store::BlockId;

pub(crate) use start::{HeightCompat, NodeArgs, Scope, Serving, Start, Views};

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
    Status(Status),
    View(View),
    Inspect(Inspect),
    Keys(Keys),
    Verify(Verify),
    Rollback(Rollback),
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

/// Ask a running `metashrew start` how far it is, and what it is doing
///
/// Ends with exit code 0 whenever it answers, whatever it says.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Where it serves
    #[arg(
        long,
        value_name = "URL",
        env = "METASHREW_URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub(crate) url: String,

    /// Print all that it says of itself, as JSON
    #[arg(long)]
    pub(crate) json: bool,
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

/// The command line, with what its configuration file adds. Ends the process on a
/// mistake in the command line, with exit code 2, and where only help is wanted.
pub(crate) fn parse() -> anyhow::Result<Cli> {
    parse_from(std::env::args_os().collect()).or_else(|error| match error.downcast() {
        Ok(error) => clap::Error::exit(&error),
        Err(error) => Err(error),
    })
}

/// Mistakes in the command line are [`clap::Error`]s, others are in the
/// configuration file.
pub(crate) fn parse_from(args: Vec<OsString>) -> anyhow::Result<Cli> {
    let command = config::with_file(Cli::command(), &args)?;
    let matches = command.try_get_matches_from(args)?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    let checked = match (&mut cli.command, matches.subcommand()) {
        (Command::View(view), _) if view.source().is_none() => {
            Err("either --url, or --db and --indexer are needed")
        }
        (Command::Start(start), Some((_, matches))) => choose(start, matches),
        _ => Ok(()),
    };
    match checked {
        Ok(()) => Ok(cli),
        Err(what) => Err(Cli::command()
            .error(ErrorKind::MissingRequiredArgument, what)
            .into()),
    }
}

/// Of two ways to say one thing, the one that goes first counts: a flag before a
/// variable, that before the configuration file.
fn choose(start: &mut Start, matches: &ArgMatches) -> Result<(), &'static str> {
    let rank = |id| match matches.value_source(id) {
        Some(ValueSource::CommandLine) => 3,
        Some(ValueSource::EnvVariable) => 2,
        Some(_) => 1,
        None => 0,
    };
    let node = &mut start.node;
    if start.blocks.is_none() && node.rpc_url.is_none() {
        return Err("either --rpc-url or --blocks is needed");
    }
    let ranks = |first, second| rank(first).cmp(&rank(second));
    let order = ranks("blocks", "rpc_url");
    keep_one(order, &mut start.blocks, &mut node.rpc_url)
        .ok_or("--rpc-url and --blocks cannot both be given")?;
    let order = ranks("auth", "cookie_file");
    keep_one(order, &mut node.auth, &mut node.cookie_file)
        .ok_or("--auth and --cookie-file cannot both be given")?;
    let order = ranks("network", "magic");
    keep_one(order, &mut node.network, &mut node.magic)
        .ok_or("--network and --magic cannot both be given")
}

/// Drops the one of lower rank; none if the ranks are equal, and both are there.
fn keep_one<A, B>(order: Ordering, first: &mut Option<A>, second: &mut Option<B>) -> Option<()> {
    match order {
        Ordering::Greater => *second = None,
        Ordering::Less => *first = None,
        Ordering::Equal if first.is_some() && second.is_some() => return None,
        Ordering::Equal => {}
    }
    Some(())
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
