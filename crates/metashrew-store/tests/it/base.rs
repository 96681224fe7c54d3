//! What stands below the first block held, and what follows from it.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use metashrew_store::{
    Backend, Base, Batch, BlockHash, BlockRecord, BlockRef, Chainwork, HistoryRoot, MemoryBackend,
    OpenError, RollbackError, Space, Store,
};

use crate::chain::{self, commit_standard, hash, standard_writes, writes};

const BASE: Bytes = Bytes::from_static(b"base");

/// The base record, as documented, of an index whose first block stands on `below`.
fn base_record(below: &BlockRecord) -> Bytes {
    let mut bytes = (below.height + 1).to_be_bytes().to_vec();
    bytes.extend(below.hash.as_bytes());
    bytes.extend(below.history_root.as_bytes());
    bytes.extend(below.chainwork.as_be_bytes());
    bytes.into()
}

/// A standard chain up to block 20 of which the records up to block 9 are gone.
fn pruned() -> (Arc<MemoryBackend>, BlockRecord) {
    let backend = Arc::new(MemoryBackend::default());
    let store = Store::with_backend(backend.clone()).unwrap();
    commit_standard(&store, 20, 1);
    let below = store.snapshot().block(9).unwrap().unwrap();
    let mut batch = Batch::default();
    for height in 0..=9u32 {
        let key = Bytes::copy_from_slice(&height.to_be_bytes());
        let hash = Bytes::copy_from_slice(hash(0, height).as_bytes());
        batch.delete(Space::HeightToBlock, key.clone());
        batch.delete(Space::HashToHeight, hash);
        batch.delete(Space::HeightToKeys, [&key[..], &[0; 4]].concat().into());
    }
    batch.put(Space::Meta, BASE, base_record(&below));
    backend.write(batch).unwrap();
    (backend, below)
}

#[test]
fn the_base_of_a_new_index_is_the_parent_of_its_first_block() {
    let work = Chainwork::from_be_bytes([1; 32]);
    for first in [0, 1, 800_000] {
        let store = Store::in_memory();
        assert_eq!(store.snapshot().base(), None);
        let parent = hash(7, 7);
        let block = BlockRef {
            chainwork: work,
            ..BlockRef::new(first, hash(0, first), parent)
        };
        let record = store.commit(&block, &writes(&[("a", "b")])).unwrap();
        let expect = Base {
            height: first.checked_sub(1),
            hash: parent,
            history_root: HistoryRoot::EMPTY,
            chainwork: Chainwork::ZERO,
        };
        assert_eq!(store.snapshot().base(), Some(&expect));
        assert_eq!(store.snapshot().first(), Some(first));
        assert_eq!(record.chainwork, work);
        store.verify(|_, _| ()).unwrap();
        assert_eq!(store.rollback(None).unwrap(), None);
        assert_eq!(store.snapshot().base(), None);
        commit_standard(&store, 2, 1);
        assert_eq!(store.snapshot().first(), Some(0));
    }
}

#[test]
fn what_is_held_above_a_base_opens_grows_and_rolls_back_down_to_it() {
    let (backend, below) = pruned();
    let store = Store::with_backend(backend.clone()).unwrap();
    let snapshot = store.snapshot();
    assert_eq!(snapshot.first(), Some(10));
    assert_eq!(snapshot.base(), Some(&Base::from(&below)));

    let whole = Store::in_memory();
    assert_eq!(
        commit_standard(&store, 30, 1),
        commit_standard(&whole, 30, 1)
    );
    assert_eq!(store.rollback(Some(10)).unwrap().unwrap().height, 10);
    let error = store.rollback(Some(9)).unwrap_err();
    assert!(matches!(
        error,
        RollbackError::BelowFirst { keep: 9, first: 10 }
    ));
    let error = store.rollback(None).unwrap_err();
    assert!(
        matches!(error, RollbackError::NotFresh { first: 10 }),
        "{error}"
    );
    // Opening recomputes the roots of blocks 10 to 12, down to the base.
    commit_standard(&store, 12, 1);
    Store::with_backend(backend).unwrap();
    assert_eq!(
        store.snapshot().at(12).scan_prefix(b"").count(),
        whole.snapshot().at(12).scan_prefix(b"").count()
    );
}

fn check_corrupt(expect: &str, tamper: impl FnOnce(&mut Batch, &BlockRecord)) {
    let (backend, below) = pruned();
    let store = Store::with_backend(backend.clone()).unwrap();
    store.rollback(Some(10)).unwrap();
    let mut batch = Batch::default();
    tamper(&mut batch, &below);
    backend.write(batch).unwrap();
    let error = Store::with_backend(backend).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains(expect), "{error}");
}

#[test]
fn a_base_that_does_not_fit_the_first_block_is_refused() {
    check_corrupt("block 10 has history root", |batch, below| {
        let history_root = HistoryRoot::EMPTY;
        let base = BlockRecord {
            history_root,
            ..*below
        };
        batch.put(Space::Meta, BASE, base_record(&base));
    });
    check_corrupt("block 10 builds on", |batch, below| {
        let hash = BlockHash::from_bytes([9; 32]);
        let base = BlockRecord { hash, ..*below };
        batch.put(Space::Meta, BASE, base_record(&base));
    });
    check_corrupt("the record of block 9 is missing", |batch, below| {
        let base = BlockRecord {
            height: 8,
            ..*below
        };
        batch.put(Space::Meta, BASE, base_record(&base));
    });
    check_corrupt(
        "the base is block 10, but the tip block 10",
        |batch, below| {
            let base = BlockRecord {
                height: 10,
                ..*below
            };
            batch.put(Space::Meta, BASE, base_record(&base));
        },
    );
    check_corrupt("there is a tip, but no base", |batch, _| {
        batch.delete(Space::Meta, BASE);
    });
    check_corrupt("the base record has the wrong length", |batch, _| {
        batch.put(Space::Meta, BASE, Bytes::new());
    });
}

#[test]
fn the_base_is_written_once() {
    let backend = Arc::new(MemoryBackend::default());
    let store = Store::with_backend(backend.clone()).unwrap();
    let blocks: Vec<_> = (5..8)
        .scan(None, |tip: &mut Option<BlockRef>, height| {
            let parent = tip.map_or(hash(u32::MAX, 0), |tip| tip.hash);
            let block = BlockRef::new(height, chain::hash(0, height), parent);
            *tip = Some(block);
            Some((block, standard_writes(height, 1)))
        })
        .collect();
    store.commit_batch(&blocks).unwrap();
    let meta = |backend: &MemoryBackend| -> Vec<_> {
        backend
            .view()
            .scan(
                Space::Meta,
                Bound::Included(b"base"),
                Bound::Included(b"base"),
            )
            .map(Result::unwrap)
            .collect()
    };
    let before = meta(&backend);
    assert_eq!(before[0].1[..4], 5u32.to_be_bytes());
    store
        .commit(
            &BlockRef::new(8, hash(0, 8), hash(0, 7)),
            &writes(&[("a", "b")]),
        )
        .unwrap();
    assert_eq!(meta(&backend), before);
    store.rollback(None).unwrap();
    assert_eq!(meta(&backend), []);
}
