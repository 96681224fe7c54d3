//! What is read again after a kill is bounded, however much was committed: so a process
//! that is killed again and again gets on.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use metashrew_store::{Durability, Store, StoreOptions};

use crate::chain::{next, standard_writes};

const DIRECTORY: &str = "METASHREW_STORE_KILLED_OPENING_TEST_DIRECTORY";
const COMMITTED: &str = "committed";
/// Twenty keys a block.
const VALUE_LEN: usize = 5_000;
const BLOCKS: usize = 150;
const KILLS: usize = 5;
const OPTIONS: StoreOptions = StoreOptions {
    cache_bytes: 8 << 20,
    read_cache_bytes: 0,
    durability: Durability::Buffered,
    max_open_files: 64,
    workers: 1,
    accept_lost_commits: false,
    undone: metashrew_store::UndoneLimits {
        blocks: 10,
        bytes: 1 << 20,
    },
};
/// Twice what is written out at once with this cache, and what a batch may add to it.
const MAX_LOG_BYTES: u64 = 10 << 20;

/// The process to be killed; does nothing when it is not started by the test below.
#[test]
fn child_that_opens_and_commits() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let store = Store::open(Path::new(&directory), OPTIONS).unwrap();
    loop {
        let tip = store.snapshot().tip().copied();
        let block = next(tip.as_ref(), 0, 0);
        let writes = standard_writes(block.height, VALUE_LEN);
        store.commit(&block, &writes).unwrap();
        writeln!(std::io::stdout(), "\n{COMMITTED}").unwrap();
    }
}

/// Starts the child and kills it when it has committed so many blocks.
fn start_and_kill(directory: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "killed_opening::child_that_opens_and_commits",
            "--nocapture",
        ])
        .env(DIRECTORY, OsString::from(directory))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let report = BufReader::new(child.stdout.take().unwrap());
    let lines = report.lines().map_while(Result::ok);
    let committed = lines.filter(|line| line == COMMITTED).take(BLOCKS).count();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(committed, BLOCKS);
}

#[test]
fn a_kill_leaves_a_bounded_log() {
    let directory = tempfile::tempdir().unwrap();
    let mut tip = 0;
    for _ in 0..KILLS {
        start_and_kill(directory.path());
        let log = fs::read_dir(directory.path().join("engine/log")).unwrap();
        let bytes: u64 = log
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum();
        assert!(bytes <= MAX_LOG_BYTES, "{bytes} bytes of log");
        let store = Store::open_read_only(directory.path(), OPTIONS).unwrap();
        let height = store.snapshot().tip().unwrap().height;
        assert!(height as usize >= tip + BLOCKS - 1, "{height} after {tip}");
        tip = height as usize;
    }
    let store = Store::open(directory.path(), OPTIONS).unwrap();
    store.verify(|_, _| ()).unwrap();
}
