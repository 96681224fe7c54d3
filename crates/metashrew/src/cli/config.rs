//! The configuration file of `metashrew start`: its flags, under their own names.
//!
//! What the file says becomes the flags' defaults: see [`defaults`].

use std::path::PathBuf;

use clap::{ArgMatches, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::defaults::{self, ConfigError, MAX_FILE, Mistake, Setting, text_of};
use super::view_mode::mode_of;
use crate::bounded;

/// The table with the settings of views, and what their flags begin with.
const VIEWS: &str = "views";

/// The flag that settles how a view runs, and the one key in a view's own table.
const VIEW_MODE: &str = "view-mode";
const MODE: &str = "mode";

/// Makes what the configuration file says the defaults of `start`.
pub(super) fn with_file(command: Command, path: PathBuf) -> Result<Command, ConfigError> {
    let text = match bounded::read_text(&path, MAX_FILE) {
        Ok(text) => text,
        Err(source) => return Err(ConfigError::Read { path, source }),
    };
    read(&text)
        .and_then(|settings| defaults::apply(command, "start", settings, as_in_file))
        .map_err(|mistake| defaults::at_line(&path, &text, mistake))
}

/// A flag as the file would say it.
fn as_in_file(flag: &str) -> String {
    match flag.strip_prefix("view-") {
        Some(name) => format!("`{name}` in the table `{VIEWS}`"),
        None => format!("`{flag}`"),
    }
}

/// The file that flag or variable name, if `start` is meant. Whatever else is wrong
/// with the command line is found later.
pub(super) fn path(matches: &ArgMatches) -> Option<PathBuf> {
    let start = matches.subcommand_matches("start")?;
    start.try_get_one::<PathBuf>("config").ok()?.cloned()
}

fn read(text: &str) -> Result<Vec<Setting>, Mistake> {
    let table = defaults::parse(text)?;
    let mut settings = Vec::new();
    for (key, value) in table.get_ref() {
        let name = key.get_ref().as_ref();
        match value.get_ref() {
            DeValue::Table(views) if name == VIEWS => settings.extend(of_views(views)?),
            _ => settings.push(Setting {
                flag: name.replace('_', "-"),
                key: name.to_owned(),
                values: vec![text_of(key.span().start, name, value)?],
                offset: key.span().start,
            }),
        }
    }
    Ok(settings)
}

/// Settings of all views, and a table for each view that has settings of its own.
fn of_views(views: &DeTable<'_>) -> Result<Vec<Setting>, Mistake> {
    let mut settings = Vec::new();
    let mut modes = Vec::new();
    for (key, value) in views {
        let (offset, name) = (key.span().start, key.get_ref());
        match value.get_ref() {
            DeValue::Table(view) => modes.push((offset, of_view(offset, name, view)?)),
            _ => settings.push(of_all_views(offset, name, value)?),
        }
    }
    if let Some((offset, _)) = modes.first() {
        let modes: Vec<_> = modes.iter().map(|(_, mode)| mode.as_str()).collect();
        settings.push(Setting {
            flag: VIEW_MODE.to_owned(),
            key: format!("{VIEWS}.NAME.{MODE}"),
            values: vec![modes.join(",")],
            offset: *offset,
        });
    }
    Ok(settings)
}

/// What a view's own table says, as the flag takes it.
fn of_view(offset: usize, view: &str, table: &DeTable<'_>) -> Result<String, Mistake> {
    if view.is_empty() || view.contains(',') {
        let what = format!("`{VIEWS}.{view}`: no view of such a name can be settled");
        return Err((offset, what).into());
    }
    let mut mode = None;
    for (key, value) in table {
        let (offset, name) = (key.span().start, key.get_ref());
        let key = format!("{VIEWS}.{view}.{name}");
        if *name != MODE {
            return Err(Mistake {
                offset,
                what: format!("there is no setting `{key}`"),
                hint: Some(format!("a view's table has one, `{MODE}`")),
            });
        }
        let text = text_of(offset, &key, value)?;
        mode_of(&text).map_err(|what| (offset, format!("`{key}`: {what}")))?;
        mode = Some(text);
    }
    let Some(mode) = mode else {
        let what = format!("`{VIEWS}.{view}` lacks the setting `{MODE}`");
        return Err((offset, what).into());
    };
    Ok(format!("{view}={mode}"))
}

fn of_all_views(
    offset: usize,
    name: &str,
    value: &Spanned<DeValue<'_>>,
) -> Result<Setting, (usize, String)> {
    let key = format!("{VIEWS}.{name}");
    let text = text_of(offset, &key, value)?;
    let (flag, value) = match (name, text.as_str()) {
        ("enabled", "true") => ("no-stateful-views".to_owned(), "false".to_owned()),
        ("enabled", "false") => ("no-stateful-views".to_owned(), "true".to_owned()),
        ("enabled", other) => {
            let what = format!("`{key}`: expected true or false, not `{other}`");
            return Err((offset, what));
        }
        _ => (format!("view-{}", name.replace('_', "-")), text),
    };
    Ok(Setting {
        flag,
        key,
        values: vec![value],
        offset,
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::{Arg, CommandFactory};
    use metashrew_runtime::ViewMode;

    use crate::cli::parse::parse_from;
    use crate::cli::{self, Cli, Start};

    const NEEDED: &str = "indexer = \"g\"\ndb = \"d\"\n";

    /// `metashrew start` with a file of these lines, and these flags.
    fn start(lines: &str, flags: &[&str]) -> Result<Start, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{NEEDED}{lines}")).unwrap();
        let path = file.path().to_str().unwrap();
        let args = ["metashrew", "start", "--config", path];
        let args = args.iter().chain(flags).map(OsString::from).collect();
        match parse_from(args).map_err(|error| error.to_string().replace(path, "FILE"))? {
            Cli {
                command: cli::Command::Start(start),
                ..
            } => Ok(*start),
            _ => panic!("not start"),
        }
    }

    #[test]
    fn every_flag_of_start_can_stand_in_the_file() {
        let values = |arg: &Arg| match arg.get_id().as_str() {
            "no_stateful_views" | "rest" | "accept_guest_change" | "accept_less_work" => "true",
            "cache" => "\"64MiB\"",
            "durability" => "\"buffered\"",
            "view_scope" => "\"shared\"",
            "view_check" => "\"enforce\"",
            "view_modes" => "\"a=fresh,b=stateful\"",
            "height_compat" => "\"next\"",
            "on_halt" => "\"exit\"",
            "network" => "\"regtest\"",
            "magic" => "\"fabfb5da\"",
            "auth" => "\"user:password\"",
            "zmq" => "\"tcp://127.0.0.1:1\"",
            "log" => "\"debug\"",
            "listen" => "\"127.0.0.1:0\"",
            "cors" => "\"*\"",
            _ => "7",
        };
        let command = Cli::command();
        let start = command.find_subcommand("start").unwrap();
        for arg in start.get_arguments() {
            let flag = arg.get_long().unwrap();
            if ["config", "indexer", "db", "help", "version"].contains(&flag) {
                continue;
            }
            for name in [flag.to_owned(), flag.replace('-', "_")] {
                let line = format!("{name} = {}\n", values(arg));
                let text = match flag {
                    "blocks" | "rpc-url" => line.clone(),
                    _ => format!("{line}blocks = \"b\"\n"),
                };
                super::tests::start(&text, &[]).unwrap_or_else(|error| panic!("{line}: {error}"));
            }
        }
    }

    #[test]
    fn flags_go_before_the_file_and_the_file_before_defaults() {
        let lines = "blocks = \"b\"\nconfirmations = 3\nport = 9\nlog = \"warn\"\n\
                     [views]\nenabled = false\nqueue = 1_000\nmax_output = \"1KiB\"\n";
        let of_file = start(lines, &[]).unwrap();
        assert_eq!((of_file.confirmations, of_file.serving.port), (3, Some(9)));
        assert_eq!(of_file.reorg_horizon, 144);
        assert!(of_file.views.no_stateful_views);
        assert_eq!(of_file.views.view_queue, 1_000);
        assert_eq!(of_file.views.view_max_output.0, 1024);
        let flags = start(lines, &["--confirmations", "5", "--view-queue", "2"]).unwrap();
        assert_eq!((flags.confirmations, flags.views.view_queue), (5, 2));
        assert_eq!(flags.serving.port, Some(9));
    }

    #[test]
    fn views_have_tables_of_their_own_beside_the_settings_of_all() {
        let lines = "blocks = \"b\"\n[views]\nqueue = 5\n[views.balance]\nmode = \"fresh\"\n\
                     [views.\"a=b.c\"]\nmode = \"stateful\"\n";
        let modes = |flags: &[&str]| {
            let views = start(lines, flags).unwrap().views;
            assert_eq!(views.view_queue, 5);
            let modes = views.view_modes.iter();
            let modes = modes.map(|settled| (settled.view.clone(), settled.mode));
            modes.collect::<Vec<_>>()
        };
        let settled = |view: &str, mode| (view.to_owned(), mode);
        let (fresh, stateful) = (ViewMode::Fresh, ViewMode::Stateful);
        let of_file = [settled("a=b.c", stateful), settled("balance", fresh)];
        assert_eq!(modes(&[]), of_file);
        let flags = [
            "--view-mode",
            "x=fresh,y=stateful",
            "--view-mode",
            "z=fresh",
        ];
        let of_flags = [("x", fresh), ("y", stateful), ("z", fresh)];
        assert_eq!(
            modes(&flags),
            of_flags.map(|(view, mode)| settled(view, mode))
        );
    }

    #[test]
    fn a_source_given_by_flag_replaces_that_of_the_file() {
        let of_file = start("blocks = \"b\"\n", &["--rpc-url", "http://h"]).unwrap();
        assert_eq!(
            (of_file.blocks, of_file.node.rpc_url.is_some()),
            (None, true)
        );
        let of_file = start("rpc-url = \"http://h\"\n", &["--blocks", "b"]).unwrap();
        assert_eq!(
            (of_file.blocks.is_some(), of_file.node.rpc_url),
            (true, None)
        );
        let node = "rpc-url = \"http://h\"\nauth = \"a:b\"\nnetwork = \"main\"\n";
        let flags = ["--cookie-file", "c", "--magic", "fabfb5da"];
        let of_file = start(node, &flags).unwrap().node;
        assert!(of_file.auth.is_none() && of_file.cookie_file.is_some());
        assert!(of_file.network.is_none() && of_file.magic.is_some());
    }

    #[test]
    fn mistakes_name_line_and_key() {
        let check = |lines: &str, expect: &str| {
            let error = start(lines, &[]).unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        check(
            "\nspeed = 1\n",
            "line 4 of `FILE`: there is no setting `speed`",
        );
        check(
            "config = \"c\"",
            "line 3 of `FILE`: there is no setting `config`",
        );
        check(
            "[views]\nqueue = 1\nsped = 1",
            "line 5 of `FILE`: there is no setting `views.sped`",
        );
        check(
            "[node]\nrest = true",
            "line 3 of `FILE`: `node` must be text",
        );
        check("port = 99999", "line 3 of `FILE`: `port`: ");
        check("port = 1.5", "line 3 of `FILE`: `port` must be text");
        check("rest = 3", "`rest`: expected true or false, not `3`");
        check(
            "[views]\nenabled = 1",
            "`views.enabled`: expected true or false, not `1`",
        );
        check("auth = \"me\"", "`auth`: expected a user and a password");
        check(
            "[views]\nscope = \"none\"",
            "line 4 of `FILE`: `views.scope`: ",
        );
        check(
            "[views.balance]\nmode = \"frehs\"",
            "line 4 of `FILE`: `views.balance.mode`: `frehs` is not one of its values: fresh, \
             stateful; did you mean `fresh`?",
        );
        check(
            "[views.balance]\nqueue = 1",
            "line 4 of `FILE`: there is no setting `views.balance.queue`",
        );
        check(
            "[views.balance]",
            "line 3 of `FILE`: `views.balance` lacks the setting `mode`",
        );
        check(
            "[views.\"a,b\"]\nmode = \"fresh\"",
            "line 3 of `FILE`: `views.a,b`: no view of such a name can be settled",
        );
        check(
            "view-mode = \"balance\"",
            "line 3 of `FILE`: `view-mode`: expected a view and how it runs",
        );
        check("port = = 1", "line 3 of `FILE`: ");
        check("", "either --rpc-url or --blocks is needed");
        check(
            "blocks = \"b\"\nrpc-url = \"u\"",
            "--rpc-url and --blocks cannot both be given",
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let args = ["metashrew", "start", "--config", "/no/such"];
        let error = parse_from(args.iter().map(OsString::from).collect()).unwrap_err();
        let expect = "the configuration file `/no/such` cannot be read";
        assert_eq!(error.to_string(), expect);
    }
}
