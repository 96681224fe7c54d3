//! Files damaged on disk: what the engine would let pass, the store refuses.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use metashrew_store::{Durability, Height, OpenError, Store, StoreOptions};

use crate::chain::commit_standard;
use crate::tree::{self, copy};

const SYNCED: StoreOptions = StoreOptions {
    cache_bytes: 8 << 20,
    read_cache_bytes: 1 << 20,
    durability: Durability::Synced,
    max_open_files: 64,
    workers: 1,
    accept_lost_commits: false,
    undone: metashrew_store::UndoneLimits {
        blocks: 10,
        bytes: 1 << 20,
    },
};

/// A database whose last blocks are in its log only, as a killed process leaves it.
fn killed(tip: Height, value_len: usize) -> tempfile::TempDir {
    let (original, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = Store::open(original.path(), SYNCED).unwrap();
    commit_standard(&store, tip, value_len);
    tree::copy_open(original.path(), copy.path());
    copy
}

/// The file of the log that was written to last.
fn newest_log_file(directory: &Path) -> PathBuf {
    let entries = fs::read_dir(directory.join("engine/log")).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    files.max().unwrap()
}

fn len(path: &Path) -> usize {
    usize::try_from(fs::metadata(path).unwrap().len()).unwrap()
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

#[test]
fn durable_blocks_cut_off_the_log_are_missed() {
    let directory = killed(12, 1);
    let path = directory.path();
    let log = newest_log_file(path);
    cut(&log, len(&log) - 10);
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
fn a_flipped_byte_in_the_log_is_refused() {
    let intact = killed(12, 1);
    let len = len(&newest_log_file(intact.path()));
    for share in [1, 3, 4, 5, 6, 7] {
        let directory = tempfile::tempdir().unwrap();
        copy(intact.path(), directory.path());
        flip(&newest_log_file(directory.path()), len * share / 8);
        let error = Store::open(directory.path(), SYNCED).unwrap_err();
        assert!(
            matches!(
                error,
                OpenError::Corrupt { .. } | OpenError::LostCommits { .. }
            ),
            "{error:?}"
        );
    }
}

#[test]
fn a_torn_write_is_no_damage() {
    let directory = killed(12, 1);
    let path = directory.path();
    // Half a batch, of which no commit was told to be done.
    let log = newest_log_file(path);
    let mut bytes = fs::read(&log).unwrap();
    bytes.extend_from_slice(&1_000_u64.to_be_bytes());
    bytes.extend_from_slice(&[2, 0, 0, 1]);
    fs::write(&log, &bytes).unwrap();
    let store = Store::open(path, SYNCED).unwrap();
    assert_eq!(store.snapshot().tip().unwrap().height, 12);
    commit_standard(&store, 15, 1);
    drop(store);
    let store = Store::open(path, SYNCED).unwrap();
    assert_eq!(store.verify(|_, _| ()).unwrap().blocks, 16);
}

#[test]
fn a_tree_of_an_earlier_moment_is_told() {
    for space in [
        "key_to_newest",
        "key_height_to_older",
        "hash_to_height",
        "meta",
        "height_to_block",
        "height_to_keys",
    ] {
        let (directory, earlier) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = directory.path();
        commit_standard(&Store::open(path, SYNCED).unwrap(), 12, 1);
        copy(path, earlier.path());
        commit_standard(&Store::open(path, SYNCED).unwrap(), 15, 1);
        let tree = Path::new("engine/trees").join(space);
        fs::remove_dir_all(path.join(&tree)).unwrap();
        copy(&earlier.path().join(&tree), &path.join(&tree));
        let error = Store::open(path, SYNCED).unwrap_err();
        assert!(
            matches!(error, OpenError::Corrupt { .. }),
            "{space}: {error:?}"
        );
    }
}

#[test]
fn a_tree_of_an_earlier_moment_is_told_below_a_long_log() {
    for space in ["height_to_block", "height_to_keys"] {
        let (original, earlier, copied) = (
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
        );
        let path = original.path();
        commit_standard(&Store::open(path, SYNCED).unwrap(), 12, 1);
        copy(path, earlier.path());
        commit_standard(&Store::open(path, SYNCED).unwrap(), 15, 1);
        // More blocks than are recomputed.
        let store = Store::open(path, SYNCED).unwrap();
        commit_standard(&store, 40, 1);
        tree::copy_open(path, copied.path());
        drop(store);
        Store::open_read_only(copied.path(), SYNCED).unwrap();
        let tree = Path::new("engine/trees").join(space);
        fs::remove_dir_all(copied.path().join(&tree)).unwrap();
        copy(&earlier.path().join(&tree), &copied.path().join(&tree));
        let error = Store::open(copied.path(), SYNCED).unwrap_err();
        assert!(
            matches!(error, OpenError::Corrupt { .. }),
            "{space}: {error:?}"
        );
    }
}

#[test]
fn a_damaged_table_is_an_error_not_a_wrong_value() {
    let directory = tempfile::tempdir().unwrap();
    commit_standard(&Store::open(directory.path(), SYNCED).unwrap(), 100, 3_000);
    let table = largest_table(&directory.path().join("engine/trees"));
    let middle = fs::metadata(&table).unwrap().len() / 2;
    flip(&table, usize::try_from(middle).unwrap());
    let verified = Store::open(directory.path(), SYNCED)
        .map_err(|error| error.to_string())
        .and_then(|store| store.verify(|_, _| ()).map_err(|error| error.to_string()));
    assert!(verified.is_err(), "{verified:?}");
}

/// The longest file of the trees.
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
