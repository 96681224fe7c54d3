//! From the arguments, the environment and the configuration file to a [`Cli`].

use std::cmp::Ordering;
use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, ColorChoice, Command as Parser, CommandFactory, Error, FromArgMatches};
use metashrew_runtime::nearest;

use super::values::ViewBlock;
use super::{
    Bench, Cli, Command, Dev, NodeArgs, Replay, ReplayBundle, Start, View, ViewSource, Watched,
    config, project,
};
use crate::memory::{self, Memory};

/// The command line, with what its configuration file adds. Ends the process on a
/// mistake in the command line, with exit code 2, and where only help is wanted.
pub(crate) fn parse() -> anyhow::Result<Cli> {
    let args = std::env::args_os().collect();
    parse_from(args).or_else(|error| match error.downcast() {
        Ok(error) => Error::exit(&error),
        Err(error) => Err(error),
    })
}

/// Mistakes in the command line are [`clap::Error`]s, others are in the
/// configuration file.
pub(super) fn parse_from(args: Vec<OsString>) -> anyhow::Result<Cli> {
    let command = without_empty_variables(Cli::command());
    let lenient = command.clone().ignore_errors(true);
    let lenient = lenient.try_get_matches_from(&args).ok();
    let colours = lenient
        .as_ref()
        .and_then(|found| found.try_get_one::<ColorChoice>("color").ok());
    let command = command.color(use_colours(colours.flatten().copied()));
    let path = lenient.as_ref().and_then(config::path);
    let command = match path {
        Some(path) => config::with_file(command, path)?,
        None => command,
    };
    let name = lenient.as_ref().and_then(ArgMatches::subcommand_name);
    let command = match name {
        Some("dev") => project::with_file(command)?,
        _ => command,
    };
    let with_usage = |error| with_usage(error, command.clone(), name);
    let matches = command
        .clone()
        .try_get_matches_from(args)
        .map_err(with_usage)?;
    let mut cli = Cli::from_arg_matches(&matches).map_err(with_usage)?;
    use_colours(Some(cli.color));
    let checked = choose_log(&mut cli, &matches).and_then(|()| {
        match (&mut cli.command, matches.subcommand()) {
            (Command::View(view), _) => check_view(view),
            (Command::Dev(dev), Some((_, matches))) => check_dev(dev, matches),
            (Command::Start(start), Some((_, matches))) => {
                choose(start, matches).and_then(|()| share_memory(start, memory::total()))
            }
            (Command::Replay(replay), Some((_, matches))) => choose_replayed(replay, matches),
            // Two databases are compared without blocks.
            (Command::Shadow(shadow), Some((_, matches))) if shadow.against.is_none() => {
                choose_blocks(&mut shadow.blocks.blocks, &mut shadow.blocks.node, matches)
            }
            (Command::Trace(trace), Some((_, matches))) => {
                choose_watched(&mut trace.watched, matches)
            }
            (Command::Profile(profile), Some((_, matches))) => {
                choose_watched(&mut profile.watched, matches)
            }
            (Command::Bench(bench), Some((_, matches))) => choose_for_bench(bench, matches),
            _ => Ok(()),
        }
    });
    checked.map_err(|(kind, what)| with_usage(Error::raw(kind, what)))?;
    Ok(cli)
}

/// An error about the command line of the command `name`, found after it was read.
pub(crate) fn usage_error(name: &str, what: impl Display) -> Error {
    let error = Error::raw(ErrorKind::ValueValidation, what);
    with_usage(error, Cli::command(), Some(name))
}

/// Remembers whether there are colours; `auto` is what the terminal and the
/// environment say.
fn use_colours(choice: Option<ColorChoice>) -> ColorChoice {
    let choice = choice.unwrap_or(ColorChoice::Auto);
    match choice {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    }
    .write_global();
    choice
}

/// An empty variable is as good as none: it is what is left of one in a file of them.
fn without_empty_variables(command: Parser) -> Parser {
    let command = command.mut_args(|arg| {
        let variable = arg.get_env().and_then(std::env::var_os);
        match variable {
            Some(value) if value.is_empty() => arg.env(None::<&str>),
            _ => arg,
        }
    });
    command.mut_subcommands(without_empty_variables)
}

/// The error with the usage of the subcommand that was meant, where it has none.
fn with_usage(mut error: Error, mut command: Parser, name: Option<&str>) -> Error {
    if !error.use_stderr() {
        return error;
    }
    command.build();
    let meant = name.and_then(|name| command.find_subcommand(name).cloned());
    let mut meant = meant.unwrap_or(command);
    suggest_flag(&mut error, &meant);
    if error.get(ContextKind::Usage).is_some() {
        return error;
    }
    if error.get(ContextKind::InvalidArg).is_none() {
        return error.format(&mut meant);
    }
    error.insert(
        ContextKind::Usage,
        ContextValue::StyledStr(meant.render_usage()),
    );
    error
}

/// Names the flag that may have been meant, where the parser knows none.
fn suggest_flag(error: &mut Error, command: &Parser) {
    let is_due = error.kind() == ErrorKind::UnknownArgument
        && error.get(ContextKind::SuggestedArg).is_none();
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg).filter(|_| is_due)
    else {
        return;
    };
    let Some(given) = given.strip_prefix("--") else {
        return;
    };
    let flags = command.get_arguments().filter_map(clap::Arg::get_long);
    if let Some(flag) = nearest(given, flags) {
        let flag = ContextValue::String(format!("--{flag}"));
        error.insert(ContextKind::SuggestedArg, flag);
    }
}

/// What is wrong, and of which kind that is.
type Mistake = (ErrorKind, String);

fn contradiction(what: impl Into<String>) -> Mistake {
    (ErrorKind::ArgumentConflict, what.into())
}

fn missing(what: &str) -> Mistake {
    (ErrorKind::MissingRequiredArgument, what.to_owned())
}

/// Flags that say how to reach a node, with their names in [`Start`].
const OF_NODE: [(&str, &str); 6] = [
    ("rest", "--rest"),
    ("zmq", "--zmq"),
    ("auth", "--auth"),
    ("cookie_file", "--cookie-file"),
    ("blocks_dir", "--blocks-dir"),
    ("rpc_ca", "--rpc-ca"),
];

fn check_view(view: &View) -> Result<(), Mistake> {
    match view.source() {
        None => Err(missing("either --url, or --db and --indexer are needed")),
        Some(ViewSource::Database { .. }) if view.height == ViewBlock::Pending => {
            Err(contradiction(
                "--height pending needs --url: only a server that follows a node has a pending block",
            ))
        }
        Some(_) => Ok(()),
    }
}

/// A guest and blocks are named; of two places for blocks, the one that goes first counts.
fn check_dev(dev: &mut Dev, matches: &ArgMatches) -> Result<(), Mistake> {
    if dev.module.is_none() {
        return Err(missing(
            "there is no `metashrew.toml` here that names the guest: run this in a project's directory, or give --module, and --build-command",
        ));
    }
    if dev.blocks.is_none() && !dev.regtest {
        return Err(missing("either --blocks or --regtest is needed"));
    }
    if dev.blocks.is_some() && dev.regtest {
        match rank(matches, "blocks").cmp(&rank(matches, "regtest")) {
            Ordering::Greater => dev.regtest = false,
            Ordering::Less => dev.blocks = None,
            Ordering::Equal => {
                return Err(contradiction("--blocks and --regtest cannot both be given"));
            }
        }
    }
    Ok(())
}

/// How strongly a flag is meant.
const FLAG: u8 = 3;

/// How strongly a value is meant: a flag before a variable, that before the
/// configuration file, that before the default.
fn rank(matches: &ArgMatches, id: &str) -> u8 {
    // Not every command has every flag.
    if matches.try_contains_id(id).is_err() {
        return 0;
    }
    match matches.value_source(id) {
        Some(ValueSource::CommandLine) => FLAG,
        Some(ValueSource::EnvVariable) => 2,
        Some(_) => 1,
        None => 0,
    }
}

/// `-v` and `-q` go from the default level: they and `--log` are two ways to say one
/// thing.
fn choose_log(cli: &mut Cli, matches: &ArgMatches) -> Result<(), Mistake> {
    if (cli.verbose, cli.quiet) == (0, 0) || cli.log.level.is_none() {
        return Ok(());
    }
    let steps = rank(matches, "verbose").max(rank(matches, "quiet"));
    match steps.cmp(&rank(matches, "log")) {
        Ordering::Greater => cli.log.level = None,
        Ordering::Less => (cli.verbose, cli.quiet) = (0, 0),
        Ordering::Equal => {
            return Err(contradiction(
                "a level in --log, and --verbose or --quiet, cannot both be given",
            ));
        }
    }
    Ok(())
}

/// Of two ways to say one thing, the one that goes first counts.
fn choose(start: &mut Start, matches: &ArgMatches) -> Result<(), Mistake> {
    if let (Some(first), Some(exit_at)) = (start.start_height, start.exit_at)
        && exit_at < first
    {
        let what = format!(
            "--exit-at {exit_at} is below --start-height {first}: nothing would be indexed"
        );
        return Err(contradiction(what));
    }
    choose_blocks(&mut start.blocks, &mut start.node, matches)
}

/// As [`choose`].
fn choose_for_bench(bench: &mut Bench, matches: &ArgMatches) -> Result<(), Mistake> {
    if let (Some(from), Some(to)) = (bench.from, bench.to)
        && to < from
    {
        let what = format!("--to {to} is below --from {from}: there would be no block");
        return Err(contradiction(what));
    }
    choose_blocks(&mut bench.blocks.blocks, &mut bench.blocks.node, matches)?;
    bench.memory = Memory::share(memory::total(), bench.asked_memory())
        .map_err(|error| (ErrorKind::ValueValidation, error.to_string()))?;
    Ok(())
}

/// The same of what says where blocks are.
fn choose_blocks(
    blocks: &mut Option<PathBuf>,
    node: &mut NodeArgs,
    matches: &ArgMatches,
) -> Result<(), Mistake> {
    let rank = |id: &str| rank(matches, id);
    if blocks.is_none() && node.rpc_url.is_none() {
        return Err(missing("either --rpc-url or --blocks is needed"));
    }
    let ranks = |first: &str, second: &str| rank(first).cmp(&rank(second));
    let both = |flags: &str| contradiction(format!("{flags} cannot both be given"));
    let order = ranks("blocks", "rpc_url");
    keep_one(order, blocks, &mut node.rpc_url).ok_or_else(|| both("--rpc-url and --blocks"))?;
    // In a variable or the configuration file they may stand for other starts.
    let typed = |(id, _): &&(&str, &str)| rank(id) == FLAG;
    if blocks.is_some()
        && let Some((_, flag)) = OF_NODE.iter().find(typed)
    {
        let what = format!("{flag} needs --rpc-url: it is about a node, and --blocks reads files");
        return Err(contradiction(what));
    }
    let order = ranks("auth", "cookie_file");
    keep_one(order, &mut node.auth, &mut node.cookie_file)
        .ok_or_else(|| both("--auth and --cookie-file"))?;
    let order = ranks("network", "magic");
    keep_one(order, &mut node.network, &mut node.magic).ok_or_else(|| both("--network and --magic"))
}

/// Checks that it is said which block is to be run, and on what.
fn choose_replayed(replay: &mut Replay, matches: &ArgMatches) -> Result<(), Mistake> {
    let (block, matches) = match (&mut replay.bundle, matches.subcommand()) {
        (None, _) => (&mut replay.block, matches),
        (Some(ReplayBundle::Make(make)), Some((_, matches))) => (&mut make.block, matches),
        _ => return Ok(()),
    };
    if block.height.is_none() || block.db.is_none() || block.indexer.is_none() {
        return Err(missing("--height, --db and --indexer are needed"));
    }
    choose_blocks(&mut block.blocks.blocks, &mut block.blocks.node, matches)
}

/// What is watched is a view of a database, the block of a bundle, or a block as of `replay`.
fn choose_watched(watched: &mut Watched, matches: &ArgMatches) -> Result<(), Mistake> {
    let block = &mut watched.block;
    if watched.bundle.is_some() {
        return Ok(());
    }
    if watched.view.is_some() {
        return match (&block.db, &block.indexer) {
            (Some(_), Some(_)) => Ok(()),
            _ => Err(missing("--db and --indexer are needed with --view")),
        };
    }
    if block.height.is_none() || block.db.is_none() || block.indexer.is_none() {
        return Err(missing(
            "--height, --db and --indexer are needed for a block, --view for a view, --bundle for a file of `replay make`",
        ));
    }
    choose_blocks(&mut block.blocks.blocks, &mut block.blocks.node, matches)
}

/// Says what each part of the process may have of `total`, all the memory there is.
fn share_memory(start: &mut Start, total: Option<u64>) -> Result<(), Mistake> {
    start.memory = Memory::share(total, start.asked_memory())
        .map_err(|error| (ErrorKind::ValueValidation, error.to_string()))?;
    Ok(())
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
