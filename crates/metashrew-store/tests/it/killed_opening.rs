//! A process that is killed again and again, most often before it has replayed the
//! engine's journals, gets on all the same.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use metashrew_store::{Durability, Store, StoreOptions};

use crate::chain::{commit_standard, next, standard_writes};
use crate::tree;

const DIRECTORY: &str = "METASHREW_STORE_KILLED_OPENING_TEST_DIRECTORY";
const OPENED: &str = "opened";
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
    writeln!(std::io::stdout(), "\n{OPENED}").unwrap();
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

/// Kills the child; says whether it had committed a block.
fn kill(mut child: Child) -> bool {
    child.kill().unwrap();
    child.wait().unwrap();
    let Some(report) = child.stdout.take() else {
        return false;
    };
    let mut lines = BufReader::new(report).lines().map_while(Result::ok);
    lines.any(|line| line == COMMITTED)
}

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "a test needs to know when to kill"
)]
fn a_process_killed_while_it_opens_gets_on() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        durability: Durability::Buffered,
        ..StoreOptions::default()
    };
    let store = Store::open(directory.path(), options).unwrap();
    let before = commit_standard(&store, BLOCKS, VALUE_LEN).height;
    drop(store);

    // How long an undisturbed start takes, on a copy.
    let copy = tempfile::tempdir().unwrap();
    tree::copy(directory.path(), copy.path());
    let start_of_opening = Instant::now();
    let mut child = start(copy.path());
    let report = BufReader::new(child.stdout.take().unwrap());
    assert!(
        report
            .lines()
            .map_while(Result::ok)
            .any(|line| line == OPENED)
    );
    let undisturbed = start_of_opening.elapsed();
    kill(child);

    let mut random = 7_u32;
    let mut kills = 0;
    let mut has_committed = false;
    while !has_committed {
        kills += 1;
        assert!(kills < KILLS, "no block was committed in {kills} starts");
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let child = start(directory.path());
        // At most two thirds of what an undisturbed start takes.
        std::thread::sleep(undisturbed.mul_f64(f64::from(random >> 16) / 65_536.0 * 2.0 / 3.0));
        has_committed = kill(child);
    }
    let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
    assert!(store.snapshot().tip().unwrap().height > before);
    store.verify(|_, _| ()).unwrap();
}
