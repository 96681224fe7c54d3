//! The engine on disk: what it takes has a bound that the size of the state does not move.

use std::path::Path;

use metashrew_store::{Durability, Store, StoreOptions, WriteSet};

use crate::block;
use crate::counting::held;

/// Few that are long: an index holds one key of each block of a table, so that the indexes
/// of a small state take as much as those of a large one whose keys are short.
const KEYS: u64 = 60_000;
const KEY_LEN: usize = 400;
const KEYS_PER_BLOCK: u64 = 4_000;
/// What the engine's cache of blocks has beside blocks, however small it is: slots that it
/// keeps for blocks which it let go.
const SLOTS: usize = 1 << 20;

const OPTIONS: fn() -> StoreOptions = || StoreOptions {
    cache_bytes: 2 << 20,
    read_cache_bytes: 0,
    durability: Durability::Buffered,
    ..StoreOptions::default()
};

fn key(number: u64) -> Vec<u8> {
    let mut key = vec![7; KEY_LEN];
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    key.get_mut(..8).unwrap().copy_from_slice(&mixed);
    key
}

fn write(directory: &Path) {
    let store = Store::open(directory, OPTIONS()).unwrap();
    for height in 0..KEYS / KEYS_PER_BLOCK {
        let mut writes = WriteSet::default();
        for number in height * KEYS_PER_BLOCK..(height + 1) * KEYS_PER_BLOCK {
            writes.insert(key(number), number.to_be_bytes()).unwrap();
        }
        let height = u32::try_from(height).unwrap();
        store.commit(&block(height), &writes).unwrap();
    }
    // As many are left as no compaction is due for.
    while store.engine_health().unwrap().new_runs >= 4 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// What a database takes once it was opened, and once it was read.
fn opened_and_read(directory: &Path) -> (usize, usize) {
    let (store, opened) = held(|| Store::open(directory, OPTIONS()).unwrap());
    let state = store.snapshot().latest();
    let ((), read) = held(|| {
        for number in (0..KEYS).step_by(5) {
            let found = state.get(&key(number)).unwrap();
            if let Some(found) = found {
                assert_eq!(found.value, number.to_be_bytes().as_slice());
            }
            assert_eq!(state.get(&key(KEYS + number)).unwrap(), None);
        }
    });
    (opened, read)
}

pub(crate) fn filters_and_indexes_that_exceed_the_cache() {
    let (empty, large) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Threads and tables of the process that the first one makes.
    opened_and_read(empty.path());
    let (base, _) = opened_and_read(empty.path());
    write(large.path());

    let (opened, read) = opened_and_read(large.path());
    let took = (opened + read).saturating_sub(base);
    let limit = usize::try_from(OPTIONS().cache_bytes).unwrap();
    assert!(
        took <= limit + limit / 5 + SLOTS,
        "{took} bytes of {limit}: {opened} when opened, {base} of an empty database"
    );

    let store = Store::open(large.path(), OPTIONS()).unwrap();
    let health = store.engine_health().unwrap();
    let counted = usize::try_from(health.table_memory_bytes).unwrap();
    assert!(
        counted > limit / 20 && counted < opened,
        "{counted} bytes counted, {opened} when opened"
    );
}
