//! What a store has of its chain.

use metashrew_store::{BlockRecord, Store};

/// The records of all blocks held, the lowest first.
///
/// # Panics
/// If one cannot be read.
pub fn records(store: &Store) -> Vec<BlockRecord> {
    let snapshot = store.snapshot();
    let (Some(first), Some(tip)) = (snapshot.first(), snapshot.tip()) else {
        return Vec::new();
    };
    (first..=tip.height)
        .map(|height| {
            let record = snapshot.block(height).expect("the store can be read");
            record.expect("no block is missing up to the tip")
        })
        .collect()
}
