//! What a file says as the defaults of a command's flags.
//!
//! Each setting goes through the checks of the flag that it stands for: so a flag needs to be
//! defined only once, and flags and variables go before the file.

use std::path::{Path, PathBuf};

use clap::builder::PossibleValue;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command};
use metashrew_runtime::nearest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Bytes of a configuration file at most: many times those of one with every flag.
pub(super) const MAX_FILE: u64 = 1 << 20;

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("the configuration file `{}` cannot be read", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("line {line} of `{}`: {what}", path.display())]
    Line {
        path: PathBuf,
        line: usize,
        what: String,
        /// What may have been meant.
        hint: Option<String>,
    },
}

/// What is wrong in the file, and where, in bytes.
pub(super) struct Mistake {
    pub(super) offset: usize,
    pub(super) what: String,
    pub(super) hint: Option<String>,
}

impl From<(usize, String)> for Mistake {
    fn from((offset, what): (usize, String)) -> Self {
        Self {
            offset,
            what,
            hint: None,
        }
    }
}

/// A key of the file, and what it says as a flag.
pub(super) struct Setting {
    /// The flag without its dashes.
    pub(super) flag: String,
    /// As it stands in the file, for messages.
    pub(super) key: String,
    /// More than one only for a flag that may be given several times.
    pub(super) values: Vec<String>,
    /// Where the key begins, in bytes.
    pub(super) offset: usize,
}

/// Reads the table that a text is.
pub(super) fn parse(text: &str) -> Result<Spanned<DeTable<'_>>, Mistake> {
    DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        (offset, error.message().to_owned()).into()
    })
}

/// Makes what a file says the defaults of the command `name`. `suggest` puts a flag that may
/// have been meant as the file would say it.
pub(super) fn apply(
    mut command: Command,
    name: &str,
    settings: Vec<Setting>,
    suggest: impl Fn(&str) -> String,
) -> Result<Command, Mistake> {
    for setting in settings {
        let at = |what| (setting.offset, what);
        let own = command.find_subcommand(name);
        let args = command.get_arguments();
        let args = args.chain(own.into_iter().flat_map(Command::get_arguments));
        let args: Vec<_> = args.filter(|arg| arg.get_id() != "config").collect();
        let is_meant = |arg: &&&Arg| arg.get_long() == Some(&setting.flag);
        let Some(arg) = args.iter().find(is_meant).copied().cloned() else {
            return Err(unknown(&setting, &args, suggest));
        };
        for value in &setting.values {
            check(&arg, value).map_err(|what| at(format!("`{}`: {what}", setting.key)))?;
        }
        let id = arg.get_id().clone();
        let with_default = |arg: Arg| arg.required(false).default_values(setting.values.clone());
        command = if command.get_arguments().any(|arg| *arg.get_id() == id) {
            command.mut_arg(id.as_str(), with_default)
        } else {
            command.mut_subcommand(name, |own| own.mut_arg(id.as_str(), with_default))
        };
    }
    Ok(command)
}

/// A mistake, with the line that it is in.
pub(super) fn at_line(path: &Path, text: &str, mistake: Mistake) -> ConfigError {
    let before = text.get(..mistake.offset).unwrap_or(text);
    ConfigError::Line {
        line: before.matches('\n').count() + 1,
        path: path.to_owned(),
        what: mistake.what,
        hint: mistake.hint,
    }
}

/// There is no such setting; another may have been meant.
fn unknown(setting: &Setting, args: &[&Arg], suggest: impl Fn(&str) -> String) -> Mistake {
    let flags = args.iter().filter_map(|arg| arg.get_long());
    let meant = nearest(&setting.flag, flags);
    Mistake {
        offset: setting.offset,
        what: format!("there is no setting `{}`", setting.key),
        hint: meant.map(|flag| format!("did you mean {}?", suggest(flag))),
    }
}

/// Has the flag's own parser look at the value: as a default it must be right.
fn check(arg: &Arg, value: &str) -> Result<(), String> {
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return match value {
            "true" | "false" => Ok(()),
            other => Err(format!("expected true or false, not `{other}`")),
        };
    }
    let mut alone = Arg::new("value")
        .long("value")
        .value_parser(arg.get_value_parser().clone());
    if let Some(delimiter) = arg.get_value_delimiter() {
        alone = alone.value_delimiter(delimiter).action(ArgAction::Append);
    }
    let flag = format!("--value={value}");
    let parsed = Command::new("config")
        .arg(alone)
        .try_get_matches_from(["config", &flag]);
    parsed.map(|_| ()).map_err(|error| {
        // Of a value that may be a password, the reason alone is told.
        if let Some(ContextValue::String(reason)) = error.get(ContextKind::Custom) {
            return reason.clone();
        }
        let reason = std::error::Error::source(&error).map(ToString::to_string);
        reason.unwrap_or_else(|| one_of(arg, value))
    })
}

/// That a value is none of those that a flag takes.
fn one_of(arg: &Arg, value: &str) -> String {
    let values = arg.get_possible_values();
    let names: Vec<_> = values.iter().map(PossibleValue::get_name).collect();
    let meant = nearest(value, names.iter().copied());
    let meant = meant.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
    format!(
        "`{value}` is not one of its values: {}{meant}",
        names.join(", ")
    )
}

/// A value of the file as a flag takes it.
pub(super) fn text_of(
    offset: usize,
    key: &str,
    value: &Spanned<DeValue<'_>>,
) -> Result<String, (usize, String)> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Boolean(is_true) => Ok(is_true.to_string()),
        // Digits may be grouped: 1_000.
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().replace('_', "")),
        other => {
            let found = other.type_str();
            let what = format!("`{key}` must be text, a number or true or false, not {found}");
            Err((offset, what))
        }
    }
}
