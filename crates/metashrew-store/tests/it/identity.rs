//! What a directory says it is, whom it belongs to, and what is refused by that alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use metashrew_store::{
    BlockHash, BlockRef, Claim, ClaimError, GuestId, MemoryBackend, NetworkId, OpenError, Store,
    StoreOptions,
};

use crate::chain::{commit, commit_standard, hash, next, writes};

fn open(path: &Path) -> Result<Store, OpenError> {
    Store::open(path, StoreOptions::default())
}

fn guest(byte: u8) -> GuestId {
    GuestId {
        sha256: [byte; 32],
        name: Some(format!("guest{byte}")),
        version: Some("1.0".to_owned()),
    }
}

fn claim_guest(store: &Store, byte: u8, accept_guest_change: bool) -> Result<(), ClaimError> {
    store.claim(&Claim {
        guest: Some(guest(byte)),
        accept_guest_change,
        ..Claim::default()
    })
}

/// First heights and the first byte of each guest's hash.
fn guests(store: &Store) -> Vec<(u32, u8)> {
    let identity = store.identity();
    let guests = identity.guests.iter();
    guests
        .map(|entry| (entry.first_height, entry.guest.sha256[0]))
        .collect()
}

/// Every file and directory below a path, with what the files hold.
fn contents(path: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
            found.insert(path, None);
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, Some(bytes));
        }
    }
    found
}

/// The error of opening a directory that `fill` made, and that is as it was afterwards.
fn refused(fill: impl FnOnce(&Path)) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fill(path);
    let before = contents(path);
    let error = open(path).unwrap_err().to_string();
    assert_eq!(contents(path), before, "{error}");
    assert_eq!(open(path).unwrap_err().to_string(), error);
    error
}

/// What the releases with format 2 left behind: no file says so.
fn format_2(path: &Path) {
    commit_standard(&open(path).unwrap(), 3, 1);
    fs::remove_file(path.join("FORMAT")).unwrap();
}

#[test]
fn older_and_newer_formats_are_named_and_left_alone() {
    let error = refused(format_2);
    assert!(error.contains("format 2 or older"), "{error}");
    let error = refused(|path| {
        fs::create_dir_all(path.join("engine/keyspaces/1")).unwrap();
        fs::write(path.join("engine/0.jnl"), "a journal").unwrap();
        fs::write(path.join("engine/keyspaces/1/current"), "1").unwrap();
        fs::write(path.join("lock"), "").unwrap();
        fs::write(path.join("durable"), [1; 32]).unwrap();
    });
    assert!(error.contains("format 2 or older"), "{error}");
    for number in [1, 3, 5, 77] {
        let error = refused(|path| {
            commit_standard(&open(path).unwrap(), 3, 1);
            fs::write(path.join("FORMAT"), format!(r#"{{"format": {number}}}"#)).unwrap();
        });
        assert!(error.contains(&format!("has format {number},")), "{error}");
        assert!(error.contains("reads format 4"), "{error}");
    }
    let error = refused(|path| {
        commit_standard(&open(path).unwrap(), 3, 1);
        let text = fs::read_to_string(path.join("FORMAT")).unwrap();
        fs::write(path.join("FORMAT"), text.replace("lsm-tree 3", "other 1")).unwrap();
    });
    assert!(error.contains("`other 1`"), "{error}");
}

#[test]
fn a_directory_of_something_else_is_refused_and_left_alone() {
    for (name, content) in [
        ("README.md", "text"),
        ("lock", "a lock of somebody else"),
        ("FORMAT", "a file of somebody else"),
        ("FORMAT", r#"{"format": "webp"}"#),
        (".hidden", ""),
    ] {
        let error = refused(|path| fs::write(path.join(name), content).unwrap());
        assert!(
            error.contains(&format!("is not empty and no database: it holds `{name}`")),
            "{error}"
        );
    }
    let error = refused(|path| fs::write(path.join("lost+found"), "").unwrap());
    assert!(error.contains("`lost+found`"), "{error}");
    let error = refused(|path| fs::create_dir(path.join("photos")).unwrap());
    assert!(error.contains("`photos`"), "{error}");
    let file = tempfile::NamedTempFile::new().unwrap();
    open(file.path()).unwrap_err();
    assert_eq!(fs::read(file.path()).unwrap(), b"");
}

#[test]
fn a_new_file_system_may_hold_a_database() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("lost+found")).unwrap();
    let record = commit(&open(directory.path()).unwrap(), &[]);
    let store = open(directory.path()).unwrap();
    assert_eq!(store.snapshot().tip(), Some(&record));
}

#[test]
fn what_a_killed_creation_leaves_is_begun_afresh() {
    let new = r#"{"format":4,"engine":"lsm-tree 3","network":{},"first_height":null,"guests":[]}"#;
    let fills: [&[(&str, &str)]; 6] = [
        &[],
        &[("lock", "")],
        &[("lock", ""), ("FORMAT.new", "{\"for")],
        &[("lock", ""), ("FORMAT", new)],
        &[("lock", ""), ("FORMAT", new), ("FORMAT.new", "")],
        &[("lock", ""), ("FORMAT", new), ("engine.new/0.log", "half")],
    ];
    for fill in fills {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("made/anew");
        for (name, content) in fill {
            let file = path.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
        let record = commit(&open(&path).unwrap(), &[("key", "value")]);
        assert_eq!(open(&path).unwrap().snapshot().tip(), Some(&record));
    }
}

#[test]
fn a_format_file_that_cannot_be_right_is_damage() {
    let check = |change: &dyn Fn(String) -> String, expect: &str| {
        let error = refused(|path| {
            commit_standard(&open(path).unwrap(), 3, 1);
            let file = path.join("FORMAT");
            let text = change(fs::read_to_string(&file).unwrap());
            fs::write(file, text).unwrap();
        });
        assert!(error.contains("damaged"), "{error}");
        assert!(error.contains(expect), "{error}");
    };
    check(&|text| text[..20].to_owned(), "`FORMAT` is malformed");
    check(&|_| String::new(), "`FORMAT` is malformed");
    let error = refused(|path| {
        commit_standard(&open(path).unwrap(), 3, 1);
        fs::remove_dir_all(path.join("engine")).unwrap();
    });
    assert!(error.contains("`engine` is missing"), "{error}");
    // Of another database, say: the engine holds blocks that it does not tell of.
    for noted in ["null", "1"] {
        let directory = tempfile::tempdir().unwrap();
        commit_standard(&open(directory.path()).unwrap(), 3, 1);
        let file = directory.path().join("FORMAT");
        let text = fs::read_to_string(&file).unwrap();
        let changed = text.replace(
            r#""first_height": 0"#,
            &format!(r#""first_height": {noted}"#),
        );
        assert_ne!(text, changed);
        fs::write(&file, changed).unwrap();
        let error = open(directory.path()).unwrap_err().to_string();
        assert!(error.contains("blocks from 0 on"), "{error}");
    }
}

#[test]
fn the_file_tells_whose_it_is_before_the_first_block_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let network = NetworkId {
        name: Some("regtest".to_owned()),
        magic: Some([0xfa, 0xbf, 0xb5, 0xda]),
        genesis: Some(BlockHash::from_bytes([7; 32])),
    };
    store
        .claim(&Claim {
            network: Some(network.clone()),
            first_height: Some(100),
            guest: Some(guest(1)),
            accept_guest_change: false,
        })
        .unwrap();
    assert_eq!(store.identity().network, NetworkId::default());
    commit(&store, &[]);
    let text = fs::read_to_string(directory.path().join("FORMAT")).unwrap();
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["format"], 4);
    assert_eq!(read["first_height"], 100);
    assert_eq!(read["network"]["name"], "regtest");
    assert_eq!(read["network"]["magic"], "fabfb5da");
    assert_eq!(read["network"]["genesis"], "07".repeat(32));
    assert_eq!(read["guests"][0]["first_height"], 100);
    assert_eq!(read["guests"][0]["sha256"], "01".repeat(32));
    assert_eq!(read["guests"][0]["name"], "guest1");
    assert_eq!(read["guests"][0]["version"], "1.0");
    let identity = store.identity();
    assert_eq!(identity.network, network);
    drop(store);
    assert_eq!(open(directory.path()).unwrap().identity(), identity);
}

#[test]
fn another_guest_is_refused_unless_it_is_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    claim_guest(&store, 1, false).unwrap();
    // Nothing is committed yet: another may take its place.
    claim_guest(&store, 2, false).unwrap();
    for _ in 0..3 {
        commit(&store, &[]);
    }
    assert_eq!(guests(&store), [(100, 2)]);
    drop(store);

    let store = open(directory.path()).unwrap();
    claim_guest(&store, 2, false).unwrap();
    let error = claim_guest(&store, 3, false).unwrap_err();
    assert!(matches!(error, ClaimError::OtherGuest(_)));
    let text = error.to_string();
    for part in [
        "blocks 100 to 102 by `guest2` 1.0",
        &"02".repeat(32),
        "from block 103 on it would be `guest3` 1.0",
        &"03".repeat(32),
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(store.check_guest(&guest(3)).unwrap_err().to_string(), text);
    claim_guest(&store, 3, true).unwrap();
    assert_eq!(guests(&store), [(100, 2)]);
    commit(&store, &[]);
    commit(&store, &[]);
    assert_eq!(guests(&store), [(100, 2), (103, 3)]);
    store.check_guest(&guest(3)).unwrap();
    let error = store.check_guest(&guest(2)).unwrap_err().to_string();
    assert!(
        error.contains("blocks 100 to 102 by `guest2`")
            && error.contains("blocks 103 to 104 by `guest3`"),
        "{error}"
    );
}

#[test]
fn a_guest_whose_blocks_are_gone_binds_nobody() {
    for durable in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let mut store = if durable {
            open(directory.path()).unwrap()
        } else {
            Store::in_memory()
        };
        claim_guest(&store, 1, false).unwrap();
        for _ in 0..5 {
            commit(&store, &[]);
        }
        claim_guest(&store, 2, true).unwrap();
        commit(&store, &[]);
        assert_eq!(guests(&store), [(100, 1), (105, 2)]);
        store.rollback(Some(104)).unwrap();
        assert_eq!(guests(&store), [(100, 1)]);
        claim_guest(&store, 3, false).unwrap_err();
        // It is still the guest that commits, now from an earlier block on.
        store.rollback(Some(102)).unwrap();
        commit(&store, &[]);
        assert_eq!(guests(&store), [(100, 1), (103, 2)]);
        store.rollback(None).unwrap();
        assert_eq!(guests(&store), []);
        assert_eq!(store.identity().first_height, None);
        claim_guest(&store, 3, false).unwrap();
        if durable {
            drop(store);
            store = open(directory.path()).unwrap();
            claim_guest(&store, 4, false).unwrap();
        }
        let block = BlockRef::new(7, hash(0, 7), hash(0, 6));
        store.commit(&block, &writes(&[("a", "b")])).unwrap();
        assert_eq!(guests(&store), [(7, if durable { 4 } else { 3 })]);
        assert_eq!(store.identity().first_height, Some(7));
    }
}

#[test]
fn a_guest_that_was_accepted_may_go_on_after_its_blocks_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    claim_guest(&store, 1, false).unwrap();
    for _ in 0..5 {
        commit(&store, &[]);
    }
    claim_guest(&store, 2, true).unwrap();
    commit(&store, &[]);
    store.rollback(Some(102)).unwrap();
    drop(store);

    let store = open(directory.path()).unwrap();
    assert_eq!(guests(&store), [(100, 1)]);
    claim_guest(&store, 3, false).unwrap_err();
    claim_guest(&store, 2, false).unwrap();
    commit(&store, &[]);
    assert_eq!(guests(&store), [(100, 1), (103, 2)]);
    claim_guest(&store, 1, false).unwrap_err();
}

#[test]
fn another_network_and_another_beginning_are_refused() {
    let backend = Arc::new(MemoryBackend::default());
    let store = Store::with_backend(backend).unwrap();
    let network = |magic: Option<u8>, genesis: u8| Claim {
        network: Some(NetworkId {
            name: Some(format!("net{genesis}")),
            magic: magic.map(|byte| [byte; 4]),
            genesis: Some(BlockHash::from_bytes([genesis; 32])),
        }),
        ..Claim::default()
    };
    let first = |height| Claim {
        first_height: Some(height),
        ..Claim::default()
    };
    store.claim(&network(None, 9)).unwrap();
    store.claim(&network(None, 1)).unwrap();
    store.claim(&first(5)).unwrap();
    let block = next(None, 100, 0);
    store.commit(&block, &writes(&[("a", "b")])).unwrap();

    let error = store.claim(&network(None, 2)).unwrap_err().to_string();
    assert!(error.contains("net1") && error.contains("net2"), "{error}");
    store.claim(&network(Some(7), 1)).unwrap();
    commit(&store, &[]);
    let error = store.claim(&network(Some(8), 1)).unwrap_err();
    assert!(matches!(error, ClaimError::OtherNetwork { .. }), "{error}");

    store.claim(&first(100)).unwrap();
    let error = store.claim(&first(50)).unwrap_err();
    assert!(
        matches!(
            error,
            ClaimError::OtherFirst {
                recorded: 100,
                given: 50
            }
        ),
        "{error}"
    );
}
