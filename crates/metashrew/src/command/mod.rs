//! The subcommands, one file each, and how any of them ends.

mod bench;
mod blocks;
mod codegen;
mod database;
mod described;
mod dev;
mod ending;
mod fork;
mod guest;
mod halt;
mod inspect;
mod inspect_database;
mod keys;
mod logs;
mod new;
mod pending;
mod profile;
mod replay;
mod rollback;
mod running;
mod shadow;
mod source;
mod start;
mod status;
mod tail;
mod trace;
mod verify;
mod view;
mod watched;

use std::io;
use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::console::Console;
use crate::report;

/// Runs the subcommand. Exit codes: 0 done, 1 failed, 2 a mistake in the command line,
/// most of which are found before, 3 what was compared differs.
pub(crate) fn run(cli: &Cli) -> ExitCode {
    let options = cli.log_options();
    let console = Console::log(&options);
    options.filter.tell_left_out();
    let done = match &cli.command {
        Command::New(new) => new::run(new),
        Command::Dev(dev) => dev::run(dev, options.guest_lines.unwrap_or_default()),
        Command::Start(start) => start::run(start, &console),
        Command::Status(status) => status::run(status),
        Command::Logs(logs) => logs::run(logs),
        Command::Tail(tail) => tail::run(tail),
        Command::View(view) => view::run(view),
        Command::Inspect(inspect) => inspect::run(inspect),
        Command::Codegen(codegen) => codegen::run(codegen),
        Command::Keys(keys) => keys::run(keys),
        Command::Verify(verify) => verify::run(verify, &console),
        Command::Rollback(rollback) => rollback::run(rollback),
        Command::Fork(fork) => fork::run(fork),
        Command::Shadow(shadow) => shadow::run(shadow, &console),
        Command::Replay(replay) => replay::run(replay),
        Command::Trace(trace) => trace::run(trace),
        Command::Profile(profile) => profile::run(profile),
        Command::Bench(bench) => bench::run(bench, &console),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<clap::Error>() => {
            report::print_usage(&error);
            ExitCode::from(2)
        }
        // Whoever read our output has had enough of it: that is no failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if error.is::<Differs>() => ExitCode::from(3),
        Err(error) => {
            report::print(&error);
            ExitCode::FAILURE
        }
    }
}

/// Whether writing to stdout failed because nobody reads it. Commands mark such
/// errors with [`Output`].
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Output>()
        .is_some_and(|output| output.0.kind() == io::ErrorKind::BrokenPipe)
}

/// The error of a comparison that found differences, and could not print them: that it did is the outcome, also
/// where nobody reads it.
fn differs_unread(error: anyhow::Error) -> anyhow::Error {
    if is_broken_pipe(&error) {
        Differs.into()
    } else {
        error
    }
}

/// What was compared differs, as has been printed.
#[derive(Debug, thiserror::Error)]
#[error("what was compared differs")]
struct Differs;

/// Writing to stdout failed.
#[derive(Debug)]
struct Output(io::Error);

impl std::fmt::Display for Output {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "writing to standard output failed: {}", self.0)
    }
}

impl std::error::Error for Output {}
