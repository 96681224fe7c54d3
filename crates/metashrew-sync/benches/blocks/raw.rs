//! A guest that only flushes, against the storage engine alone with the same bytes.

use std::time::{Duration, Instant};

use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use metashrew_runtime::MetashrewRuntime;
use metashrew_store::Store;

use crate::{RUNS, Workload, block_ref, on_disk, scratch};

/// Keys that the guest writes in every block.
pub(crate) const KEYS: u32 = 5000;

/// Prints writes a second: the guest through the whole pipeline, and the engine
/// taking each block's pairs as one batch, durable or not.
pub(crate) fn compare(wasm: &[u8], workload: &Workload) {
    let blocks = written(wasm, workload);
    let writes = f64::from(KEYS) * workload.blocks.len() as f64;
    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..RUNS {
        times[0].push(on_disk(wasm, workload).total * u32::try_from(blocks.len()).expect("few"));
        times[1].push(engine(&blocks, PersistMode::SyncAll));
        times[2].push(engine(&blocks, PersistMode::Buffer));
    }
    let rates = times.map(|mut times| {
        times.sort_unstable();
        writes / times[RUNS / 2].as_secs_f64()
    });
    println!("\n| flush-only guest, 5,000 new keys a block | writes/s | of the engine |");
    println!("|---|---:|---:|");
    println!(
        "| guest, indexed and committed durably | {:.0} | |",
        rates[0]
    );
    println!(
        "| engine alone, one fsync a block | {:.0} | {:.0}% |",
        rates[1],
        100.0 * rates[0] / rates[1]
    );
    println!(
        "| engine alone, no fsync | {:.0} | {:.0}% |",
        rates[2],
        100.0 * rates[0] / rates[2]
    );
}

/// The pairs of every block.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn written(wasm: &[u8], workload: &Workload) -> Vec<Pairs> {
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
                .sorted()
                .into_iter()
                .map(|(key, value)| (key.to_vec(), value.to_vec()))
                .collect()
        })
        .collect()
}

fn engine(blocks: &[Pairs], mode: PersistMode) -> Duration {
    let directory = tempfile::tempdir().expect("a directory");
    let database = Database::builder(scratch(&directory, "raw"))
        .open()
        .expect("a new database opens");
    let pairs = database
        .keyspace("pairs", KeyspaceCreateOptions::default)
        .expect("a new keyspace opens");
    let begun = Instant::now();
    for block in blocks {
        let mut batch = database.batch().durability(Some(mode));
        for (key, value) in block {
            batch.insert(&pairs, key.as_slice(), value.as_slice());
        }
        batch.commit().expect("the engine takes it");
    }
    begun.elapsed()
}
