//! The file of a project, `metashrew.toml`: what `metashrew dev` builds, watches and shows.
//!
//! What it says becomes the defaults of that command's flags: see [`defaults`].

use std::io;
use std::path::Path;

use clap::Command;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::WatchedView;
use super::defaults::{self, ConfigError, MAX_FILE, Mistake, Setting, text_of};
use crate::bounded;

/// The file's name, in the directory that the command runs in.
const FILE: &str = "metashrew.toml";

const BUILD: &str = "build";
const DEV: &str = "dev";
const VIEWS: &str = "views";

/// The keys of the table `build`, and their flags.
const OF_BUILD: [(&str, &str); 3] = [
    ("command", "build-command"),
    ("module", "module"),
    ("watch", "watch"),
];

/// The keys of the table `dev` beside `views`: each is named as its flag.
const OF_DEV: [&str; 8] = [
    "blocks",
    "regtest",
    "mine",
    "start-height",
    "checkpoint",
    "block-timeout-ms",
    "listen",
    "log-lines",
];

/// Makes what the project's file says the defaults of `dev`, if there is a file.
pub(super) fn with_file(command: Command) -> Result<Command, ConfigError> {
    let path = Path::new(FILE);
    let text = match bounded::read_text(path, MAX_FILE) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(command),
        Err(source) => {
            let path = path.to_owned();
            return Err(ConfigError::Read { path, source });
        }
    };
    apply(command, &text).map_err(|mistake| defaults::at_line(path, &text, mistake))
}

fn apply(command: Command, text: &str) -> Result<Command, Mistake> {
    defaults::apply(command, DEV, read(text)?, |flag| format!("`{flag}`"))
}

fn read(text: &str) -> Result<Vec<Setting>, Mistake> {
    let tables = defaults::parse(text)?;
    let mut settings = Vec::new();
    for (key, value) in tables.get_ref() {
        let (offset, name) = (key.span().start, key.get_ref().as_ref());
        let read = match name {
            BUILD => of_build,
            DEV => of_dev,
            _ => return Err(unknown(offset, name, [BUILD, DEV])),
        };
        let DeValue::Table(table) = value.get_ref() else {
            return Err((offset, format!("`{name}` must be a table")).into());
        };
        for (key, value) in table {
            let setting = read(key.span().start, key.get_ref(), value)?;
            settings.extend(setting.filter(|setting| !setting.values.is_empty()));
        }
    }
    Ok(settings)
}

fn unknown<'a>(offset: usize, key: &str, names: impl IntoIterator<Item = &'a str>) -> Mistake {
    let own = key.rsplit('.').next().unwrap_or(key);
    let meant = metashrew_runtime::nearest(own, names);
    Mistake {
        offset,
        what: format!("there is no setting `{key}`"),
        hint: meant.map(|name| format!("did you mean `{name}`?")),
    }
}

/// A key of the file, where it begins, and its value.
type Value<'a, 'b> = &'a Spanned<DeValue<'b>>;

fn of_build(offset: usize, name: &str, value: Value<'_, '_>) -> Result<Option<Setting>, Mistake> {
    let key = format!("{BUILD}.{name}");
    let Some((_, flag)) = OF_BUILD.iter().find(|(known, _)| *known == name) else {
        return Err(unknown(offset, &key, OF_BUILD.map(|(name, _)| name)));
    };
    let values = match (name, value.get_ref()) {
        ("watch", DeValue::Array(paths)) => {
            let paths = paths.iter();
            let paths = paths.map(|path| text_of(path.span().start, &key, path));
            paths.collect::<Result<_, _>>()?
        }
        ("watch", _) => return Err((offset, format!("`{key}` must be a list of paths")).into()),
        _ => vec![text_of(offset, &key, value)?],
    };
    Ok(Some(Setting {
        flag: (*flag).to_owned(),
        key,
        values,
        offset,
    }))
}

fn of_dev(offset: usize, name: &str, value: Value<'_, '_>) -> Result<Option<Setting>, Mistake> {
    let key = format!("{DEV}.{name}");
    let flag = name.replace('_', "-");
    let (flag, values) = if name == VIEWS {
        ("view".to_owned(), of_views(offset, &key, value)?)
    } else if OF_DEV.contains(&flag.as_str()) {
        (flag, vec![text_of(offset, &key, value)?])
    } else {
        return Err(unknown(offset, &key, OF_DEV.into_iter().chain([VIEWS])));
    };
    Ok(Some(Setting {
        flag,
        key,
        values,
        offset,
    }))
}

/// The views, each as the flag takes it.
fn of_views(offset: usize, key: &str, value: Value<'_, '_>) -> Result<Vec<String>, Mistake> {
    let DeValue::Array(views) = value.get_ref() else {
        let what = format!("`{key}` must be a list of tables, such as {{ name = \"balance\" }}");
        return Err((offset, what).into());
    };
    views.iter().map(|view| of_view(key, view)).collect()
}

fn of_view(key: &str, view: Value<'_, '_>) -> Result<String, Mistake> {
    let offset = view.span().start;
    let DeValue::Table(table) = view.get_ref() else {
        let what = format!("`{key}` must hold tables, such as {{ name = \"balance\" }}");
        return Err((offset, what).into());
    };
    let (mut name, mut input) = (None, None);
    for (part, value) in table {
        let (offset, part) = (part.span().start, part.get_ref().as_ref());
        let key = format!("{key}.{part}");
        match part {
            "name" => name = Some(text_of(offset, &key, value)?),
            "input" => input = Some(of_input(offset, &key, value)?),
            _ => return Err(unknown(offset, &key, ["name", "input"])),
        }
    }
    let Some(name) = name else {
        return Err((offset, format!("a view in `{key}` lacks its `name`")).into());
    };
    let name = WatchedView::escaped(&name);
    Ok(format!("{name}={}", input.unwrap_or_default()))
}

/// An input: text as it is, a table or a list as JSON.
fn of_input(offset: usize, key: &str, value: Value<'_, '_>) -> Result<String, Mistake> {
    match value.get_ref() {
        DeValue::Table(_) | DeValue::Array(_) => Ok(json(key, value)?.to_string()),
        _ => Ok(text_of(offset, key, value)?),
    }
}

fn json(key: &str, value: Value<'_, '_>) -> Result<serde_json::Value, Mistake> {
    let offset = value.span().start;
    Ok(match value.get_ref() {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(is_true) => (*is_true).into(),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| json(key, item));
            serde_json::Value::Array(items.collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => of_table(key, table)?,
        DeValue::Integer(_) => {
            let digits = text_of(offset, key, value)?;
            let number = serde_json::from_str::<serde_json::Number>(&digits);
            number
                .map_err(|error| (offset, format!("`{key}`: `{digits}`: {error}")))?
                .into()
        }
        DeValue::Float(_) | DeValue::Datetime(_) => {
            let what = format!("`{key}`: write it as text, as the view is to read it");
            return Err((offset, what).into());
        }
    })
}

fn of_table(key: &str, table: &DeTable<'_>) -> Result<serde_json::Value, Mistake> {
    let parts = table.iter();
    let parts = parts.map(|(name, part)| Ok((name.get_ref().to_string(), json(key, part)?)));
    let parts = parts.collect::<Result<_, Mistake>>()?;
    Ok(serde_json::Value::Object(parts))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::*;
    use crate::cli::{self, Cli, Dev};

    /// `metashrew dev` with a project's file of these lines, and these flags.
    fn dev(lines: &str, flags: &[&str]) -> Result<Dev, String> {
        let command = apply(Cli::command(), lines).map_err(|mistake| {
            let hint = mistake
                .hint
                .map_or_else(String::new, |hint| format!("; {hint}"));
            format!("{}: {}{hint}", mistake.offset, mistake.what)
        })?;
        let args = ["metashrew", "dev"].iter().chain(flags);
        let matches = command.try_get_matches_from(args);
        let matches = matches.map_err(|error| error.to_string())?;
        match Cli::from_arg_matches(&matches).unwrap().command {
            cli::Command::Dev(dev) => Ok(*dev),
            _ => panic!("not dev"),
        }
    }

    const LINES: &str = r#"
[build]
command = "make"
module = "guest.wasm"
watch = ["src", "Makefile"]

[dev]
blocks = "b.dat"
checkpoint = 1_00
block_timeout_ms = 5
views = [
    { name = "a" },
    { name = "b", input = "0x00" },
    { name = 'c=\', input = { owner = "me", ids = [1, -2], all = true } },
]
"#;

    #[test]
    fn the_file_gives_defaults_and_flags_go_before_it() {
        let of_file = dev(LINES, &[]).unwrap();
        assert_eq!(of_file.build_command.as_deref(), Some("make"));
        assert_eq!(of_file.module.as_deref(), Some(Path::new("guest.wasm")));
        assert_eq!(of_file.watch, [Path::new("src"), Path::new("Makefile")]);
        assert_eq!(
            (of_file.checkpoint, of_file.block_timeout_ms),
            (Some(100), 5)
        );
        let views: Vec<_> = of_file
            .views
            .iter()
            .map(|view| view.name.as_str())
            .collect();
        assert_eq!(views, ["a", "b", r"c=\"]);
        let input = |index: usize| crate::input::read(&of_file.views[index].input).unwrap();
        assert_eq!((&*input(0), &*input(1)), (&b""[..], &b"\0"[..]));
        let json: serde_json::Value = serde_json::from_slice(&input(2)).unwrap();
        let expected = serde_json::json!({ "owner": "me", "ids": [1, -2], "all": true });
        assert_eq!(json, expected);
        let flags = dev(
            LINES,
            &["--watch", "x", "--view", "d=@f", "--checkpoint", "7"],
        )
        .unwrap();
        assert_eq!((flags.watch.len(), flags.views.len()), (1, 1));
        assert_eq!(flags.checkpoint, Some(7));
        assert_eq!(flags.build_command.as_deref(), Some("make"));
    }

    #[test]
    fn mistakes_name_the_place_and_the_key() {
        let check = |lines: &str, expect: &str| {
            let error = dev(lines, &[]).unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        check(
            "[built]\n",
            "1: there is no setting `built`; did you mean `build`?",
        );
        check("build = 1\n", "0: `build` must be a table");
        check(
            "[build]\nmodul = \"m\"",
            "8: there is no setting `build.modul`; did you mean `module`?",
        );
        check(
            "[build]\nwatch = \"src\"",
            "`build.watch` must be a list of paths",
        );
        check(
            "[dev]\nregtest = 3",
            "`dev.regtest`: expected true or false, not `3`",
        );
        check("[dev]\nlisten = \"x\"", "`dev.listen`: ");
        check("[dev]\nspeed = 1", "there is no setting `dev.speed`");
        check(
            "[dev]\nviews = \"a\"",
            "`dev.views` must be a list of tables",
        );
        check(
            "[dev]\nviews = [{ input = \"a\" }]",
            "a view in `dev.views` lacks its `name`",
        );
        check(
            "[dev]\nviews = [{ name = \"a\", inptu = \"a\" }]",
            "there is no setting `dev.views.inptu`; did you mean `input`?",
        );
        check(
            "[dev]\nviews = [{ name = \"a\", input = [1.5] }]",
            "write it as text",
        );
        check("[dev\n", "");
    }
}
