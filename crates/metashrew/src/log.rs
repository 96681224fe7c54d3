//! Log lines: which are printed, and how.

mod filter;
mod format;
mod guest_lines;

use clap::ValueEnum;
use tracing::Subscriber;
use tracing_subscriber::filter::{FilterFn, LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

pub(crate) use filter::{Filter, FilterParser};
pub(crate) use guest_lines::{GuestLine, GuestLines};

/// What guests log has this target.
pub(crate) const GUEST: &str = "metashrew::guest";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line for people: time, level, message, fields
    Text,
    /// A JSON object a line: `time`, `level`, `target`, `message`, `fields`, `spans`
    Json,
}

/// The level from which on a guest's lines are printed; they are of level `info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GuestLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<GuestLevel> for LevelFilter {
    fn from(level: GuestLevel) -> Self {
        match level {
            GuestLevel::Off => Self::OFF,
            GuestLevel::Error => Self::ERROR,
            GuestLevel::Warn => Self::WARN,
            GuestLevel::Info => Self::INFO,
            GuestLevel::Debug => Self::DEBUG,
            GuestLevel::Trace => Self::TRACE,
        }
    }
}

/// Which lines are printed, and how.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) filter: Filter,
    /// Steps of `-v`, less those of `-q`.
    pub(crate) steps: i32,
    /// None: as the filter says, else as `warn`.
    pub(crate) guest: Option<GuestLevel>,
    pub(crate) format: Format,
    /// Has what guests log instead of the log, if given.
    pub(crate) guest_lines: Option<GuestLines>,
}

/// Sends the process's log lines to `writer` from now on.
pub(crate) fn start<W>(options: &Options, colours: bool, writer: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let registry = tracing_subscriber::registry().with(targets(options));
    if let Some(lines) = &options.guest_lines {
        let registry = registry.with(lines.clone());
        let layer = layer(colours, writer);
        let others = FilterFn::new(|metadata| metadata.target() != GUEST);
        return match options.format {
            Format::Text => {
                let layer = layer.event_format(format::Text);
                registry.with(layer.with_filter(others)).init();
            }
            Format::Json => {
                let layer = layer.event_format(format::Json);
                registry.with(layer.with_filter(others)).init();
            }
        };
    }
    let layer = layer(colours, writer);
    match options.format {
        Format::Text => registry.with(layer.event_format(format::Text)).init(),
        Format::Json => registry.with(layer.event_format(format::Json)).init(),
    }
}

/// What writes lines, whose form is still to be chosen.
fn layer<S, W>(
    colours: bool,
    writer: W,
) -> fmt::Layer<S, format::TextFields, fmt::format::Format, W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fmt::layer()
        .with_ansi(colours)
        .with_writer(writer)
        .fmt_fields(format::TextFields)
}

/// Libraries' lines stay at `warn` unless a target asks for them: at `trace`, those of
/// the store's trees would bury ours. Those of the trees stay away altogether: whatever
/// they complain of comes back as an error, but for compactions that we end ourselves.
fn targets(options: &Options) -> Targets {
    let own = options.filter.level.unwrap_or(match options.steps {
        ..=-3 => LevelFilter::OFF,
        -2 => LevelFilter::ERROR,
        -1 => LevelFilter::WARN,
        0 => LevelFilter::INFO,
        1 => LevelFilter::DEBUG,
        2.. => LevelFilter::TRACE,
    });
    let mut targets = Targets::new()
        .with_default(own.min(LevelFilter::WARN))
        .with_target("metashrew", own)
        .with_target("lsm_tree", LevelFilter::OFF)
        .with_target(GUEST, LevelFilter::WARN.min(own))
        .with_targets(options.filter.targets.clone());
    if let Some(level) = options.guest {
        targets = targets.with_target(GUEST, level);
    } else if options.guest_lines.is_some() {
        targets = targets.with_target(GUEST, LevelFilter::INFO);
    }
    targets
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn who_logs_at_which_level() {
        let options = |filter: &str, steps, guest| Options {
            filter: filter.parse().unwrap(),
            steps,
            guest,
            format: Format::Text,
            guest_lines: None,
        };
        let check = |options: &Options, expect: [Option<Level>; 3]| {
            let targets = targets(options);
            let most = |target: &str| {
                let levels = [
                    Level::TRACE,
                    Level::DEBUG,
                    Level::INFO,
                    Level::WARN,
                    Level::ERROR,
                ];
                let mut levels = levels.into_iter();
                levels.find(|level| targets.would_enable(target, level))
            };
            let shown = [
                most("metashrew_sync::round"),
                most(GUEST),
                most("hyper::client"),
            ];
            assert_eq!(shown, expect, "{options:?}");
        };
        let warn = Some(Level::WARN);
        check(&options("", 0, None), [Some(Level::INFO), warn, warn]);
        check(&options("", 1, None), [Some(Level::DEBUG), warn, warn]);
        check(&options("", 9, None), [Some(Level::TRACE), warn, warn]);
        check(&options("", -1, None), [warn, warn, warn]);
        let error = Some(Level::ERROR);
        check(&options("", -2, None), [error, error, error]);
        check(&options("", -9, None), [None, None, None]);
        check(&options("trace", 0, None), [Some(Level::TRACE), warn, warn]);
        check(&options("off", 0, None), [None, None, None]);
        let info = Some(Level::INFO);
        check(
            &options("off", 0, Some(GuestLevel::Info)),
            [None, info, None],
        );
        check(&options("", 0, Some(GuestLevel::Off)), [info, None, warn]);
        check(
            &options("metashrew::guest=info", 0, None),
            [info, info, warn],
        );
        check(
            &options("warn,hyper=debug", 0, None),
            [warn, warn, Some(Level::DEBUG)],
        );
    }
}
