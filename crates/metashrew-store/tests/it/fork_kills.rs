//! Killed at any moment, a fork leaves nothing that passes for a database, and the next one
//! clears what it left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use metashrew_store::{ForkOptions, ForkStep, ForkWay, OpenError, Store, StoreOptions};

use crate::chain::commit_standard;
use crate::tree;

const DIRECTORY: &str = "METASHREW_STORE_FORK_TEST_DIRECTORY";
/// At which step the child ends itself; none of them waits to be killed.
const STEP: &str = "METASHREW_STORE_FORK_TEST_STEP";
const WAYS: [ForkWay; 2] = [ForkWay::Drop, ForkWay::Rewrite];
/// How the child makes it.
const WAY: &str = "METASHREW_STORE_FORK_TEST_WAY";
const AT: u32 = 10;
const STEPS: [ForkStep; 4] = [
    ForkStep::Take,
    ForkStep::Cut,
    ForkStep::Finish,
    ForkStep::Name,
];

fn options(way: ForkWay) -> ForkOptions {
    let cache_bytes = 1 << 20;
    ForkOptions {
        at: Some(AT),
        way: Some(way),
        store: StoreOptions {
            cache_bytes,
            ..StoreOptions::default()
        },
        ..ForkOptions::default()
    }
}

/// The process to be killed; does nothing when it is not started by the tests below.
#[test]
fn child_that_forks_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else {
        return;
    };
    let said = |name| std::env::var_os(name).unwrap().into_string().unwrap();
    let last = said(STEP);
    let (from, to) = (directory.join("a"), directory.join("b"));
    let way = said(WAY);
    let way = WAYS.into_iter().find(|it| format!("{it:?}") == way);
    Store::fork(&from, &to, &options(way.unwrap()), |step| {
        if format!("{step:?}") == last {
            std::process::abort();
        }
    })
    .unwrap();
}

fn child(directory: &Path, way: ForkWay, step: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let child = "fork_kills::child_that_forks_until_it_is_killed";
    command
        .args(["--exact", child])
        .env(DIRECTORY, directory)
        .env(STEP, step)
        .env(WAY, format!("{way:?}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Checks what a killed fork left beside an original that is as it was. Returns whether there
/// is a fork.
fn check(directory: &Path, before: &tree::Tree, context: &str) -> bool {
    let (from, to, beside) = (
        directory.join("a"),
        directory.join("b"),
        directory.join("b.new"),
    );
    tree::assert_same(before, &tree::read(&from), context);
    let is_whole = |path: &Path| match Store::open_read_only(path, StoreOptions::default()) {
        Err(OpenError::NotOurs { .. } | OpenError::NotFound { .. }) => false,
        store => {
            let verified = store.unwrap().verify(|_, _| ()).unwrap();
            assert_eq!(verified.tip.unwrap().height, AT, "{context}");
            true
        }
    };
    if to.exists() {
        assert!(is_whole(&to), "{context}: there is something, but no fork");
        assert!(!beside.exists(), "{context}");
        return true;
    }
    // All that can be missing, where it is a database, is its name.
    is_whole(&beside);
    false
}

fn original(directory: &Path) -> tree::Tree {
    let from = directory.join("a");
    let store = Store::open(&from, options(ForkWay::Drop).store).unwrap();
    commit_standard(&store, 60, 3_000);
    store.close().unwrap();
    drop(store);
    tree::read(&from)
}

/// Makes the fork that was killed before, and checks it.
fn make(directory: &Path, before: &tree::Tree, way: ForkWay) {
    let (from, to) = (directory.join("a"), directory.join("b"));
    Store::fork(&from, &to, &options(way), |_| ()).unwrap();
    assert!(check(directory, before, "not killed"));
    fs::remove_dir_all(to).unwrap();
}

#[test]
fn killed_at_each_step_a_fork_leaves_no_database() {
    let directory = tree::scratch();
    let before = original(directory.path());
    for way in WAYS {
        for step in STEPS {
            let step = format!("{step:?}");
            let status = child(directory.path(), way, &step).status().unwrap();
            assert!(!status.success());
            assert!(directory.path().join("b.new").exists());
            assert!(!check(directory.path(), &before, &step));
        }
        // The next one clears what they left.
        make(directory.path(), &before, way);
    }
}

#[test]
fn killed_at_any_moment_a_fork_leaves_no_database() {
    const KILLS: u64 = 40;
    let directory = tree::scratch();
    let before = original(directory.path());
    let (mut begun, mut whole) = (0, 0);
    for (kill, way) in (0..KILLS).zip(WAYS.into_iter().cycle()) {
        let mut child = child(directory.path(), way, "none").spawn().unwrap();
        std::thread::sleep(Duration::from_millis(5 + kill * 3));
        child.kill().unwrap();
        child.wait().unwrap();
        begun += u32::from(directory.path().join("b.new").exists());
        if check(directory.path(), &before, &format!("kill {kill}, {way:?}")) {
            whole += 1;
            fs::remove_dir_all(directory.path().join("b")).unwrap();
        }
    }
    eprintln!("{begun} of {KILLS} kills while a fork was made, {whole} after it");
    make(directory.path(), &before, ForkWay::Drop);
}
