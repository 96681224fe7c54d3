//! A node that fails and lies delays indexing, and harms nothing.

use metashrew_store::Store;
use metashrew_sync::{IndexEnd, Stop};
use metashrew_testing::chain::{Chain, Shape};
use metashrew_testing::guests;
use metashrew_testing::rng::Rng;

use crate::support::{FakeNode, LIES, assert_holds, index, indexer, options};

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
