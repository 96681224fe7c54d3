//! Opening for reading only: nothing changes, and nothing has to be writable.

use std::path::Path;

use metashrew_store::{CommitError, ErrorKind, OpenError, Store, StoreOptions};

use crate::chain::{commit_standard, next, standard_writes};
use crate::tree;

const VALUE_LEN: usize = 30_000;

fn open(path: &Path) -> Result<Store, OpenError> {
    Store::open(path, StoreOptions::default())
}

fn open_read_only(path: &Path) -> Result<Store, OpenError> {
    Store::open_read_only(path, StoreOptions::default())
}

#[test]
fn reading_changes_nothing_and_answers_the_same() {
    let (original, directory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = directory.path();
    // Closing leaves tables; what follows stays in the log.
    commit_standard(&open(original.path()).unwrap(), 40, VALUE_LEN);
    let store = open(original.path()).unwrap();
    let tip = commit_standard(&store, 50, VALUE_LEN);
    let expect = store.verify(|_, _| ()).unwrap();
    tree::copy_open(original.path(), path);
    drop(store);
    let before = tree::read(path);

    let store = open_read_only(path).unwrap();
    assert_eq!(store.snapshot().tip(), Some(&tip));
    let also = open_read_only(path).unwrap();
    assert_eq!(also.verify(|_, _| ()).unwrap(), expect);
    assert!(matches!(open(path).unwrap_err(), OpenError::Locked { .. }));
    let block = next(Some(&tip), 0, 0);
    let error = store
        .commit(&block, &standard_writes(block.height, 1))
        .unwrap_err();
    assert!(matches!(error, CommitError::Backend { .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Misuse);
    assert!(store.rollback(None).is_err());
    assert_eq!(store.snapshot().tip(), Some(&tip));
    let value = store.snapshot().latest().get(b"/new/50/0").unwrap();
    assert!(value.is_some());
    drop((store, also));
    tree::assert_same(&before, &tree::read(path), "after reading");

    let store = open(path).unwrap();
    assert!(matches!(
        open_read_only(path).unwrap_err(),
        OpenError::Locked { .. }
    ));
    assert_eq!(store.verify(|_, _| ()).unwrap(), expect);
}

#[test]
fn there_must_be_a_database_to_read() {
    let directory = tempfile::tempdir().unwrap();
    let error = open_read_only(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::NotFound { .. }), "{error:?}");
    assert!(tree::read(directory.path()).is_empty());
}
