//! A node that fails and lies delays indexing, and harms nothing.

use std::time::Duration;

use metashrew_store::Store;
use metashrew_sync::{IndexEnd, IndexOptions, Stop};
use metashrew_testing::chain::{Chain, Shape};
use metashrew_testing::guests;
use metashrew_testing::rng::Rng;

use crate::support::{FakeNode, LIES, assert_holds, index, indexer, options, wait_until};

fn chain() -> Chain {
    let mut chain = Chain::new(6).shape(Shape::Transactions(3));
    chain.mine(40);
    chain
}

#[test]
fn no_lie_is_believed() {
    let chain = chain();
    for lie in LIES {
        let node = FakeNode::new(&chain);
        node.lie([None, None, Some(lie), None, Some(lie), Some(lie), Some(lie)]);
        let store = Store::in_memory();
        let indexer = indexer(&guests::chained(), &store, &node, options());
        assert_eq!(indexer.run(&Stop::new()).unwrap(), IndexEnd::Tip);
        assert_eq!(node.lies_left(), 0, "{lie:?}");
        assert_eq!(indexer.progress().report().failures, 4, "{lie:?}");
        assert_holds(&store, chain.blocks());
    }
}

/// Follows a node that claims a branch in place of its chain, then the chain again,
/// and asserts that nothing of the branch is ever indexed.
fn assert_not_followed(branch: &Chain) {
    let reorg_horizon = IndexOptions::default().reorg_horizon;
    assert_not_followed_within(branch, reorg_horizon);
}

fn assert_not_followed_within(branch: &Chain, reorg_horizon: u32) {
    let mut chain = chain();
    let node = FakeNode::new(&chain);
    let store = Store::in_memory();
    index(&store, &node, options()).unwrap();
    node.switch(branch);
    let following = IndexOptions {
        follow: true,
        poll_interval: Some(Duration::from_millis(1)),
        reorg_horizon,
        ..options()
    };
    let indexer = indexer(&guests::chained(), &store, &node, following);
    let (stop, progress) = (Stop::new(), indexer.progress());
    std::thread::scope(|scope| {
        scope.spawn(|| indexer.run(&stop).unwrap());
        wait_until("it is told on and on", || progress.report().failures > 20);
        assert_eq!(progress.status().state.name(), "waiting");
        assert_holds(&store, chain.blocks());
        chain.mine(1);
        node.switch(&chain);
        wait_until("it goes on", || progress.report().height == Some(41));
        stop.request();
    });
    assert_eq!(progress.report().rollbacks, 0);
    assert_holds(&store, chain.blocks());
}

#[test]
fn a_branch_without_work_is_not_followed() {
    for fork in [0, 20, 39] {
        let mut branch = chain().fork(fork, 9).without_work();
        branch.mine(45 - fork as usize);
        assert_not_followed(&branch);
    }
}

#[test]
fn a_branch_deeper_than_the_horizon_halts_nothing_without_more_work() {
    for (fork, tip) in [(0, 40), (20, 40)] {
        let mut branch = chain().fork(fork, 9);
        branch.mine(tip - fork as usize);
        assert_not_followed_within(&branch, 5);
        let mut branch = chain().fork(fork, 9).without_work();
        branch.mine(tip + 5 - fork as usize);
        assert_not_followed_within(&branch, 5);
    }
}

#[test]
fn a_branch_with_as_much_or_less_work_is_not_followed() {
    for (fork, tip) in [(39, 40), (30, 40), (30, 35), (0, 40)] {
        let mut branch = chain().fork(fork, 9);
        branch.mine(tip - fork as usize);
        assert_not_followed(&branch);
    }
}

#[test]
fn random_lies_and_reorganisations_end_in_the_best_chain() {
    for seed in 0..8 {
        let mut rng = Rng::new(seed);
        let chain = chain();
        let node = FakeNode::new(&chain);
        let mut best = chain.clone();
        for step in 1..6 {
            let height = 40 - u32::try_from(rng.below(30)).unwrap();
            best = best.fork(height, rng.next_u64());
            best.mine(45 + step - height as usize);
            node.switch_after(step * 20 + rng.index(15), &best);
        }
        node.lie(
            [None]
                .into_iter()
                .chain((0..150).map(|_| rng.chance(300).then(|| LIES[rng.index(LIES.len())]))),
        );
        let store = Store::in_memory();
        // All blocks of a branch may be indexed before the next change is due.
        loop {
            assert_eq!(
                index(&store, &node, options()).unwrap(),
                IndexEnd::Tip,
                "seed {seed}"
            );
            if node.is_settled() {
                break;
            }
            node.hurry();
        }
        index(&store, &node, options()).unwrap();
        assert_holds(&store, best.blocks());
    }
}
