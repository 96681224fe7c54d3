//! Format 4, byte for byte. A change here is a new format, and `docs/storage.md`
//! changes with it.

use std::fmt::Write;
use std::ops::Bound;
use std::sync::Arc;

use metashrew_store::{Backend, BlockHash, BlockRef, Chainwork, MemoryBackend, Space, Store};

use crate::chain::writes;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn check(backend: &MemoryBackend, space: Space, expect: &[(&str, &str)]) {
    let found: Vec<_> = backend
        .view()
        .scan(space, Bound::Unbounded, Bound::Unbounded)
        .map(|entry| entry.unwrap())
        .map(|(key, value)| (hex(&key), hex(&value)))
        .collect();
    let expect: Vec<_> = expect
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    assert_eq!(found, expect, "{space:?}");
}

fn records() -> [String; 2] {
    let record = |height: &str, hashes: [&str; 2], header: &str, work: &str, tail: [&str; 2]| {
        let [hash, parent] = hashes.map(|hash| hash.repeat(32));
        let [root, keys] = tail;
        [height, &hash, &parent, header, &work.repeat(32), root, keys].concat()
    };
    [
        record(
            "00000007",
            ["a1", "a0"],
            "4966bc611d00ffff",
            "c1",
            [
                "42eded726adb373fcaf8a53ea107bd6e2bf08cfad15799980e21b426e164513b",
                "00000003",
            ],
        ),
        record(
            "00000008",
            ["a2", "a1"],
            "4966bc621d00fffe",
            "c2",
            [
                "150545ded76a4c8088dfa8880fbd237eeea9b069ffa99f1d1fb5e40433a4c621",
                "00000002",
            ],
        ),
    ]
}

fn hash(byte: u8) -> BlockHash {
    BlockHash::from_bytes([byte; 32])
}

/// Blocks 7 and 8.
fn two_blocks() -> (Arc<MemoryBackend>, Store) {
    let backend = Arc::new(MemoryBackend::default());
    let store = Store::with_backend(backend.clone()).unwrap();
    let first = BlockRef {
        time: 0x4966_bc61,
        bits: 0x1d00_ffff,
        chainwork: Chainwork::from_be_bytes([0xc1; 32]),
        ..BlockRef::new(7, hash(0xa1), hash(0xa0))
    };
    let second = BlockRef {
        time: 0x4966_bc62,
        bits: 0x1d00_fffe,
        chainwork: Chainwork::from_be_bytes([0xc2; 32]),
        ..BlockRef::new(8, hash(0xa2), hash(0xa1))
    };
    let written = writes(&[(&b"ab"[..], "1"), (b"a\0", "2"), (b"", "")]);
    store.commit(&first, &written).unwrap();
    let written = writes(&[(&b"abc"[..], "3"), (b"a\0", "")]);
    store.commit(&second, &written).unwrap();
    (backend, store)
}

fn base() -> String {
    ["00000007", &"a0".repeat(32), &"00".repeat(64)].concat()
}

#[test]
fn two_blocks_are_stored_as_documented() {
    let (backend, _store) = two_blocks();
    check(
        &backend,
        Space::KeyToNewest,
        &[
            ("", "00000007"),
            ("6100", "00000008"),
            ("6162", "0000000731"),
            ("616263", "0000000833"),
        ],
    );
    check(
        &backend,
        Space::KeyHeightToOlder,
        &[("6100ff0001fffffff8", "32")],
    );
    check(
        &backend,
        Space::HeightToKeys,
        &[
            ("0000000700000000", "000000000261000001016200"),
            ("0000000800000000", "00026100010102626300"),
        ],
    );
    let records = records();
    check(
        &backend,
        Space::HeightToBlock,
        &[("00000007", &records[0]), ("00000008", &records[1])],
    );
    let hashes = ["a1".repeat(32), "a2".repeat(32)];
    check(
        &backend,
        Space::HashToHeight,
        &[(&hashes[0], "00000007"), (&hashes[1], "00000008")],
    );
    check(
        &backend,
        Space::Meta,
        &[
            ("62617365", &base()),
            ("666f726d6174", "00000004"),
            ("746970", &records[1]),
        ],
    );
}

#[test]
fn an_undone_block_is_recorded_as_documented() {
    let (backend, store) = two_blocks();
    let (parent, hash) = ("a1".repeat(32), "a2".repeat(32));
    store.rollback(Some(7)).unwrap();
    let name = |name: &[u8], rest: &str| hex(name) + rest;
    let number = "0000000000000000";
    let record = [
        number,
        "00000008",
        &parent,
        "00000002",
        "00000001",
        "000000000000000a",
    ];
    check(
        &backend,
        Space::Meta,
        &[
            ("62617365", &base()),
            ("666f726d6174", "00000004"),
            ("746970", &records()[0]),
            // One block, which counts 10 bytes of keys and 256.
            (
                &name(b"undone", ""),
                "00000000000000010000000000000001000000000000010a",
            ),
            (&name(b"undone/block/", &hash), &record.concat()),
            (
                &name(b"undone/keys/", &[number, "00000000"].concat()),
                "00026100010102626300",
            ),
            (&name(b"undone/order/", number), &hash),
        ],
    );
}
