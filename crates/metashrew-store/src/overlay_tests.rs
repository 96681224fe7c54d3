//! Overlays against a naive model, and readers beside the thread that indexes.

use std::collections::BTreeMap;
use std::ops::Bound;

use proptest::prelude::*;

use super::*;
use crate::backend::Direction;
use crate::block::{BlockHash, BlockRef};
use crate::store::Store;
use crate::write_set::Version;

type Writes = BTreeMap<Vec<u8>, Vec<u8>>;
type Model = BTreeMap<Vec<u8>, (Height, Vec<u8>)>;

#[derive(Debug, Clone)]
enum Step {
    Push(Writes),
    /// Commits this many of the blocks that are not committed.
    Commit(usize),
    Prune,
    Index,
    /// Holds the state until the end.
    Hold,
}

fn any_key() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0u8), Just(0xff), Just(b'a')];
    proptest::collection::vec(byte, 0..4)
}

fn any_step() -> impl Strategy<Value = Step> {
    let value = proptest::collection::vec(any::<u8>(), 0..3);
    prop_oneof![
        4 => proptest::collection::btree_map(any_key(), value, 0..8).prop_map(Step::Push),
        1 => (0usize..4).prop_map(Step::Commit),
        1 => Just(Step::Prune),
        2 => Just(Step::Index),
        1 => Just(Step::Hold),
    ]
}

fn write_set(writes: &Writes) -> Arc<WriteSet> {
    let mut set = WriteSet::default();
    for (key, value) in writes {
        set.insert(key, value).unwrap();
    }
    Arc::new(set)
}

fn block(height: Height) -> BlockRef {
    let hash = |height: Height| {
        let mut bytes = [7; 32];
        bytes[..4].copy_from_slice(&height.to_be_bytes());
        BlockHash::from_bytes(bytes)
    };
    BlockRef::new(height, hash(height), hash(height.wrapping_sub(1)))
}

fn check(state: &State, model: &Model, asked: &[Vec<u8>]) {
    let of = |found: &(Height, Vec<u8>)| Version {
        height: found.0,
        value: found.1.clone().into(),
    };
    for key in asked.iter().chain(model.keys()) {
        assert_eq!(state.get(key).unwrap(), model.get(key).map(of), "{key:?}");
    }
    for prefix in [&b""[..], b"a", b"\xff", b"\0a", b"\xff\xff"] {
        let found: Vec<_> = state.scan_prefix(prefix).map(Result::unwrap).collect();
        let expect: Vec<_> = model
            .iter()
            .filter(|(key, _)| key.starts_with(prefix))
            .map(|(key, found)| (key.clone().into(), of(found)))
            .collect();
        assert_eq!(found, expect, "{prefix:?}");
    }
    for (start, end) in [(&b"\0"[..], &b"a\xff"[..]), (b"a", b"a"), (b"\xff", b"a")] {
        let found = state.scan(
            Bound::Excluded(start),
            Bound::Included(end),
            Direction::Back,
        );
        let found: Vec<_> = found.map(Result::unwrap).collect();
        let expect: Vec<_> = model
            .iter()
            .rev()
            .filter(|(key, _)| &key[..] > start && &key[..] <= end)
            .map(|(key, found)| (key.clone().into(), of(found)))
            .collect();
        assert_eq!(found, expect, "back from {end:?} to {start:?}");
    }
}

proptest! {
    #[test]
    fn an_overlay_reads_as_its_blocks_one_after_the_other(
        steps in proptest::collection::vec(any_step(), 1..40),
        asked in proptest::collection::vec(any_key(), 0..10),
    ) {
        let (store, overlay) = (Store::in_memory(), Overlay::default());
        let (mut next, mut model, mut held) = (5, Model::new(), Vec::new());
        let mut uncommitted = VecDeque::new();
        for step in steps {
            match step {
                Step::Push(writes) => {
                    let set = write_set(&writes);
                    overlay.push(next, Arc::clone(&set));
                    uncommitted.push_back((block(next), set));
                    model.extend(writes.into_iter().map(|(key, value)| (key, (next, value))));
                    next += 1;
                }
                Step::Commit(count) => {
                    let count = count.min(uncommitted.len());
                    let blocks: Vec<_> = uncommitted.drain(..count).collect();
                    store.commit_batch(&blocks).unwrap();
                }
                Step::Prune => {
                    overlay.prune(store.snapshot().tip().map(|tip| tip.height));
                    prop_assert_eq!(overlay.len(), uncommitted.len());
                }
                Step::Index => overlay.index(),
                Step::Hold => held.push((overlay.state(&store.snapshot()), model.clone())),
            }
            check(&overlay.state(&store.snapshot()), &model, &asked);
        }
        for (state, model) in held {
            check(&state, &model, &asked);
        }
    }
}

#[test]
fn an_absent_key_is_asked_for_once_however_many_blocks_there_are() {
    let (store, overlay) = (Store::in_memory(), Overlay::default());
    for height in 0..64u8 {
        let key = vec![height];
        overlay.push(height.into(), write_set(&[(key, vec![1])].into()));
    }
    let layers = |overlay: &Overlay| {
        let current = overlay.shared.current.lock();
        Layers::indexed(current.blocks.iter().cloned().collect(), &current.index)
    };
    assert_eq!(layers(&overlay).indexed, 0);
    overlay.index();
    assert_eq!(layers(&overlay).indexed, 64);
    assert_eq!(
        overlay.state(&store.snapshot()).get(b"absent").unwrap(),
        None
    );
}

#[test]
fn an_index_lets_go_of_committed_blocks() {
    let overlay = Overlay::default();
    let writes: Writes = (0..100u8)
        .map(|number| (vec![number], vec![number]))
        .collect();
    let mut most = 0;
    for height in 0..1_000 {
        overlay.push(height, write_set(&writes));
        overlay.prune(height.checked_sub(3));
        overlay.index();
        most = most.max(overlay.bytes());
    }
    assert!(most < 100_000, "{most} bytes");
    overlay.prune(Some(999));
    overlay.index();
    assert_eq!(overlay.bytes(), 0);
}

#[test]
fn a_state_reads_the_same_while_blocks_are_added_to_the_index() {
    let (store, overlay) = (Store::in_memory(), Overlay::default());
    let keys = 0..2_000u16;
    let writes_of = |height: u8| -> Writes {
        let pair = |number: u16| (number.to_be_bytes().to_vec(), vec![height]);
        keys.clone().map(pair).collect()
    };
    overlay.push(0, write_set(&writes_of(0)));
    overlay.index();
    let state = overlay.state(&store.snapshot());
    std::thread::scope(|scope| {
        let adding = scope.spawn(|| {
            for height in 1..60u8 {
                overlay.push(height.into(), write_set(&writes_of(height)));
                overlay.index();
            }
        });
        while !adding.is_finished() {
            for number in keys.clone() {
                let found = state.get(&number.to_be_bytes()).unwrap().unwrap();
                assert_eq!((found.height, &found.value[..]), (0, &[0][..]));
            }
        }
    });
    let newest = overlay.state(&store.snapshot());
    assert_eq!(newest.get(&7u16.to_be_bytes()).unwrap().unwrap().height, 59);
}
