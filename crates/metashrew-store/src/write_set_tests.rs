//! Write sets against maps, and their limits.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::memo::Remembered;

#[test]
fn the_last_value_of_a_key_wins() {
    let mut writes = WriteSet::default();
    writes.insert(b"key", b"long value").unwrap();
    writes.insert(b"key", b"v").unwrap();
    writes.insert(b"", b"").unwrap();
    assert_eq!(writes.get(b"key"), Some(&b"v"[..]));
    assert_eq!(writes.len(), 2);
    let keys: Vec<_> = writes.sorted().map(|(key, _)| key).collect();
    assert_eq!(keys, [&b""[..], b"key"]);
}

#[test]
fn a_root_is_kept_for_its_block_its_writes_and_what_is_below_only() {
    use crate::block::BlockHash;

    let fresh = |keys: &[&str]| {
        let mut writes = WriteSet::default();
        for key in keys {
            writes.insert(key, b"value").unwrap();
        }
        writes
    };
    let hash = |byte| BlockHash::from_bytes([byte; 32]);
    let mut inputs = Vec::new();
    for below in [HistoryRoot::EMPTY, HistoryRoot::from_bytes([1; 32])] {
        for block in [(7, 1), (7, 2), (8, 1)] {
            let block = BlockRef::new(block.0, hash(block.1), hash(0));
            inputs.push((block, below));
        }
    }
    let mut roots = Vec::new();
    for (first_block, first_below) in &inputs {
        let mut writes = fresh(&["a"]);
        writes.history_root(first_block, first_below);
        for (block, below) in &inputs {
            let expect = fresh(&["a"]).history_root(block, below);
            assert_eq!(writes.history_root(block, below), expect);
            roots.push(expect);
        }
        writes.insert(b"b", b"value").unwrap();
        assert_eq!(
            writes.history_root(first_block, first_below),
            fresh(&["a", "b"]).history_root(first_block, first_below)
        );
    }
    roots.sort_unstable_by_key(|root| *root.as_bytes());
    roots.dedup();
    assert_eq!(roots.len(), inputs.len(), "each depends on all");
}

#[test]
fn entries_beyond_the_limits_are_refused() {
    let mut writes = WriteSet::default();
    writes.insert(vec![0; MAX_KEY_LEN], b"").unwrap();
    let error = writes.insert(vec![0; MAX_KEY_LEN + 1], b"").unwrap_err();
    let len = MAX_KEY_LEN + 1;
    assert_eq!(error, WriteError::KeyTooLong { len });
    let value = vec![0; MAX_VALUE_LEN + 1];
    let error = writes.insert(b"key", &value).unwrap_err();
    let len = MAX_VALUE_LEN + 1;
    assert_eq!(error, WriteError::ValueTooLong { len });
    assert_eq!(writes.len(), 1);
}

#[test]
fn all_that_a_block_writes_counts_against_its_limit() {
    let (key, value) = (b"one key", vec![7; 1 << 20]);
    let cost = key.len() + value.len() + WRITE_OVERHEAD;
    let mut writes = WriteSet::default();
    for _ in 0..MAX_BLOCK_WRITES / cost {
        writes.insert(key, &value).unwrap();
    }
    assert_eq!(writes.insert(key, &value), Err(WriteError::BlockTooLarge));
    // What is left of the limit can still be written.
    writes.insert(b"", b"").unwrap();
    assert!(writes.bytes() < 4 << 20, "{} bytes", writes.bytes());
}

#[test]
fn a_full_memo_takes_nothing_more() {
    let mut writes = WriteSet::default();
    let version = Version {
        height: 7,
        value: vec![1; 1 << 20].into(),
    };
    for number in 0..200u32 {
        writes.remember(&number.to_be_bytes(), Some(&version));
    }
    writes.remember(b"absent", None);
    let place = writes.find_remembered(&0u32.to_be_bytes()).unwrap();
    assert_eq!(writes.remembered_value(place), version.value);
    assert_eq!(writes.find_remembered(&199u32.to_be_bytes()), None);
    assert!(writes.bytes() < 3 * crate::memo::MAX_MEMO_BYTES);
}

fn any_key() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0u8), Just(0xff), Just(b'a')];
    prop_oneof![
        4 => proptest::collection::vec(byte.clone(), 0..4),
        1 => proptest::collection::vec(byte, 6..12),
    ]
}

proptest! {
    #[test]
    fn a_write_set_holds_what_a_map_would(
        pairs in proptest::collection::vec((any_key(), any::<Vec<u8>>()), 0..60),
        reads in proptest::collection::vec(
            (any_key(), proptest::option::of((any::<u32>(), any::<Vec<u8>>()))), 0..60
        ),
    ) {
        let mut writes = WriteSet::default();
        let (mut expect, mut memo) = (BTreeMap::new(), BTreeMap::new());
        for (key, value) in &pairs {
            writes.insert(key, value).unwrap();
            expect.insert(&key[..], &value[..]);
            prop_assert_eq!(writes.get(key), Some(&value[..]));
            // Sorting in between must not outlive the next insertion.
            prop_assert_eq!(writes.sorted().len(), expect.len());
        }
        for (key, found) in &reads {
            let version = found.clone().map(|(height, value)| Version { height, value: value.into() });
            let place = writes.remember(key, version.as_ref()).unwrap();
            prop_assert_eq!(writes.find_remembered(key), Some(place));
            let value = version.map(|version| version.value).unwrap_or_default();
            prop_assert_eq!(writes.remembered_value(place), value);
            memo.insert(key, found);
        }
        let sorted: Vec<_> = writes.sorted().collect();
        prop_assert_eq!(sorted, expect.into_iter().collect::<Vec<_>>());
        for (key, found) in memo {
            let expect = match found {
                Some((height, value)) => Recalled::Newest(Remembered { height: *height, value }),
                None => Recalled::Absent,
            };
            prop_assert_eq!(writes.remembered(key.into()), expect);
        }
    }
}
