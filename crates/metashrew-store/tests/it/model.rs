//! The naive model: a list of blocks, each with everything it wrote.

use std::collections::BTreeMap;

use bytes::Bytes;
use metashrew_store::{BlockId, BlockRef, Height, Snapshot, State, Version, wait};

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
    for (block, _) in &model.blocks {
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
    }
    check_state(&snapshot.latest(), &model.values_at(latest), model);
}

/// Asserts that `state` holds exactly `values`, by point reads of every key that
/// `model` ever saw and by scans of several prefixes.
pub(crate) fn check_state(state: &State, values: &Values, model: &Model) {
    let absent = [b"never written".to_vec(), vec![0xff; 9]];
    for key in model.keys().chain(values.keys()).chain(&absent) {
        let expect = values.get(key).map(version);
        assert_eq!(state.get(key).unwrap(), expect, "{key:?}");
    }
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

/// Asserts that walks over `state`, both ways, meet what `values` have within the bounds.
fn check_ranges(state: &State, values: &Values, model: &Model) {
    // Three keys that were seen, and the ends of all that may be.
    let mut keys = model.keys();
    let seen = [keys.next(), keys.nth(2), keys.last()]
        .into_iter()
        .flatten();
    let seen: Vec<_> = seen.map(Vec::as_slice).collect();
    let longer = vec![b'a'; 40_000];
    let bounds = |bound: fn(&[u8]) -> Bound<&[u8]>| seen.iter().map(move |key| bound(key));
    let starts = bounds(Bound::Included).chain([Bound::Unbounded, Bound::Excluded(b"a")]);
    let ends = || bounds(Bound::Excluded).chain([Bound::Unbounded, Bound::Included(&longer)]);
    for (start, end) in starts.flat_map(|start| ends().map(move |end| (start, end))) {
        let is_below = |key: &&[u8]| match end {
            Bound::Included(end) => *key <= end,
            Bound::Excluded(end) => *key < end,
            Bound::Unbounded => true,
        };
        let is_above = |key: &&[u8]| match start {
            Bound::Included(start) => *key >= start,
            Bound::Excluded(start) => *key > start,
            Bound::Unbounded => true,
        };
        let within = |(key, _): &(&Vec<u8>, _)| is_below(&&key[..]) && is_above(&&key[..]);
        let mut expect: Vec<_> = values
            .iter()
            .filter(within)
            .map(|(key, value)| (Bytes::from(key.clone()), version(value)))
            .collect();
        for direction in [Direction::Forward, Direction::Back] {
            let found = state.scan(start, end, direction);
            let found: Vec<_> = found.map(Result::unwrap).collect();
            assert_eq!(found, expect, "{direction:?} from {start:?} to {end:?}");
            expect.reverse();
        }
    }
}

fn version((height, value): &(Height, Vec<u8>)) -> Version {
    Version {
        height: *height,
        value: Bytes::from(value.clone()),
    }
}
