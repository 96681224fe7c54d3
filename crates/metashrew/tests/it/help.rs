//! What `--help` says. `UPDATE_SNAPSHOTS=1 cargo test -p metashrew help` rewrites
//! the snapshots after a change that is meant.

use std::path::Path;

use crate::harness::{fail, metashrew, project, succeed};

fn check(name: &str, args: &[&str]) {
    let help = succeed(metashrew().args(args));
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/snapshots")
        .join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &help).unwrap();
    }
    let expect = std::fs::read_to_string(&path).unwrap();
    assert_eq!(help, expect, "{} is not up to date", path.display());
}

#[test]
fn every_command_explains_itself() {
    check("help", &["--help"]);
    for command in [
        "new", "dev", "start", "status", "logs", "tail", "codegen", "view", "inspect", "keys",
        "verify", "rollback", "fork", "shadow", "replay", "trace", "profile", "bench",
    ] {
        check(command, &[command, "--help"]);
    }
    for command in ["make", "run"] {
        check(&format!("replay-{command}"), &["replay", command, "--help"]);
    }
    for kind in ["heads", "writes", "view", "pending"] {
        check(&format!("tail-{kind}"), &["tail", kind, "--help"]);
    }
}

/// Every flag tells its variable, and its default where it is not required.
#[test]
fn every_flag_has_a_variable_and_a_default() {
    let help = succeed(metashrew().args(["start", "--help"]));
    let (_, flags) = help.split_once("Options:").unwrap();
    let required = ["--indexer", "--db "];
    let without_default = [
        "--host",
        "--port",
        "--no-stateful-views",
        "--rest",
        "--accept-less-work",
        "--accept-guest-change",
    ];
    let without_variable = ["--help", "--version", "--verbose", "--quiet"];
    for flag in flags.split("\n      --").skip(1) {
        // Lines may break anywhere.
        let words: Vec<_> = flag.split_whitespace().collect();
        let flag = format!("--{}", words.join(" "));
        let is_one_of = |names: &[&str]| names.iter().any(|name| flag.starts_with(name));
        if is_one_of(&without_variable) {
            continue;
        }
        assert!(flag.contains("[env: "), "{flag}");
        assert!(
            flag.contains("default: ") || is_one_of(&required) || is_one_of(&without_default),
            "{flag}"
        );
    }
}

/// With the commit in brackets, where this is a checkout and git is there.
#[test]
fn the_version_is_the_crates_and_tells_the_commit() {
    let version = succeed(metashrew().arg("-V"));
    assert_eq!(
        version,
        succeed(metashrew().args(["start", "--version"])).replace("-start", "")
    );
    let plain = format!("metashrew {}", env!("CARGO_PKG_VERSION"));
    let rest = version.trim_end().strip_prefix(&plain).unwrap();
    let git = std::process::Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    match git {
        Ok(git) if git.status.success() && project(".git").exists() => {
            let commit = rest.trim_start_matches(" (").trim_end_matches(')');
            assert_eq!(rest, format!(" ({commit})"));
            assert_eq!(commit.len(), 12, "{version}");
            assert!(
                commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{version}"
            );
        }
        _ => assert_eq!(rest, ""),
    }
}

#[test]
fn mistakes_in_the_command_line_end_with_2() {
    for args in [
        &[][..],
        &["no-such-command"],
        &["start"],
        &["start", "--no-such-flag"],
        &[
            "start",
            "--indexer",
            "g",
            "--blocks",
            "b",
            "--db",
            "d",
            "--exit-at",
            "x",
        ],
        &[
            "start",
            "--indexer",
            "g",
            "--blocks",
            "b",
            "--db",
            "d",
            "--cors",
            "nonsense",
        ],
        &["view", "name"],
        &["view", "name", "--db", "d"],
        &["view", "name", "--indexer", "g"],
        &["view", "name", "--url", "u", "--height", "nonsense"],
        &["keys", "--db", "d", "--prefix", "0x0"],
        &["rollback", "--db", "d"],
    ] {
        let stderr = fail(metashrew().args(args), 2);
        assert!(
            stderr.contains("Usage:") || stderr.starts_with("error: "),
            "{args:?}: {stderr}"
        );
    }
}
