//! A node that the tests play, and the chain of records every index must equal.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bitcoin::block::Header;
use bitcoin::consensus::deserialize_partial;
use bitcoin::hashes::Hash;
use bytes::Bytes;
use metashrew_runtime::MetashrewRuntime;
use metashrew_store::{
    BlockHash, BlockRecord, BlockRef, Chainwork, Height, OpenError, Store, StoreOptions,
};
use metashrew_sync::{
    Backoff, IndexEnd, IndexError, IndexOptions, Indexer, Network, Node, NodeBlock, NodeError, Stop,
};
use metashrew_testing::chain::{Chain, Mined};
pub(crate) use metashrew_testing::records::records;
use metashrew_testing::{damage, guests};
use parking_lot::Mutex;

pub(crate) fn hash_of(mined: &Mined) -> BlockHash {
    BlockHash::from_bytes(mined.hash.to_byte_array())
}

/// What a node may do instead of answering a question for a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// It cannot be reached.
    Down,
    /// It does not have the block.
    NoBlock,
    /// It hands out the block's parent.
    OtherBlock,
    /// It leaves out the last byte.
    CutShort,
    /// It adds a byte.
    TooLong,
    /// It changes an amount in the last transaction.
    OtherTransaction,
    /// It changes a byte of the last witness.
    OtherWitness,
    /// It sends an error page.
    Html,
    /// It sends nothing.
    Nothing,
    /// It leaves out all witnesses.
    Stripped,
    /// It adds an element to the witness of the coinbase.
    MoreCoinbaseWitness,
    /// It writes the number of transactions in five bytes.
    LongCount,
}

pub(crate) const LIES: [Lie; 12] = [
    Lie::Down,
    Lie::NoBlock,
    Lie::OtherBlock,
    Lie::CutShort,
    Lie::TooLong,
    Lie::OtherTransaction,
    Lie::OtherWitness,
    Lie::Html,
    Lie::Nothing,
    Lie::Stripped,
    Lie::MoreCoinbaseWitness,
    Lie::LongCount,
];

#[derive(Default)]
struct Inner {
    chain: BTreeMap<Height, BlockHash>,
    blocks: HashMap<BlockHash, Mined>,
    asked: usize,
    /// Questions of any kind.
    questions: AtomicUsize,
    /// How many questions for blocks were answered before the chain becomes another.
    switches: VecDeque<(usize, BTreeMap<Height, BlockHash>)>,
    lies: VecDeque<Option<Lie>>,
    /// Requested when the block is asked for.
    stop_at: Option<(Height, Stop)>,
    /// What it says is at a height, whatever is there.
    claims: HashMap<Height, BlockHash>,
    /// Whether it answers no question at all.
    down: bool,
}

/// A node with a chain that can be exchanged.
#[derive(Default)]
pub(crate) struct FakeNode {
    inner: Mutex<Inner>,
}

impl FakeNode {
    pub(crate) fn new(chain: &Chain) -> Arc<Self> {
        let node = Arc::new(Self::default());
        node.switch(chain);
        node
    }

    /// Makes another chain the best one.
    pub(crate) fn switch(&self, chain: &Chain) {
        let mut inner = self.inner.lock();
        inner.chain = heights(chain);
        inner.learn(chain);
    }

    /// Makes another chain the best one once that many blocks were handed out.
    pub(crate) fn switch_after(&self, asked: usize, chain: &Chain) {
        let mut inner = self.inner.lock();
        inner.learn(chain);
        inner.switches.push_back((asked, heights(chain)));
    }

    /// Cuts the best chain down to a height.
    pub(crate) fn cut(&self, height: Height) {
        self.inner.lock().chain.retain(|at, _| *at <= height);
    }

    /// Forgets the best chain below a height.
    pub(crate) fn forget_below(&self, height: Height) {
        self.inner.lock().chain.retain(|at, _| *at >= height);
    }

    /// What to do at the next questions for blocks.
    pub(crate) fn lie(&self, lies: impl IntoIterator<Item = Option<Lie>>) {
        self.inner.lock().lies.extend(lies);
    }

    pub(crate) fn lies_left(&self) -> usize {
        self.inner.lock().lies.len()
    }

    /// Whether all that was to happen has happened.
    pub(crate) fn is_settled(&self) -> bool {
        self.inner.lock().switches.is_empty()
    }

    /// Lets the next change of the chain happen now.
    pub(crate) fn hurry(&self) {
        let mut inner = self.inner.lock();
        if let Some((_, chain)) = inner.switches.pop_front() {
            inner.chain = chain;
        }
    }

    /// Has it say that a block is at a height, whatever is there; none for the truth.
    pub(crate) fn claim(&self, height: Height, hash: Option<BlockHash>) {
        let mut inner = self.inner.lock();
        match hash {
            Some(hash) => inner.claims.insert(height, hash),
            None => inner.claims.remove(&height),
        };
    }

    /// Has it answer nothing, or everything again.
    pub(crate) fn set_down(&self, down: bool) {
        self.inner.lock().down = down;
    }

    /// How many questions it was asked.
    pub(crate) fn questions(&self) -> usize {
        self.inner.lock().questions.load(Ordering::Relaxed)
    }

    pub(crate) fn stop_at(&self, height: Height, stop: &Stop) {
        self.inner.lock().stop_at = Some((height, stop.clone()));
    }
}

fn heights(chain: &Chain) -> BTreeMap<Height, BlockHash> {
    chain
        .blocks()
        .iter()
        .map(|mined| (mined.height, hash_of(mined)))
        .collect()
}

impl Inner {
    fn answer(&self) -> Result<(), NodeError> {
        self.questions.fetch_add(1, Ordering::Relaxed);
        if self.down {
            return Err(NodeError::Unavailable("connection refused".into()));
        }
        Ok(())
    }

    fn learn(&mut self, chain: &Chain) {
        self.blocks.extend(
            chain
                .blocks()
                .iter()
                .map(|mined| (hash_of(mined), mined.clone())),
        );
    }
}

impl Node for FakeNode {
    fn network(&self) -> Result<Option<Network>, NodeError> {
        self.inner.lock().answer()?;
        Ok(Some(Network::Regtest))
    }

    fn default_start(&self) -> Result<Option<Height>, NodeError> {
        self.first()
    }

    fn headers(&self, from: Height, count: usize) -> Result<Vec<[u8; 80]>, NodeError> {
        let inner = self.inner.lock();
        inner.answer()?;
        let hashes = inner.chain.range(from..).map(|(_, hash)| hash);
        let header = |hash| *inner.blocks[hash].bytes.first_chunk().unwrap();
        Ok(hashes.take(count).map(header).collect())
    }

    fn tip(&self) -> Result<Option<NodeBlock>, NodeError> {
        let inner = self.inner.lock();
        inner.answer()?;
        Ok(inner
            .chain
            .last_key_value()
            .map(|(height, hash)| NodeBlock {
                height: *height,
                hash: *hash,
            }))
    }

    fn first(&self) -> Result<Option<Height>, NodeError> {
        let inner = self.inner.lock();
        inner.answer()?;
        Ok(inner.chain.first_key_value().map(|(height, _)| *height))
    }

    fn hash_at(&self, height: Height) -> Result<Option<BlockHash>, NodeError> {
        let inner = self.inner.lock();
        inner.answer()?;
        let claimed = inner.claims.get(&height);
        Ok(claimed.or_else(|| inner.chain.get(&height)).copied())
    }

    fn hashes(&self, from: Height, count: usize) -> Result<Vec<BlockHash>, NodeError> {
        let inner = self.inner.lock();
        inner.answer()?;
        let hash = |height| {
            inner
                .claims
                .get(&height)
                .or_else(|| inner.chain.get(&height))
        };
        Ok((from..=Height::MAX)
            .take(count)
            .map_while(|height| hash(height).copied())
            .collect())
    }

    fn block(&self, hash: &BlockHash) -> Result<Bytes, NodeError> {
        let mut inner = self.inner.lock();
        inner.answer()?;
        let mined = inner
            .blocks
            .get(hash)
            .cloned()
            .ok_or(NodeError::NoBlock { hash: *hash })?;
        inner.asked += 1;
        if inner
            .switches
            .front()
            .is_some_and(|(asked, _)| inner.asked > *asked)
            && let Some((_, chain)) = inner.switches.pop_front()
        {
            inner.chain = chain;
        }
        if let Some((height, stop)) = &inner.stop_at
            && *height == mined.height
        {
            stop.request();
        }
        let lie = inner.lies.pop_front().flatten();
        let parent = BlockHash::from_bytes(mined.parent.to_byte_array());
        let parent = inner.blocks.get(&parent).cloned();
        drop(inner);
        answer(lie, hash, &mined, parent)
    }
}

/// What a lie makes of a block.
pub(crate) fn answer(
    lie: Option<Lie>,
    hash: &BlockHash,
    mined: &Mined,
    parent: Option<Mined>,
) -> Result<Bytes, NodeError> {
    let mut bytes = mined.bytes.to_vec();
    match lie {
        None => {}
        Some(Lie::Down) => return Err(NodeError::Unavailable("connection refused".into())),
        Some(Lie::NoBlock) => return Err(NodeError::NoBlock { hash: *hash }),
        Some(Lie::OtherBlock) => match parent {
            Some(parent) => bytes = parent.bytes.to_vec(),
            None => bytes.clear(),
        },
        Some(Lie::CutShort) => {
            bytes.pop();
        }
        Some(Lie::TooLong) => bytes.push(0),
        Some(Lie::OtherTransaction) => {
            let mut block = mined.block();
            let last = block.txdata.last_mut().unwrap();
            last.output[0].value += bitcoin::Amount::ONE_SAT;
            bytes = bitcoin::consensus::encode::serialize(&block);
        }
        Some(Lie::OtherWitness) => {
            let mut block = mined.block();
            let mut inputs = block
                .txdata
                .iter_mut()
                .flat_map(|transaction| &mut transaction.input);
            let input = inputs.rfind(|input| !input.witness.is_empty()).unwrap();
            let mut elements = input.witness.to_vec();
            elements[0].push(0);
            input.witness = bitcoin::Witness::from_slice(&elements);
            bytes = bitcoin::consensus::encode::serialize(&block);
        }
        Some(Lie::Html) => bytes = b"<html><body>502 Bad Gateway</body></html>".to_vec(),
        Some(Lie::Nothing) => bytes.clear(),
        Some(Lie::Stripped) => bytes = damage::stripped(&bytes).unwrap(),
        Some(Lie::MoreCoinbaseWitness) => bytes = damage::more_coinbase_witness(&bytes).unwrap(),
        Some(Lie::LongCount) => bytes = damage::long_count(&bytes).unwrap(),
    }
    Ok(bytes.into())
}

/// Options that neither wait nor hold much.
pub(crate) fn options() -> IndexOptions {
    let backoff = Backoff {
        first: Duration::from_micros(100),
        longest: Duration::from_millis(1),
    };
    IndexOptions {
        backoff,
        ..IndexOptions::default()
    }
}

/// Options that keep one block under way, so that the store is never far behind.
pub(crate) fn close_options() -> IndexOptions {
    IndexOptions {
        max_fetched_blocks: 1,
        max_uncommitted_blocks: 1,
        ..options()
    }
}

pub(crate) fn runtime(wasm: &[u8], store: &Store) -> MetashrewRuntime {
    MetashrewRuntime::new(wasm, store.clone()).unwrap()
}

pub(crate) fn indexer(
    wasm: &[u8],
    store: &Store,
    node: &Arc<FakeNode>,
    options: IndexOptions,
) -> Indexer {
    Indexer::new(
        runtime(wasm, store),
        Arc::clone(node) as Arc<dyn Node>,
        options,
    )
}

/// Indexes with the well-behaved guest until the end.
pub(crate) fn index(
    store: &Store,
    node: &Arc<FakeNode>,
    options: IndexOptions,
) -> Result<IndexEnd, IndexError> {
    indexer(&guests::chained(), store, node, options).run(&Stop::new())
}

/// Opens a database that may have been open before: a thread that asks the node is not
/// waited for by a stop, and holds the store until it has its answer.
pub(crate) fn open(directory: &Path) -> Store {
    loop {
        match Store::open(directory, StoreOptions::default()) {
            Err(OpenError::Locked { .. }) => thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// The records that processing and committing one block after the other gives.
pub(crate) fn expected(wasm: &[u8], blocks: &[Mined]) -> Vec<BlockRecord> {
    let store = Store::in_memory();
    let runtime = runtime(wasm, &store);
    let mut chainwork = Chainwork::ZERO;
    for mined in blocks {
        let header: Header = deserialize_partial(&mined.bytes).unwrap().0;
        chainwork = chainwork
            .checked_add(Chainwork::from_be_bytes(header.work().to_be_bytes()))
            .unwrap();
        let writes = runtime.process_block(mined.height, &mined.bytes).unwrap();
        let parent = BlockHash::from_bytes(mined.parent.to_byte_array());
        let block = BlockRef {
            time: header.time,
            bits: header.bits.to_consensus(),
            chainwork,
            ..BlockRef::new(mined.height, hash_of(mined), parent)
        };
        store.commit(&block, &writes).unwrap();
    }
    records(&store)
}

/// Asserts that the store holds that chain, as the well-behaved guest indexes it.
pub(crate) fn assert_holds(store: &Store, blocks: &[Mined]) {
    assert_eq!(records(store), expected(&guests::chained(), blocks));
}

/// Waits until something is so. It must come to be so sooner or later; the
/// deadline only turns a test that would hang into one that fails.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(2);
    while !is_so() {
        assert!(Instant::now() < deadline, "not so: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
