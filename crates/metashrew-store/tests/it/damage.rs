//! Files damaged on disk: what the engine would let pass, the store refuses.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use metashrew_store::{Durability, OpenError, Store, StoreOptions};

use crate::chain::commit_standard;
use crate::tree::copy;

const SYNCED: StoreOptions = StoreOptions {
    cache_bytes: 8 << 20,
    read_cache_bytes: 1 << 20,
    durability: Durability::Synced,
    accept_lost_commits: false,
};

/// The journals, oldest first.
fn journals(directory: &Path) -> Vec<PathBuf> {
    let mut journals: Vec<_> = fs::read_dir(directory.join("engine"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jnl"))
        .collect();
    journals.sort();
    journals
}

/// Where the bytes of a journal end; the rest is zeros.
fn content_len(path: &Path) -> usize {
    let bytes = fs::read(path).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1
}

fn cut(path: &Path, len: usize) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(len as u64).unwrap();
}

fn flip(path: &Path, position: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[position] ^= 0xff;
    fs::write(path, bytes).unwrap();
}

const CUT: &str = "commits in the middle are lost";
const APART: &str = "the journal between them is lost";

/// Which check finds the damage first depends on what the engine had flushed by
/// then, and that on its background threads: any of `expect` will do.
fn check_refused(directory: &Path, expect: &[&str]) {
    let error = Store::open(directory, SYNCED).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
    let text = error.to_string();
    assert!(expect.iter().any(|expect| text.contains(expect)), "{text}");
}

#[test]
fn durable_blocks_cut_off_the_journal_are_missed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    commit_standard(&Store::open(path, SYNCED).unwrap(), 12, 1);
    let journal = journals(path).pop().unwrap();
    cut(&journal, content_len(&journal) - 10);
    for _ in 0..2 {
        let error = Store::open(path, SYNCED).unwrap_err();
        assert!(
            matches!(error, OpenError::LostCommits { lost: 1 }),
            "{error:?}"
        );
    }
    let accepting = StoreOptions {
        accept_lost_commits: true,
        ..SYNCED
    };
    let store = Store::open(path, accepting).unwrap();
    assert_eq!(store.snapshot().tip().unwrap().height, 11);
    store.verify(|_, _| ()).unwrap();
    drop(store);
    commit_standard(&Store::open(path, SYNCED).unwrap(), 20, 1);
    Store::open(path, SYNCED)
        .unwrap()
        .verify(|_, _| ())
        .unwrap();
}

#[test]
fn a_flipped_byte_in_the_journal_never_changes_what_is_read() {
    let intact = tempfile::tempdir().unwrap();
    let tip = commit_standard(&Store::open(intact.path(), SYNCED).unwrap(), 12, 1);
    let len = content_len(&journals(intact.path())[0]);
    let mut refused = 0;
    for share in [3, 4, 5, 6, 7] {
        let directory = tempfile::tempdir().unwrap();
        copy(intact.path(), directory.path());
        flip(&journals(directory.path())[0], len * share / 8);
        match Store::open(directory.path(), SYNCED) {
            Err(OpenError::Corrupt { .. } | OpenError::LostCommits { .. }) => refused += 1,
            Err(error) => panic!("{error:?}"),
            // A byte that says again what others say, the length of a value.
            Ok(store) => {
                assert_eq!(store.snapshot().tip(), Some(&tip));
                store.verify(|_, _| ()).unwrap();
            }
        }
    }
    assert!(refused >= 3, "only {refused} of 5 were refused");
}

/// A database whose newest values have been flushed while its small records
/// still live in a journal that is complete. Whether one is left when the engine
/// closes is up to its background threads, so it may take some tries.
fn with_sealed_journal() -> tempfile::TempDir {
    for _ in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            durability: Durability::Buffered,
            ..SYNCED
        };
        let store = Store::open(directory.path(), options).unwrap();
        for height in (0..1_000).step_by(4) {
            commit_standard(&store, height, 30_000);
            if journals(directory.path()).len() > 1 {
                break;
            }
        }
        // The engine begins a journal when it begins to flush; closing awaits the flush.
        drop(store);
        if journals(directory.path()).len() > 1 {
            return directory;
        }
    }
    panic!("the engine never left a complete journal behind");
}

#[test]
fn damage_behind_the_newest_journal_is_found_and_remembered() {
    let original = with_sealed_journal();
    Store::open(original.path(), SYNCED)
        .unwrap()
        .verify(|_, _| ())
        .unwrap();

    let original = with_sealed_journal();
    let sealed = journals(original.path()).remove(0);
    let half = content_len(&sealed) / 2;

    let directory = tempfile::tempdir().unwrap();
    copy(original.path(), directory.path());
    cut(&journals(directory.path())[0], half);
    for _ in 0..2 {
        check_refused(directory.path(), &[CUT, APART]);
    }

    let directory = tempfile::tempdir().unwrap();
    copy(original.path(), directory.path());
    zero(&journals(directory.path())[0], half);
    for _ in 0..2 {
        check_refused(directory.path(), &[CUT, APART]);
    }
}

#[test]
fn a_write_torn_for_want_of_space_is_no_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    commit_standard(&Store::open(path, SYNCED).unwrap(), 12, 1);
    // Half a batch, of which no commit was told to be done, and a new journal.
    let journal = journals(path).pop().unwrap();
    let end = content_len(&journal);
    let mut bytes = fs::read(&journal).unwrap();
    bytes.truncate(end);
    // The start of a batch of five entries, and a bit of the first.
    bytes.push(1);
    bytes.extend_from_slice(&5_u32.to_le_bytes());
    bytes.extend_from_slice(&1_000_u64.to_le_bytes());
    bytes.extend_from_slice(&[2, 0, 0, 1]);
    fs::write(&journal, &bytes).unwrap();
    fs::write(path.join("engine/1.jnl"), vec![0; 100_000]).unwrap();
    let store = Store::open(path, SYNCED).unwrap();
    assert_eq!(store.snapshot().tip().unwrap().height, 12);
    commit_standard(&store, 15, 1);
    drop(store);
    let store = Store::open(path, SYNCED).unwrap();
    assert_eq!(store.verify(|_, _| ()).unwrap().blocks, 16);
}

fn zero(path: &Path, position: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[position..position + 100_000].fill(0);
    fs::write(path, bytes).unwrap();
}

#[test]
fn key_spaces_at_different_batches_are_told() {
    let directory = with_sealed_journal();
    let mut journals = journals(directory.path());
    let oldest = journals.remove(0);
    for journal in journals {
        fs::remove_file(journal).unwrap();
    }
    zero(&oldest, content_len(&oldest) / 2);
    check_refused(directory.path(), &[APART]);
}

#[test]
fn a_damaged_table_is_an_error_not_a_wrong_value() {
    let directory = with_sealed_journal();
    let table = largest_table(&directory.path().join("engine/keyspaces"));
    let middle = fs::metadata(&table).unwrap().len() / 2;
    flip(&table, usize::try_from(middle).unwrap());
    let verified = Store::open(directory.path(), SYNCED)
        .map_err(|error| error.to_string())
        .and_then(|store| store.verify(|_, _| ()).map_err(|error| error.to_string()));
    assert!(verified.is_err(), "{verified:?}");
}

/// The longest file of the engine's key spaces.
fn largest_table(directory: &Path) -> PathBuf {
    let mut tables = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                directories.push(entry.path());
            } else {
                tables.push((metadata.len(), entry.path()));
            }
        }
    }
    tables.into_iter().max().unwrap().1
}
