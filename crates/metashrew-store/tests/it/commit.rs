//! Commits, rollbacks, block names: the errors, the edges, readers beside a writer.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use metashrew_store::{
    BlockId, BlockRef, CommitError, MAX_KEY_LEN, ResolveError, RollbackError, Snapshot, State,
    StateScan, Store, StoreOptions, Version, WriteSet, wait,
};

use crate::chain::{self, commit, hash, writes};

fn value(store: &Store, key: &str) -> Option<String> {
    value_at(&store.snapshot(), key)
}

fn value_at(snapshot: &Snapshot, key: &str) -> Option<String> {
    let version = snapshot.latest().get(key.as_bytes()).unwrap()?;
    Some(String::from_utf8(version.value.to_vec()).unwrap())
}

#[test]
fn a_block_must_come_next_and_connect() {
    let store = Store::in_memory();
    let tip = commit(&store, &[("key", "value")]);
    let next = chain::next(Some(&tip), 0, 0);
    for height in [tip.height - 1, tip.height, tip.height + 2] {
        let block = BlockRef { height, ..next };
        let error = store.commit(&block, &writes(&[("key", "no")])).unwrap_err();
        assert!(
            matches!(error, CommitError::NotNext { tip: at, height: refused } if at == tip.height && refused == height)
        );
    }
    let parent = hash(9, 9);
    let error = store
        .commit(&BlockRef { parent, ..next }, &writes(&[("key", "no")]))
        .unwrap_err();
    assert!(
        matches!(error, CommitError::NotConnected { parent: named, tip: at, .. } if named == parent && at == tip.hash)
    );
    assert_eq!(value(&store, "key").unwrap(), "value");
    assert_eq!(store.snapshot().tip(), Some(&tip));
}

#[test]
fn a_batch_with_one_bad_block_commits_none() {
    let store = Store::in_memory();
    let tip = commit(&store, &[("key", "value")]);
    let good = chain::next(Some(&tip), 0, 0);
    let bad = BlockRef {
        height: good.height + 1,
        ..good
    };
    let set = std::sync::Arc::new(writes(&[("key", "no")]));
    let error = store
        .commit_batch(&[(good, set.clone()), (bad, set)])
        .unwrap_err();
    assert!(matches!(error, CommitError::NotConnected { .. }), "{error}");
    assert_eq!(store.snapshot().tip(), Some(&tip));
    assert_eq!(store.commit_batch(&[]).unwrap(), []);
}

#[test]
fn nothing_comes_after_the_highest_block() {
    let store = Store::in_memory();
    let last = BlockRef {
        height: u32::MAX,
        ..chain::next(None, 0, 0)
    };
    let tip = store.commit(&last, &writes(&[("key", "value")])).unwrap();
    let after = BlockRef::new(0, hash(1, 1), tip.hash);
    let error = store.commit(&after, &WriteSet::default()).unwrap_err();
    assert!(error.to_string().contains("the next block is 4294967296"));
    store.verify(|_, _| ()).unwrap();
    assert_eq!(store.rollback(None).unwrap(), None);
}

#[test]
fn what_was_remembered_from_another_chain_is_read_again() {
    let store = Store::in_memory();
    let tip = commit(&store, &[("key", "old")]);
    let block = chain::next(Some(&tip), 0, 0);
    let mut set = writes(&[("key", "new")]);
    let foreign = Version {
        height: block.height,
        value: Bytes::from_static(b"foreign"),
    };
    set.remember(b"key", Some(&foreign));
    store.commit(&block, &set).unwrap();
    let below = store
        .snapshot()
        .at(tip.height)
        .get(b"key")
        .unwrap()
        .unwrap();
    assert_eq!(below.value.as_ref(), b"old");
}

#[test]
fn a_large_block_supersedes_every_old_value() {
    let store = Store::in_memory();
    let mut tip = None;
    for round in ["first", "second"] {
        let entries: Vec<_> = (0..3_000u32)
            .map(|number| (number.to_be_bytes(), format!("{round} {number}")))
            .collect();
        let block = chain::next(tip.as_ref(), 0, 0);
        tip = Some(store.commit(&block, &writes(&entries)).unwrap());
    }
    let (old, new) = (store.snapshot().at(0), store.snapshot().at(1));
    for number in 0..3_000u32 {
        for (state, round) in [(&old, "first"), (&new, "second")] {
            let version = state.get(&number.to_be_bytes()).unwrap().unwrap();
            assert_eq!(version.value, format!("{round} {number}"));
        }
    }
    store.verify(|_, _| ()).unwrap();
}

#[test]
fn rolling_back_restores_and_forgets() {
    let store = Store::in_memory();
    let first = commit(&store, &[("kept", "1"), ("again", "1")]);
    let second = commit(&store, &[("again", "2"), ("new", "2")]);
    commit(&store, &[("again", "3"), ("new", "3"), ("newer", "")]);
    assert_eq!(
        store
            .rollback(Some(second.height + 9))
            .unwrap()
            .unwrap()
            .height,
        second.height + 1
    );
    assert_eq!(store.rollback(Some(first.height)).unwrap(), Some(first));
    assert_eq!(value(&store, "kept").unwrap(), "1");
    assert_eq!(value(&store, "again").unwrap(), "1");
    assert_eq!(value(&store, "new"), None);
    assert_eq!(store.snapshot().latest().scan_prefix(b"").count(), 2);
    let error = store.rollback(Some(first.height - 1)).unwrap_err();
    assert!(matches!(error, RollbackError::BelowFirst { .. }), "{error}");
    assert_eq!(store.rollback(None).unwrap(), None);
    assert_eq!(store.rollback(Some(5)).unwrap(), None);
    assert_eq!(store.snapshot().first(), None);
    assert_eq!(store.snapshot().latest().height(), None);
    let again = commit(&store, &[("kept", "1"), ("again", "1")]);
    assert_eq!(again, first);
}

#[test]
fn the_same_chain_has_the_same_root_whatever_the_way() {
    let straight = Store::in_memory();
    let root = chain::commit_standard(&straight, 30, 1).history_root;
    let winding = Store::in_memory();
    chain::commit_standard(&winding, 20, 1);
    for keep in [12, 3, 17] {
        winding.rollback(Some(keep)).unwrap();
        let tip = winding.snapshot().tip().copied();
        let stray = chain::next(tip.as_ref(), 0, 5);
        winding
            .commit(&stray, &writes(&[("/old/3", "stray")]))
            .unwrap();
        winding.rollback(tip.map(|tip| tip.height)).unwrap();
        chain::commit_standard(&winding, 20, 1);
    }
    assert_eq!(chain::commit_standard(&winding, 30, 1).history_root, root);
    let other = Store::in_memory();
    chain::commit_standard(&other, 29, 1);
    let block = chain::next(other.snapshot().tip(), 0, 0);
    let mut set = chain::standard_writes(30, 1).as_ref().clone();
    set.insert(Bytes::from_static(b"/old/3"), Bytes::from_static(b"x"))
        .unwrap();
    assert_ne!(other.commit(&block, &set).unwrap().history_root, root);
}

#[test]
fn blocks_are_found_by_every_name() {
    let store = Store::in_memory();
    let empty = store.snapshot();
    assert!(matches!(
        wait(empty.resolve(&BlockId::Latest)),
        Err(ResolveError::Empty)
    ));
    let first = commit(&store, &[("key", "1")]);
    let second = commit(&store, &[("key", "2")]);
    let snapshot = store.snapshot();
    let resolve = |text: &str| wait(snapshot.resolve(&text.parse().unwrap()));
    assert_eq!(resolve("latest").unwrap(), second);
    assert_eq!(resolve("0x64").unwrap(), first);
    assert_eq!(resolve(&first.hash.to_string()).unwrap(), first);
    assert_eq!(resolve(&format!("101:{}", second.hash)).unwrap(), second);
    assert!(matches!(
        resolve("99").unwrap_err(),
        ResolveError::BelowFirst {
            height: 99,
            first: 100
        }
    ));
    assert!(matches!(
        resolve("102").unwrap_err(),
        ResolveError::NotIndexed {
            height: 102,
            tip: 101
        }
    ));
    assert!(matches!(
        resolve(&hash(3, 3).to_string()).unwrap_err(),
        ResolveError::UnknownHash { .. }
    ));
    let error = resolve(&format!("100:{}", second.hash)).unwrap_err();
    assert!(
        matches!(error, ResolveError::NotInChain { height: 100, hash, actual } if hash == second.hash && actual == Some(first.hash))
    );
    let error = resolve(&format!("102:{}", second.hash)).unwrap_err();
    assert!(matches!(
        error,
        ResolveError::NotInChain {
            height: 102,
            actual: None,
            ..
        }
    ));
    assert!(matches!(
        wait(empty.resolve(&BlockId::Latest)),
        Err(ResolveError::Empty)
    ));
}

#[test]
fn a_key_that_is_too_long_is_absent() {
    let store = Store::in_memory();
    let longest = vec![0; MAX_KEY_LEN];
    let block = chain::next(None, 0, 0);
    store.commit(&block, &writes(&[(&longest, "v")])).unwrap();
    let state = store.snapshot().latest();
    assert!(state.get(&longest).unwrap().is_some());
    assert_eq!(state.get(&vec![0; MAX_KEY_LEN + 1]).unwrap(), None);
    assert_eq!(state.scan_prefix(&vec![0; 70_000]).count(), 0);
}

#[test]
fn what_readers_hold_goes_from_thread_to_thread() {
    fn shared<T: Send + Sync + 'static>() {}
    fn sent<T: Send + 'static>() {}
    shared::<Store>();
    shared::<Snapshot>();
    shared::<State>();
    shared::<WriteSet>();
    sent::<StateScan>();
}

#[test]
fn readers_see_whole_blocks_while_a_writer_works() {
    for directory in [None, Some(tempfile::tempdir().unwrap())] {
        let store = match &directory {
            None => Store::in_memory(),
            Some(directory) => Store::open(directory.path(), StoreOptions::default()).unwrap(),
        };
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = || loop {
                let last = done.load(Ordering::Acquire);
                let snapshot = store.snapshot();
                let expect = snapshot.tip().map(|tip| tip.height.to_string());
                for key in ["a", "m", "z"] {
                    assert_eq!(value_at(&snapshot, key), expect);
                }
                if last {
                    return;
                }
            };
            let readers = [scope.spawn(reader), scope.spawn(reader)];
            for round in 0..40 {
                let tip = store.snapshot().tip().copied();
                let block = chain::next(tip.as_ref(), 0, round);
                let value = block.height.to_string();
                let set = writes(&[("a", &value), ("m", &value), ("z", &value)]);
                store.commit(&block, &set).unwrap();
                if round % 7 == 6 {
                    store.rollback(Some(block.height - 3)).unwrap();
                }
            }
            done.store(true, Ordering::Release);
            for reader in readers {
                reader.join().unwrap();
            }
        });
    }
}
