//! The flags of commands that run one block or one view and watch it: `metashrew trace` and
//! `metashrew profile`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, value_parser};

use super::{Input, ReplayedBlock};

/// What is run. What is needed of it is checked once all is read.
#[derive(Debug, Args)]
pub(crate) struct Watched {
    #[command(flatten)]
    pub(crate) block: ReplayedBlock,

    /// Run this view instead of a block; --height is the block that it is asked about then [default:
    /// latest]
    #[arg(long, value_name = "NAME", conflicts_with = "bundle")]
    pub(crate) view: Option<String>,

    /// The view's input: `0x…` is hex, `@FILE` a file's content (`@-` standard input), anything else
    /// text [default: none]
    #[arg(requires = "view")]
    pub(crate) input: Option<Input>,

    /// Run the block of this file, which `replay make` wrote, without a database
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,

    /// How long it may run, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        value_parser = value_parser!(u64).range(1..),
        default_value_t = 60_000
    )]
    pub(crate) timeout_ms: u64,
}

/// Print all that one block or one view asks of the host, as it happens: reads, ranges, writes, logs
///
/// Each line tells when it happened, how long the host took, and which of the guest's functions
/// asked; keys are shown by the tables that the guest tells of. Sums by function follow. A block
/// comes from a node (--rpc-url), from files (--blocks) or from a file of `replay make` (--bundle).
/// Nothing is committed. If the guest fails, the trace ends with that, and the exit code is 1.
#[derive(Debug, Args)]
pub(crate) struct Trace {
    #[command(flatten)]
    pub(crate) watched: Watched,

    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,

    /// How many bytes of a value to show
    #[arg(long, value_name = "BYTES", default_value_t = 32)]
    pub(crate) max_value: usize,
}

/// Write a profile of one block or one view, to be opened at <https://profiler.firefox.com>
///
/// It shows in which of the guest's functions the time goes, and in which of the host's. A block
/// comes from a node (--rpc-url), from files (--blocks) or from a file of `replay make` (--bundle).
/// Nothing is committed. A guest that fails, or has not ended after --timeout-ms, is shown up to
/// there.
#[derive(Debug, Args)]
pub(crate) struct Profile {
    #[command(flatten)]
    pub(crate) watched: Watched,

    /// The file to write; one that is there is replaced
    #[arg(long, value_name = "FILE", default_value = "profile.json")]
    pub(crate) out: PathBuf,

    /// The time between two samples, in microseconds; 100 at least
    #[arg(
        long,
        value_name = "US",
        value_parser = value_parser!(u64).range(100..),
        default_value_t = 1000
    )]
    pub(crate) interval_us: u64,

    /// How many times to run it, each time on a fresh instance and the same state, so that a short one
    /// gives samples too
    #[arg(long, value_name = "COUNT", default_value = "1")]
    pub(crate) repeat: NonZeroU32,
}
