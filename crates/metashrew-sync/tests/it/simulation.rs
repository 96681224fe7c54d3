//! A node that reorganises, lies, goes down, goes backwards and comes back at
//! random, and an indexer that is stopped and started again at random. Whatever
//! happened, the end is that of a fresh sync. A failure prints the seed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bitcoin::hashes::Hash;
use bytes::Bytes;
use metashrew_store::{BlockHash, Height, Store};
use metashrew_sync::{IndexEnd, IndexOptions, Indexer, Network, Node, NodeBlock, NodeError, Stop};
use metashrew_testing::chain::{Chain, Mined, Shape};
use metashrew_testing::guests;
use metashrew_testing::rng::Rng;
use parking_lot::Mutex;

use crate::support::{LIES, answer, assert_holds, hash_of, open, options, runtime};

/// Every question to the node moves its world on.
struct World {
    rng: Rng,
    best: Chain,
    /// Every block of every branch.
    blocks: HashMap<BlockHash, Mined>,
    /// How much of the best chain it knows at the moment.
    shown: Option<Height>,
    /// Questions that are not answered any more.
    down: u64,
    /// Questions until the next event.
    quiet: u64,
    events: u32,
    /// Whether the end is a chain with more work than any before.
    heaviest_at_last: bool,
    /// Of the run at hand.
    stop: Stop,
}

struct SimNode(Mutex<World>);

impl World {
    fn new(seed: u64, heaviest_at_last: bool) -> Self {
        let mut rng = Rng::new(seed);
        let mut best = Chain::new(rng.next_u64()).shape(Shape::Transactions(2));
        best.mine(30);
        let mut world = Self {
            rng,
            best,
            blocks: HashMap::new(),
            shown: None,
            down: 0,
            quiet: 20,
            events: 60,
            heaviest_at_last,
            stop: Stop::new(),
        };
        world.learn();
        world
    }

    fn learn(&mut self) {
        let blocks = self.best.blocks().iter();
        self.blocks
            .extend(blocks.map(|mined| (hash_of(mined), mined.clone())));
    }

    /// One question: answers an error if the node is down.
    fn ask(&mut self) -> Result<(), NodeError> {
        if self.events > 0 {
            self.quiet -= 1;
            if self.quiet == 0 {
                self.events -= 1;
                self.quiet = 1 + self.rng.below(60);
                self.happen();
            }
        }
        if self.down > 0 {
            self.down -= 1;
            return Err(NodeError::Unavailable("connection refused".into()));
        }
        Ok(())
    }

    fn happen(&mut self) {
        if self.events == 0 {
            // From here on the node is as it should be.
            self.shown = None;
            self.down = 0;
            if self.heaviest_at_last {
                let highest = self.blocks.values().map(|mined| mined.height).max();
                let tip = self.best.tip().map_or(0, |tip| tip.height);
                let missing = highest.unwrap_or(0).saturating_sub(tip);
                self.best.mine(missing as usize + 1);
                self.learn();
            }
            self.stop.request();
            return;
        }
        let tip = self.best.tip().map_or(0, |tip| tip.height);
        match self.rng.weighted(&[30, 30, 15, 10, 15]) {
            0 => {
                let count = 1 + self.rng.index(3);
                self.best.mine(count);
            }
            1 => {
                let deepest = if self.rng.chance(100) { 40 } else { 8 };
                let depth = 1 + self.rng.below(deepest);
                let fork = tip.saturating_sub(u32::try_from(depth).unwrap());
                let seed = self.rng.next_u64();
                // From two blocks shorter to three longer.
                let length = ((tip - fork) as usize + 3).saturating_sub(self.rng.index(6));
                self.best = self.best.fork(fork, seed);
                self.best.mine(length.max(1));
                self.shown = None;
            }
            2 => {
                let height = u32::try_from(self.rng.below(u64::from(tip) + 1)).unwrap();
                self.shown = if self.rng.chance(500) {
                    None
                } else {
                    Some(height)
                };
            }
            3 => self.down = 1 + self.rng.below(40),
            _ => self.stop.request(),
        }
        self.learn();
    }

    fn lies(&mut self, per_mille: u64) -> bool {
        self.events > 0 && self.rng.chance(per_mille)
    }

    fn shown(&self) -> &[Mined] {
        let blocks = self.best.blocks();
        let shown = self.shown.map_or(blocks.len(), |shown| shown as usize);
        &blocks[..shown.min(blocks.len())]
    }
}

impl Node for SimNode {
    fn network(&self) -> Result<Option<Network>, NodeError> {
        let mut world = self.0.lock();
        world.ask()?;
        Ok(Some(Network::Regtest))
    }

    fn default_start(&self) -> Result<Option<Height>, NodeError> {
        self.first()
    }

    fn tip(&self) -> Result<Option<NodeBlock>, NodeError> {
        let mut world = self.0.lock();
        world.ask()?;
        let mut tip = world.shown().last().map(|mined| NodeBlock {
            height: mined.height,
            hash: hash_of(mined),
        });
        if world.lies(20) {
            tip = Some(NodeBlock {
                height: u32::try_from(world.rng.below(80)).unwrap(),
                hash: BlockHash::from_bytes(world.rng.bytes()),
            });
        }
        Ok(tip)
    }

    fn first(&self) -> Result<Option<Height>, NodeError> {
        let mut world = self.0.lock();
        world.ask()?;
        Ok(world.shown().first().map(|mined| mined.height))
    }

    fn hash_at(&self, height: Height) -> Result<Option<BlockHash>, NodeError> {
        let mut world = self.0.lock();
        world.ask()?;
        if world.lies(20) {
            return Ok(Some(BlockHash::from_bytes(world.rng.bytes())));
        }
        let index = height.checked_sub(1).map(|index| index as usize);
        Ok(index
            .and_then(|index| world.shown().get(index))
            .map(hash_of))
    }

    fn block(&self, hash: &BlockHash) -> Result<Bytes, NodeError> {
        let mut world = self.0.lock();
        world.ask()?;
        let lie = world.lies(150).then(|| LIES[world.rng.index(LIES.len())]);
        let mined = world.blocks.get(hash).cloned();
        let mined = mined.ok_or(NodeError::NoBlock { hash: *hash })?;
        let parent = BlockHash::from_bytes(mined.parent.to_byte_array());
        let parent = world.blocks.get(&parent).cloned();
        drop(world);
        answer(lie, hash, &mined, parent)
    }
}

/// Every record stands on the one before, from the first height on.
fn assert_connects(store: &Store, seed: u64) {
    let snapshot = store.snapshot();
    let Some(tip) = snapshot.tip() else {
        return;
    };
    let record = |height| snapshot.block(height).unwrap().unwrap();
    assert_eq!(snapshot.first(), Some(1), "seed {seed}");
    assert_eq!(record(tip.height).hash, tip.hash, "seed {seed}");
    for height in 2..=tip.height {
        let (below, above) = (record(height - 1), record(height));
        assert_eq!(above.parent, below.hash, "seed {seed}, block {height}");
    }
}

/// Runs until the next stop, and looks at the store all the while.
fn run(store: &Store, node: &Arc<SimNode>, options: IndexOptions, seed: u64) -> IndexEnd {
    let stop = Stop::new();
    node.0.lock().stop = stop.clone();
    let indexer = Indexer::new(
        runtime(&guests::chained(), store),
        Arc::clone(node) as Arc<dyn Node>,
        options,
    );
    let over = AtomicBool::new(false);
    let result = thread::scope(|scope| {
        let running = scope.spawn(|| {
            let result = indexer.run(&stop);
            over.store(true, Ordering::SeqCst);
            result
        });
        while !over.load(Ordering::SeqCst) {
            assert_connects(store, seed);
            thread::sleep(Duration::from_micros(200));
        }
        running.join().unwrap()
    });
    result.unwrap_or_else(|error| panic!("seed {seed}: {error}"))
}

fn simulate(seed: u64, mut reopen: impl FnMut(Option<Store>) -> Store) {
    // Half of the indexers follow the node to wherever it goes; the others wait until
    // it comes with more work.
    let accept_less_work = seed.is_multiple_of(2);
    let node = SimNode(Mutex::new(World::new(seed, !accept_less_work)));
    let node = Arc::new(node);
    let mut rng = Rng::new(!seed);
    let mut store = reopen(None);
    while node.0.lock().events > 0 {
        let following = IndexOptions {
            follow: true,
            poll_interval: Some(Duration::from_micros(100)),
            reorg_horizon: 1_000,
            accept_less_work,
            fetch_threads: 1 + rng.index(4),
            max_fetched_blocks: 1 + rng.index(20),
            max_uncommitted_blocks: 1 + rng.index(10),
            ..options()
        };
        assert_eq!(run(&store, &node, following, seed), IndexEnd::Stopped);
        assert_connects(&store, seed);
        store = reopen(Some(store));
    }
    let to_the_end = IndexOptions {
        reorg_horizon: 1_000,
        accept_less_work,
        ..options()
    };
    assert_eq!(run(&store, &node, to_the_end, seed), IndexEnd::Tip);
    let best = node.0.lock().best.clone();
    assert_eq!(
        store.snapshot().tip().unwrap().hash,
        hash_of(best.tip().unwrap()),
        "seed {seed}"
    );
    assert_holds(&store, best.blocks());
}

#[test]
fn whatever_happens_the_end_is_that_of_a_fresh_sync() {
    for seed in 0..24 {
        simulate(seed, |store| store.unwrap_or_else(Store::in_memory));
    }
}

#[test]
fn whatever_happens_on_disk_the_end_is_that_of_a_fresh_sync() {
    for seed in 100..104 {
        let directory = tempfile::tempdir().unwrap();
        simulate(seed, |store| {
            drop(store);
            open(directory.path())
        });
    }
}
