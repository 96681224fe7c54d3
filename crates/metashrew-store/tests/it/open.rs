//! Opening: creation, the lock, the format, and records that disagree.

use std::sync::Arc;

use bytes::Bytes;
use metashrew_store::{
    Backend, Batch, MemoryBackend, OpenError, RollbackError, Space, Store, StoreOptions,
};

use crate::chain::{commit, commit_standard};

#[test]
fn a_database_is_created_only_where_asked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/db");
    let error = Store::open_existing(&path, StoreOptions::default()).unwrap_err();
    assert!(matches!(&error, OpenError::NotFound { path: named } if *named == path));
    assert!(!path.exists());
    let record = commit(&Store::open(&path, StoreOptions::default()).unwrap(), &[]);
    let store = Store::open_existing(&path, StoreOptions::default()).unwrap();
    assert_eq!(store.snapshot().tip(), Some(&record));
}

#[test]
fn a_database_is_locked_until_its_last_reader_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Store::open(directory.path(), StoreOptions::default());
    let store = open().unwrap();
    commit(&store, &[("key", "value")]);
    assert!(matches!(open().unwrap_err(), OpenError::Locked { .. }));
    let snapshot = store.snapshot();
    drop(store);
    let error = open().unwrap_err();
    assert!(
        error.to_string().contains("in use by another process"),
        "{error}"
    );
    assert!(snapshot.latest().get(b"key").unwrap().is_some());
    let scan = snapshot.latest().scan_prefix(b"");
    drop(snapshot);
    assert!(open().is_err());
    assert_eq!(scan.count(), 1);
    open().unwrap();
}

#[test]
fn an_unfinished_creation_is_begun_afresh() {
    let directory = tempfile::tempdir().unwrap();
    let unfinished = directory.path().join("engine.new");
    std::fs::create_dir_all(&unfinished).unwrap();
    std::fs::write(unfinished.join("log"), "half").unwrap();
    let format =
        r#"{"format":4,"engine":"lsm-tree 3","network":{},"first_height":null,"guests":[]}"#;
    std::fs::write(directory.path().join("FORMAT"), format).unwrap();
    commit(
        &Store::open(directory.path(), StoreOptions::default()).unwrap(),
        &[],
    );
    assert!(!unfinished.exists());
}

/// The error of opening a ten-block chain after `tamper` had its way with it.
fn open_tampered(tamper: impl FnOnce(&mut Batch)) -> OpenError {
    let backend = Arc::new(MemoryBackend::default());
    commit_standard(&Store::with_backend(backend.clone()).unwrap(), 10, 1);
    Store::with_backend(backend.clone()).unwrap();
    let mut batch = Batch::default();
    tamper(&mut batch);
    backend.write(batch).unwrap();
    Store::with_backend(backend).unwrap_err()
}

fn check_corrupt(expect: &str, tamper: impl FnOnce(&mut Batch)) {
    let error = open_tampered(tamper);
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(expect), "{text}");
    assert!(text.contains("index again"), "{text}");
}

fn height_key(height: u32) -> Bytes {
    Bytes::copy_from_slice(&height.to_be_bytes())
}

#[test]
fn another_format_is_refused_by_number() {
    let error = open_tampered(|batch| {
        batch.put(Space::Meta, Bytes::from_static(b"format"), height_key(77));
    });
    assert!(matches!(
        error,
        OpenError::Format {
            found: 77,
            supported: 4
        }
    ));
}

#[test]
fn records_that_disagree_are_refused() {
    let tip = Bytes::from_static(b"tip");
    check_corrupt("the record of block 10 is missing", |batch| {
        batch.delete(Space::HeightToBlock, height_key(10));
    });
    check_corrupt("there is no tip", |batch| batch.delete(Space::Meta, tip));
    check_corrupt("there is no tip", |batch| {
        batch.delete(Space::Meta, Bytes::from_static(b"format"));
        batch.delete(Space::Meta, Bytes::from_static(b"tip"));
    });
    check_corrupt("above the tip, block 10", |batch| {
        batch.put(Space::HeightToBlock, height_key(11), Bytes::new());
    });
    check_corrupt("above the tip, block 10", |batch| {
        let key = Bytes::from_static(&[0, 0, 0, 12, 0, 0, 0, 0]);
        batch.put(Space::HeightToKeys, key, Bytes::new());
    });
    check_corrupt("wrong length", |batch| {
        batch.put(Space::Meta, Bytes::from_static(b"tip"), Bytes::new());
    });
}

#[test]
fn versions_that_do_not_give_the_root_are_refused() {
    let key = Bytes::from_static(b"/new/9/0");
    let value = |height: u32| Bytes::from([&height.to_be_bytes()[..], b"tampered"].concat());
    check_corrupt("block 9 has history root", |batch| {
        batch.put(Space::KeyToNewest, key.clone(), value(9));
    });
    check_corrupt("a value that block 9 wrote is missing", |batch| {
        batch.put(Space::KeyToNewest, key.clone(), value(8));
    });
    check_corrupt("a value that block 9 wrote is missing", |batch| {
        batch.delete(Space::KeyToNewest, key.clone());
    });
    check_corrupt("block 8 wrote 20 keys, but 0 are listed", |batch| {
        let list = Bytes::from_static(&[0, 0, 0, 8, 0, 0, 0, 0]);
        batch.delete(Space::HeightToKeys, list);
    });
}

#[test]
fn verify_goes_down_to_the_first_block_and_finds_strays() {
    let backend = Arc::new(MemoryBackend::default());
    let store = Store::with_backend(backend.clone()).unwrap();
    commit_standard(&store, 30, 1);
    let report = store.verify(|_, _| ()).unwrap();
    assert_eq!((report.blocks, report.versions), (31, 31 * 20));

    let mut batch = Batch::default();
    let stray = Bytes::from_static(&[0, 0, 0, 1, b'x']);
    batch.put(Space::KeyToNewest, Bytes::from_static(b"stray"), stray);
    backend.write(batch).unwrap();
    let store = Store::with_backend(backend.clone()).unwrap();
    let error = store.verify(|_, _| ()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("block 1 wrote 20 keys, but 21 versions of it are stored"),
        "{error}"
    );

    let mut batch = Batch::default();
    batch.delete(Space::KeyToNewest, Bytes::from_static(b"stray"));
    batch.put(
        Space::KeyToNewest,
        Bytes::from_static(b"/new/2/0"),
        Bytes::from_static(&[0, 0, 0, 2, b'x']),
    );
    backend.write(batch).unwrap();
    let store = Store::with_backend(backend).unwrap();
    let error = store.verify(|_, _| ()).unwrap_err();
    assert!(
        error.to_string().contains("block 2 has history root"),
        "{error}"
    );
}

#[test]
fn a_list_that_passes_over_a_version_is_refused() {
    let backend = Arc::new(MemoryBackend::default());
    let store = Store::with_backend(backend.clone()).unwrap();
    for value in ["1", "2", "3"] {
        commit(&store, &[("a", value)]);
    }
    for _ in 0..8 {
        commit(&store, &[("b", "")]);
    }
    store.verify(|_, _| ()).unwrap();

    // Block 102 superseded the version of 101, and now says that of 100.
    let mut batch = Batch::default();
    let list = Bytes::from_static(&[0, 0, 0, 102, 0, 0, 0, 0]);
    let passing_over = Bytes::from_static(&[0, 1, b'a', 2]);
    batch.put(Space::HeightToKeys, list, passing_over);
    backend.write(batch).unwrap();

    let store = Store::with_backend(backend).unwrap();
    let error = store.verify(|_, _| ()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("block 102 lists another version"),
        "{error}"
    );
    let error = store.rollback(Some(100)).unwrap_err();
    assert!(
        matches!(&error, RollbackError::Read { source, .. }
            if source.to_string().contains("the list of keys of block 102 misses a version")),
        "{error:?}"
    );
    assert_eq!(store.snapshot().tip().unwrap().height, 110);
}

#[test]
fn a_database_tells_its_size_and_what_the_disk_has_left() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
    let empty = store.disk_bytes().unwrap();
    commit_standard(&store, 0, 200_000);
    let filled = store.disk_bytes().unwrap();
    assert!(filled > empty + 19 * 200_000, "{empty} to {filled}");
    assert!(store.free_space().unwrap() > 0);
    let memory = Store::in_memory();
    assert_eq!((memory.disk_bytes(), memory.free_space()), (None, None));
}

#[test]
fn a_store_that_is_closed_leaves_nothing_to_be_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Store::open(directory.path(), StoreOptions::default()).unwrap();
    let store = open();
    let record = commit(&store, &[("a", "1"), ("b", "2")]);
    let dirty = |store: &Store| store.engine_health().unwrap().dirty_bytes;
    assert!(dirty(&store) > 0);
    let before = store.snapshot();
    store.close().unwrap();
    assert_eq!(dirty(&store), 0);
    // What is there can still be read.
    assert_eq!(before.tip(), Some(&record));
    assert_eq!(store.snapshot().tip(), Some(&record));
    // Closing it again changes nothing.
    store.close().unwrap();
    drop((before, store));
    let store = open();
    assert_eq!(dirty(&store), 0);
    assert_eq!(store.snapshot().tip(), Some(&record));
}
