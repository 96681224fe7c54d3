//! The `metashrew` command.

mod allocator;
mod bounded;
mod cli;
mod client;
mod command;
mod console;
mod descriptors;
mod difference;
mod input;
mod log;
mod memory;
mod printable;
mod reading;
mod report;
mod settings;
mod signals;
mod size;
mod template;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::parse() {
        Ok(cli) => command::run(&cli),
        Err(error) => {
            report::print(&error);
            ExitCode::from(2)
        }
    }
}
