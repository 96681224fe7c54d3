//! A node that goes away, goes backwards, or says what it cannot show, and an indexer
//! that waits for it.

use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use metashrew_store::{BlockHash, Height, Store};
use metashrew_sync::{
    IndexEnd, IndexError, IndexOptions, IndexState, Indexer, Network, Node, NodeBlock, NodeError,
    Stop,
};
use metashrew_testing::guests;
use parking_lot::{Condvar, Mutex};

use crate::follower::{Follower, chain, following};
use crate::support::{FakeNode, assert_holds, hash_of, indexer, runtime, wait_until};

#[test]
fn a_node_that_goes_backwards_is_waited_for() {
    let mut best = chain(20);
    let node = FakeNode::new(&best);
    thread::scope(|scope| {
        let follower = Follower::start(scope, &node, following(), None);
        follower.wait_for(&best);
        // To somewhere below, to its first block, and to no block at all.
        for height in [15, 1, 0] {
            node.cut(height);
            follower.wait_for_state("waiting");
            let IndexState::Waiting { error, .. } = follower.progress.status().state else {
                panic!("not waiting");
            };
            assert!(error.starts_with("the node is behind: "), "{error}");
            assert_holds(&follower.store, best.blocks());
            node.switch(&best);
            follower.wait_for_state("following");
        }
        assert_eq!(follower.progress.report().rollbacks, 0);
        // It comes back with another chain.
        node.cut(10);
        follower.wait_for_state("waiting");
        best = best.fork(12, 5);
        best.mine(10);
        node.switch(&best);
        follower.wait_for(&best);
        assert_eq!(follower.progress.report().rollbacks, 1);
        follower.end().unwrap();
    });
}

#[test]
fn an_old_branch_deeper_than_the_horizon_is_waited_out_while_it_is_shorter() {
    let best = chain(30);
    let mut old = best.fork(10, 5);
    old.mine(12);
    let node = FakeNode::new(&best);
    let options = IndexOptions {
        reorg_horizon: 10,
        ..following()
    };
    thread::scope(|scope| {
        let follower = Follower::start(scope, &node, options, None);
        follower.wait_for(&best);
        node.switch(&old);
        follower.wait_for_state("waiting");
        assert_holds(&follower.store, best.blocks());
        old.mine(9);
        node.switch(&old);
        // It is longer than ours now, and the node means it.
        follower.wait_for_state("halted");
        let error = follower.thread.join().unwrap().unwrap_err();
        assert!(
            matches!(
                error,
                IndexError::TooDeep {
                    tip: 30,
                    horizon: 10
                }
            ),
            "{error}"
        );
        assert_holds(&follower.store, best.blocks());
    });
}

#[test]
fn a_node_that_comes_back_after_too_deep_a_reorganisation_is_followed_again() {
    let mut best = chain(30);
    let mut other = best.fork(10, 5);
    other.mine(22);
    let node = FakeNode::new(&best);
    let options = IndexOptions {
        reorg_horizon: 10,
        ..following()
    };
    let store = Store::in_memory();
    let indexer = indexer(&guests::chained(), &store, &node, options);
    let (stop, progress) = (Stop::new(), indexer.progress());
    thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                match indexer.run(&stop) {
                    Ok(end) => return assert_eq!(end, IndexEnd::Stopped),
                    Err(error) => assert!(error.may_pass(), "{error}"),
                }
                if !indexer.wait_for_chain(&stop) {
                    return;
                }
            }
        });
        let is = |name| wait_until(name, || progress.status().state.name() == name);
        is("following");
        for height in [30, 31] {
            node.switch(&other);
            is("halted");
            let asked = node.questions();
            wait_until("it looks again", || node.questions() > asked + 100);
            assert_eq!(progress.status().state.name(), "halted");
            assert_holds(&store, best.blocks());
            // A shorter past of ours is no end of it.
            node.switch(&best);
            node.cut(height - 3);
            let asked = node.questions();
            wait_until("it looks again", || node.questions() > asked + 20);
            assert_eq!(progress.status().state.name(), "halted");
            best.mine(1);
            node.switch(&best);
            is("following");
            wait_until("it goes on", || {
                progress.report().height == Some(height + 1)
            });
        }
        stop.request();
    });
    assert_holds(&store, best.blocks());
}

#[test]
fn a_hash_without_its_block_undoes_nothing() {
    let best = chain(20);
    let node = FakeNode::new(&best);
    let false_hash = BlockHash::from_bytes([7; 32]);
    thread::scope(|scope| {
        let follower = Follower::start(scope, &node, following(), None);
        follower.wait_for(&best);
        for claims in [&[20][..], &[18, 19, 20], &[1, 2]] {
            for height in claims {
                node.claim(*height, Some(false_hash));
            }
            // Has it look at the whole chain again.
            node.cut(19);
            let failures = follower.progress.report().failures;
            wait_until("it has looked again", || {
                follower.progress.report().failures > failures + 3
            });
            for height in claims {
                node.claim(*height, None);
            }
            node.switch(&best);
            follower.wait_for_state("following");
        }
        assert_eq!(follower.progress.report().rollbacks, 0);
        assert_holds(&follower.store, best.blocks());
        follower.end().unwrap();
    });
}

#[test]
fn another_genesis_block_in_mid_run_is_waited_out() {
    let mut best = chain(20);
    let node = FakeNode::new(&best);
    thread::scope(|scope| {
        let follower = Follower::start(scope, &node, following(), None);
        follower.wait_for(&best);
        node.claim(0, Some(Network::Signet.genesis().unwrap()));
        best = best.fork(18, 5);
        best.mine(20);
        node.switch(&best);
        follower.wait_for_state("waiting");
        node.claim(0, None);
        follower.wait_for(&best);
        follower.wait_for_state("following");
        follower.end().unwrap();
    });
}

#[test]
fn a_block_that_does_not_connect_is_forgotten_with_it() {
    let best = chain(20);
    let node = FakeNode::new(&best);
    let mut longer = best.clone();
    longer.mine(1);
    thread::scope(|scope| {
        let follower = Follower::start(scope, &node, following(), None);
        follower.wait_for(&best);
        node.claim(21, Some(hash_of(&best.blocks()[3])));
        node.switch(&longer);
        wait_until("it is told", || {
            let state = follower.progress.status().state;
            matches!(state, IndexState::Waiting { ref error, .. }
                if error.contains("does not stand on the block before"))
        });
        node.switch(&best);
        follower.wait_for_state("following");
        follower.end().unwrap();
    });
}

#[test]
fn a_node_that_is_down_is_told_and_waited_for() {
    let mut best = chain(20);
    let node = FakeNode::new(&best);
    node.set_down(true);
    thread::scope(|scope| {
        let follower = Follower::start(scope, &node, following(), None);
        for _ in 0..3 {
            wait_until("it has tried again and again", || {
                matches!(
                    follower.progress.status().state,
                    IndexState::Waiting { ref error, failures, .. }
                        if failures > 3 && error == "the node does not answer: connection refused"
                )
            });
            node.set_down(false);
            follower.wait_for(&best);
            follower.wait_for_state("following");
            node.set_down(true);
            best.mine(2);
            node.switch(&best);
        }
        follower.wait_for_state("waiting");
        assert_eq!(follower.end().unwrap(), IndexEnd::Stopped);
    });
}

#[test]
fn a_first_block_above_the_node_s_tip_is_waited_for() {
    // The node does not say of which network it is, or does.
    first_block_is_waited_for(None);
    first_block_is_waited_for(Network::Regtest.genesis());
}

fn first_block_is_waited_for(genesis: Option<BlockHash>) {
    let mut best = chain(20);
    let node = FakeNode::new(&best);
    node.claim(0, genesis);
    let options = IndexOptions {
        start_height: Some(22),
        confirmations: 2,
        ..following()
    };
    thread::scope(|scope| {
        let follower = Follower::start(scope, &node, options, None);
        for tip in [20, 23] {
            wait_until("both heights are told", || {
                let on_top = "waiting for block 22 with 2 on top of it";
                let expected = format!("the node is behind: {on_top}, the node is at {tip}");
                let state = follower.progress.status().state;
                matches!(state, IndexState::Waiting { ref error, .. } if *error == expected)
            });
            let report = follower.progress.report();
            assert_eq!(report.node_tip.map(|tip| tip.height), Some(tip));
            assert_eq!((report.height, report.target), (None, Some(22)));
            best.mine(3);
            node.switch(&best);
        }
        wait_until("it is reached", || {
            follower.progress.report().height == Some(24)
        });
        follower.wait_for_state("following");
        follower.end().unwrap();
    });
}

#[test]
fn another_genesis_block_before_anything_is_indexed_is_waited_out() {
    let mut best = chain(20);
    let node = FakeNode::new(&best);
    let genesis = |network: Network| node.claim(0, network.genesis());
    genesis(Network::Regtest);
    let options = IndexOptions {
        start_height: Some(22),
        ..following()
    };
    thread::scope(|scope| {
        let follower = Follower::start(scope, &node, options, None);
        let waits_for = |what: &str| {
            wait_until(what, || {
                let state = follower.progress.status().state;
                matches!(state, IndexState::Waiting { ref error, .. } if error.contains(what))
            });
        };
        waits_for("waiting for block 22");
        genesis(Network::Signet);
        waits_for("and was of regtest");
        best.mine(3);
        node.switch(&best);
        genesis(Network::Regtest);
        wait_until("it is reached", || {
            follower.progress.report().height == Some(23)
        });
        follower.end().unwrap();
    });
}

/// Never answers what the chain is.
#[derive(Default)]
struct Silent {
    lock: Mutex<()>,
    never: Condvar,
}

impl Node for Silent {
    fn tip(&self) -> Result<Option<NodeBlock>, NodeError> {
        self.hang()
    }

    fn first(&self) -> Result<Option<Height>, NodeError> {
        self.hang()
    }

    fn hash_at(&self, _: Height) -> Result<Option<BlockHash>, NodeError> {
        self.hang()
    }

    fn block(&self, _: &BlockHash) -> Result<Bytes, NodeError> {
        self.hang()
    }
}

impl Silent {
    fn hang<T>(&self) -> T {
        let mut guard = self.lock.lock();
        loop {
            self.never.wait(&mut guard);
        }
    }
}

#[test]
fn a_node_that_never_answers_does_not_hold_up_a_stop() {
    let node = Arc::new(Silent::default());
    let stop = Stop::new();
    let runtime = runtime(&guests::chained(), &Store::in_memory());
    let indexer = Indexer::new(runtime, node, following());
    let progress = indexer.progress();
    thread::scope(|scope| {
        let running = scope.spawn(|| indexer.run(&stop));
        assert_eq!(progress.status().state, IndexState::Starting);
        stop.request();
        assert_eq!(running.join().unwrap().unwrap(), IndexEnd::Stopped);
    });
}
