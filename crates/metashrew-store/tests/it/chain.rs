//! Blocks for tests: connected, and different on every fork.

use std::sync::Arc;

use metashrew_store::{BlockHash, BlockRecord, BlockRef, Height, Store, WriteSet};

/// The hash of the block at `height` of the fork numbered `fork`.
pub(crate) fn hash(fork: u32, height: Height) -> BlockHash {
    let mut bytes = [0xb1; 32];
    bytes[..4].copy_from_slice(&fork.to_be_bytes());
    bytes[4..8].copy_from_slice(&height.to_be_bytes());
    BlockHash::from_bytes(bytes)
}

/// The block of fork `fork` that comes on top of `tip`, or starts at `first`.
pub(crate) fn next(tip: Option<&BlockRecord>, first: Height, fork: u32) -> BlockRef {
    let height = tip.map_or(first, |tip| tip.height + 1);
    BlockRef::new(
        height,
        hash(fork, height),
        tip.map_or(hash(u32::MAX, 0), |tip| tip.hash),
    )
}

/// A write set of these keys and values.
pub(crate) fn writes<K: AsRef<[u8]>, V: AsRef<[u8]>>(entries: &[(K, V)]) -> WriteSet {
    let mut writes = WriteSet::default();
    for (key, value) in entries {
        writes.insert(key, value).unwrap();
    }
    writes
}

/// Commits the next block of fork 0 with these writes.
pub(crate) fn commit(store: &Store, entries: &[(&str, &str)]) -> BlockRecord {
    let block = next(store.snapshot().tip(), 100, 0);
    store.commit(&block, &writes(entries)).unwrap()
}

/// What block `height` of the standard chain writes: some new keys, some old ones.
pub(crate) fn standard_writes(height: Height, value_len: usize) -> Arc<WriteSet> {
    let mut writes = WriteSet::default();
    for number in 0..20u32 {
        let key = if number % 2 == 0 {
            format!("/new/{height}/{number}")
        } else {
            format!("/old/{}", (height * 7 + number) % 50)
        };
        let value = noise(u64::from(height) << 32 | u64::from(number), value_len);
        writes.insert(key, value).unwrap();
    }
    Arc::new(writes)
}

/// Bytes that no compression makes smaller.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// Commits block after block of the standard chain, from height 0, up to `height`.
pub(crate) fn commit_standard(store: &Store, height: Height, value_len: usize) -> BlockRecord {
    loop {
        let tip = store.snapshot().tip().copied();
        match tip {
            Some(tip) if tip.height >= height => return tip,
            _ => {
                let block = next(tip.as_ref(), 0, 0);
                let writes = standard_writes(block.height, value_len);
                store.commit(&block, &writes).unwrap();
            }
        }
    }
}
