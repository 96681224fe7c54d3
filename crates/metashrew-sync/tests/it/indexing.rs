//! Whatever is under way at a time, the state is that of one block after the other.

use metashrew_store::Store;
use metashrew_sync::{IndexEnd, IndexError, IndexOptions, Stop};
use metashrew_testing::chain::{Chain, Shape};
use metashrew_testing::guests;

use crate::support::{
    FakeNode, assert_holds, close_options, expected, index, indexer, open, options, records,
};

fn chain(count: usize) -> Chain {
    let mut chain = Chain::new(1).shape(Shape::Transactions(4));
    chain.mine(count);
    chain
}

#[test]
fn any_bounds_give_the_state_of_one_block_at_a_time() {
    let chain = chain(120);
    let node = FakeNode::new(&chain);
    let bounds = [
        (1, 1, 1, 1),
        (2, 3, 1 << 20, 1 << 20),
        (64, 64, 1, 1),
        (64, 64, 64 << 20, 128 << 20),
    ];
    for (fetched, uncommitted, fetched_bytes, uncommitted_bytes) in bounds {
        let store = Store::in_memory();
        let options = IndexOptions {
            max_fetched_blocks: fetched,
            max_uncommitted_blocks: uncommitted,
            max_fetched_bytes: fetched_bytes,
            max_uncommitted_bytes: uncommitted_bytes,
            ..options()
        };
        assert_eq!(index(&store, &node, options).unwrap(), IndexEnd::Tip);
        assert_holds(&store, chain.blocks());
    }
}

#[test]
fn guests_that_rewrite_keys_give_that_state_on_disk_too() {
    let directory = tempfile::tempdir().unwrap();
    let chain = chain(60);
    let node = FakeNode::new(&chain);
    for (name, wasm) in [
        ("rewriting", guests::rewriting(50)),
        ("flush_only", guests::flush_only(50)),
    ] {
        let store = open(&directory.path().join(name));
        let end = indexer(&wasm, &store, &node, options())
            .run(&Stop::new())
            .unwrap();
        assert_eq!(end, IndexEnd::Tip);
        assert_eq!(records(&store), expected(&wasm, chain.blocks()));
    }
}

#[test]
fn a_guest_that_asks_for_it_has_its_memory_from_the_first_block_to_the_last() {
    let wasm = wat::parse_str(
        r#"(module
             (import "env" "__flush" (func $flush (param i32)))
             (memory (export "memory") 1)
             (global $seen (mut i32) (i32.const 0))
             (data (i32.const 0) "\06\00\00\00\0a\01n\0a\01v")
             (func (export "__metashrew_memory_across_blocks"))
             (func (export "_start")
               (global.set $seen (i32.add (global.get $seen) (i32.const 1)))
               (i32.store8 (i32.const 9) (global.get $seen))
               (call $flush (i32.const 4))))"#,
    )
    .unwrap();
    let chain = chain(40);
    let store = Store::in_memory();
    let node = FakeNode::new(&chain);
    let seen = |store: &Store| store.snapshot().latest().get(b"n").unwrap().unwrap().value[0];
    let run = |exit_at| {
        let options = IndexOptions {
            exit_at,
            ..options()
        };
        indexer(&wasm, &store, &node, options)
            .run(&Stop::new())
            .unwrap()
    };
    let blocks = u8::try_from(chain.blocks().len()).unwrap();
    run(Some(10));
    let first = seen(&store);
    // A later run begins without.
    run(None);
    assert_eq!(first + seen(&store), blocks);
}

#[test]
fn progress_counts_blocks_bytes_and_keys() {
    let chain = chain(40);
    let store = Store::in_memory();
    let indexer = indexer(
        &guests::chained(),
        &store,
        &FakeNode::new(&chain),
        options(),
    );
    let before = indexer.progress().report();
    assert_eq!(
        (before.height, before.target, before.blocks),
        (None, None, 0)
    );
    indexer.run(&Stop::new()).unwrap();
    let report = indexer.progress().report();
    assert_eq!(
        (report.height, report.target, report.blocks),
        (Some(40), Some(40), 40)
    );
    assert_eq!(
        report.bytes,
        chain
            .blocks()
            .iter()
            .map(|mined| mined.bytes.len() as u64)
            .sum::<u64>()
    );
    assert_eq!(report.keys, 3 * 40);
    assert!(
        (1..=40).contains(&report.commits),
        "{} commits",
        report.commits
    );
    assert_eq!((report.rollbacks, report.running), (0, None));
    assert!(!report.executing.is_zero() && !report.committing.is_zero());
}

#[test]
fn indexing_resumes_where_it_ended() {
    let directory = tempfile::tempdir().unwrap();
    let mut chain = chain(30);
    let node = FakeNode::new(&chain);
    for exit_at in [7, 7, 8, 30] {
        let store = open(directory.path());
        let end = index(
            &store,
            &node,
            IndexOptions {
                exit_at: Some(exit_at),
                ..options()
            },
        )
        .unwrap();
        assert_eq!(end, IndexEnd::Exit);
        assert_holds(&store, &chain.blocks()[..exit_at as usize]);
    }
    let store = open(directory.path());
    assert_eq!(index(&store, &node, options()).unwrap(), IndexEnd::Tip);
    chain.mine(5);
    node.switch(&chain);
    assert_eq!(index(&store, &node, options()).unwrap(), IndexEnd::Tip);
    assert_holds(&store, chain.blocks());
}

#[test]
fn indexing_starts_at_the_height_asked_for() {
    let chain = chain(20);
    let store = Store::in_memory();
    let options = IndexOptions {
        start_height: Some(11),
        ..options()
    };
    index(&store, &FakeNode::new(&chain), options).unwrap();
    assert_holds(&store, &chain.blocks()[10..]);
}

#[test]
fn blocks_below_the_first_of_the_source_are_a_gap() {
    let chain = chain(20);
    let node = FakeNode::new(&chain);
    let store = Store::in_memory();
    let error = index(
        &store,
        &node,
        IndexOptions {
            start_height: Some(0),
            ..options()
        },
    )
    .unwrap_err();
    assert!(
        matches!(
            error,
            IndexError::Gap {
                height: 0,
                first: 1,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(records(&store), []);
}

#[test]
fn a_later_source_is_taken_only_if_it_connects() {
    let mut chain = chain(10);
    let store = Store::in_memory();
    index(&store, &FakeNode::new(&chain), close_options()).unwrap();

    let mut stranger = Chain::new(99).start(11);
    stranger.mine(5);
    let error = index(&store, &FakeNode::new(&stranger), options()).unwrap_err();
    assert!(matches!(error, IndexError::OtherChain { .. }), "{error}");

    chain.mine(10);
    let node = FakeNode::new(&chain);
    node.forget_below(12);
    let error = index(&store, &node, options()).unwrap_err();
    assert!(
        matches!(
            error,
            IndexError::Gap {
                height: 11,
                first: 12,
                ..
            }
        ),
        "{error}"
    );
    assert_holds(&store, &chain.blocks()[..10]);

    let node = FakeNode::new(&chain);
    node.forget_below(11);
    index(&store, &node, options()).unwrap();
    assert_holds(&store, chain.blocks());
}

#[test]
fn a_source_without_blocks_is_no_failure() {
    let store = Store::in_memory();
    let node = FakeNode::new(&Chain::new(1));
    assert_eq!(index(&store, &node, options()).unwrap(), IndexEnd::Tip);
}
