//! An indexer that stays at the node's tip: new blocks, reorganisations, blocks held
//! back, and what its status says.

use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use metashrew_store::{BlockHash, Height, Store};
use metashrew_sync::{
    IndexEnd, IndexOptions, IndexState, Indexer, Node, NodeBlock, NodeError, Stop,
};
use metashrew_testing::guests;
use parking_lot::{Condvar, Mutex};

use crate::follower::{Follower, chain, following, never_polling};
use crate::support::{
    FakeNode, assert_holds, close_options, hash_of, indexer, options, records, runtime, wait_until,
};

#[test]
fn new_blocks_and_reorganisations_are_followed_until_a_stop() {
    let mut best = chain(20);
    let node = FakeNode::new(&best);
    for options in [
        following(),
        IndexOptions {
            follow: true,
            poll_interval: following().poll_interval,
            ..close_options()
        },
    ] {
        let options = IndexOptions {
            accept_less_work: true,
            ..options
        };
        thread::scope(|scope| {
            let follower = Follower::start(scope, &node, options, None);
            follower.wait_for(&best);
            follower.wait_for_state("following");
            best.mine(3);
            node.switch(&best);
            follower.wait_for(&best);
            // As long as the other branch, longer, shorter, and the first one again.
            let first = best.clone();
            for (depth, mined) in [(1, 1), (6, 7), (9, 4)] {
                best = best.fork(best.tip().unwrap().height - depth, u64::from(depth));
                best.mine(mined);
                node.switch(&best);
                follower.wait_for(&best);
                let reorg = follower.progress.report().last_reorg.unwrap();
                let fork = best.tip().unwrap().height - u32::try_from(mined).unwrap();
                assert_eq!((reorg.fork, reorg.depth), (Some(fork), depth));
            }
            best = first;
            node.switch(&best);
            follower.wait_for(&best);
            let report = follower.progress.report();
            assert_eq!((report.rollbacks, report.failures), (4, 0));
            let tip = best.tip().unwrap();
            let node_tip = NodeBlock {
                height: tip.height,
                hash: hash_of(tip),
            };
            assert_eq!(report.node_tip, Some(node_tip));
            assert_eq!(follower.end().unwrap(), IndexEnd::Stopped);
        });
    }
}

#[test]
fn a_wakeup_brings_the_new_block_without_any_poll() {
    let mut best = chain(20);
    let node = FakeNode::new(&best);
    let (wake, wakeups) = crossbeam_channel::bounded(1);
    thread::scope(|scope| {
        let follower = Follower::start(scope, &node, never_polling(), Some(wakeups));
        follower.wait_for(&best);
        assert_eq!(follower.progress.report().latency, None);
        for _ in 0..3 {
            best.mine(1);
            node.switch(&best);
            wake.send(()).unwrap();
            follower.wait_for(&best);
        }
        wait_until("the time it took is told", || {
            follower.progress.report().latency.is_some()
        });
        assert_eq!(follower.end().unwrap(), IndexEnd::Stopped);
    });
}

#[test]
fn whoever_says_when_there_are_blocks_may_go_away() {
    let mut best = chain(5);
    let node = FakeNode::new(&best);
    let (wake, wakeups) = crossbeam_channel::bounded(1);
    drop(wake);
    thread::scope(|scope| {
        let follower = Follower::start(scope, &node, following(), Some(wakeups));
        follower.wait_for(&best);
        best.mine(1);
        node.switch(&best);
        follower.wait_for(&best);
        follower.end().unwrap();
    });
}

#[test]
fn blocks_wait_for_as_many_on_top_as_asked_for() {
    let mut best = chain(20);
    let node = FakeNode::new(&best);
    for follow in [false, true] {
        let options = IndexOptions {
            confirmations: 6,
            follow,
            ..following()
        };
        thread::scope(|scope| {
            let follower = Follower::start(scope, &node, options, None);
            let tip =
                |follower: &Follower<'_>| follower.store.snapshot().tip().map(|tip| tip.height);
            wait_until("all but six are indexed", || tip(&follower) == Some(14));
            if follow {
                best.mine(2);
                node.switch(&best);
                wait_until("two more are indexed", || tip(&follower) == Some(16));
                assert_eq!(follower.progress.report().target, Some(16));
                // A shallow reorganisation is not even seen.
                best = best.fork(18, 3);
                best.mine(5);
                node.switch(&best);
                wait_until("the new branch is indexed", || tip(&follower) == Some(17));
                assert_eq!(follower.progress.report().rollbacks, 0);
                assert_eq!(follower.end().unwrap(), IndexEnd::Stopped);
            } else {
                assert_eq!(follower.thread.join().unwrap().unwrap(), IndexEnd::Tip);
                assert_holds(&follower.store, &best.blocks()[..14]);
            }
        });
    }
}

#[test]
fn fewer_blocks_than_must_be_on_top_are_waited_for() {
    let mut best = chain(5);
    let node = FakeNode::new(&best);
    let options = IndexOptions {
        confirmations: 10,
        exit_at: Some(3),
        ..following()
    };
    thread::scope(|scope| {
        let follower = Follower::start(scope, &node, options, None);
        wait_until("the node's tip is known", || {
            follower.progress.report().node_tip.is_some()
        });
        assert_eq!(records(&follower.store), []);
        best.mine(8);
        node.switch(&best);
        assert_eq!(follower.thread.join().unwrap().unwrap(), IndexEnd::Exit);
        assert_holds(&follower.store, &best.blocks()[..3]);
        assert_eq!(follower.progress.status().state, IndexState::Done);
    });
}

#[test]
fn a_failing_guest_halts_indexing_and_says_why() {
    let best = chain(20);
    let node = FakeNode::new(&best);
    let store = Store::in_memory();
    let indexer = indexer(&guests::aborts_at(13), &store, &node, following());
    assert_eq!(indexer.progress().status().state, IndexState::Starting);
    indexer.run(&Stop::new()).unwrap_err();
    let IndexState::Halted {
        error,
        height,
        hash,
        ..
    } = indexer.progress().status().state
    else {
        panic!("not halted");
    };
    assert_eq!(height, Some(13));
    assert_eq!(hash, Some(hash_of(best.at(13).unwrap())));
    assert!(error.contains("out of tea"), "{error}");
    assert_eq!(indexer.progress().report().height, Some(12));
}

/// Hands out one block only after those behind it were asked for.
struct Holding {
    node: Arc<FakeNode>,
    held: BlockHash,
    behind: Mutex<Vec<BlockHash>>,
    asked: Condvar,
}

impl Node for Holding {
    fn tip(&self) -> Result<Option<NodeBlock>, NodeError> {
        self.node.tip()
    }

    fn first(&self) -> Result<Option<Height>, NodeError> {
        self.node.first()
    }

    fn hash_at(&self, height: Height) -> Result<Option<BlockHash>, NodeError> {
        self.node.hash_at(height)
    }

    fn block(&self, hash: &BlockHash) -> Result<Bytes, NodeError> {
        let mut behind = self.behind.lock();
        behind.retain(|other| other != hash);
        self.asked.notify_all();
        if *hash == self.held {
            self.asked
                .wait_while(&mut behind, |behind| !behind.is_empty());
        }
        drop(behind);
        self.node.block(hash)
    }
}

#[test]
fn blocks_behind_a_slow_one_are_fetched_meanwhile() {
    let best = chain(40);
    let hash = |height| hash_of(best.at(height).unwrap());
    let node = Holding {
        node: FakeNode::new(&best),
        held: hash(10),
        behind: Mutex::new((11..=19).map(hash).collect()),
        asked: Condvar::new(),
    };
    let store = Store::in_memory();
    let options = IndexOptions {
        start_height: Some(1),
        max_fetched_blocks: 10,
        fetch_threads: 2,
        ..options()
    };
    let runtime = runtime(&guests::chained(), &store);
    let end = Indexer::new(runtime, Arc::new(node), options)
        .run(&Stop::new())
        .unwrap();
    assert_eq!(end, IndexEnd::Tip);
    assert_holds(&store, best.blocks());
}
