//! All blocks that there ever were, with what the database held and views answered at each; and
//! the one who commits them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metashrew_runtime::{MetashrewRuntime, PendingBlock};
use metashrew_store::{BlockId, BlockRef, WriteSet};
use metashrew_testing::push::Position;
use metashrew_testing::rng::Rng;
use parking_lot::{Condvar, Mutex};

use super::source::Source;

/// Blocks before there is anybody.
const BEFORE: usize = 60;

/// How deep a reorganisation is at most.
const DEPTH: u64 = 50;

/// The deadline only turns a test that would hang into one that fails.
const PATIENCE: Duration = Duration::from_mins(3);

/// A view and its input.
pub(crate) type Asked = (&'static str, String);

/// A block that was committed once.
pub(crate) struct Block {
    pub(crate) position: Position,
    pub(crate) parent: String,
    /// The keys that it wrote.
    pub(crate) written: Vec<String>,
    /// What the database held after it.
    pub(crate) state: Arc<BTreeMap<String, String>>,
}

#[derive(Default)]
struct Inner {
    blocks: HashMap<String, Arc<Block>>,
    /// What views answered at each block.
    answers: HashMap<String, Arc<HashMap<Asked, String>>>,
    /// Blocks that were committed.
    committed: u64,
    /// The hash of the last block that there will be.
    last: Option<String>,
    /// The hashes of the blocks on which a pending one was offered.
    offered: HashSet<String>,
    /// Where the consumer stands that stays.
    seen: Option<Position>,
    has_failed: bool,
}

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    runtime: MetashrewRuntime,
    views: Vec<Asked>,
    inner: Mutex<Inner>,
    changed: Condvar,
}

/// The blocks between two.
pub(crate) struct Path {
    /// Those that are left, from the top down.
    pub(crate) left: Vec<Arc<Block>>,
    /// Those that come instead, from the lowest up, the aim included.
    pub(crate) taken: Vec<Arc<Block>>,
}

impl World {
    pub(crate) fn new(
        runtime: MetashrewRuntime,
        address: SocketAddr,
        views: Vec<Asked>,
    ) -> Arc<Self> {
        Arc::new(Self {
            address,
            runtime,
            views,
            inner: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    pub(crate) fn writer<S: Source>(self: &Arc<Self>, source: S, rng: Rng) -> Writer<S> {
        Writer {
            world: Arc::clone(self),
            source,
            rng,
            chain: Vec::new(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.inner.lock());
        self.changed.notify_all();
    }

    /// Waits until there is something.
    fn wait_for<T>(&self, what: &str, find: impl Fn(&Inner) -> Option<T>) -> T {
        let mut inner = self.inner.lock();
        loop {
            assert!(!inner.has_failed, "another thread has failed");
            if let Some(found) = find(&inner) {
                return found;
            }
            let timeout = self.changed.wait_for(&mut inner, PATIENCE);
            assert!(!timeout.timed_out(), "no {what}");
        }
    }

    /// The consumer that stays has come to a block.
    pub(crate) fn seen(&self, position: Option<&Position>) {
        self.change(|inner| inner.seen = position.cloned());
    }

    pub(crate) fn fail(&self) {
        self.change(|inner| inner.has_failed = true);
    }

    pub(crate) fn is_last(&self, hash: &str) -> bool {
        self.inner.lock().last.as_deref() == Some(hash)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.inner.lock().last.is_some()
    }

    /// Waits until so many more blocks were committed, or the last one.
    pub(crate) fn wait_for_blocks(&self, more: u64) {
        let until = self.inner.lock().committed + more;
        self.wait_for("blocks", |inner| {
            (inner.committed >= until || inner.last.is_some()).then_some(())
        });
    }

    pub(crate) fn block(&self, hash: &str) -> Option<Arc<Block>> {
        self.inner.lock().blocks.get(hash).cloned()
    }

    /// The block, if a pending one was offered on it.
    pub(crate) fn offered(&self, hash: &str) -> Option<Arc<Block>> {
        let inner = self.inner.lock();
        let is_offered = inner.offered.contains(hash);
        is_offered
            .then(|| inner.blocks.get(hash).cloned())
            .flatten()
    }

    /// What a view answered when it was asked at a block, as soon as that was done.
    pub(crate) fn answer(&self, hash: &str, asked: &Asked) -> String {
        let answers = self.wait_for("answers", |inner| inner.answers.get(hash).cloned());
        answers[asked].clone()
    }

    /// The way from one block to another; none if one of them never was.
    pub(crate) fn path(&self, from: &Position, to: &Position) -> Option<Path> {
        let inner = self.inner.lock();
        let block = |hash: &str| inner.blocks.get(hash).cloned();
        let (mut from, mut to) = (block(&from.1)?, block(&to.1)?);
        let (mut left, mut taken) = (Vec::new(), Vec::new());
        while from.position.1 != to.position.1 {
            if from.position.0 >= to.position.0 {
                left.push(Arc::clone(&from));
                from = block(&from.parent)?;
            } else {
                taken.push(Arc::clone(&to));
                to = block(&to.parent)?;
            }
        }
        taken.reverse();
        Some(Path { left, taken })
    }
}

/// Commits and undoes blocks.
pub(crate) struct Writer<S> {
    world: Arc<World>,
    source: S,
    rng: Rng,
    chain: Vec<Position>,
}

impl<S: Source> Writer<S> {
    /// The blocks before there is anybody.
    pub(crate) fn begin(&mut self) {
        for _ in 0..BEFORE {
            self.commit(1);
        }
    }

    pub(crate) fn run(mut self, steps: usize) {
        for _ in 0..steps {
            if self.rng.chance(120) {
                self.reorganise();
            } else {
                let blocks = 1 + self.rng.below(6).saturating_sub(2);
                self.commit(blocks);
            }
            if self.rng.chance(600) {
                self.offer_pending();
            }
            if self.rng.chance(600) {
                self.wait_for_monitor();
            }
        }
        self.wait_for_monitor();
        self.source.end();
        let (block, writes) = self.next();
        let last = format!("0x{}", block.hash);
        self.world.change(|inner| inner.last = Some(last));
        self.commit_all(&[(block, Arc::new(writes))]);
        self.offer_pending();
    }

    /// Offers a block on the tip, which is pending until another one is committed.
    fn offer_pending(&mut self) {
        let parent = self.world.runtime.store().snapshot().tip().unwrap().hash;
        self.world.change(|inner| {
            inner.offered.insert(format!("0x{parent}"));
        });
        let block = [self.rng.bytes::<80>(), [0; 80]].concat().into();
        let pending = PendingBlock { parent, block };
        self.world.runtime.set_pending(Some(pending)).unwrap();
    }

    /// Waits until the events of all that is committed have come.
    fn wait_for_monitor(&self) {
        let tip = self.chain.last();
        self.world
            .wait_for("events", |inner| (inner.seen.as_ref() == tip).then_some(()));
    }

    fn reorganise(&mut self) {
        // The first block stays.
        let most = DEPTH.min(self.chain.len() as u64 - 1);
        if most == 0 {
            return;
        }
        let depth = 1 + self.rng.below(most);
        let keep = u32::try_from(u64::from(self.chain.last().unwrap().0) - depth).unwrap();
        self.world.runtime.store().rollback(Some(keep)).unwrap();
        self.chain.retain(|(height, _)| *height <= keep);
        self.source.roll_back(keep, &mut self.rng);
        // Now and then another reorganisation finds the branch as low as this.
        let blocks = if self.rng.chance(700) { depth + 1 } else { 1 };
        self.commit(blocks);
    }

    fn next(&mut self) -> (BlockRef, WriteSet) {
        self.source.next(&self.world.runtime, &mut self.rng)
    }

    /// Commits so many blocks, some of them together.
    fn commit(&mut self, blocks: u64) {
        let mut left = blocks;
        while left > 0 {
            let most = if S::TOGETHER { left.min(4) } else { 1 };
            let together = 1 + self.rng.below(most);
            let next = (0..together).map(|_| {
                let (block, writes) = self.next();
                (block, Arc::new(writes))
            });
            let next: Vec<_> = next.collect();
            self.commit_all(&next);
            left -= together;
        }
    }

    fn commit_all(&mut self, blocks: &[(BlockRef, Arc<WriteSet>)]) {
        for (block, writes) in blocks {
            self.note(block, writes);
        }
        let runtime = &self.world.runtime;
        runtime.store().commit_batch(blocks).unwrap();
        for (block, _) in blocks {
            let at = BlockId::Anchored {
                height: block.height,
                hash: block.hash,
            };
            let ask = |asked: &Asked| {
                let input = hex::decode(&asked.1).unwrap();
                let answer = runtime.view_sync(asked.0, &input, &at).unwrap();
                (asked.clone(), hex::encode_prefixed(&answer.bytes))
            };
            let answers = Arc::new(self.world.views.iter().map(ask).collect());
            let hash = format!("0x{}", block.hash);
            self.world.change(|inner| {
                inner.answers.insert(hash, answers);
                inner.committed += 1;
            });
        }
    }

    /// Before it is committed: events may come at once.
    fn note(&mut self, block: &BlockRef, writes: &WriteSet) {
        let before = self.chain.last().map(|(_, hash)| self.world.block(hash));
        let before = before.flatten().map(|block| Arc::clone(&block.state));
        let mut state = before.as_deref().cloned().unwrap_or_default();
        let mut written = Vec::new();
        for (key, value) in writes.sorted() {
            let key = hex::encode_prefixed(key);
            if value.is_empty() {
                state.remove(&key);
            } else {
                state.insert(key.clone(), hex::encode_prefixed(value));
            }
            written.push(key);
        }
        let position = (block.height, format!("0x{}", block.hash));
        self.chain.push(position.clone());
        let hash = position.1.clone();
        let block = Arc::new(Block {
            position,
            parent: format!("0x{}", block.parent),
            written,
            state: Arc::new(state),
        });
        self.world.change(|inner| {
            inner.blocks.insert(hash, block);
        });
    }
}
