//! The naive model: a list of blocks, each with everything it wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, RangeBounds};

use bytes::Bytes;
use metashrew_store::{
    BlockId, BlockRef, Direction, HashedKey, Height, Snapshot, State, Version, wait,
};

pub(crate) type Writes = BTreeMap<Vec<u8>, Vec<u8>>;
pub(crate) type Values = BTreeMap<Vec<u8>, (Height, Vec<u8>)>;

#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) blocks: Vec<(BlockRef, Writes)>,
}

impl Model {
    pub(crate) fn tip(&self) -> Option<BlockRef> {
        self.blocks.last().map(|block| block.0)
    }

    /// Every key's newest version at or below `height`.
    pub(crate) fn values_at(&self, height: Height) -> Values {
        let mut values = Values::new();
        for (block, writes) in &self.blocks {
            if block.height <= height {
                overlay(&mut values, block.height, writes);
            }
        }
        values
    }

    /// Every key ever written.
    fn keys(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.blocks.iter().flat_map(|block| block.1.keys())
    }
}

pub(crate) fn overlay(values: &mut Values, height: Height, writes: &Writes) {
    for (key, value) in writes {
        values.insert(key.clone(), (height, value.clone()));
    }
}

/// Asserts that `snapshot` shows exactly what `model` holds, at every height.
pub(crate) fn check_snapshot(snapshot: &Snapshot, model: &Model) {
    let tip = snapshot.tip().map(metashrew_store::BlockRecord::block_ref);
    assert_eq!(tip, model.tip());
    let first = model.blocks.first().map(|block| block.0.height);
    assert_eq!(snapshot.first(), first);
    for (block, writes) in &model.blocks {
        let keys = snapshot.keys_of(block.height).unwrap();
        let keys: Vec<_> = keys.map(Result::unwrap).collect();
        assert!(writes.keys().eq(&keys), "{keys:?} of {block:?}");
        let record = snapshot.block(block.height).unwrap().unwrap();
        assert_eq!(record.block_ref(), *block);
        assert_eq!(snapshot.height_of(&block.hash).unwrap(), Some(block.height));
        let anchored = BlockId::Anchored {
            height: block.height,
            hash: block.hash,
        };
        assert_eq!(wait(snapshot.resolve(&anchored)).unwrap(), record);
    }
    let latest = model.tip().map_or(0, |tip| tip.height);
    for height in first.unwrap_or(0).saturating_sub(1)..=latest.saturating_add(1) {
        let state = snapshot.at(height);
        let expect = first
            .filter(|first| *first <= height)
            .map(|_| height.min(latest));
        assert_eq!(state.height(), expect);
        check_state(&state, &model.values_at(height), model);
        check_values(snapshot, height, &state, model);
    }
    check_state(&snapshot.latest(), &model.values_at(latest), model);
}

/// Asserts that all keys together have the values that `state` has at each.
fn check_values(snapshot: &Snapshot, height: Height, state: &State, model: &Model) {
    let never_written = [b"never written".to_vec(), vec![b'n'; 40_000]];
    let keys: BTreeSet<_> = model.keys().chain(&never_written).collect();
    let keys: Vec<_> = keys.into_iter().collect();
    let expect: Vec<_> = keys.iter().map(|key| state.get(*key).unwrap()).collect();
    let values_at = |max_bytes| snapshot.values_at(height, &keys, max_bytes).unwrap();
    assert_eq!(values_at(usize::MAX), expect);
    for max_bytes in [0, 1, 20, 300] {
        let found = values_at(max_bytes);
        assert!(!found.is_empty() && expect.starts_with(&found));
        let lengths = found.iter().flatten().map(|it| it.value.len());
        let (all, longest) = (lengths.clone().sum::<usize>(), lengths.max().unwrap_or(0));
        assert!(all - longest <= max_bytes, "{all} of {max_bytes}");
    }
}

/// Asserts that `state` holds exactly `values`, by point reads of every key that
/// `model` ever saw and by scans of several prefixes.
pub(crate) fn check_state(state: &State, values: &Values, model: &Model) {
    let absent = [b"never written".to_vec(), vec![0xff; 9]];
    for key in model.keys().chain(values.keys()).chain(&absent) {
        let expect = values.get(key).map(version);
        assert_eq!(state.get(key).unwrap(), expect, "{key:?}");
    }
    check_many(state, values, model);
    for prefix in [&b""[..], b"\x00", b"\x00\x00", b"\xff", b"\xff\xff", b"a"] {
        let found: Vec<_> = state.scan_prefix(prefix).map(Result::unwrap).collect();
        let expect: Vec<_> = values
            .iter()
            .filter(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (Bytes::from(key.clone()), version(value)))
            .collect();
        assert_eq!(found, expect, "prefix {prefix:?}");
    }
    check_ranges(state, values, model);
}

/// Asserts that reads of many keys at once find what `values` have, whatever their bound: the
/// first keys, and all of them where they have room.
fn check_many(state: &State, values: &Values, model: &Model) {
    let long = vec![b'a'; 40_000];
    // Neither in order, nor each once.
    let keys: Vec<_> = model.keys().chain(values.keys()).chain([&long]).collect();
    let keys: Vec<_> = keys.into_iter().rev().map(HashedKey::from).collect();
    let expect: Vec<_> = keys
        .iter()
        .map(|key| values.get(key.key()).map(version))
        .collect();
    let bytes = |versions: &[Option<Version>]| -> usize {
        versions.iter().flatten().map(|it| it.value.len()).sum()
    };
    for max_bytes in [0, 1, 20, bytes(&expect) + 1] {
        let mut reads = state.read_many(&keys, max_bytes);
        while wait(reads.step()).unwrap() {}
        let found = reads.finish();
        assert!(!found.is_empty());
        assert_eq!(found, expect[..found.len()], "up to {max_bytes} bytes");
        assert!(found.len() == keys.len() || max_bytes <= bytes(&expect));
    }
}

/// Asserts that walks over `state`, both ways, meet what `values` have within the bounds.
fn check_ranges(state: &State, values: &Values, model: &Model) {
    // Keys that were seen, and bounds that no key can be.
    let (first, last) = (model.keys().next(), model.keys().last());
    let (between, longer) = (b"a".to_vec(), vec![b'a'; 40_000]);
    for (start, end) in [
        (first.unwrap_or(&between), last),
        (&between, None),
        (last.unwrap_or(&longer), Some(&longer)),
    ] {
        let before = end.map_or(Bound::Unbounded, Bound::Excluded);
        check_range(state, values, (Bound::Included(start), before));
        let up_to = end.map_or(Bound::Unbounded, Bound::Included);
        check_range(state, values, (Bound::Excluded(start), up_to));
    }
    check_range(state, values, (Bound::Unbounded, Bound::Unbounded));
}

fn check_range(state: &State, values: &Values, bounds: (Bound<&Vec<u8>>, Bound<&Vec<u8>>)) {
    let within = |(key, _): &(&Vec<u8>, _)| RangeBounds::<Vec<u8>>::contains(&bounds, *key);
    let mut expect: Vec<_> = values
        .iter()
        .filter(within)
        .map(|(key, value)| (Bytes::from(key.clone()), version(value)))
        .collect();
    let (start, end) = (bounds.0.map(Vec::as_slice), bounds.1.map(Vec::as_slice));
    for direction in [Direction::Forward, Direction::Back] {
        let found: Vec<_> = state
            .scan(start, end, direction)
            .map(Result::unwrap)
            .collect();
        assert_eq!(found, expect, "{direction:?} from {start:?} to {end:?}");
        expect.reverse();
    }
}

fn version((height, value): &(Height, Vec<u8>)) -> Version {
    Version {
        height: *height,
        value: Bytes::from(value.clone()),
    }
}
