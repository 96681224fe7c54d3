//! What a walk far below the tip costs: how often the engine has to seek, however many versions
//! and newer keys there are.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metashrew_store::{BackendError, Direction, Height, Store, wait};
use metashrew_testing::hooked::{Hook, Hooked};

use crate::chain;

/// Counts the walks that the engine begins.
#[derive(Debug, Default)]
struct Seeks(AtomicU64);

impl Hook for Seeks {
    fn before_get(&self, _: &[u8]) -> Result<(), BackendError> {
        Ok(())
    }

    fn before_scan(&self) -> Result<(), BackendError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

const KEYS: u64 = 100;

/// Block 0 writes the keys that are 0 and 1 modulo 3. Every other block writes those that are 1,
/// and block 1 those that are 2, too.
fn filled(blocks: Height) -> (Store, Arc<Seeks>) {
    let seeks = Arc::new(Seeks::default());
    let engine = Arc::new(Hooked::new(Arc::clone(&seeks)));
    let store = Store::with_backend_and_cache(engine, 0).unwrap();
    for height in 0..blocks {
        let is_written = |number: &u64| match number % 3 {
            0 => height == 0,
            1 => true,
            _ => height == 1,
        };
        let writes: Vec<_> = (0..KEYS)
            .filter(is_written)
            .map(|number| (number.to_be_bytes(), height.to_be_bytes()))
            .collect();
        let block = chain::next(store.snapshot().tip(), 0, 0);
        store.commit(&block, &chain::writes(&writes)).unwrap();
    }
    seeks.0.store(0, Ordering::Relaxed);
    (store, seeks)
}

/// How often the engine seeks for a walk over all keys at `height`, which meets what point reads
/// find.
fn seeks_of_a_walk((store, seeks): &(Store, Arc<Seeks>), height: Height, way: Direction) -> u64 {
    let state = store.snapshot().at(height);
    let before = seeks.0.load(Ordering::Relaxed);
    let walk = state.scan(Bound::Unbounded, Bound::Unbounded, way);
    let found: Vec<_> = walk.map(Result::unwrap).collect();
    let count = seeks.0.load(Ordering::Relaxed) - before;
    let mut expect: Vec<_> = (0..KEYS)
        .map(u64::to_be_bytes)
        .filter_map(|key| Some((key.to_vec().into(), wait(state.read(&key)).unwrap()?)))
        .collect();
    if way == Direction::Back {
        expect.reverse();
    }
    assert_eq!(found, expect, "{way:?} at {height}");
    count
}

#[test]
fn a_walk_below_the_tip_seeks_once_where_keys_have_few_versions() {
    let filled = filled(3);
    for way in [Direction::Forward, Direction::Back] {
        for height in 0..2 {
            // One among the newest, one among the older ones.
            assert_eq!(seeks_of_a_walk(&filled, height, way), 2, "{way:?}");
        }
        assert_eq!(seeks_of_a_walk(&filled, 2, way), 1, "{way:?}");
    }
}

#[test]
fn a_key_of_many_versions_costs_no_more_than_two_seeks() {
    const BLOCKS: Height = 60;
    let filled = filled(BLOCKS);
    for way in [Direction::Forward, Direction::Back] {
        for height in 0..BLOCKS {
            let seeks = seeks_of_a_walk(&filled, height, way);
            assert!(
                seeks <= 2 + 2 * KEYS.div_ceil(3),
                "{seeks} {way:?} at {height}"
            );
        }
    }
}
