//! Killing a process that commits, at any moment, costs no committed block.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use metashrew_store::{Store, StoreOptions};

use crate::chain::{commit_standard, hash, next, standard_writes};

const DIRECTORY: &str = "METASHREW_STORE_CRASH_TEST_DIRECTORY";
const OPENING: &str = "opening";
const VALUE_LEN: usize = 50;

/// The process to be killed; does nothing when it is not started by the test below.
#[test]
fn child_that_commits_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let mut out = std::io::stdout();
    writeln!(out, "\n{OPENING}").unwrap();
    let store = Store::open(Path::new(&directory), StoreOptions::default()).unwrap();
    for round in 0.. {
        let tip = store.snapshot().tip().copied();
        let block = next(tip.as_ref(), 0, 0);
        let writes = standard_writes(block.height, VALUE_LEN);
        store.commit(&block, &writes).unwrap();
        writeln!(out, "\ncommitted {}", block.height).unwrap();
        if round % 5 == 4 {
            store.rollback(block.height.checked_sub(2)).unwrap();
            writeln!(out, "\nrolled back").unwrap();
        }
    }
}

/// Starts the child, reads this many lines of its report, and kills it. Returns
/// the height it last reported as committed, if nothing was rolled back since.
fn kill_after(directory: &Path, lines: usize) -> Option<u32> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "crash::child_that_commits_until_it_is_killed",
            "--nocapture",
        ])
        .env(DIRECTORY, OsString::from(directory))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let report = BufReader::new(child.stdout.take().unwrap());
    let last = report
        .lines()
        .map_while(Result::ok)
        .filter(|line| line == OPENING || line == "rolled back" || line.starts_with("committed "))
        .take(lines)
        .last();
    child.kill().unwrap();
    child.wait().unwrap();
    last?.strip_prefix("committed ")?.parse().ok()
}

/// What is recorded as undone leads to a block of the chain, whose last block is at `tip`.
fn check_undone(store: &Store, tip: u32) {
    let snapshot = store.snapshot();
    assert!(snapshot.undone(&hash(0, tip)).unwrap().is_none());
    let mut expect = true;
    for height in tip + 1..tip + 4 {
        let Some(undone) = snapshot.undone(&hash(0, height)).unwrap() else {
            expect = false;
            continue;
        };
        assert!(expect, "block {height} is recorded, but not the one below");
        assert_eq!(
            (undone.height, undone.parent),
            (height, hash(0, height - 1))
        );
        let keys: Vec<_> = undone.keys().map(Result::unwrap).collect();
        let writes = standard_writes(height, VALUE_LEN);
        assert!(writes.sorted().map(|(key, _)| key).eq(&keys));
    }
}

#[test]
fn killing_the_process_costs_no_committed_block() {
    let undisturbed = Store::in_memory();
    commit_standard(&undisturbed, 200, VALUE_LEN);
    let directory = tempfile::tempdir().unwrap();
    let mut highest = 0;
    for lines in [1, 1, 2, 1, 3, 7, 6, 2, 12, 5, 1, 9] {
        let committed = kill_after(directory.path(), lines);
        let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
        let Some(tip) = store.snapshot().tip().copied() else {
            assert_eq!(committed, None);
            continue;
        };
        if let Some(committed) = committed {
            // At most the rollback that followed the reported commit is done.
            assert!(tip.height + 2 >= committed, "{tip:?} after {committed}");
        }
        let expect = undisturbed.snapshot().block(tip.height).unwrap();
        assert_eq!(Some(tip), expect);
        assert_eq!(store.verify(|_, _| ()).unwrap().tip, Some(tip));
        check_undone(&store, tip.height);
        highest = highest.max(tip.height);
    }
    assert!(highest > 5, "the child got no further than {highest}");
}
