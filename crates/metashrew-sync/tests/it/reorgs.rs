//! Reorganisations between runs and during them.

use metashrew_store::Store;
use metashrew_sync::{IndexEnd, IndexError, IndexOptions, Stop};
use metashrew_testing::chain::{Chain, Shape};
use metashrew_testing::guests;

use crate::support::{
    FakeNode, assert_holds, close_options, index, indexer, open, options, records,
};

/// A chain of 80 blocks, and a branch that leaves it that many blocks below its
/// tip and is longer by some.
fn branches(depth: u32, longer_by: usize) -> (Chain, Chain) {
    let mut chain = Chain::new(u64::from(depth))
        .start(1_000)
        .shape(Shape::Transactions(3));
    chain.mine(80);
    let mut branch = chain.fork(1_079 - depth, 77);
    branch.mine(depth as usize + longer_by);
    (chain, branch)
}

#[test]
fn a_reorganisation_between_runs_is_followed() {
    for depth in [1, 6, 50] {
        let directory = tempfile::tempdir().unwrap();
        let (chain, branch) = branches(depth, 3);
        let node = FakeNode::new(&chain);
        let store = open(directory.path());
        index(&store, &node, options()).unwrap();
        assert_holds(&store, chain.blocks());
        node.switch(&branch);
        drop(store);
        let store = open(directory.path());
        let indexer = indexer(&guests::chained(), &store, &node, options());
        indexer.run(&Stop::new()).unwrap();
        assert_holds(&store, branch.blocks());
        assert_eq!(indexer.progress().report().rollbacks, 1);
    }
}

#[test]
fn a_deep_reorganisation_takes_few_questions() {
    let asked = |depth| {
        let (chain, branch) = branches(depth, 3);
        let node = FakeNode::new(&chain);
        let store = Store::in_memory();
        index(&store, &node, options()).unwrap();
        node.switch(&branch);
        let before = node.questions();
        index(&store, &node, options()).unwrap();
        assert_holds(&store, branch.blocks());
        // Each block that is indexed is asked for.
        node.questions() - before - depth as usize - 3
    };
    let (one, seventy) = (asked(1), asked(70));
    assert!(seventy <= one + 20, "{one} questions, {seventy} questions");
}

#[test]
fn a_reorganisation_during_a_run_is_followed() {
    for depth in [1, 6, 50] {
        for options in [close_options(), options()] {
            let (chain, branch) = branches(depth, 3);
            let node = FakeNode::new(&chain);
            // All 80 blocks were handed out when the chain becomes the other one.
            node.switch_after(79, &branch);
            let store = Store::in_memory();
            let indexer = indexer(&guests::chained(), &store, &node, options);
            assert_eq!(indexer.run(&Stop::new()).unwrap(), IndexEnd::Tip);
            assert_holds(&store, branch.blocks());
            assert_eq!(indexer.progress().report().rollbacks, 1);
        }
    }
}

#[test]
fn reorganisations_in_the_middle_and_back_again_are_followed() {
    let mut chain = Chain::new(4).shape(Shape::Transactions(3));
    chain.mine(60);
    let mut branch = chain.fork(20, 5);
    branch.mine(45);
    let mut longest = chain.clone();
    longest.mine(20);
    let node = FakeNode::new(&chain);
    node.switch_after(30, &branch);
    node.switch_after(45, &longest);
    let store = Store::in_memory();
    let indexer = indexer(&guests::chained(), &store, &node, close_options());
    assert_eq!(indexer.run(&Stop::new()).unwrap(), IndexEnd::Tip);
    assert_holds(&store, longest.blocks());
    assert_eq!(indexer.progress().report().rollbacks, 2);
}

#[test]
fn a_branch_as_long_as_the_chain_replaces_it_only_if_that_is_accepted() {
    let (chain, mut branch) = branches(4, 0);
    let accepting = IndexOptions {
        accept_less_work: true,
        ..options()
    };
    let store = Store::in_memory();
    let node = FakeNode::new(&chain);
    index(&store, &node, options()).unwrap();
    node.switch(&branch);
    index(&store, &node, options()).unwrap();
    assert_holds(&store, chain.blocks());
    index(&store, &node, accepting).unwrap();
    assert_holds(&store, branch.blocks());
    node.switch(&chain);
    index(&store, &node, options()).unwrap();
    assert_holds(&store, branch.blocks());
    branch.mine(2);
    node.switch(&branch);
    index(&store, &node, options()).unwrap();
    assert_holds(&store, branch.blocks());
}

#[test]
fn a_shorter_branch_is_followed_if_that_is_accepted_and_a_shorter_past_is_not() {
    let (chain, branch) = branches(10, 0);
    let store = Store::in_memory();
    let node = FakeNode::new(&chain);
    index(&store, &node, options()).unwrap();

    let accepting = IndexOptions {
        accept_less_work: true,
        ..options()
    };
    node.cut(1_040);
    for options in [options(), accepting] {
        assert_eq!(index(&store, &node, options).unwrap(), IndexEnd::Tip);
        assert_holds(&store, chain.blocks());
    }

    node.switch(&branch);
    node.cut(1_074);
    assert_eq!(index(&store, &node, options()).unwrap(), IndexEnd::Tip);
    assert_holds(&store, chain.blocks());
    assert_eq!(index(&store, &node, accepting).unwrap(), IndexEnd::Tip);
    assert_holds(&store, &branch.blocks()[..75]);
}

#[test]
fn the_first_indexed_block_can_be_replaced() {
    let mut chain = Chain::new(4).start(700).shape(Shape::Transactions(3));
    chain.mine(8);
    let mut branch = chain.fork(699, 5);
    branch.mine(10);
    let store = Store::in_memory();
    let node = FakeNode::new(&chain);
    index(&store, &node, options()).unwrap();
    node.switch(&branch);
    index(&store, &node, options()).unwrap();
    assert_holds(&store, branch.blocks());
}

#[test]
fn a_foreign_chain_leaves_the_database_as_it_is() {
    let mut chain = Chain::new(4).start(700);
    chain.mine(8);
    for start in [0, 700] {
        let mut stranger = Chain::new(5)
            .start(start)
            .parent(bitcoin::hashes::Hash::from_byte_array([9; 32]));
        stranger.mine(if start == 0 { 800 } else { 20 });
        let store = Store::in_memory();
        index(&store, &FakeNode::new(&chain), options()).unwrap();
        let error = index(&store, &FakeNode::new(&stranger), options()).unwrap_err();
        assert!(
            matches!(error, IndexError::OtherChain { first: 700 }),
            "{error}"
        );
        assert_holds(&store, chain.blocks());
    }
}

#[test]
fn the_horizon_is_the_deepest_reorganisation() {
    let (chain, branch) = branches(6, 1);
    for (reorg_horizon, follows) in [(6, true), (5, false)] {
        let store = Store::in_memory();
        let node = FakeNode::new(&chain);
        let options = IndexOptions {
            reorg_horizon,
            ..options()
        };
        index(&store, &node, options).unwrap();
        node.switch(&branch);
        let result = index(&store, &node, options);
        if follows {
            result.unwrap();
            assert_holds(&store, branch.blocks());
        } else {
            let error = result.unwrap_err();
            assert!(
                matches!(
                    error,
                    IndexError::TooDeep {
                        tip: 1_079,
                        horizon: 5
                    }
                ),
                "{error}"
            );
            assert_eq!(records(&store).len(), 80);
        }
    }
}
