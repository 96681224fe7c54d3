//! Where the blocks come from.

use std::collections::BTreeMap;

use bitcoin::hashes::Hash;
use metashrew_runtime::MetashrewRuntime;
use metashrew_store::{BlockHash, BlockRef, WriteSet};
use metashrew_testing::chain::{Chain, Shape};
use metashrew_testing::rng::Rng;

use crate::harness::FIRST;

/// Blocks to be committed, one on the other.
pub(crate) trait Source {
    /// Whether a block can be made before the one below it is committed.
    const TOGETHER: bool;

    /// The next block, and what it writes.
    fn next(&mut self, runtime: &MetashrewRuntime, rng: &mut Rng) -> (BlockRef, WriteSet);

    /// The next one stands on the block at this height.
    fn roll_back(&mut self, height: u32, rng: &mut Rng);

    /// The next one is the last: it writes whatever is subscribed to.
    fn end(&mut self) {}
}

/// Blocks that write keys of many groups, without a guest.
#[derive(Default)]
pub(crate) struct Made {
    /// The hashes, from the first block on.
    chain: Vec<BlockHash>,
    last: u64,
    is_end: bool,
}

impl Made {
    pub(crate) const GROUPS: u8 = 48;
    pub(crate) const ITEMS: u8 = 4;

    /// The key of an item of a group, or what all of the group begin with, as hex.
    pub(crate) fn key(group: u8, item: Option<u8>) -> String {
        hex::encode_prefixed([&[b'k', group][..], item.as_slice()].concat())
    }

    fn keys() -> impl Iterator<Item = [u8; 3]> {
        let of_group = |group| (0..Self::ITEMS).map(move |item| [b'k', group, item]);
        (0..Self::GROUPS).flat_map(of_group)
    }
}

impl Source for Made {
    const TOGETHER: bool = true;

    fn next(&mut self, _: &MetashrewRuntime, rng: &mut Rng) -> (BlockRef, WriteSet) {
        self.last += 1;
        let hash = |number: u64| {
            let mut hash = [0xcd; 32];
            hash[..8].copy_from_slice(&number.to_le_bytes());
            BlockHash::from_bytes(hash)
        };
        let parent = self.chain.last().copied().unwrap_or_else(|| hash(0));
        let height = FIRST + u32::try_from(self.chain.len()).unwrap();
        let block = BlockRef::new(height, hash(self.last), parent);
        self.chain.push(block.hash);
        let keys: Vec<_> = Self::keys().collect();
        let mut values = BTreeMap::new();
        if self.is_end {
            // No view has answered with it, nor with its value.
            let new = *b"new";
            values.extend(keys.iter().map(|key| (*key, new.to_vec())));
            values.insert(new, rng.bytes::<24>().to_vec());
        }
        for _ in 0..rng.below(9) {
            let value = match rng.below(8) {
                // As if it were not there.
                0 => Vec::new(),
                1..4 => keys[rng.index(keys.len())].to_vec(),
                _ => rng.bytes::<9>().to_vec(),
            };
            let key = keys[rng.index(keys.len())];
            values.entry(key).or_insert(value);
        }
        let mut writes = WriteSet::default();
        for (key, value) in &values {
            writes.insert(&key[..], value).unwrap();
        }
        (block, writes)
    }

    fn roll_back(&mut self, height: u32, _: &mut Rng) {
        self.chain.truncate((height + 1 - FIRST) as usize);
    }

    fn end(&mut self) {
        self.is_end = true;
    }
}

/// Blocks of Bitcoin, which the guest runs over.
pub(crate) struct Mined(Chain);

impl Mined {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Chain::new(seed).start(FIRST).shape(Shape::Transactions(2)))
    }
}

impl Source for Mined {
    const TOGETHER: bool = false;

    fn next(&mut self, runtime: &MetashrewRuntime, _: &mut Rng) -> (BlockRef, WriteSet) {
        let block = &self.0.mine(1)[0];
        let writes = runtime.process_block(block.height, &block.bytes).unwrap();
        let hash = |hash: bitcoin::BlockHash| BlockHash::from_bytes(hash.to_byte_array());
        (
            BlockRef::new(block.height, hash(block.hash), hash(block.parent)),
            writes,
        )
    }

    fn roll_back(&mut self, height: u32, rng: &mut Rng) {
        self.0 = self.0.fork(height, rng.next_u64());
    }
}
