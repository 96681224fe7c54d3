//! The flags that say how views run.

use std::num::NonZeroUsize;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, value_parser};
use metashrew_runtime::{Scope, ViewCheck};

use crate::cli::values;
use crate::cli::view_mode::SettledView;
use crate::size::Size;

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
