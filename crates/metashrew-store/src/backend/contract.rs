//! What every engine guarantees, tried on each of them.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;

use super::{Backend, Batch, BatchNumber, Disk, MemoryBackend, Scan, Space, View, get_all};
use crate::open::StoreOptions;

/// The engines, each empty, with what they live in.
fn engines() -> Vec<(Box<dyn Backend>, Option<TempDir>)> {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::open(directory.path(), &StoreOptions::default()).unwrap();
    vec![
        (Box::new(MemoryBackend::default()), None),
        (Box::new(disk), Some(directory)),
    ]
}

fn put(batch: &mut Batch, space: Space, key: &[u8], value: &[u8]) {
    batch.put(
        space,
        Bytes::copy_from_slice(key),
        Bytes::copy_from_slice(value),
    );
}

/// The number that is everywhere in `view`: in two keys of each space.
fn number_in(view: &dyn View) -> Option<u64> {
    let mut numbers: Vec<Option<u64>> = Vec::new();
    for space in Space::ALL {
        let values = get_all(view, space, &[b"a", b"b"]).unwrap();
        let scanned = view.scan(space, Bound::Unbounded, Bound::Unbounded);
        let scanned: Vec<_> = scanned.map(|entry| entry.unwrap().1).collect();
        assert_eq!(
            values.iter().flatten().cloned().collect::<Vec<_>>(),
            scanned
        );
        numbers.extend(values.into_iter().map(|value| {
            let bytes = value?.as_ref().try_into().unwrap();
            Some(u64::from_be_bytes(bytes))
        }));
    }
    numbers.dedup();
    assert_eq!(numbers.len(), 1, "half of a batch in {view:?}");
    numbers.remove(0)
}

#[test]
fn a_view_made_while_batches_are_written_shows_whole_ones_and_keeps_them() {
    const BATCHES: u64 = 400;
    for (engine, _directory) in engines() {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut last: Option<(u64, BatchNumber)> = None;
                    let mut held = Vec::new();
                    while !done.load(Ordering::Relaxed) {
                        let view = engine.view();
                        let number = number_in(view.as_ref());
                        if let Some(number) = number {
                            let now = (number, view.batch());
                            assert!(
                                last.is_none_or(|last| last.0 <= now.0
                                    && (last.0 == now.0) == (last.1 == now.1)
                                    && last.1 <= now.1),
                                "{last:?} {now:?}"
                            );
                            last = Some(now);
                        }
                        if held.len() < 20 {
                            held.push((view, number));
                        }
                    }
                    for (view, number) in held {
                        assert_eq!(number_in(view.as_ref()), number);
                    }
                });
            }
            for number in 1..=BATCHES {
                let mut batch = Batch::default();
                for space in Space::ALL {
                    for key in [b"a", b"b"] {
                        put(&mut batch, space, key, &number.to_be_bytes());
                    }
                }
                engine.write(batch).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(number_in(engine.view().as_ref()), Some(BATCHES));
    }
}

#[test]
fn batches_are_numbered_in_order_and_durable_up_to_the_one_synced() {
    for (engine, directory) in engines() {
        let mut before = engine.view().batch();
        for round in 0..5u8 {
            for key in 0..3u8 {
                let mut batch = Batch::default();
                put(&mut batch, Space::Meta, &[round, key], b"value");
                let written = engine.write(batch).unwrap();
                assert!(written > before);
                assert_eq!(engine.view().batch(), written);
                before = written;
            }
            // One wait is enough for all three.
            engine.sync(before).wait().unwrap();
            assert_eq!(engine.durable(), before);
        }
        let Some(directory) = directory else {
            continue;
        };
        let mut batch = Batch::default();
        put(&mut batch, Space::Meta, b"last", b"value");
        let last = engine.write(batch).unwrap();
        assert_eq!(engine.durable(), before);
        drop(engine);
        let again = Disk::open(directory.path(), &StoreOptions::default()).unwrap();
        assert_eq!(again.view().batch(), last);
        let found = again.view().get(Space::Meta, b"last").wait().unwrap();
        assert_eq!(found.unwrap(), "value");
        let next = again.write(Batch::default()).unwrap();
        assert!(next > last);
    }
}

#[test]
fn ids_and_names_of_spaces_stay_and_lead_back() {
    let ids: Vec<_> = Space::ALL
        .into_iter()
        .map(|space| (space.id(), space.name()))
        .collect();
    assert_eq!(
        ids,
        [
            (1, "key_to_newest"),
            (2, "key_height_to_older"),
            (3, "height_to_keys"),
            (4, "height_to_block"),
            (5, "hash_to_height"),
            (6, "meta"),
        ]
    );
    for id in 0..=u8::MAX {
        let space = Space::from_id(id);
        assert_eq!(space.map(Space::id), (1..=6).contains(&id).then_some(id));
    }
}

type AnyBound = Bound<Vec<u8>>;
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

fn any_batches() -> impl Strategy<Value = Vec<Changes>> {
    let key = || prop::collection::vec(0u8..3, 0..4);
    let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..3));
    prop::collection::vec(prop::collection::btree_map(key(), value, 0..8), 1..6)
}

fn any_bound() -> impl Strategy<Value = AnyBound> {
    let key = || prop::collection::vec(0u8..3, 0..4);
    prop_oneof![
        Just(Bound::Unbounded),
        key().prop_map(Bound::Included),
        key().prop_map(Bound::Excluded),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn reads_of_every_sort_agree_with_a_map(
        batches in any_batches(),
        bounds in prop::collection::vec((any_bound(), any_bound()), 1..6),
    ) {
        for (engine, _directory) in engines() {
            let mut model = BTreeMap::new();
            let mut views = Vec::new();
            for changes in &batches {
                let mut batch = Batch::default();
                for (key, value) in changes {
                    let key_bytes = Bytes::from(key.clone());
                    if let Some(value) = value.clone() {
                        batch.put(Space::KeyToNewest, key_bytes, value.clone().into());
                        model.insert(key.clone(), value);
                    } else {
                        batch.delete(Space::KeyToNewest, key_bytes);
                        model.remove(key);
                    }
                }
                engine.write(batch).unwrap();
                views.push((engine.view(), model.clone()));
            }
            for (view, model) in &views {
                check(view.as_ref(), model, &batches, &bounds)?;
            }
        }
    }
}

fn check(
    view: &dyn View,
    model: &BTreeMap<Vec<u8>, Vec<u8>>,
    batches: &[Changes],
    bounds: &[(AnyBound, AnyBound)],
) -> Result<(), TestCaseError> {
    let space = Space::KeyToNewest;
    let keys: std::collections::BTreeSet<_> = batches.iter().flat_map(BTreeMap::keys).collect();
    let keys: Vec<_> = keys.into_iter().map(Vec::as_slice).collect();
    let many = get_all(view, space, &keys).unwrap();
    prop_assert_eq!(many.len(), keys.len());
    for max_bytes in [0, 1, 9] {
        let some = view.get_many(space, &keys, max_bytes).wait().unwrap();
        prop_assert_eq!(some.is_empty(), keys.is_empty());
        prop_assert!(many.starts_with(&some));
        // Without the last one they had room.
        let before = some.iter().rev().skip(1).flatten().map(Bytes::len);
        prop_assert!(some.len() < 2 || before.sum::<usize>() < max_bytes);
    }
    for (key, found) in keys.iter().zip(many) {
        prop_assert_eq!(found.as_deref(), model.get(*key).map(Vec::as_slice));
        prop_assert_eq!(view.get(space, key).wait().unwrap(), found);
        prop_assert_eq!(view.get(Space::Meta, key).wait().unwrap(), None);
    }
    for (start, end) in bounds {
        let (start, end) = (start.as_ref(), end.as_ref());
        let scan = view.scan(space, start.map(Vec::as_slice), end.map(Vec::as_slice));
        let found = entries(scan);
        let expect: Vec<_> = model
            .iter()
            .filter(|(key, _)| is_within(key, start, end))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        prop_assert_eq!(&found, &expect);
        let back = view.scan_back(space, start.map(Vec::as_slice), end.map(Vec::as_slice));
        prop_assert!(entries(back).iter().eq(expect.iter().rev()));
    }
    Ok(())
}

/// As after a rollback: a walk that finds nothing for long must not hold whoever polls it.
#[test]
fn a_walk_over_many_deleted_keys_gives_way() {
    const KEYS: u32 = 20_000;
    for (engine, directory) in engines() {
        let (mut written, mut deleted) = (Batch::default(), Batch::default());
        for key in 0..=KEYS {
            let key = Bytes::copy_from_slice(&key.to_be_bytes());
            if key != KEYS.to_be_bytes()[..] {
                deleted.delete(Space::KeyToNewest, key.clone());
            }
            written.put(Space::KeyToNewest, key, Bytes::from_static(b"value"));
        }
        engine.write(written).unwrap();
        engine.write(deleted).unwrap();
        let view = engine.view();
        let scan = view.scan(Space::KeyToNewest, Bound::Unbounded, Bound::Unbounded);
        assert_eq!(entries(scan).len(), 1);
        let scan = view.scan_back(Space::KeyToNewest, Bound::Unbounded, Bound::Unbounded);
        assert_eq!(entries(scan).len(), 1);

        let mut scan = view.scan(Space::KeyToNewest, Bound::Unbounded, Bound::Unbounded);
        let mut found = pin!(scan.next_entry().into_future());
        let mut task = Context::from_waker(Waker::noop());
        let mut polls = 1;
        let found = loop {
            match found.as_mut().poll(&mut task) {
                Poll::Ready(found) => break found,
                Poll::Pending => polls += 1,
            }
        };
        assert_eq!(found.unwrap().unwrap().0[..], KEYS.to_be_bytes());
        // The engine in memory has nothing left of a deleted key.
        assert!(polls > 2 || directory.is_none(), "{polls}");
    }
}

fn entries(scan: Scan) -> Vec<(Vec<u8>, Vec<u8>)> {
    scan.map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())))
        .collect::<Result<_, _>>()
        .unwrap()
}

fn is_within(key: &Vec<u8>, start: Bound<&Vec<u8>>, end: Bound<&Vec<u8>>) -> bool {
    let above = match start {
        Bound::Included(start) => key >= start,
        Bound::Excluded(start) => key > start,
        Bound::Unbounded => true,
    };
    let below = match end {
        Bound::Included(end) => key <= end,
        Bound::Excluded(end) => key < end,
        Bound::Unbounded => true,
    };
    above && below
}
