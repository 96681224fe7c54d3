//! How indexing ends: stopped, or by a guest that fails.

use metashrew_runtime::GuestFault;
use metashrew_store::Store;
use metashrew_sync::{IndexEnd, IndexError, IndexOptions, Stop};
use metashrew_testing::chain::{Chain, Shape};
use metashrew_testing::guests;

use crate::support::{
    FakeNode, assert_holds, close_options, hash_of, index, indexer, open, options, records,
};

fn chain() -> Chain {
    let mut chain = Chain::new(8).shape(Shape::Transactions(3));
    chain.mine(50);
    chain
}

#[test]
fn a_stop_ends_between_blocks_and_indexing_resumes() {
    let chain = chain();
    for options in [close_options(), options()] {
        let directory = tempfile::tempdir().unwrap();
        let node = FakeNode::new(&chain);
        let stop = Stop::new();
        node.stop_at(30, &stop);
        let store = open(directory.path());
        let end = indexer(&guests::chained(), &store, &node, options)
            .run(&stop)
            .unwrap();
        assert_eq!(end, IndexEnd::Stopped);
        let done = records(&store).len();
        assert!(done <= 30, "{done} blocks");
        assert_holds(&store, &chain.blocks()[..done]);
        // Nothing holds the database once the run is over.
        drop(store);
        let store = open(directory.path());
        assert_eq!(index(&store, &node, options).unwrap(), IndexEnd::Tip);
        assert_holds(&store, chain.blocks());
    }
}

#[test]
fn a_stop_requested_before_keeps_it_from_starting() {
    let store = Store::in_memory();
    let stop = Stop::new();
    stop.request();
    let end = indexer(
        &guests::chained(),
        &store,
        &FakeNode::new(&chain()),
        options(),
    )
    .run(&stop)
    .unwrap();
    assert_eq!((end, records(&store).len()), (IndexEnd::Stopped, 0));
}

#[test]
fn a_failing_guest_leaves_all_blocks_before_and_a_better_one_resumes() {
    let chain = chain();
    let node = FakeNode::new(&chain);
    for (wasm, expected) in [
        (guests::traps_at(33), "trap"),
        (guests::aborts_at(33), "abort"),
        (guests::silent_at(33), "no flush"),
    ] {
        for options in [close_options(), options()] {
            let store = Store::in_memory();
            let error = indexer(&wasm, &store, &node, options)
                .run(&Stop::new())
                .unwrap_err();
            let IndexError::Guest {
                height,
                hash,
                source,
            } = error
            else {
                panic!("{error}");
            };
            assert_eq!((height, hash), (33, hash_of(chain.at(33).unwrap())));
            let fault = match &source {
                GuestFault::Trap { .. } => "trap",
                GuestFault::Abort { message, .. } if message == "out of tea" => "abort",
                GuestFault::NoFlush => "no flush",
                other => panic!("{other}"),
            };
            assert_eq!(fault, expected);
            assert_holds(&store, &chain.blocks()[..32]);
            // It fails again, at once.
            let again = indexer(&wasm, &store, &node, options)
                .run(&Stop::new())
                .unwrap_err();
            assert!(matches!(again, IndexError::Guest { height: 33, .. }));
            let refused = index(&store, &node, options).unwrap_err();
            assert!(matches!(refused, IndexError::Claim(_)), "{refused}");
            let options = IndexOptions {
                accept_guest_change: true,
                ..options
            };
            index(&store, &node, options).unwrap();
            assert_holds(&store, chain.blocks());
        }
    }
}

#[test]
fn a_guest_that_fails_at_the_first_block_leaves_nothing() {
    let store = Store::in_memory();
    let result = indexer(
        &guests::traps_at(1),
        &store,
        &FakeNode::new(&chain()),
        options(),
    )
    .run(&Stop::new());
    assert!(matches!(result, Err(IndexError::Guest { height: 1, .. })));
    assert_eq!(records(&store), []);
}

#[test]
fn a_guest_that_fails_beyond_the_exit_is_not_noticed() {
    let store = Store::in_memory();
    let options = IndexOptions {
        exit_at: Some(32),
        ..options()
    };
    let node = FakeNode::new(&chain());
    let end = indexer(&guests::traps_at(33), &store, &node, options)
        .run(&Stop::new())
        .unwrap();
    assert_eq!((end, records(&store).len()), (IndexEnd::Exit, 32));
}

#[test]
fn an_exit_below_the_first_block_is_an_error_and_indexes_nothing() {
    let mut chain = Chain::new(8).start(10);
    chain.mine(20);
    let node = FakeNode::new(&chain);
    let store = Store::in_memory();
    let exit_at = |height| IndexOptions {
        exit_at: Some(height),
        ..options()
    };
    for height in [0, 9] {
        let error = index(&store, &node, exit_at(height)).unwrap_err();
        let IndexError::ExitBelowFirst { exit_at, first } = error else {
            panic!("{error}");
        };
        assert_eq!((exit_at, first), (height, 10));
        assert!(error.is_misconfiguration());
    }
    assert_eq!(records(&store), []);
    // The first block itself is one to exit at; and what is held already is done.
    assert_eq!(index(&store, &node, exit_at(10)).unwrap(), IndexEnd::Exit);
    assert_eq!(index(&store, &node, exit_at(12)).unwrap(), IndexEnd::Exit);
    assert_eq!(index(&store, &node, exit_at(10)).unwrap(), IndexEnd::Exit);
    assert_eq!(records(&store).len(), 3);
    let error = index(&store, &node, exit_at(9)).unwrap_err();
    assert!(
        matches!(error, IndexError::ExitBelowFirst { first: 10, .. }),
        "{error}"
    );
}

#[test]
fn a_source_that_never_reaches_the_first_block_has_nothing_to_index() {
    let node = FakeNode::new(&chain());
    let store = Store::in_memory();
    let options = IndexOptions {
        start_height: Some(51),
        ..options()
    };
    let error = index(&store, &node, options).unwrap_err();
    assert!(error.is_misconfiguration());
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        cause,
        "the node is behind: waiting for block 51, the node is at 50"
    );
    assert_eq!(records(&store), []);
}
