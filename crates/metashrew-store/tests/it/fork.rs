//! A fork holds what a database has that saw nothing but its blocks, and neither it nor the
//! original ever changes the other.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use metashrew_store::{
    Claim, ClaimError, ForkError, ForkOptions, ForkStep, ForkWay, Forked, GuestId, Height,
    OpenError, Store, StoreOptions,
};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::chain::{commit_standard, next, standard_writes};
use crate::model::Model;
use crate::property::{Engine, Run, any_first_height, any_step, any_writes, options};
use crate::tree;

/// With the least cache that is a flush every few blocks.
const VALUE_LEN: usize = 3_000;

fn fork(from: &Path, to: &Path, at: Option<Height>) -> Result<Forked, ForkError> {
    fork_with(from, to, at, None, None)
}

fn fork_with(
    from: &Path,
    to: &Path,
    at: Option<Height>,
    guest: Option<GuestId>,
    way: Option<ForkWay>,
) -> Result<Forked, ForkError> {
    let options = ForkOptions {
        at,
        guest,
        way,
        store: options(0),
    };
    Store::fork(from, to, &options, |_| ())
}

fn open(path: &Path) -> Store {
    Store::open(path, options(0)).unwrap()
}

fn guest(byte: u8) -> GuestId {
    GuestId {
        sha256: [byte; 32],
        name: None,
        version: None,
    }
}

/// A directory, and in it the place of a database, that of a fork, and where it is made.
fn places() -> (TempDir, PathBuf, PathBuf, PathBuf) {
    let directory = tree::scratch();
    let [from, to, beside] = ["a", "b", "b.new"].map(|name| directory.path().join(name));
    (directory, from, to, beside)
}

/// The names in a directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    /// Random commits, rollbacks and reopenings; forked at every height, while the original is
    /// open or not; each fork goes on with blocks of its own.
    #[test]
    fn a_fork_is_as_if_it_had_been_indexed_so(
        first in any_first_height(),
        steps in proptest::collection::vec(any_step(), 1..10),
        further in proptest::collection::vec(any_writes(), 1..4),
        is_open in any::<bool>(),
    ) {
        let mut run = Run::new(first, &Engine::Disk, 0);
        for step in steps {
            run.step(step);
        }
        if run.model.blocks.is_empty() {
            run.commit(further.clone(), false, false);
        }
        run.held.clear();
        let from = run.path.clone().unwrap();
        if !is_open {
            run.store = None;
        }
        let before = tree::read(&from);
        for (at, blocks) in (first..).zip(1..=run.model.blocks.len()) {
            for way in [ForkWay::Drop, ForkWay::Rewrite] {
                // On the same file system, so that tables are linked.
                let directory = tempfile::tempdir().unwrap();
                let to = directory.path().join("b");
                let forked = fork_with(&from, &to, Some(at), None, Some(way)).unwrap();
                prop_assert_eq!(forked.tip.height, at);
                let model = Model { blocks: run.model.blocks[..blocks].to_vec() };
                let mut fork = Run::over(directory, to, model);
                fork.check();
                fork.commit(further.clone(), false, false);
                fork.finish();
            }
        }
        // An open one may merge tables at any time.
        if !is_open {
            tree::assert_same(&before, &tree::read(&from), "after forks");
        }
        run.reopen();
        run.commit(further, true, true);
        run.finish();
    }
}

#[test]
fn original_and_fork_go_their_ways() {
    let (_directory, from, to, _) = places();
    let store = open(&from);
    commit_standard(&store, 60, VALUE_LEN);
    store.close().unwrap();
    drop(store);
    let before = tree::read(&from);
    let forked = fork(&from, &to, Some(50)).unwrap();
    tree::assert_same(&before, &tree::read(&from), "after a fork");
    assert!(forked.tables.linked.count > 6, "{forked:?}");
    assert_eq!(forked.tables.copied.count + forked.tables.cloned.count, 0);
    assert_eq!(names(&to), ["FORMAT", "durable", "engine", "lock"]);

    let undisturbed = Store::in_memory();
    commit_standard(&undisturbed, 200, VALUE_LEN);
    let expect = |height| undisturbed.snapshot().block(height).unwrap();
    // Each goes on, and compacts, while the other is looked at.
    for (grows, rests, last) in [(&from, &to, 50), (&to, &from, 120)] {
        let store = open(grows);
        let compactions = || store.engine_health().unwrap().compactions;
        commit_standard(&store, 120, VALUE_LEN);
        while compactions() == 0 {
            std::thread::yield_now();
        }
        store.close().unwrap();
        let resting = open(rests);
        assert_eq!(resting.verify(|_, _| ()).unwrap().tip, expect(last));
        assert_eq!(store.verify(|_, _| ()).unwrap().tip, expect(120));
    }
    // What is removed of one is not of the other.
    fs::remove_dir_all(&from).unwrap();
    assert_eq!(open(&to).verify(|_, _| ()).unwrap().tip, expect(120));
}

/// One thread commits and rolls back, and tables are written and merged all the time.
#[test]
fn a_database_that_is_being_written_is_forked() {
    let (directory, from, _, _) = places();
    let undisturbed = Store::in_memory();
    commit_standard(&undisturbed, 150, VALUE_LEN);
    let store = open(&from);
    commit_standard(&store, 20, VALUE_LEN);
    let is_over = AtomicBool::new(false);
    let mut tips = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for height in 21..=150 {
                commit_standard(&store, height, VALUE_LEN);
                if height % 10 == 0 {
                    store.rollback(Some(height - 3)).unwrap();
                    commit_standard(&store, height, VALUE_LEN);
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            is_over.store(true, Ordering::Relaxed);
        });
        for number in 0.. {
            let to = directory.path().join(number.to_string());
            let forked = fork(&from, &to, Some(15).filter(|_| number % 2 == 0)).unwrap();
            tips.push(forked.original_tip);
            let expect = undisturbed.snapshot().block(forked.tip.height).unwrap();
            let verified = open(&to).verify(|_, _| ()).unwrap();
            assert_eq!(verified.tip, expect);
            fs::remove_dir_all(to).unwrap();
            if is_over.load(Ordering::Relaxed) {
                break;
            }
        }
    });
    tips.dedup();
    assert!(tips.len() > 2, "{tips:?}");
    let health = store.engine_health().unwrap();
    assert!(health.flushes > 2, "{health:?}");
    assert_eq!(store.verify(|_, _| ()).unwrap().tip.unwrap().height, 150);
}

#[test]
fn only_the_guest_that_it_was_made_for_goes_on() {
    let (_directory, from, to, _) = places();
    let store = open(&from);
    let claim = |store: &Store, byte| {
        store.claim(&Claim {
            guest: Some(guest(byte)),
            ..Claim::default()
        })
    };
    claim(&store, 1).unwrap();
    commit_standard(&store, 5, 10);
    drop(store);
    fork_with(&from, &to, Some(3), Some(guest(2)), None).unwrap();
    let identity = Store::identity_of(&to).unwrap();
    assert!(identity.only_last_guest);
    let guests = |store: &Store| -> Vec<_> {
        let guests = store.identity().guests.into_iter();
        guests
            .map(|entry| (entry.first_height, entry.guest.sha256[0]))
            .collect()
    };
    for other in [1, 3] {
        let error = claim(&open(&to), other).unwrap_err();
        let ClaimError::OtherGuest(error) = error else {
            panic!("{error:?}");
        };
        assert!(error.is_fork, "{error}");
        assert_eq!(error.recorded.last().unwrap().guest, guest(2));
    }
    let store = open(&to);
    // It may view what it wrote itself.
    store.check_guest(&guest(1)).unwrap();
    claim(&store, 2).unwrap();
    commit_standard(&store, 4, 10);
    assert_eq!(guests(&store), [(0, 1), (4, 2)]);
    assert!(!Store::identity_of(&to).unwrap().only_last_guest);
    // Now the fork is a database like any other.
    store.rollback(Some(3)).unwrap();
    claim(&store, 1).unwrap();
    assert_eq!(guests(&open(&from)), [(0, 1)]);
}

/// Each leaves everything as it was.
#[test]
fn what_cannot_be_forked_is_refused() {
    let (directory, from, to, beside) = places();
    let refused = |to: &Path, at, expect: &str| {
        let before = tree::read(directory.path());
        let error = fork(&from, to, at).unwrap_err();
        assert!(error.to_string().contains(expect), "{error}");
        let after = tree::read(directory.path());
        tree::assert_same(&before, &after, expect);
    };
    refused(&to, None, "there is no database");
    drop(open(&from));
    refused(&to, None, "no block is indexed yet");
    let store = open(&from);
    let mut tip = None;
    for _ in 0..3 {
        let block = next(tip.as_ref(), 7, 0);
        let writes = standard_writes(block.height, 10);
        tip = Some(store.commit(&block, &writes).unwrap());
    }
    drop(store);
    refused(
        &to,
        Some(10),
        "block 10 is not indexed yet: the last one is 9",
    );
    refused(&to, Some(6), "block 6 is not held: the first one is 7");
    refused(&from, None, "exists already");
    refused(&from.join("b"), None, "is inside the database itself");
    refused(
        &directory.path().join("no/b"),
        None,
        "looking for the directory",
    );
    fs::create_dir(&to).unwrap();
    refused(&to, None, "exists already");
    fs::remove_dir(&to).unwrap();
    fs::create_dir(&beside).unwrap();
    fs::write(beside.join("precious"), "text").unwrap();
    refused(&to, None, "is not what an earlier fork left");
    fs::remove_dir_all(&beside).unwrap();
    fs::write(&beside, "text").unwrap();
    refused(&to, None, "is not what an earlier fork left");
    fs::remove_file(&beside).unwrap();
    // A database of that name, whose fork was killed when nothing but its mark was to be removed.
    fork(&from, &beside, None).unwrap();
    fs::write(beside.join("unfinished-fork"), "b.new").unwrap();
    refused(&to, None, "is not what an earlier fork left");
    open(&beside).verify(|_, _| ()).unwrap();
    // One that was killed before it had its name is no database, whatever is in it.
    fs::write(beside.join("unfinished-fork"), "b").unwrap();
    let opened = Store::open_existing(&beside, StoreOptions::default());
    assert!(
        matches!(opened, Err(OpenError::NotOurs { .. })),
        "{opened:?}"
    );
    assert!(fork(&from, &to, None).is_ok() && !beside.exists());
    fs::remove_dir_all(&to).unwrap();
    fs::write(from.join("damaged"), "it is damaged").unwrap();
    refused(&to, None, "the database is damaged");
    fs::remove_file(from.join("damaged")).unwrap();
    let format = fs::read_to_string(from.join("FORMAT")).unwrap();
    let other = format.replacen("\"format\": 4", "\"format\": 5", 1);
    fs::write(from.join("FORMAT"), &other).unwrap();
    refused(&to, None, "format");
    fs::write(from.join("FORMAT"), &format).unwrap();
    fork(&from, &to, None).unwrap();
}

#[test]
fn a_fork_under_way_is_left_alone() {
    let (_directory, from, to, beside) = places();
    commit_standard(&open(&from), 3, 10);
    let mut steps = Vec::new();
    let forked = Store::fork(&from, &to, &ForkOptions::default(), |step| {
        steps.push(step);
        let error = fork(&from, &to, None).unwrap_err();
        assert!(matches!(error, ForkError::UnderWay { .. }), "{error}");
        for open in [Store::open, Store::open_read_only] {
            match open(&beside, StoreOptions::default()) {
                // All that is missing is its name.
                Ok(_) => assert_eq!(step, ForkStep::Name),
                Err(error) => {
                    let is_told = matches!(
                        error,
                        OpenError::NotOurs { .. } | OpenError::NotFound { .. }
                    );
                    assert!(is_told, "{error:?}");
                }
            }
        }
    });
    assert_eq!(forked.unwrap().tip.height, 3);
    let all = [
        ForkStep::Take,
        ForkStep::Cut,
        ForkStep::Finish,
        ForkStep::Name,
    ];
    assert_eq!(steps, all);
    assert!(!beside.exists());
}

/// However the place is written, and also where only a dangling link is in it.
#[test]
fn a_place_that_is_named_by_a_detour_is_taken_or_refused_at_once() {
    let (directory, from, to, beside) = places();
    commit_standard(&open(&from), 3, 10);
    std::os::unix::fs::symlink("nowhere", directory.path().join("b")).unwrap();
    for detour in ["b", "b/.", "b/"] {
        let mut steps = 0;
        let place = directory.path().join(detour);
        let error = Store::fork(&from, &place, &ForkOptions::default(), |_| steps += 1);
        assert!(matches!(error, Err(ForkError::Exists { .. })), "{error:?}");
        assert_eq!(steps, 0);
    }
    fs::remove_file(&to).unwrap();
    for detour in ["b/.", "b/", "./b/./"] {
        fork(&from, &directory.path().join(detour), None).unwrap();
        open(&to).verify(|_, _| ()).unwrap();
        fs::remove_dir_all(&to).unwrap();
    }
    assert!(!beside.exists());
}

#[test]
fn what_fails_once_it_has_its_name_leaves_a_whole_fork_and_says_so() {
    let (_directory, from, to, beside) = places();
    let tip = commit_standard(&open(&from), 3, 10);
    let forked = Store::fork(&from, &to, &ForkOptions::default(), |step| {
        if step == ForkStep::Name {
            fs::remove_file(beside.join("unfinished-fork")).unwrap();
        }
    });
    let error = forked.unwrap_err();
    assert!(matches!(error, ForkError::NotDurable { .. }), "{error:?}");
    assert!(error.to_string().contains("is made, but"), "{error}");
    assert_eq!(open(&to).verify(|_, _| ()).unwrap().tip, Some(tip));
}

/// Where the system has two file systems to try it with.
#[test]
fn across_file_systems_tables_are_copied_while_nobody_writes() {
    let (there, here) = (tree::scratch(), tempfile::tempdir().unwrap());
    let device = |directory: &TempDir| fs::metadata(directory.path()).unwrap().dev();
    if device(&there) == device(&here) {
        eprintln!("skipped: there is but one file system");
        return;
    }
    let (from, to) = (there.path().join("a"), here.path().join("b"));
    let store = open(&from);
    let tip = commit_standard(&store, 30, VALUE_LEN);
    store.close().unwrap();
    let error = fork(&from, &to, None).unwrap_err();
    let is_locked = matches!(error, ForkError::Open(OpenError::Locked { .. }));
    assert!(is_locked, "{error:?}");
    assert_eq!(names(here.path()), [""; 0]);
    drop(store);
    let before = tree::read(&from);
    let forked = fork(&from, &to, None).unwrap();
    tree::assert_same(&before, &tree::read(&from), "after a fork");
    assert_eq!(forked.tables.linked.count, 0);
    assert!(forked.tables.copied.count > 6, "{forked:?}");
    assert!(forked.tables.copied.bytes > 1 << 20, "{forked:?}");
    assert_eq!(open(&to).verify(|_, _| ()).unwrap().tip, Some(tip));
}
