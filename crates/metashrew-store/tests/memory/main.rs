//! What is kept in memory, counted by the allocator, beside what the bounds count. A
//! process of its own, and one test, so that nothing else allocates meanwhile.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails, and says where"
)]
#![allow(unsafe_code, reason = "an allocator cannot be written without")]

mod blocky;
mod counting;
mod on_disk;

use std::sync::Arc;

use bytes::Bytes;

use metashrew_store::{
    BlockHash, BlockRef, Height, MemoryBackend, Overlay, Snapshot, Store, WriteSet,
};

use crate::blocky::Blocky;
use crate::counting::{freed_by, held};

/// Keys of a block, each of them with a value of 8 bytes.
const KEYS: u32 = 5_000;

pub(crate) fn block(height: Height) -> BlockRef {
    let hash = |height: Height| {
        let mut bytes = [3; 32];
        bytes
            .get_mut(..4)
            .unwrap()
            .copy_from_slice(&height.to_be_bytes());
        BlockHash::from_bytes(bytes)
    };
    BlockRef::new(height, hash(height), hash(height.wrapping_sub(1)))
}

fn key(number: u32) -> Vec<u8> {
    format!("key {number:08}").into_bytes()
}

/// A block that read the old values of all its keys, if there is a state to read.
fn writes(height: u64, state: Option<&Snapshot>) -> WriteSet {
    let mut writes = WriteSet::default();
    for number in 0..KEYS {
        let key = key(number);
        if let Some(snapshot) = state {
            let found = snapshot.latest().get(&key).unwrap();
            writes.remember(&key, found.as_ref());
        }
        writes.insert(&key, height.to_be_bytes()).unwrap();
    }
    writes
}

#[test]
fn what_is_kept_is_what_the_bounds_count() {
    write_sets_and_overlays();
    values_that_were_read();
    the_read_cache();
    on_disk::filters_and_indexes_that_exceed_the_cache();
}

/// What the process and its test have beside what is looked at, in bytes.
const BESIDE: usize = 4_096;

/// As much is held as was counted, or a little less.
fn assert_counted(what: &str, held: usize, counted: usize) {
    assert!(
        held <= counted + BESIDE,
        "{what}: {held} held, {counted} counted"
    );
    assert!(
        counted <= held + held / 5 + BESIDE,
        "{what}: {held} held, {counted} counted"
    );
}

fn write_sets_and_overlays() {
    let (writes, bytes) = held(|| {
        let writes = writes(1, None);
        writes.seal();
        writes
    });
    assert_counted("a write set", bytes, writes.bytes());

    let (overlay, bytes) = held(|| {
        let overlay = Overlay::default();
        for height in 0..20 {
            overlay.push(height, Arc::new(self::writes(height.into(), None)));
            overlay.index();
        }
        overlay
    });
    assert_counted(
        "an overlay",
        bytes,
        overlay.bytes() + 20 * KEYS as usize * 4,
    );
    let state = overlay.state(&Store::in_memory().snapshot());
    // Sorting is what a scan adds, and it was counted.
    let (scan, _) = held(|| state.scan_prefix(b"key"));
    drop((scan, state));
    drop(overlay);
}

/// An engine hands out slices of blocks of 4 KiB. None of them lives on in a write set,
/// in what a commit writes, or in the cache.
fn values_that_were_read() {
    for cache_bytes in [0, 64 << 20] {
        let engine = Arc::new(Blocky::over(MemoryBackend::default()));
        let store = Store::with_backend_and_cache(engine.clone(), cache_bytes).unwrap();
        store.commit(&block(0), &writes(0, None)).unwrap();
        let snapshot = store.snapshot();
        // The engine in memory grows a little when a value is first read, and a cached
        // value when it is first found.
        for _ in 0..2 {
            drop(writes(1, Some(&snapshot)));
        }
        let cached = store.cache_stats().bytes;
        let (read, bytes) = held(|| {
            let writes = writes(1, Some(&snapshot));
            writes.seal();
            writes
        });
        let cached = usize::try_from(store.cache_stats().bytes - cached).unwrap();
        let counted = read.bytes() + cached;
        assert!(bytes <= counted + BESIDE, "{bytes} held, {counted} counted");
        drop(snapshot);

        // A batch that has to read all old values itself, and one that has them.
        for (height, writes) in [
            (1, &writes(1, None)),
            (2, &writes(2, Some(&store.snapshot()))),
        ] {
            engine.keep_next();
            store.commit(&block(height), writes).unwrap();
            let batch = engine.take_kept().unwrap();
            let logical: usize = batch
                .operations()
                .iter()
                .map(|operation| {
                    operation.key.len() + operation.value.as_ref().map_or(0, Bytes::len)
                })
                .sum();
            // Each put has a key and a value of its own, in chunks that are shared.
            let counted =
                logical + batch.len() * size_of::<metashrew_store::Operation>() * 2 + (1 << 20);
            let held = freed_by(batch);
            assert!(held <= counted, "{held} held, {counted} counted");
        }
    }
}

fn the_read_cache() {
    const CAPACITY: u64 = 8 << 20;
    for absent in [false, true] {
        let engine = Arc::new(Blocky::over(MemoryBackend::default()));
        let plain = Store::with_backend(engine.clone()).unwrap();
        for height in 0..20 {
            let mut writes = WriteSet::default();
            for number in height * KEYS..(height + 1) * KEYS {
                let value = [1; 8];
                writes
                    .insert(if absent { vec![0; 9] } else { key(number) }, value)
                    .unwrap();
            }
            plain.commit(&block(height), &writes).unwrap();
        }
        drop(plain);
        let (store, empty) = held(|| Store::with_backend_and_cache(engine, CAPACITY).unwrap());
        let state = store.snapshot().latest();
        let ((), filled) = held(|| {
            for number in 0..20 * KEYS {
                state.get(&key(number)).unwrap();
                // A clone of a hit is what makes it as large as it gets.
                state.get(&key(number)).unwrap();
            }
        });
        let capacity = usize::try_from(CAPACITY).unwrap();
        // The records of what was written last are of a fixed size.
        assert!(empty < capacity / 4 + (1 << 20), "{empty} bytes when empty");
        let counted = usize::try_from(store.cache_stats().bytes).unwrap();
        assert!(
            counted <= capacity && counted > capacity / 2,
            "{counted} counted"
        );
        let took = filled + empty.saturating_sub(1 << 19);
        assert!(
            took <= capacity,
            "absent {absent}: {took} taken, {counted} counted"
        );
    }
}
