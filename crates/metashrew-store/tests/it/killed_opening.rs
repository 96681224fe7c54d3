//! A process that is killed again and again, most often before it has replayed the
//! engine's journals, gets on all the same.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use metashrew_store::{Durability, Store, StoreOptions};

use crate::chain::{commit_standard, next, standard_writes};

const DIRECTORY: &str = "METASHREW_STORE_KILLED_OPENING_TEST_DIRECTORY";
const COMMITTED: &str = "committed";
/// Twenty keys a block; the journals hold some 100 MB when the child starts.
const VALUE_LEN: usize = 1_500;
const BLOCKS: u32 = 3_500;
/// Without any progress none of these would do.
const KILLS: u32 = 120;

/// The process to be killed; does nothing when it is not started by the test below.
#[test]
fn child_that_opens_and_commits() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let store = Store::open(Path::new(&directory), StoreOptions::default()).unwrap();
    loop {
        let tip = store.snapshot().tip().copied();
        let block = next(tip.as_ref(), 0, 0);
        let writes = standard_writes(block.height, VALUE_LEN);
        store.commit(&block, &writes).unwrap();
        writeln!(std::io::stdout(), "\n{COMMITTED}").unwrap();
    }
}

fn start(directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "killed_opening::child_that_opens_and_commits",
            "--nocapture",
        ])
        .env(DIRECTORY, OsString::from(directory))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What each key space names as its last version: it changes once a step of the replay
/// is kept.
fn versions(directory: &Path) -> Vec<Option<Vec<u8>>> {
    let spaces = fs::read_dir(directory.join("engine/keyspaces")).unwrap();
    let mut paths: Vec<_> = spaces.map(|space| space.unwrap().path()).collect();
    paths.sort();
    let version = |path: &PathBuf| fs::read(path.join("current")).ok();
    paths.iter().map(version).collect()
}

/// Starts the child and kills it as soon as it has left something behind; says whether
/// it had committed a block.
#[allow(
    clippy::disallowed_methods,
    reason = "the child's report is read while its files are watched"
)]
fn start_and_kill(directory: &Path) -> bool {
    let before = versions(directory);
    let mut child = start(directory);
    let report = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut lines = report.lines().map_while(Result::ok);
        lines.any(|line| line == COMMITTED)
    });
    while !reader.is_finished() && versions(directory) == before {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

#[test]
fn a_process_killed_while_it_opens_gets_on() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        durability: Durability::Buffered,
        ..StoreOptions::default()
    };
    let store = Store::open(directory.path(), options).unwrap();
    let before = commit_standard(&store, BLOCKS, VALUE_LEN).height;
    drop(store);
    let mut kills = 1;
    while !start_and_kill(directory.path()) {
        kills += 1;
        assert!(kills < KILLS, "no block was committed in {kills} starts");
    }
    assert!(kills > 1, "the replay left nothing behind on its way");
    let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
    assert!(store.snapshot().tip().unwrap().height > before);
    store.verify(|_, _| ()).unwrap();
}
