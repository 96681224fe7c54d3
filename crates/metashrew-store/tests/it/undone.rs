//! Blocks that were undone, as a fork and a follower of the database know them. The rest is
//! tested beside the code.

use std::path::Path;
use std::sync::Arc;

use metashrew_store::{
    BlockHash, ForkOptions, ForkWay, Height, MemoryBackend, Store, StoreOptions, UndoneLimits,
};
use proptest::prelude::*;

use crate::chain::{commit_standard, hash, next, standard_writes};
use crate::property::options;

const VALUE_LEN: usize = 10;

/// What is recorded of the blocks of forks 0 and 1 of the standard chain.
fn recorded(store: &Store) -> Vec<(BlockHash, BlockHash, Height, Vec<bytes::Bytes>)> {
    let snapshot = store.snapshot();
    let hashes = (0..2).flat_map(|fork| (0..40).map(move |height| hash(fork, height)));
    let undone = hashes.filter_map(|hash| snapshot.undone(&hash).unwrap());
    undone
        .map(|undone| {
            let keys = undone.keys().map(Result::unwrap).collect();
            (undone.hash, undone.parent, undone.height, keys)
        })
        .collect()
}

fn fork(from: &Path, to: &Path, at: Height, way: ForkWay, undone: UndoneLimits) -> Store {
    let options = ForkOptions {
        at: Some(at),
        way: Some(way),
        store: StoreOptions {
            undone,
            ..options(0)
        },
        ..ForkOptions::default()
    };
    Store::fork(from, to, &options, |_| ()).unwrap();
    Store::open(to, options.store).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    /// Whichever way a fork is made, it records what a rollback of the original would.
    #[test]
    fn a_fork_records_what_a_rollback_would(
        kept in 0..12u32,
        further in 1..8u32,
        at in 0..12u32,
        blocks in prop_oneof![Just(0), 1..20u64, Just(1_000)],
        bytes in prop_oneof![0..6_000u64, Just(256 << 20)],
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let limits = UndoneLimits { blocks, bytes };
        let store = Store::open(&path("original"), options(0)).unwrap();
        // A branch of fork 0 is undone; one of fork 1 takes its place; and one comes back.
        commit_standard(&store, 12, VALUE_LEN);
        let mut tip = store.rollback(Some(kept)).unwrap().unwrap();
        for _ in 0..further {
            let block = next(Some(&tip), 0, 1);
            tip = store.commit(&block, &standard_writes(block.height, VALUE_LEN)).unwrap();
        }
        store.rollback(Some(kept)).unwrap();
        commit_standard(&store, kept + further, VALUE_LEN);
        let at = at.min(kept + further - 1);
        let forks = [ForkWay::Drop, ForkWay::Rewrite].map(|way| {
            fork(&path("original"), &path(&format!("{way:?}")), at, way, limits)
        });
        store.set_undone_limits(limits);
        store.rollback(Some(at)).unwrap();
        let expect = recorded(&store);
        prop_assert!(expect.is_empty() || blocks > 0);
        prop_assert!(!expect.is_empty() || blocks == 0 || bytes < 1_000);
        for fork in forks {
            prop_assert_eq!(&recorded(&fork), &expect);
            fork.verify(|_, _| ()).unwrap();
        }
    }
}

#[test]
fn a_follower_knows_them_once_it_looks() {
    let engine = Arc::new(MemoryBackend::default());
    let [writer, follower] = [(), ()].map(|()| Store::with_backend(engine.clone()).unwrap());
    commit_standard(&writer, 9, VALUE_LEN);
    follower.follow().unwrap();
    writer.rollback(Some(5)).unwrap();
    assert!(recorded(&follower).is_empty());
    let undone = recorded(&writer);
    assert_eq!(undone.len(), 4);
    // What was looked up stays as it was, whatever becomes of the records.
    let block = writer.snapshot().undone(&hash(0, 9)).unwrap().unwrap();
    commit_standard(&writer, 9, VALUE_LEN);
    writer.set_undone_limits(UndoneLimits {
        blocks: 0,
        ..UndoneLimits::default()
    });
    writer.rollback(Some(5)).unwrap();
    assert!(recorded(&writer).is_empty());
    let keys: Vec<_> = block.keys().map(Result::unwrap).collect();
    assert_eq!(Some(&keys), undone.last().map(|(_, _, _, keys)| keys));
    assert!(follower.follow().unwrap());
    assert!(recorded(&follower).is_empty());
}
