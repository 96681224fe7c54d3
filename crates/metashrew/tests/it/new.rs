//! `metashrew new`: what it writes, and what it leaves behind when it cannot.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::{fail, metashrew, project, succeed};
use crate::machine::under;

/// `metashrew new` in a directory, with this checkout's SDK.
fn new_in(directory: &Path, args: &[&str]) -> Command {
    let mut command = metashrew();
    command.arg("new").args(args).current_dir(directory);
    command.arg("--sdk").arg(project(""));
    command
}

/// What lies in a directory, hidden files too.
fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_project_has_its_name_and_the_sdk_in_its_files() {
    let place = TempDir::new().unwrap();
    let told = succeed(&mut new_in(place.path(), &["my-guest"]));
    assert!(told.starts_with("created `my-guest`\n"), "{told}");
    assert!(told.contains("\n  cd my-guest\n"), "{told}");
    assert_eq!(names(place.path()), ["my-guest"]);

    let made = place.path().join("my-guest");
    let manifest: toml::Table = read(made.join("Cargo.toml")).parse().unwrap();
    assert_eq!(manifest["package"]["name"].as_str(), Some("my-guest"));
    let core = manifest["dependencies"]["metashrew-core"]["path"].as_str();
    let expect = project("crates/metashrew-core").canonicalize().unwrap();
    assert_eq!(core, expect.to_str());
    let settings: toml::Table = read(made.join("metashrew.toml")).parse().unwrap();
    let module = settings["build"]["module"].as_str().unwrap();
    assert!(module.ends_with("/my_guest.wasm"), "{module}");

    let executable = |path: &str| {
        let metadata = std::fs::metadata(made.join(path)).unwrap();
        metadata.permissions().mode() & 0o111
    };
    assert_eq!(executable("Cargo.toml"), 0);
    assert_ne!(executable("scripts/regtest.sh"), 0);
    assert_ne!(executable(".cargo/rustc.sh"), 0);
    // Whoever may read the folder that it was made in may read it.
    assert_eq!(executable(""), 0o111);
}

/// A shell finds the command by its name, or is told its path.
#[test]
fn the_commands_to_go_on_with_work_as_they_stand() {
    let place = TempDir::new().unwrap();
    let binary = new_in(place.path(), &[]).get_program().to_owned();
    let told = succeed(new_in(place.path(), &["a"]).env("PATH", "/nowhere"));
    let path = format!("\n  {} start ", binary.to_str().unwrap());
    assert!(told.contains(&path), "{told}");

    let folder = Path::new(&binary).parent().unwrap();
    let told = succeed(new_in(place.path(), &["b"]).env("PATH", folder));
    assert!(told.contains("\n  metashrew start "), "{told}");
}

#[test]
fn the_sdk_may_be_a_repository_at_a_revision() {
    let place = TempDir::new().unwrap();
    let mut command = metashrew();
    let sdk = "https://example.org/m.git#0f0f";
    command.args(["new", "a", "--sdk", sdk]).current_dir(&place);
    succeed(&mut command);
    let manifest: toml::Table = read(place.path().join("a/Cargo.toml")).parse().unwrap();
    for section in ["dependencies", "dev-dependencies"] {
        let core = &manifest[section]["metashrew-core"];
        assert_eq!(core["git"].as_str(), Some("https://example.org/m.git"));
        assert_eq!(core["rev"].as_str(), Some("0f0f"));
        assert!(core.get("path").is_none());
    }
}

#[test]
fn an_empty_directory_is_filled_and_another_one_is_left_alone() {
    let place = TempDir::new().unwrap();
    std::fs::create_dir(place.path().join("a")).unwrap();
    succeed(&mut new_in(place.path(), &["a"]));
    let before = names(&place.path().join("a"));
    let error = fail(&mut new_in(place.path(), &["a"]), 1);
    assert!(
        error.contains("`a` is here already, and is not empty"),
        "{error}"
    );
    assert_eq!(names(&place.path().join("a")), before);

    std::fs::write(place.path().join("b"), "mine").unwrap();
    let error = fail(&mut new_in(place.path(), &["b"]), 1);
    assert!(error.contains("`b` cannot be made here"), "{error}");
    assert_eq!(read(place.path().join("b")), "mine");
    assert_eq!(names(place.path()), ["a", "b"]);
}

#[test]
fn what_fails_halfway_leaves_nothing() {
    let place = TempDir::new().unwrap();
    // Files of more than one block of 512 bytes cannot be written; the signal for that is ignored.
    let limits = "trap '' XFSZ; ulimit -f 1";
    let mut limited = under(limits, &new_in(place.path(), &["a"]));
    let error = fail(&mut limited, 1);
    assert!(error.contains("` cannot be written\n"), "{error}");
    assert_eq!(names(place.path()), [""; 0]);
}

#[test]
fn mistakes_are_told_with_what_would_be_right() {
    let place = TempDir::new().unwrap();
    for (args, expect) in [
        (&["My Guest"][..], "`my-guest` would do"),
        (&["a/b"], "`a-b` would do"),
        (&["fn"], "`my-fn` would do"),
        (&["a", "--lang", "cobol"], "possible values: "),
        (&[], "<NAME>"),
    ] {
        let error = fail(&mut new_in(place.path(), args), 2);
        assert!(error.contains(expect), "{args:?}: {error}");
    }
    for (sdk, code, expect) in [
        ("ftp://example.org", 2, "and not `ftp://`"),
        (
            "git@example.org:m",
            2,
            "did you mean `ssh://git@example.org/m`?",
        ),
        ("nowhere", 1, "`nowhere` cannot be used as the SDK"),
        (".", 1, "it has no `crates/metashrew-core`"),
    ] {
        let mut command = metashrew();
        command.args(["new", "a", "--sdk", sdk]);
        let error = fail(command.current_dir(&place), code);
        assert!(error.contains(expect), "{sdk}: {error}");
    }
    assert_eq!(names(place.path()), [""; 0]);
}
