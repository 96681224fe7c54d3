//! Bundles: a block and what it read give the same writes and the same trap without the
//! database; what was not recorded is told by name.

use bytes::Bytes;
use metashrew_runtime::{Bundle, MetashrewRuntime, NotRecorded, Outcome, ReadCounts, ReplayError};
use metashrew_store::{BlockHash, BlockRef, HistoryRoot, MemoryBackend, Store};
use metashrew_testing::guests;
use metashrew_testing::ranging::ranging;
use proptest::prelude::*;
use std::sync::Arc;

use crate::script::{any, ops};
use crate::{Bench, block, fresh, guest, hash};

/// A guest where blocks are packed, and the same without a database.
struct Machines {
    bench: Bench,
    elsewhere: Arc<MetashrewRuntime>,
    runner: metashrew_runtime::BlockRunner,
}

impl Machines {
    fn new(wasm: &[u8]) -> Self {
        let bench = Bench::new(wasm);
        Self {
            runner: bench.runtime.block_runner(),
            elsewhere: fresh(wasm, &Store::in_memory()),
            bench,
        }
    }

    /// Packs the next block.
    fn pack(&self, bytes: &[u8]) -> (Bundle, ReadCounts) {
        let snapshot = self.bench.store.snapshot();
        let height = snapshot.tip().map_or(0, |tip| tip.height + 1);
        let below = snapshot.below(height).unwrap();
        let parent = below.base.map_or(hash(0, 0), |base| base.hash);
        let root = below
            .base
            .map_or(HistoryRoot::EMPTY, |base| base.history_root);
        let block = BlockRef::new(height, hash(height, 0), parent);
        let bytes = Bytes::copy_from_slice(bytes);
        let made = Bundle::make(&self.bench.runtime, below.state, root, block, bytes);
        let (bundle, counts) = made.unwrap();
        (Bundle::decode(&bundle.encode().unwrap()).unwrap(), counts)
    }

    /// Indexes the next block, as a chain is indexed, and makes sure that its bundle gives
    /// the same elsewhere.
    fn index(&mut self, bytes: &[u8]) -> Bundle {
        let (bundle, counts) = self.pack(bytes);
        let state = self.bench.store.snapshot().latest();
        let indexed = self
            .runner
            .process(state, &bundle.block, Bytes::copy_from_slice(bytes));
        let indexed = indexed.unwrap();
        let (again, writes) = bundle.run(&self.elsewhere, ReadCounts::default());
        let writes = writes.unwrap();
        assert!(writes.sorted().eq(indexed.sorted()), "other writes");
        assert_eq!(again, counts);
        let Outcome::Wrote(packed) = &bundle.outcome else {
            panic!("{:?}", bundle.outcome);
        };
        assert!(packed.sorted().eq(indexed.sorted()));
        let record = self.bench.store.commit(&bundle.block, &indexed).unwrap();
        assert_eq!(bundle.history_root(&writes), record.history_root);
        bundle
    }
}

/// Runs cases over chains that begin anew.
fn check<T: std::fmt::Debug>(
    wasm: &[u8],
    cases: u32,
    blocks: impl Strategy<Value = Vec<T>>,
    bytes: impl Fn(T) -> Vec<u8>,
) {
    // Compiled once.
    let machines = std::cell::RefCell::new(Machines::new(wasm));
    proptest!(ProptestConfig::with_cases(cases), |(blocks in blocks)| {
        let mut machines = machines.borrow_mut();
        machines.bench.store.rollback(None).unwrap();
        machines.runner = machines.bench.runtime.block_runner();
        for block in blocks {
            machines.index(&bytes(block));
        }
    });
}

/// Reads after own writes, ranges both ways, pages and cursors, many keys at once.
#[test]
fn scripts_replay_exactly() {
    for name in ["script", "script_by_hand"] {
        let scripts = proptest::collection::vec(any::script(), 1..6);
        check(&guest(name), 50, scripts, |script| ops::encode(&script));
    }
}

#[test]
fn ranges_replay_exactly() {
    let block = (
        proptest::collection::vec(0_u8..3, 84),
        0_u8..4,
        any::<u8>(),
        any::<u8>(),
    );
    let blocks = proptest::collection::vec(block, 1..12);
    check(&ranging(), 100, blocks, |(mut block, flags, count, low)| {
        block[52..56].copy_from_slice(&[flags, count, low, 0]);
        block
    });
}

/// The guests that are kept, over real blocks: some keep memory from one to the next.
#[test]
fn every_example_guest_replays_exactly() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/wasm");
    let real = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let full = std::fs::read(real.join("block-772904.bin")).unwrap();
    let mut tried = 0;
    for entry in std::fs::read_dir(path).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        let wasm = std::fs::read(&file).unwrap();
        let mut machines = Machines::new(&wasm);
        let (bundle, _) = machines.pack(&full);
        // Some want blocks that are scripts, and fail on this one: the same elsewhere.
        if let Outcome::Failed(fault) = &bundle.outcome {
            let (_, result) = bundle.run(&machines.elsewhere, ReadCounts::default());
            assert_eq!(&result.unwrap_err().to_string(), fault);
        } else {
            machines.index(&full);
            tried += 1;
        }
    }
    assert!(tried >= 10, "{tried} blocks");
}

#[test]
fn a_trap_is_the_same_elsewhere_and_a_guest_that_is_mended_goes_on() {
    for wasm in [
        guests::traps_at(3),
        guests::aborts_at(3),
        guests::silent_at(3),
    ] {
        let mut machines = Machines::new(&wasm);
        for height in 0..3 {
            machines.index(&block(height, 0));
        }
        let (bundle, _) = machines.pack(&block(3, 0));
        let Outcome::Failed(fault) = &bundle.outcome else {
            panic!("{:?}", bundle.outcome);
        };
        let (_, result) = bundle.run(&machines.elsewhere, ReadCounts::default());
        let Err(ReplayError::Guest(error)) = result else {
            panic!("{result:?}");
        };
        assert_eq!(&error.to_string(), fault);
        // The mended guest reads what this one did not come to.
        let mended = fresh(&guests::chained(), &Store::in_memory());
        let (_, result) = bundle.run(&mended, ReadCounts::default());
        let error = result.unwrap_err();
        let ReplayError::NotRecorded(missing) = error else {
            panic!("{error:?}");
        };
        assert_eq!(
            missing,
            NotRecorded::Key {
                key: b"acc".to_vec()
            }
        );
    }
}

#[test]
fn other_keys_are_told_by_name_and_never_answered() {
    let reads = |key: &str| {
        let length = key.len();
        guests::from_wat(&format!(
            r#"(module
  (import "env" "__get_len" (func $get_len (param i32) (result i32)))
  (import "env" "__flush" (func $flush (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\0{length}\00\00\00{key}")
  (data (i32.const 16) "\00\00\00\00")
  (func (export "_start")
    (drop (call $get_len (i32.const 4)))
    (call $flush (i32.const 20))))"#
        ))
    };
    let (bundle, counts) = Machines::new(&reads("a")).pack(b"");
    assert_eq!((counts.keys, counts.absent), (1, 1));
    let run = |wasm: &[u8]| {
        bundle
            .run(&fresh(wasm, &Store::in_memory()), ReadCounts::default())
            .1
    };
    assert!(run(&reads("a")).unwrap().is_empty());
    let error = run(&reads("bc")).unwrap_err();
    let ReplayError::NotRecorded(missing) = error else {
        panic!("{error:?}");
    };
    assert_eq!(
        missing.to_string(),
        "what is at the key 0x6263 was not recorded"
    );
    let range = run(&ranging());
    assert!(matches!(
        range,
        Err(ReplayError::Guest(_) | ReplayError::NotRecorded(_))
    ));
}

/// A range is known as far as it was walked, and no further.
#[test]
fn what_is_beyond_the_end_of_a_walk_is_not_known() {
    let ask = |flags: u8, count: u8, start: &[u8; 3], end: &[u8; 3]| {
        let mut block = vec![0; 90];
        block[36 + 16] = flags;
        block[36 + 17] = count;
        block[36 + 18..36 + 20].copy_from_slice(&[255, 255]);
        block[36 + 20..36 + 23].copy_from_slice(start);
        block[36 + 23..36 + 26].copy_from_slice(end);
        block
    };
    let backend = Arc::new(MemoryBackend::default());
    let store = Store::with_backend(backend).unwrap();
    let mut writes = metashrew_store::WriteSet::default();
    for number in 1..9_u8 {
        writes.insert([b'k', number, 0, 0], [number]).unwrap();
    }
    let parent = BlockHash::from_bytes([0; 32]);
    let first = BlockRef::new(0, hash(0, 0), parent);
    store.commit(&first, &writes).unwrap();
    let wasm = ranging();
    let machines = Machines {
        bench: Bench::over(&wasm, store, |_| {}),
        ..Machines::new(&wasm)
    };
    for descending in [0, 1] {
        // Three of the keys from 2 to 8.
        let (mut bundle, counts) = machines.pack(&ask(descending, 3, &[2, 0, 0], &[8, 0, 0]));
        assert_eq!((counts.ranges, counts.found), (1, 3));
        let mut run = |block: Vec<u8>| {
            bundle.bytes = block.into();
            bundle.run(&machines.elsewhere, ReadCounts::default()).1
        };
        let (near, far) = if descending == 1 {
            (
                ask(1, 2, &[2, 0, 0], &[8, 0, 0]),
                ask(1, 4, &[2, 0, 0], &[8, 0, 0]),
            )
        } else {
            (
                ask(0, 2, &[2, 0, 0], &[8, 0, 0]),
                ask(0, 4, &[2, 0, 0], &[8, 0, 0]),
            )
        };
        run(near).unwrap();
        let error = run(far).unwrap_err();
        let ReplayError::NotRecorded(NotRecorded::Range { .. }) = error else {
            panic!("{error:?}");
        };
    }
}
