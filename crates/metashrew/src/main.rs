//! The `metashrew` command.

mod cli;
mod command;
mod console;
mod input;
mod meter;
mod report;
mod settings;
mod signals;
mod size;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run(&cli::parse())
}
