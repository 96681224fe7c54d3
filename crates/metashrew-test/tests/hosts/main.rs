//! The host of native tests does what the real engine does: the same blocks over both,
//! with the same ends, states and answers.
#![allow(
    clippy::unnecessary_wraps,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic fails the test; views are functions that may fail"
)]

use metashrew_core::imports;
use metashrew_support::compat::{to_arraybuffer_layout, to_passback_ptr};
use metashrew_test::{Block, Engine, Failed, Indexer};
use proptest::prelude::*;
use std::convert::Infallible;

/// What a block does; `parts.wat` says how it is written.
#[derive(Debug, Clone)]
enum Part {
    Flush(Vec<(Vec<u8>, Vec<u8>)>),
    /// A message with these bytes behind its pairs.
    Raw(Vec<u8>),
    Trap,
    NeedsValue(Vec<u8>),
    NeedsNone(Vec<u8>),
}

fn encode(parts: &[Part]) -> Vec<u8> {
    let part = |part: &Part| {
        let (kind, bytes): (u32, Vec<u8>) = match part {
            Part::Flush(pairs) => (
                0,
                pairs
                    .iter()
                    .flat_map(|(k, v)| [item(k), item(v)].concat())
                    .collect(),
            ),
            Part::Raw(bytes) => (0, bytes.clone()),
            Part::Trap => (1, Vec::new()),
            Part::NeedsValue(key) => (2, key.clone()),
            Part::NeedsNone(key) => (3, key.clone()),
        };
        let length = u32::try_from(bytes.len()).unwrap();
        [&kind.to_le_bytes()[..], &length.to_le_bytes(), &bytes].concat()
    };
    parts.iter().flat_map(part).collect()
}

/// One byte string of a `KeyValueFlush`.
fn item(bytes: &[u8]) -> Vec<u8> {
    let mut item = vec![0x0a];
    let mut length = bytes.len();
    while length > 0x7f {
        item.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    item.push(u8::try_from(length).unwrap());
    item.extend(bytes);
    item
}

/// What `parts.wat` does, natively.
fn start() {
    let input = metashrew_core::input();
    let mut rest = &input[4..];
    while let Some((head, behind)) = rest.split_first_chunk::<8>() {
        let [kind, length] =
            [&head[..4], &head[4..]].map(|it| u32::from_le_bytes(it.try_into().unwrap()));
        let (bytes, behind) = behind.split_at(length as usize);
        rest = behind;
        match kind {
            0 => flush(bytes),
            1 => panic!("unreachable"),
            2 => assert!(!metashrew_core::host::read(bytes).is_empty(), "unreachable"),
            _ => assert!(metashrew_core::host::read(bytes).is_empty(), "unreachable"),
        }
    }
}

#[allow(
    unsafe_code,
    unused_unsafe,
    reason = "only the import itself takes any message"
)]
fn flush(message: &[u8]) {
    let mut buffer = to_arraybuffer_layout(message);
    let pointer = to_passback_ptr(&mut buffer);
    // SAFETY: the buffer lives until the host has read it.
    unsafe { imports::__flush(pointer) };
}

fn get(_height: u32, key: &[u8]) -> Result<Vec<u8>, Infallible> {
    Ok(metashrew_core::host::read(key))
}

fn block(height: u32, branch: u8, parts: &[Part]) -> Block {
    Block {
        height,
        hash: {
            let mut hash = [branch; 32];
            hash[..4].copy_from_slice(&height.to_le_bytes());
            hash
        },
        bytes: encode(parts),
    }
}

fn engine() -> Engine {
    let wasm = wat::parse_str(include_str!("parts.wat")).unwrap();
    Engine::new(&wasm).unwrap()
}

/// Runs a block on both; whether it ended well.
fn run(native: &mut Indexer, engine: &mut Engine, block: &Block) -> bool {
    let ends: [Result<(), Failed>; 2] = [native.try_index(block), engine.try_index(block)];
    assert_eq!(ends[0].is_ok(), ends[1].is_ok(), "{ends:?} {block:?}");
    ends[0].is_ok()
}

/// Compares every state up to a height, and what views answer there.
fn compare(native: &Indexer, engine: &Engine, first: u32, tip: u32, keys: &[Vec<u8>]) {
    for height in first..=tip {
        assert_eq!(native.state(height), engine.state(height), "at {height}");
        for key in keys {
            assert_eq!(
                native.view(height, key, get),
                engine.view(height, "get", key)
            );
        }
    }
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (0..5u8).prop_map(|number| vec![b'k', number]),
        1 => Just(Vec::new()),
        1 => Just(vec![7; 32_000]),
    ]
}

fn pairs() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let value = prop_oneof![1 => Just(Vec::new()), 4 => prop::collection::vec(any::<u8>(), 1..4)];
    prop::collection::vec((key(), value), 0..6)
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let part = prop_oneof![
        12 => pairs().prop_map(Part::Flush),
        1 => Just(Part::Trap),
        2 => key().prop_map(Part::NeedsValue),
        2 => key().prop_map(Part::NeedsNone),
        1 => prop_oneof![
            // A key without a value, a key that is too long, what is no message.
            Just(Part::Raw(item(b"alone"))),
            Just(Part::Raw([item(&vec![7; 32_001]), item(b"v")].concat())),
            Just(Part::Raw(vec![0xff])),
            Just(Part::Raw(vec![0x0a, 9, 1])),
        ],
    ];
    prop::collection::vec(part, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_same_blocks_end_alike_and_leave_the_same_state(
        blocks in prop::collection::vec(parts(), 1..8),
        first in prop_oneof![Just(0u32), 1..900_000u32],
    ) {
        let (mut native, mut engine) = (Indexer::exported(start), engine());
        let mut height = first;
        for parts in &blocks {
            if run(&mut native, &mut engine, &block(height, 1, parts)) {
                height += 1;
            }
        }
        let keys: Vec<Vec<u8>> = (0..5u8).map(|number| vec![b'k', number]).collect();
        if height > first {
            compare(&native, &engine, first, height - 1, &keys);
        }
    }
}

#[test]
fn the_limits_are_the_same() {
    let (mut native, mut engine) = (Indexer::exported(start), engine());
    let pair = |key: &[u8]| vec![(key.to_vec(), b"v".to_vec())];
    let check = |native: &mut _, engine: &mut _, parts: &[Part], expect| {
        assert_eq!(
            run(native, engine, &block(1, 1, parts)),
            expect,
            "{parts:?}"
        );
    };
    check(&mut native, &mut engine, &[], false);
    check(
        &mut native,
        &mut engine,
        &[Part::Flush(pair(&vec![7; 32_001]))],
        false,
    );
    check(
        &mut native,
        &mut engine,
        &[Part::Flush(pair(b"k")), Part::Trap],
        false,
    );
    check(&mut native, &mut engine, &[Part::Raw(item(b"k"))], false);
    check(
        &mut native,
        &mut engine,
        &[
            Part::Flush(pair(b"k")),
            Part::NeedsNone(b"k".to_vec()),
            Part::Flush(pair(&vec![7; 32_000])),
        ],
        true,
    );
    compare(
        &native,
        &engine,
        1,
        1,
        &[b"k".to_vec(), vec![7; 32_000], vec![7; 32_001]],
    );
    assert_eq!(native.state(1).len(), 2);
}
