//! Faults of the machine, caused by its own limits: commits fail while they last, and
//! go on in the same process when they pass.
#![cfg(unix)]

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use metashrew_store::{ErrorKind, Snapshot, Store, StoreOptions};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::chain::{commit_standard, next, standard_writes};
use crate::tree;

const DIRECTORY: &str = "METASHREW_STORE_FAULT_TEST_DIRECTORY";
const FAULT: &str = "METASHREW_STORE_FAULT_TEST_FAULT";
const OPENED_DIRECTORY: &str = "METASHREW_STORE_FAULT_TEST_OPENED_DIRECTORY";
/// So many blocks leave a log to be read.
const LONG: u32 = 40;
const VALUE_LEN: usize = 30_000;
/// Blocks before the fault, and behind it.
const BEFORE: u32 = 20;
const AFTER: u32 = 60;
/// No fault lets more blocks through than this.
const DURING: u32 = 400;

/// Something done to the process, or to its directory.
type Act = fn(&Path);

/// The process that suffers; does nothing when it is not started by a test below.
#[test]
fn child_that_commits_through_a_fault() {
    let (Some(directory), Some(fault)) = (std::env::var_os(DIRECTORY), std::env::var_os(FAULT))
    else {
        return;
    };
    let path = Path::new(&directory);
    let store = Store::open(path, StoreOptions::default()).unwrap();
    commit_standard(&store, BEFORE, VALUE_LEN);
    let held = store.snapshot();
    // The engine that failed stays open, as no other could be.
    let reads_go_on = ["full disk", "no file"].contains(&fault.to_str().unwrap());
    let calls: (Act, Act) = match fault.to_str().unwrap() {
        "file size" => (
            |_| limit(Resource::Fsize, 100_000),
            |_| unlimit(Resource::Fsize),
        ),
        "no file" => (|_| limit(Resource::Fsize, 0), |_| unlimit(Resource::Fsize)),
        "descriptors" => (|_| use_up_descriptors(), |_| unlimit(Resource::Nofile)),
        "full disk" => (fill, |path| fs::remove_file(path.join("ballast")).unwrap()),
        other => panic!("{other}"),
    };
    let (begin, end) = calls;
    begin(path);
    let mut failures = 0;
    for _ in 0..DURING {
        let tip = store.snapshot().tip().copied();
        let block = next(tip.as_ref(), 0, 0);
        if let Err(error) = store.commit(&block, &standard_writes(block.height, VALUE_LEN)) {
            assert_eq!(error.kind(), ErrorKind::Machine, "{error:?}");
            assert!(error.is_transient());
            check_read(&held, reads_go_on);
            check_read(&store.snapshot(), reads_go_on);
            failures += 1;
            if failures == 3 {
                break;
            }
        }
    }
    assert!(failures > 0, "the fault let every commit pass");
    end(path);
    // What was written to the failed engine may have arrived: the first call finds out.
    let tip = store.rollback(Some(u32::MAX)).unwrap().unwrap();
    assert!(tip.height >= BEFORE);
    let target = tip.height + AFTER;
    let tip = commit_standard(&store, target, VALUE_LEN);
    let undisturbed = Store::in_memory();
    assert_eq!(commit_standard(&undisturbed, target, VALUE_LEN), tip);
    store.verify(|_, _| ()).unwrap();
    drop((store, held));
    let store = Store::open(path, StoreOptions::default()).unwrap();
    assert_eq!(store.snapshot().tip(), Some(&tip));
    store.verify(|_, _| ()).unwrap();
}

/// A read answers what is right, or, unless it must, says that the machine keeps it from
/// answering.
fn check_read(snapshot: &Snapshot, must_answer: bool) {
    let expect = standard_writes(0, VALUE_LEN);
    let key = b"/new/0/0";
    match snapshot.at(0).get(key) {
        Ok(found) => assert_eq!(found.unwrap().value, expect.get(key).unwrap()),
        Err(error) => assert!(error.is_transient() && !must_answer, "{error:?}"),
    }
}

/// As the one above, but it opens a database with a long log while no file can grow.
#[test]
fn child_that_opens_during_a_fault() {
    let Some(directory) = std::env::var_os(OPENED_DIRECTORY) else {
        return;
    };
    let original = tempfile::tempdir().unwrap();
    let store = Store::open(original.path(), StoreOptions::default()).unwrap();
    let expect = commit_standard(&store, LONG, VALUE_LEN);
    let path = &Path::new(&directory).join("copy");
    tree::copy_open(original.path(), path);
    drop(store);
    assert!(log_bytes(path) > 1 << 20, "the log was short");
    limit(Resource::Fsize, 4_096);
    let store = Store::open(path, StoreOptions::default()).unwrap();
    assert_eq!(store.snapshot().tip(), Some(&expect));
    check_read(&store.snapshot(), true);
    unlimit(Resource::Fsize);
    // The engine's threads may have failed by now, and the first call finds out.
    store.rollback(Some(u32::MAX)).unwrap();
    commit_standard(&store, LONG + 10, VALUE_LEN);
    store.verify(|_, _| ()).unwrap();
}

fn log_bytes(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory.join("engine/log")).unwrap();
    entries
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}

fn limit(resource: Resource, current: u64) {
    let maximum = getrlimit(resource).maximum;
    setrlimit(
        resource,
        Rlimit {
            current: Some(current),
            maximum,
        },
    )
    .unwrap();
}

fn unlimit(resource: Resource) {
    let maximum = getrlimit(resource).maximum;
    setrlimit(
        resource,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
    .unwrap();
}

/// Leaves the process no file descriptor, but for those it has open.
fn use_up_descriptors() {
    limit(Resource::Nofile, 200);
    while let Ok(file) = fs::File::open("/dev/null") {
        std::mem::forget(file);
    }
}

/// Fills the file system.
fn fill(path: &Path) {
    use std::io::Write;
    let mut ballast = fs::File::create(path.join("ballast")).unwrap();
    while ballast.write_all(&[1; 4_096]).is_ok() {}
}

/// Runs the child that commits on a directory.
fn run(directory: &Path, fault: &str, wrapper: &[&str]) {
    let variables = [(DIRECTORY, directory.as_os_str()), (FAULT, fault.as_ref())];
    start("child_that_commits_through_a_fault", &variables, wrapper);
}

/// Runs a child: its limits must not be those of other tests. A write beyond a limit is
/// not to end it by a signal.
fn start(child: &str, variables: &[(&str, &OsStr)], wrapper: &[&str]) {
    let script = "trap '' XFSZ; exec \"$@\"";
    let executable = std::env::current_exe().unwrap();
    let mut command = wrapper.to_vec();
    command.extend(["sh", "-c", script, "sh"]);
    let (program, arguments) = command.split_first().unwrap();
    let output = Command::new(program)
        .args(arguments)
        .arg(executable)
        .args(["--exact", &format!("faults::{child}"), "--nocapture"])
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn commits_go_on_after_files_could_not_grow() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), "file size", &[]);
}

#[test]
fn reads_go_on_while_no_file_can_be_written() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), "no file", &[]);
}

#[test]
fn a_long_log_is_opened_while_files_cannot_grow() {
    let directory = tempfile::tempdir().unwrap();
    let variables = [(OPENED_DIRECTORY, directory.path().as_os_str())];
    start("child_that_opens_during_a_fault", &variables, &[]);
}

#[test]
#[cfg(target_os = "linux")]
fn commits_go_on_after_descriptors_ran_out() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), "descriptors", &[]);
}

/// Needs the right to mount: says so where there is none.
#[test]
#[cfg(target_os = "linux")]
fn commits_go_on_after_the_disk_was_full() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().to_str().unwrap();
    let mount = format!("mount -t tmpfs -o size=200m tmpfs {target}");
    let may_mount = Command::new("unshare")
        .args(["-m", "sh", "-c", &mount])
        .output()
        .is_ok_and(|output| output.status.success());
    if !may_mount {
        eprintln!("skipped: this user may not mount a file system");
        return;
    }
    let script = format!("{mount} && exec \"$@\"");
    run(
        directory.path(),
        "full disk",
        &["unshare", "-m", "sh", "-c", &script, "sh"],
    );
}
