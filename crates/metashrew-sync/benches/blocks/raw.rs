//! A guest that only flushes, against the store alone with the same writes.

use std::time::{Duration, Instant};

use metashrew_runtime::MetashrewRuntime;
use metashrew_store::{Durability, Store, StoreOptions, WriteSet};

use crate::{RUNS, Workload, block_ref, on_disk, scratch};

/// Keys that the guest writes in every block.
pub(crate) const KEYS: u32 = 5000;

/// Prints writes a second: the guest through the whole pipeline, and the store taking
/// each block's writes, durable or not.
pub(crate) fn compare(wasm: &[u8], workload: &Workload) {
    let blocks = written(wasm, workload);
    let writes = f64::from(KEYS) * workload.blocks.len() as f64;
    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..RUNS {
        times[0].push(on_disk(wasm, workload).total * u32::try_from(blocks.len()).expect("few"));
        times[1].push(store(workload.first, &blocks, Durability::Synced));
        times[2].push(store(workload.first, &blocks, Durability::Buffered));
    }
    let rates = times.map(|mut times| {
        times.sort_unstable();
        writes / times[RUNS / 2].as_secs_f64()
    });
    println!("\n| flush-only guest, 5,000 new keys a block | writes/s | of the store |");
    println!("|---|---:|---:|");
    println!(
        "| guest, indexed and committed durably | {:.0} | |",
        rates[0]
    );
    println!(
        "| store alone, one fsync a block | {:.0} | {:.0}% |",
        rates[1],
        100.0 * rates[0] / rates[1]
    );
    println!(
        "| store alone, no fsync | {:.0} | {:.0}% |",
        rates[2],
        100.0 * rates[0] / rates[2]
    );
}

/// What the guest writes in each block.
fn written(wasm: &[u8], workload: &Workload) -> Vec<WriteSet> {
    let store = Store::in_memory();
    let runtime = MetashrewRuntime::new(wasm, store.clone()).expect("the guest loads");
    (workload.first..)
        .zip(&workload.blocks)
        .map(|(height, block)| {
            let writes = runtime.process_block(height, block).expect("it flushes");
            store
                .commit(&block_ref(height), &writes)
                .expect("memory takes it");
            writes
        })
        .collect()
}

fn store(first: u32, blocks: &[WriteSet], durability: Durability) -> Duration {
    let directory = tempfile::tempdir().expect("a directory");
    let options = StoreOptions {
        durability,
        ..StoreOptions::default()
    };
    let store = Store::open(&scratch(&directory, "raw"), options).expect("a new database opens");
    let begun = Instant::now();
    for (height, writes) in (first..).zip(blocks) {
        store
            .commit(&block_ref(height), writes)
            .expect("the store takes it");
    }
    begun.elapsed()
}
