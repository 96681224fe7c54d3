//! Memory kept from one block to the next: when it is, when it is not, and that no state
//! depends on it.

use bytes::Bytes;
use metashrew_runtime::{BlockError, BlockRunner, GuestFault};
use metashrew_store::{BlockId, BlockRef, Store, WriteSet};
use proptest::prelude::*;

use crate::{Bench, block, hash, ledger};

/// How far the chain goes that has [`hash`] for its hashes.
fn block_ref(height: u32, branch: u8, parent: u8) -> BlockRef {
    let below = height.checked_sub(1);
    let parent = below.map_or(hash(0, 0), |below| hash(below, parent));
    BlockRef::new(height, hash(height, branch), parent)
}

/// Writes under `n`, as one byte, how many blocks its memory has seen. A block traps if it
/// begins with 1, and if it begins with 2 where its memory has seen another; if it begins with
/// 3, the memory grows by 400 MiB.
fn counting(exports: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
          (import "env" "__load_input" (func $load_input (param i32)))
          (import "env" "__flush" (func $flush (param i32)))
          (memory (export "memory") 1) {exports}
          (global $seen (mut i32) (i32.const 0))
          (data (i32.const 0) "\06\00\00\00\0a\01n\0a\01v")
          (func (export "_start") (local $first i32)
            (i32.store8 (i32.const 104) (i32.const 0)) ;; what an earlier block left
            (call $load_input (i32.const 100))
            (local.set $first (i32.load8_u (i32.const 104)))
            (if (i32.eq (local.get $first) (i32.const 1)) (then (unreachable)))
            (if (i32.and (i32.eq (local.get $first) (i32.const 2)) (i32.ne (global.get $seen) (i32.const 0)))
              (then (unreachable)))
            (if (i32.eq (local.get $first) (i32.const 3))
              (then (drop (memory.grow (i32.const 6400)))))
            (global.set $seen (i32.add (global.get $seen) (i32.const 1)))
            (i32.store8 (i32.const 9) (global.get $seen))
            (call $flush (i32.const 4)))
          (func (export "seen") (result i32)
            (i32.store (i32.const 64) (i32.const 1))
            (i32.store8 (i32.const 68) (global.get $seen))
            (i32.const 68)))"#
    );
    wat::parse_str(text).unwrap()
}

const KEEPS: &str = r#"(func (export "__metashrew_memory_across_blocks"))"#;

/// A chain that a runner processes.
struct Run {
    bench: Bench,
    runner: BlockRunner,
}

impl Run {
    fn of(wasm: &[u8]) -> Self {
        let bench = Bench::new(wasm);
        let runner = bench.runtime.block_runner();
        Self { bench, runner }
    }

    /// Processes a block on the store's newest state, without committing it.
    fn process(&mut self, block: &BlockRef, bytes: &[u8]) -> Result<WriteSet, BlockError> {
        let state = self.bench.store.snapshot().latest();
        self.runner
            .process(state, block, Bytes::copy_from_slice(bytes))
    }

    /// Processes and commits the next block, on the branch 1; answers how many its memory has
    /// seen.
    fn next(&mut self, bytes: &[u8]) -> u8 {
        let height = self
            .bench
            .store
            .snapshot()
            .tip()
            .map_or(0, |tip| tip.height + 1);
        let writes = self.process(&block_ref(height, 1, 1), bytes).unwrap();
        self.bench.commit(height, 1, &writes);
        seen(&self.bench.store)
    }
}

fn seen(store: &Store) -> u8 {
    store.snapshot().latest().get(b"n").unwrap().unwrap().value[0]
}

#[test]
fn memory_is_kept_for_who_asks_while_blocks_follow_each_other() {
    let mut run = Run::of(&counting(""));
    assert_eq!([run.next(&[]), run.next(&[]), run.next(&[])], [1, 1, 1]);
    let mut run = Run::of(&counting(KEEPS));
    assert_eq!([run.next(&[]), run.next(&[]), run.next(&[])], [1, 2, 3]);
    // What runs beside has instances of its own, and leaves the runner's alone.
    let bench = &run.bench;
    assert!(bench.runtime.process_block(3, &[]).is_ok());
    assert_eq!(bench.view("seen", b"", &BlockId::Latest), [0]);
    let preview = bench
        .runtime
        .preview_sync(&[], "seen", b"", &BlockId::Latest);
    assert_eq!(preview.unwrap().bytes[..], [0]);
    assert_eq!(run.next(&[]), 4);
    // A restart.
    run.runner = run.bench.runtime.block_runner();
    assert_eq!([run.next(&[]), run.next(&[])], [1, 2]);
}

#[test]
fn memory_is_dropped_at_a_fault_and_a_block_that_fails_on_it_is_tried_without() {
    let mut run = Run::of(&counting(KEEPS));
    run.next(&[]);
    let trapped = run.process(&block_ref(1, 1, 1), &[1]);
    assert!(
        matches!(trapped, Err(BlockError::Guest(GuestFault::Trap { .. }))),
        "{trapped:?}"
    );
    assert_eq!([run.next(&[]), run.next(&[])], [1, 2]);
    assert_eq!([run.next(&[2]), run.next(&[])], [1, 2]);
}

#[test]
fn memory_is_dropped_above_its_limit() {
    let mut run = Run::of(&counting(KEEPS));
    let counts = [
        run.next(&[3]),
        run.next(&[]),
        run.next(&[3]),
        run.next(&[]),
        run.next(&[]),
    ];
    assert_eq!(counts, [1, 2, 3, 1, 2]);
}

/// Grows by so much in each block, and writes under `n` whether that went well.
fn growing(declared: &str, grow: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
          (import "env" "__flush" (func $flush (param i32)))
          {declared} {KEEPS}
          (data (i32.const 0) "\06\00\00\00\0a\01n\0a\01v")
          (func (export "_start")
            (i32.store8 (i32.const 9) (i32.ne ({grow}) (i32.const -1)))
            (call $flush (i32.const 4))))"#
    );
    wat::parse_str(text).unwrap()
}

#[test]
fn no_growth_is_refused_on_kept_memory_that_a_fresh_one_has() {
    let memory = growing(
        r#"(memory (export "memory") 1 3)"#,
        "memory.grow (i32.const 1)",
    );
    let table = growing(
        r#"(memory (export "memory") 1) (table 1 3 funcref)"#,
        "table.grow (ref.null func) (i32.const 1)",
    );
    let all_tables = growing(
        r#"(memory (export "memory") 1) (table 1 funcref)"#,
        "table.grow (ref.null func) (i32.const 400000)",
    );
    for wasm in [memory, table, all_tables] {
        let mut run = Run::of(&wasm);
        assert_eq!([(); 6].map(|()| run.next(&[])), [1; 6]);
    }
    // What a fresh one has not either is refused as ever.
    let never = growing(
        r#"(memory (export "memory") 1 3)"#,
        "memory.grow (i32.const 3)",
    );
    let mut run = Run::of(&never);
    assert_eq!([(); 3].map(|()| run.next(&[])), [0; 3]);
}

#[test]
fn memory_serves_only_the_block_that_stands_on_the_last_one() {
    let mut run = Run::of(&counting(KEEPS));
    for _ in 0..4 {
        run.next(&[]);
    }
    // Another block at the same height; one whose parent is another; one that was skipped.
    for block in [block_ref(3, 2, 1), block_ref(4, 1, 3), block_ref(5, 1, 1)] {
        let writes = run.process(&block, &[]).unwrap();
        assert_eq!(
            writes_seen(&run.bench, block.height, &writes),
            1,
            "{block:?}"
        );
    }
    // The same block once more, on a state that has no block less.
    let (runner, store) = (&mut run.runner, &run.bench.store);
    let mut process = |block: BlockRef| {
        let state = store.snapshot().latest();
        runner.process(state, &block, Bytes::new()).unwrap()
    };
    process(block_ref(4, 1, 1));
    let writes = process(block_ref(5, 1, 1));
    // The state is still that of block 3.
    assert_eq!(writes_seen(&run.bench, 5, &writes), 1);
    // A rollback, after which the chain is the same again.
    run.runner = run.bench.runtime.block_runner();
    assert_eq!([run.next(&[]), run.next(&[])], [1, 2]);
    run.bench.store.rollback(Some(4)).unwrap();
    run.bench
        .store
        .commit(&block_ref(5, 1, 1), &WriteSet::default())
        .unwrap();
    assert_eq!(run.next(&[]), 1);
}

/// What a block would write under `n`.
fn writes_seen(bench: &Bench, height: u32, writes: &WriteSet) -> u8 {
    let state = bench.store.snapshot().latest();
    let state = state.with_block(height, std::sync::Arc::new(writes.clone()));
    state.get(b"n").unwrap().unwrap().value[0]
}

/// What happens to a chain.
#[derive(Debug, Clone)]
enum Event {
    /// So many blocks come, on a branch of this name.
    Blocks(u8, u8),
    /// All that is in memory goes.
    Restart,
    /// So many blocks are undone.
    Rollback(u8),
    /// A block is processed and never committed.
    Abandoned(u8),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1..6_u8, 1..5_u8).prop_map(|(count, branch)| Event::Blocks(count, branch)),
        1 => Just(Event::Restart),
        1 => (1..6_u8).prop_map(Event::Rollback),
        1 => (1..5_u8).prop_map(Event::Abandoned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn no_history_root_depends_on_kept_memory(events in prop::collection::vec(event(), 1..14)) {
        let wasm = ledger();
        let mut run = Run::of(&wasm);
        // The same chain, each block on a fresh instance.
        let plain = Bench::over(&wasm, Store::in_memory(), |_| {});
        let mut branch = 1;
        for event in events {
            match event {
                Event::Blocks(count, name) => {
                    for _ in 0..count {
                        let tip = run.bench.store.snapshot().tip().copied();
                        let height = tip.map_or(0, |tip| tip.height + 1);
                        let parent = tip.map_or(hash(0, 0), |tip| tip.hash);
                        let next = BlockRef::new(height, hash(height, name), parent);
                        let writes = run.process(&next, &block(height, name)).unwrap();
                        let kept = run.bench.store.commit(&next, &writes).unwrap();
                        let writes = plain.runtime.process_block(height, &block(height, name));
                        let fresh = plain.store.commit(&next, &writes.unwrap()).unwrap();
                        prop_assert_eq!(kept.history_root, fresh.history_root, "{}", height);
                    }
                    branch = name;
                }
                Event::Restart => run.runner = run.bench.runtime.block_runner(),
                Event::Rollback(count) => {
                    let tip = run.bench.store.snapshot().tip().map(|tip| tip.height);
                    let keep = tip.and_then(|tip| tip.checked_sub(count.into()));
                    run.bench.store.rollback(keep).unwrap();
                    plain.store.rollback(keep).unwrap();
                }
                Event::Abandoned(name) => {
                    let tip = run.bench.store.snapshot().tip().copied();
                    let height = tip.map_or(0, |tip| tip.height + 1);
                    let parent = tip.map_or(hash(0, 0), |tip| tip.hash);
                    let next = BlockRef::new(height, hash(height, name ^ branch ^ 64), parent);
                    run.process(&next, &block(height, name ^ branch ^ 64)).unwrap();
                }
            }
        }
    }
}

#[test]
fn a_guest_of_the_sdk_reads_nothing_twice() {
    let mut run = Run::of(&ledger());
    let mut reads = Vec::new();
    for height in 0..4 {
        let before = run.bench.runtime.block_reads().count;
        let writes = run
            .process(&block_ref(height, 1, 1), &block(height, 1))
            .unwrap();
        run.bench.commit(height, 1, &writes);
        reads.push(run.bench.runtime.block_reads().count - before);
    }
    assert_eq!(reads, [64, 0, 0, 0]);
}
