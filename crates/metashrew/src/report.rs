//! Errors on stderr: what failed, why, and what to do about it.

use std::io::Write;

use anyhow::Error;
use metashrew_runtime::{GuestFault, LoadError, NotRecorded, ViewError};
use metashrew_server::ServerError;
use metashrew_store::{ClaimError, ForkError, OpenError, OtherGuest, ResolveError};
use metashrew_sync::IndexError;

use crate::cli::ConfigError;
use crate::printable;

/// Prints a mistake in the command line, as those found by its parser are printed.
pub(crate) fn print_usage(error: &Error) {
    if let Some(error) = error.downcast_ref::<clap::Error>() {
        // Nothing is left to be done if stderr is gone.
        let _ = error.print();
    }
}

/// Prints `error:`, its causes, and a `hint:` if there is one.
pub(crate) fn print(error: &Error) {
    let mut stderr = anstream::stderr().lock();
    // Nothing is left to be done if stderr is gone.
    let _ = write!(stderr, "{}", render(error));
}

fn render(error: &Error) -> String {
    let red = clap::builder::styling::AnsiColor::Red.on_default().bold();
    let cyan = clap::builder::styling::AnsiColor::Cyan.on_default().bold();
    // A cause may quote a guest, a node or a server.
    let shown = |error: &dyn std::fmt::Display| printable::lines(&error.to_string()).into_owned();
    let mut lines = vec![format!("{red}error{red:#}: {}\n", shown(error))];
    for cause in error.chain().skip(1) {
        lines.push(format!("  caused by: {}\n", shown(&cause)));
    }
    if let Some(hint) = hint(error) {
        lines.push(format!("\n{cyan}hint{cyan:#}: {hint}\n"));
    }
    lines.concat()
}

/// Advice, for the errors that a user can do something about.
fn hint(error: &Error) -> Option<String> {
    if let Some(ConfigError::Line { hint, .. }) = error.downcast_ref() {
        return hint.clone();
    }
    error.chain().find_map(|cause| {
        cause
            .downcast_ref()
            .and_then(of_open)
            .or_else(|| cause.downcast_ref().and_then(of_server))
            .or_else(|| cause.downcast_ref().and_then(of_load))
            .or_else(|| cause.downcast_ref().and_then(of_view))
            .or_else(|| cause.downcast_ref().and_then(of_block_name))
            .or_else(|| cause.downcast_ref().and_then(hint_of_indexing))
            .or_else(|| cause.downcast_ref().and_then(of_fork))
            .or_else(|| cause.downcast_ref().map(of_other_guest))
            .or_else(|| cause.downcast_ref().map(of_not_recorded))
            .map(str::to_owned)
    })
}

fn of_open(error: &OpenError) -> Option<&'static str> {
    match error {
        OpenError::Locked { .. } => Some(
            "ask the server that holds it, with `metashrew view --url`, or stop that process first",
        ),
        OpenError::NotFound { .. } => {
            Some("`metashrew start` creates a database; is --db the one it was given?")
        }
        OpenError::LostCommits { .. } => Some(
            "the disk or a copy lost data: `metashrew verify --accept-lost-commits` checks what is left, and lets `metashrew start` go on from there",
        ),
        _ => None,
    }
}

fn of_not_recorded(_: &NotRecorded) -> &'static str {
    "another guest reads other keys: pack the block with this one, where the database is, with `metashrew replay make`"
}

fn of_server(error: &ServerError) -> Option<&'static str> {
    let ServerError::Bind { source, .. } = error;
    match source.kind() {
        std::io::ErrorKind::AddrInUse => {
            Some("another process listens there: choose another address with --listen")
        }
        std::io::ErrorKind::PermissionDenied => {
            Some("ports below 1024 need a privilege: choose a higher one with --listen")
        }
        std::io::ErrorKind::AddrNotAvailable => {
            Some("this machine has no such address: 0.0.0.0 stands for all that it has")
        }
        _ => None,
    }
}

fn of_load(error: &LoadError) -> Option<&'static str> {
    match error {
        LoadError::Invalid(_) | LoadError::MissingExport { .. } | LoadError::Import(_) => {
            Some("`metashrew inspect` tells what the file is")
        }
        _ => None,
    }
}

fn of_view(error: &ViewError) -> Option<&'static str> {
    match error {
        ViewError::NoSuchView { .. } => Some("`metashrew inspect` lists the guest's views"),
        // It stands in for its cause, which is therefore not met by itself.
        ViewError::Block(error) => of_block_name(error),
        _ => None,
    }
}

fn of_block_name(error: &ResolveError) -> Option<&'static str> {
    match error {
        ResolveError::Empty => Some("`metashrew start` indexes blocks into a database"),
        _ => None,
    }
}

fn of_fork(error: &ForkError) -> Option<&'static str> {
    match error {
        ForkError::Exists { .. } => {
            Some("give --to a name that is not taken, or remove what is there")
        }
        ForkError::Inside { .. } => Some("give --to a directory beside the database"),
        ForkError::InTheWay { .. } => Some("give --to another name, or move that away"),
        ForkError::Empty => of_block_name(&ResolveError::Empty),
        // It stands in for its cause, which is therefore not met by itself.
        ForkError::Open(OpenError::Locked { .. }) => Some(
            "its tables cannot be linked to --to, as on another file system, and copying them takes long: give --to a directory on the same file system, or stop that process first",
        ),
        ForkError::Open(error) => of_open(error),
        _ => None,
    }
}

fn of_other_guest(error: &OtherGuest) -> &'static str {
    if error.is_fork {
        return "give the guest that the fork was made for. `--accept-guest-change` goes on with the other one";
    }
    "give the guest that wrote it. `--accept-guest-change` goes on with the other one, which is right only if the blocks so far would come out the same with it; else index again, into a new `--db`"
}

/// Advice about indexing that has halted.
pub(crate) fn hint_of_indexing(error: &IndexError) -> Option<&'static str> {
    match error {
        IndexError::Guest {
            source: GuestFault::NoFlush,
            ..
        } => Some(
            "a guest must call `__flush` for every block, with an empty list if there is nothing to write",
        ),
        IndexError::Guest { .. } => Some(
            "every machine fails here with this guest: fix the guest, and `metashrew start --accept-guest-change` goes on from this block. That is right only if the blocks before come out the same with the new guest; else index again, into a new `--db`",
        ),
        IndexError::Claim(ClaimError::OtherNetwork { .. }) => Some(
            "give a node or files of the database's network, or index the other network into a new `--db`",
        ),
        IndexError::Claim(ClaimError::OtherFirst { .. }) => {
            Some("leave out `--start-height`, or index into a new `--db`")
        }
        // It stands in for its cause, which is therefore not met by itself.
        IndexError::Claim(ClaimError::OtherGuest(error)) => Some(of_other_guest(error)),
        IndexError::ExitBelowFirst { .. } => Some(
            "give `--exit-at` a height that is indexed, or begin lower, with `--start-height` or other blocks",
        ),
        IndexError::NothingToIndex(_) => {
            Some("give blocks that reach the height to begin at, or a lower `--start-height`")
        }
        IndexError::Stuck { .. } => Some(
            "the disk does not answer, or hardly: look into the system's log. Nothing that was committed is lost; `metashrew start` goes on after the last block",
        ),
        IndexError::TooDeep { .. } => Some(
            "a larger `--reorg-horizon` lets `metashrew start` follow it; or index the node's chain into a new `--db`",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_and_hints_follow_the_error() {
        let error = Error::new(ResolveError::Empty).context("the view cannot be asked");
        let plain = anstream::adapter::strip_str(&render(&error)).to_string();
        assert_eq!(
            plain,
            "error: the view cannot be asked\n  caused by: no block is indexed yet\n\n\
             hint: `metashrew start` indexes blocks into a database\n"
        );
        let error = Error::msg("plain");
        let plain = anstream::adapter::strip_str(&render(&error)).to_string();
        assert_eq!(plain, "error: plain\n");
    }
}
