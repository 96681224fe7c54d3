//! Which batch last wrote a key, for the keys of all layers: one lookup instead of one
//! in each layer.
//!
//! It is shared by all views. It knows keys by their hash alone: what it says only tells
//! where to look first. A key that it does not know is in no layer, unless the layer
//! was evicted since; so it remembers up to which batch entries may be gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use parking_lot::RwLock;

use super::Space;
use super::layer::Layer;
use super::tree_key::is_hashed;

/// So many that readers and the writer seldom meet.
const SHARDS: usize = 256;

#[derive(Debug)]
pub(super) struct Index {
    shards: Box<[Shard]>,
    evicted: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    newest: RwLock<HashTable<Newest>>,
    hits: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
struct Newest {
    hash: u64,
    batch: u64,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            evicted: AtomicU64::new(0),
        }
    }
}

impl Index {
    /// The index of `layers`, newest first.
    pub(super) fn of(layers: &[Arc<Layer>]) -> Self {
        let index = Self::default();
        for layer in layers.iter().rev() {
            index.add(layer);
        }
        index
    }

    /// The last batch that wrote a key with this hash.
    pub(super) fn newest(&self, space: Space, hash: u64) -> Option<u64> {
        let hash = in_space(space, hash);
        let shard = self.shard(hash).newest.read();
        shard.find(hash, |it| it.hash == hash).map(|it| it.batch)
    }

    /// Counts a read that a layer answered.
    pub(super) fn count_hit(&self, hash: u64) {
        self.shard(hash).hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn hits(&self) -> u64 {
        let hits = |shard: &Shard| shard.hits.load(Ordering::Relaxed);
        self.shards.iter().map(hits).sum()
    }

    /// Keys of batches up to this one may be missing.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Acquire)
    }

    /// Notes the keys of a layer that is newer than all before.
    pub(super) fn add(&self, layer: &Layer) {
        for (space, hash) in hashes(layer) {
            let batch = layer.last;
            let mut shard = self.shard(hash).newest.write();
            match shard.entry(hash, |it| it.hash == hash, |it| it.hash) {
                Entry::Occupied(mut entry) => entry.get_mut().batch = batch,
                Entry::Vacant(entry) => {
                    entry.insert(Newest { hash, batch });
                }
            }
            debug_assert!(is_hashed(space), "only these are looked up");
        }
    }

    /// Forgets the keys of a layer, but for those that a later one wrote again.
    pub(super) fn remove(&self, layer: &Layer) {
        self.evicted.fetch_max(layer.last, Ordering::AcqRel);
        for (_, hash) in hashes(layer) {
            let mut shard = self.shard(hash).newest.write();
            let is_old = |it: &Newest| it.hash == hash && it.batch <= layer.last;
            if let Ok(entry) = shard.find_entry(hash, is_old) {
                entry.remove();
            }
        }
    }

    fn shard(&self, hash: u64) -> &Shard {
        // Not the bits by which a shard finds its slots.
        let shard = (hash >> 40) as usize % SHARDS;
        self.shards.get(shard).expect("there is every shard")
    }
}

fn hashes(layer: &Layer) -> impl Iterator<Item = (Space, u64)> {
    Space::ALL.into_iter().flat_map(|space| {
        let hashes = layer.run(space).hashes();
        hashes.map(move |hash| (space, in_space(space, hash)))
    })
}

/// The same key in two spaces is two keys.
fn in_space(space: Space, hash: u64) -> u64 {
    hash ^ (space as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
