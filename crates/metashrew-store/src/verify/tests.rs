//! Damage of every kind is found if and only if the naive model finds it, however little
//! memory there is.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use proptest::prelude::*;

use super::temporary::Temporary;
use super::{Sizes, VerifyPhase, VerifyProgress, VerifyReport, naive};
use crate::backend::{Backend, BackendError, BatchNumber, Read, Scan, View};
use crate::claim::Claimed;
use crate::error::VerifyError;
use crate::{
    Batch, BlockHash, BlockRef, Durability, Height, MemoryBackend, Space, Store, WriteSet,
};

type Writes = BTreeMap<Vec<u8>, Vec<u8>>;

fn hash(height: Height) -> BlockHash {
    let mut bytes = [0xab; 32];
    bytes[..4].copy_from_slice(&height.to_be_bytes());
    BlockHash::from_bytes(bytes)
}

/// A chain from `first` on whose blocks write this.
fn chain(first: Height, blocks: &[Writes]) -> Arc<MemoryBackend> {
    let backend = Arc::new(MemoryBackend::default());
    let store = Store::with_backend(backend.clone()).unwrap();
    for (height, writes) in (first..).zip(blocks) {
        let mut set = WriteSet::default();
        for (key, value) in writes {
            set.insert(key, value).unwrap();
        }
        let block = BlockRef::new(height, hash(height), hash(height.wrapping_sub(1)));
        store.commit(&block, &set).unwrap();
    }
    backend
}

/// As it stands, without the checks of an opening.
fn store(backend: Arc<dyn Backend>) -> Store {
    Store::over(backend, Durability::Buffered, 0, Claimed::default()).unwrap()
}

/// Sizes that part the versions of a few blocks again and again.
const TINY: Sizes = Sizes {
    part_buffers: 0,
    load: 200,
    versions_a_part: 7,
};

fn verify(store: &Store, sizes: &Sizes) -> Result<VerifyReport, VerifyError> {
    store.verify_in(sizes, &Temporary::new(None, None), &|_, _| ())
}

fn any_key() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0u8), Just(0xff), Just(b'a'), Just(1)];
    proptest::collection::vec(byte, 0..4)
}

fn any_blocks() -> impl Strategy<Value = Vec<Writes>> {
    let value = proptest::collection::vec(any::<u8>(), 0..8);
    let writes = proptest::collection::btree_map(any_key(), value, 0..12);
    proptest::collection::vec(writes, 1..12)
}

/// One change of one entry of one space.
#[derive(Debug, Clone)]
enum Damage {
    Delete,
    SetValue(Vec<u8>),
    FlipValue(usize, u8),
    FlipKey(usize, u8),
    /// The same value at a key with one byte changed as well.
    Copy(usize, u8),
    CutKey,
    CutValue,
    /// The values of two entries exchanged.
    Exchange(prop::sample::Index),
    /// The entry, in another space.
    Move(prop::sample::Index),
    Stray(Vec<u8>, Vec<u8>),
}

fn any_damage() -> impl Strategy<Value = Damage> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..10);
    let byte = || prop_oneof![Just(1u8), Just(2), Just(0x80), 1..=255u8];
    prop_oneof![
        Just(Damage::Delete),
        bytes().prop_map(Damage::SetValue),
        (any::<usize>(), byte()).prop_map(|(at, by)| Damage::FlipValue(at, by)),
        (any::<usize>(), byte()).prop_map(|(at, by)| Damage::FlipKey(at, by)),
        (any::<usize>(), byte()).prop_map(|(at, by)| Damage::Copy(at, by)),
        Just(Damage::CutKey),
        Just(Damage::CutValue),
        any::<prop::sample::Index>().prop_map(Damage::Exchange),
        any::<prop::sample::Index>().prop_map(Damage::Move),
        (bytes(), bytes()).prop_map(|(key, value)| Damage::Stray(key, value)),
    ]
}

fn any_space() -> impl Strategy<Value = Space> {
    prop_oneof![
        3 => Just(Space::KeyToNewest),
        3 => Just(Space::KeyHeightToOlder),
        3 => Just(Space::HeightToKeys),
        2 => Just(Space::HeightToBlock),
        2 => Just(Space::HashToHeight),
    ]
}

fn flipped(bytes: &[u8], at: usize, by: u8) -> Bytes {
    let mut bytes = bytes.to_vec();
    let len = bytes.len().max(1);
    if let Some(byte) = bytes.get_mut(at % len) {
        *byte ^= by;
    }
    bytes.into()
}

fn cut(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&bytes[..bytes.len().saturating_sub(1)])
}

fn all(view: &dyn View, space: Space) -> Vec<(Bytes, Bytes)> {
    let entries = view.scan(space, Bound::Unbounded, Bound::Unbounded);
    entries.map(Result::unwrap).collect()
}

fn inflict(backend: &MemoryBackend, space: Space, which: prop::sample::Index, damage: &Damage) {
    let view = backend.view();
    let entries = all(view.as_ref(), space);
    let mut batch = Batch::default();
    if let Damage::Stray(key, value) = damage {
        batch.put(space, key.clone().into(), value.clone().into());
    } else if !entries.is_empty() {
        let (key, value) = entries[which.index(entries.len())].clone();
        match damage {
            Damage::Delete => batch.delete(space, key),
            Damage::SetValue(value) => batch.put(space, key, value.clone().into()),
            Damage::FlipValue(at, by) => batch.put(space, key, flipped(&value, *at, *by)),
            Damage::CutValue => batch.put(space, key, cut(&value)),
            Damage::Copy(at, by) => batch.put(space, flipped(&key, *at, *by), value),
            Damage::FlipKey(at, by) => {
                batch.delete(space, key.clone());
                let flipped = flipped(&key, *at, *by);
                if flipped != key {
                    batch.put(space, flipped, value);
                }
            }
            Damage::CutKey => {
                batch.delete(space, key.clone());
                if !key.is_empty() {
                    batch.put(space, cut(&key), value);
                }
            }
            Damage::Exchange(with) => {
                let (other, others) = entries[with.index(entries.len())].clone();
                batch.put(space, key.clone(), others);
                if other != key {
                    batch.put(space, other, value);
                }
            }
            Damage::Move(to) => {
                let to = Space::ALL[to.index(5)];
                if to != space {
                    batch.delete(space, key.clone());
                    batch.put(to, key, value);
                }
            }
            Damage::Stray(..) => {}
        }
    }
    backend.write(batch).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn damage_is_found_exactly_if_the_naive_model_finds_it(
        first in prop_oneof![Just(0), Just(1), Just(700), Just(u32::MAX - 20)],
        blocks in any_blocks(),
        damages in proptest::collection::vec(
            (any_space(), any::<prop::sample::Index>(), any_damage()), 0..3,
        ),
        little in any::<bool>(),
    ) {
        let backend = chain(first, &blocks);
        for (space, which, damage) in &damages {
            inflict(&backend, *space, *which, damage);
        }
        let expect = naive::verify(backend.view().as_ref());
        let sizes = if little { TINY } else { Sizes::of(0, 1) };
        let found = verify(&store(backend), &sizes);
        match (expect, found) {
            (Ok(versions), Ok(report)) => {
                prop_assert_eq!(report.versions, versions);
                prop_assert_eq!(report.blocks, blocks.len() as u64);
                let keys: std::collections::BTreeSet<_> =
                    blocks.iter().flat_map(Writes::keys).collect();
                prop_assert_eq!(report.keys, keys.len() as u64);
            }
            (Err(_), Err(VerifyError::Corrupt { .. })) => {}
            (expect, found) => {
                prop_assert!(false, "the model says {:?}, the verification {:?}", expect, found);
            }
        }
    }
}

/// Blocks that write `keys` keys each, all of them the same.
fn blocks(count: u32, keys: u32) -> Vec<Writes> {
    let writes = |block: u32| {
        let entries = (0..keys).map(|key| {
            let value = (block * keys + key).to_be_bytes().repeat(5);
            (key.to_be_bytes().to_vec(), value)
        });
        entries.collect()
    };
    (0..count).map(writes).collect()
}

#[test]
fn parts_that_turn_out_too_large_are_parted_again() {
    let store = store(chain(5, &blocks(40, 300)));
    let expect = verify(&store, &Sizes::of(1 << 30, 1)).unwrap();
    assert_eq!((expect.blocks, expect.versions), (40, 12_000));
    for (load, versions_a_part) in [(1, u64::MAX), (100_000, u64::MAX), (100_000, 1), (1, 3_000)] {
        let sizes = Sizes {
            part_buffers: 0,
            load,
            versions_a_part,
        };
        assert_eq!(verify(&store, &sizes).unwrap(), expect);
    }
}

#[test]
fn progress_reaches_the_end_of_each_phase_in_turn() {
    let store = store(chain(0, &blocks(600, 40)));
    let told = Mutex::new(Vec::new());
    let progress = |phase: VerifyPhase, progress: VerifyProgress| {
        told.lock().push((phase, progress));
    };
    store.verify(progress).unwrap();
    let told = told.into_inner();
    assert!(told.is_sorted_by_key(|(phase, _)| *phase));
    for phase in [
        VerifyPhase::Lists,
        VerifyPhase::Versions,
        VerifyPhase::Roots,
    ] {
        let of_phase = told.iter().filter(|(told, _)| *told == phase);
        let most = of_phase.map(|(_, progress)| progress.done).max();
        assert_eq!(most, Some(24_000));
    }
    assert!(told.iter().all(|(_, progress)| progress.total == 24_000));
    assert!(told.len() > 9, "{} calls", told.len());
}

/// Counts what is read, and who may still read it.
#[derive(Debug, Default)]
struct Counted {
    memory: MemoryBackend,
    gets: Arc<AtomicU64>,
    entries: Arc<AtomicU64>,
    views: Arc<()>,
}

#[derive(Debug)]
struct CountedView {
    view: Arc<dyn View>,
    gets: Arc<AtomicU64>,
    entries: Arc<AtomicU64>,
    _held: Arc<()>,
}

impl Backend for Counted {
    fn view(&self) -> Arc<dyn View> {
        Arc::new(CountedView {
            view: self.memory.view(),
            gets: self.gets.clone(),
            entries: self.entries.clone(),
            _held: self.views.clone(),
        })
    }

    fn write(&self, batch: Batch) -> Result<BatchNumber, BackendError> {
        self.memory.write(batch)
    }

    fn durable(&self) -> BatchNumber {
        self.memory.durable()
    }

    fn sync(&self, batch: BatchNumber) -> Read<'_, ()> {
        self.memory.sync(batch)
    }
}

impl View for CountedView {
    fn batch(&self) -> BatchNumber {
        self.view.batch()
    }

    fn get<'a>(&'a self, space: Space, key: &'a [u8]) -> Read<'a, Option<Bytes>> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        self.view.get(space, key)
    }

    fn scan(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        self.count(self.view.scan(space, start, end))
    }

    fn scan_back(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        self.count(self.view.scan_back(space, start, end))
    }
}

impl CountedView {
    fn count(&self, scan: Scan) -> Scan {
        let entries = self.entries.clone();
        Scan::new(scan.inspect(move |_| {
            entries.fetch_add(1, Ordering::Relaxed);
        }))
    }
}

/// The same content in an engine that counts.
fn counted(memory: &MemoryBackend) -> Arc<Counted> {
    let counted = Arc::new(Counted::default());
    let view = memory.view();
    let mut batch = Batch::default();
    for space in Space::ALL {
        for (key, value) in all(view.as_ref(), space) {
            batch.put(space, key, value);
        }
    }
    counted.write(batch).unwrap();
    counted
}

#[test]
fn every_entry_is_read_once_and_no_version_by_a_point_read() {
    let backend = counted(&chain(0, &blocks(50, 100)));
    let store = store(backend.clone());
    backend.gets.store(0, Ordering::Relaxed);
    store.verify(|_, _| ()).unwrap();
    let view = backend.memory.view();
    let stored: usize = Space::ALL
        .into_iter()
        .filter(|space| *space != Space::Meta)
        .map(|space| all(view.as_ref(), space).len())
        .sum();
    let read = backend.entries.load(Ordering::Relaxed);
    // A share of the key space reads the first of its entries only.
    assert_eq!(read, stored as u64);
    // The hash of each block, and the totals of undone blocks.
    assert_eq!(backend.gets.load(Ordering::Relaxed), 51);
}

#[test]
fn the_view_is_let_go_once_the_versions_are_read() {
    let backend = counted(&chain(0, &blocks(5, 10)));
    let store = store(backend.clone());
    let height = 5;
    let after = Mutex::new(None);
    store
        .verify(|phase, progress| {
            // Somebody commits meanwhile, which leaves the old view to whoever holds it.
            if phase == VerifyPhase::Lists && progress.done == 0 {
                let block = BlockRef::new(height, hash(height), hash(height - 1));
                store.commit(&block, &WriteSet::default()).unwrap();
                assert_eq!(Arc::strong_count(&backend.views), 3);
            }
            if phase == VerifyPhase::Roots && progress.done > 0 {
                *after.lock() = Some(Arc::strong_count(&backend.views));
            }
        })
        .unwrap();
    assert_eq!(*after.lock(), Some(2));
}

#[test]
fn opening_on_a_huge_last_block_looks_at_a_bounded_number_of_keys() {
    let mut chain_blocks = blocks(3, 10);
    chain_blocks.extend(blocks(1, 80_000));
    let backend = counted(&chain(0, &chain_blocks));
    Store::with_backend(backend.clone()).unwrap();
    let gets = backend.gets.load(Ordering::Relaxed);
    assert!((16_384..16_484).contains(&gets), "{gets} point reads");
    store(backend.clone()).verify(|_, _| ()).unwrap();

    // What is looked at has to be there.
    let mut batch = Batch::default();
    let key = Bytes::copy_from_slice(&1_000u32.to_be_bytes());
    batch.delete(Space::KeyToNewest, key);
    backend.write(batch).unwrap();
    let error = Store::with_backend(backend).unwrap_err();
    assert!(
        error.to_string().contains("block 3 wrote is missing"),
        "{error}"
    );
}
