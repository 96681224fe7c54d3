//! The runtime through its public face, with guests good and bad.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails, and says where"
)]

mod announced;
mod blocks;
mod budget;
mod callers;
mod cancel;
mod checks;
mod concurrency;
mod descriptions;
mod documented;
mod errors;
mod fairness;
mod faults;
mod honest;
mod independence;
mod inspect;
mod logs;
mod many;
mod observed;
mod order;
mod pending;
mod previews;
mod profile;
mod range_faults;
mod ranges;
mod recorded;
mod reorg;
mod replay;
mod roots;
mod runner;
mod scouts;
mod script;
mod sdk_attributes;
mod sdk_guests;
mod sessions;
mod slow_reads;
mod stack;
mod stage;
mod switching;
mod tables;
mod trap_offsets;
mod view_errors;
mod views;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metashrew_runtime::{MetashrewRuntime, ModuleCache, RuntimeOptions, ViewOptions, ViewStats};
use metashrew_store::{BlockHash, BlockId, BlockRecord, BlockRef, Store, WriteSet};

/// A guest over a store in memory, and made-up blocks to feed it.
struct Bench {
    store: Store,
    runtime: MetashrewRuntime,
}

impl Bench {
    fn new(wasm: &[u8]) -> Self {
        Self::with(wasm, |_| {})
    }

    fn with(wasm: &[u8], adapt: impl FnOnce(&mut ViewOptions)) -> Self {
        Self::over(wasm, Store::in_memory(), adapt)
    }

    fn over(wasm: &[u8], store: Store, adapt: impl FnOnce(&mut ViewOptions)) -> Self {
        let mut options = RuntimeOptions {
            cache: ModuleCache::Off,
            ..RuntimeOptions::default()
        };
        // The machine may be busy: where a wait is to end, the test says so.
        options.views.max_wait = Duration::from_hours(1);
        adapt(&mut options.views);
        let runtime = MetashrewRuntime::with_options(wasm, store.clone(), options).unwrap();
        Self { store, runtime }
    }

    /// Indexes blocks of `branch` up to `height`, from the tip on.
    fn index_to(&self, height: u32, branch: u8) {
        let first = self.store.snapshot().tip().map_or(0, |tip| tip.height + 1);
        for height in first..=height {
            self.index(height, branch);
        }
    }

    fn index(&self, height: u32, branch: u8) -> BlockRecord {
        let writes = self
            .runtime
            .process_block(height, &block(height, branch))
            .unwrap();
        self.commit(height, branch, &writes)
    }

    fn commit(&self, height: u32, branch: u8, writes: &WriteSet) -> BlockRecord {
        let parent = self
            .store
            .snapshot()
            .tip()
            .map_or(hash(0, 0), |tip| tip.hash);
        let block = BlockRef::new(height, hash(height, branch), parent);
        self.store.commit(&block, writes).unwrap()
    }

    fn view(&self, name: &str, input: &[u8], at: &BlockId) -> Vec<u8> {
        self.runtime
            .view_sync(name, input, at)
            .unwrap()
            .bytes
            .to_vec()
    }

    fn count(&self, at: &BlockId) -> u32 {
        u32::from_le_bytes(self.view("counter", b"", at).try_into().unwrap())
    }
}

/// A block's bytes: an 80-byte header and a little behind it.
fn block(height: u32, branch: u8) -> Vec<u8> {
    let mut block = vec![branch; 90];
    block[36..40].copy_from_slice(&height.to_le_bytes());
    block
}

fn hash(height: u32, branch: u8) -> BlockHash {
    let mut bytes = [branch; 32];
    bytes[..4].copy_from_slice(&height.to_le_bytes());
    BlockHash::from_bytes(bytes)
}

/// What a fresh instance answers for every height, the reference for all views.
fn fresh(wasm: &[u8], store: &Store) -> Arc<MetashrewRuntime> {
    let options = RuntimeOptions {
        cache: ModuleCache::Off,
        views: ViewOptions {
            enabled: false,
            ..ViewOptions::default()
        },
        ..RuntimeOptions::default()
    };
    Arc::new(MetashrewRuntime::with_options(wasm, store.clone(), options).unwrap())
}

/// The kept module of the example guest `ledger`.
fn ledger() -> Vec<u8> {
    guest("ledger")
}

/// The kept module of a guest of `guests/`, or the one where `METASHREW_GUESTS` says.
fn guest(name: &str) -> Vec<u8> {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/wasm");
    let directory = std::env::var_os("METASHREW_GUESTS").map_or(kept, Into::into);
    std::fs::read(directory.join(name).with_extension("wasm")).unwrap()
}

/// Nothing runs and nothing waits, and every instance ever made is idle or was
/// dropped for a reason.
fn assert_adds_up(stats: &ViewStats) {
    assert_eq!((stats.busy, stats.waiting), (0, 0), "{stats:?}");
    let dropped = stats
        .dropped
        .by_kind()
        .iter()
        .map(|(_, count)| count)
        .sum::<u64>();
    assert_eq!(
        stats.calls.created,
        dropped + stats.idle as u64,
        "{stats:?}"
    );
}

/// Waits for a condition that another task brings about.
async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), wait)
        .await
        .expect("the condition comes about");
}

/// The same on a thread of its own.
fn wait_until(condition: impl Fn() -> bool) {
    let executor = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    executor.unwrap().block_on(until(condition));
}
