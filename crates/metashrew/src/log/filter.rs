//! What `--log` takes: a level for our own lines, and levels for targets.

use std::ffi::OsStr;
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::parser::ValueSource;
use clap::{Arg, Command, Error};
use metashrew_runtime::nearest;
use tracing_subscriber::filter::LevelFilter;

/// What a level may be.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Which log lines are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Of our own lines; none if it is not said.
    pub(crate) level: Option<LevelFilter>,
    /// Of the targets that begin with these words, ours or a library's.
    pub(crate) targets: Vec<(String, LevelFilter)>,
    /// Parts of the variable that chose nothing.
    pub(crate) left_out: Vec<String>,
}

/// A part of a text that chooses no log lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{part}` is not a log filter: expected a level ({}), or levels of targets such as `hyper=debug`, separated by commas{}", LEVELS.join(", "), suggestion.as_ref().map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default())]
pub(crate) struct ParseFilterError {
    part: String,
    suggestion: Option<&'static str>,
}

impl FromStr for Filter {
    type Err = ParseFilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut filter = Self::default();
        parts(text).try_for_each(|part| filter.add(part))?;
        Ok(filter)
    }
}

impl Filter {
    /// As [`Filter::from_str`], but what cannot be read is left out: programs that share
    /// a variable understand different parts of it.
    fn of_variable(text: &str) -> Self {
        let mut filter = Self::default();
        for part in parts(text) {
            if filter.add(part).is_err() {
                filter.left_out.push(part.to_owned());
            }
        }
        filter
    }

    fn add(&mut self, part: &str) -> Result<(), ParseFilterError> {
        let (target, level) = match part.split_once('=') {
            Some((target, level)) => (Some(target.trim()), level.trim()),
            None => (None, part),
        };
        let refused = || ParseFilterError {
            part: part.to_owned(),
            suggestion: nearest(&level.to_lowercase(), LEVELS),
        };
        let level = parse_level(level).ok_or_else(refused)?;
        match target {
            None => self.level = Some(level),
            Some(target) if is_target(target) => self.targets.push((target.to_owned(), level)),
            Some(_) => return Err(refused()),
        }
        Ok(())
    }

    /// Warns of what was left out, once log lines are printed.
    pub(crate) fn tell_left_out(&self) {
        if !self.left_out.is_empty() {
            let parts = self.left_out.join(",");
            tracing::warn!(parts, "parts of RUST_LOG cannot be read, and are left out");
        }
    }
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(',').map(str::trim);
    parts.filter(|part| !part.is_empty())
}

/// Reads a filter: strictly, except from the variable.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FilterParser;

impl TypedValueParser for FilterParser {
    type Value = Filter;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Filter, Error> {
        let strict = |text: &str| text.parse::<Filter>();
        strict.parse_ref(command, arg, value)
    }

    fn parse_ref_(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
        source: ValueSource,
    ) -> Result<Filter, Error> {
        if source == ValueSource::EnvVariable {
            return Ok(Filter::of_variable(&value.to_string_lossy()));
        }
        self.parse_ref(command, arg, value)
    }
}

fn parse_level(text: &str) -> Option<LevelFilter> {
    // `LevelFilter` takes numbers, and nothing for `error`, too.
    let text = text.to_lowercase();
    LEVELS
        .contains(&text.as_str())
        .then(|| text.parse().ok())
        .flatten()
}

/// Whether a text may be a target: a crate, or a module in one.
fn is_target(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    text.split("::").all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_targets() {
        let check = |text: &str, level, targets: &[(&str, LevelFilter)]| {
            let filter: Filter = text.parse().unwrap();
            let targets = targets
                .iter()
                .map(|(target, level)| ((*target).to_owned(), *level));
            assert_eq!(filter.level, level, "{text}");
            assert_eq!(filter.targets, targets.collect::<Vec<_>>(), "{text}");
        };
        check("", None, &[]);
        check("warn", Some(LevelFilter::WARN), &[]);
        check("OFF", Some(LevelFilter::OFF), &[]);
        check(
            "hyper=debug, info,metashrew::guest=trace",
            Some(LevelFilter::INFO),
            &[
                ("hyper", LevelFilter::DEBUG),
                ("metashrew::guest", LevelFilter::TRACE),
            ],
        );
    }

    #[test]
    fn what_other_programs_understand_is_left_out_of_the_variable() {
        let filter = Filter::of_variable("debug,view[{a=b}]=trace, hyper=info,/pattern");
        assert_eq!(filter.level, Some(LevelFilter::DEBUG));
        assert_eq!(filter.targets, [("hyper".to_owned(), LevelFilter::INFO)]);
        assert_eq!(filter.left_out, ["view[{a=b}]=trace", "/pattern"]);
    }

    #[test]
    fn words_that_are_no_level_are_refused() {
        let check = |text: &str, expect: &str| {
            let error = text.parse::<Filter>().unwrap_err().to_string();
            assert!(error.contains(expect), "{text}: {error}");
        };
        check(
            "verbose",
            "`verbose` is not a log filter: expected a level (off, error, ",
        );
        check("wran", "; did you mean `warn`?");
        check("metashrew", "`metashrew` is not a log filter");
        check("info,hyper=loud", "`hyper=loud` is not");
        check("==", "`==` is not a log filter");
        check("=info", "`=info` is not");
        check("view[{a=b}]=debug", "is not");
        check("3", "`3` is not");
    }
}
