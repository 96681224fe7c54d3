//! Chains that leave each other, each with more work than the one before, and what an
//! undisturbed run makes of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use metashrew_store::{BlockRecord, OpenError, Store, StoreOptions};
use metashrew_testing::chain::{Chain, Shape};
use metashrew_testing::frames::{REGTEST_MAGIC, frames};
use metashrew_testing::guests;
use metashrew_testing::records::records;

use crate::harness::{Place, succeed};

/// What the guest does for each block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) keys: u32,
    /// At least 32.
    pub(crate) value_len: u32,
    /// Of an empty loop. They keep many blocks from being committed, and so written out,
    /// together.
    pub(crate) turns: u32,
}

/// A directory with a guest, and chains to be indexed one after the other.
pub(crate) struct Forked {
    pub(crate) place: Place,
    chains: Vec<Chain>,
    /// Every block's record, by its hash.
    expect: BTreeMap<String, BlockRecord>,
}

impl Forked {
    /// A chain of so many blocks, and branches that leave the one before so many blocks
    /// below its end, and get as far beyond it. The guest writes the same keys in every
    /// block.
    pub(crate) fn new(load: Load, blocks: usize, depths: &[u32]) -> Self {
        let guest = guests::rewriting_values(load.keys, load.value_len, load.turns);
        let place = Place::with(&guest, blocks);
        let mut chains = vec![place.chain.clone()];
        for (depth, seed) in depths.iter().zip(100..) {
            let last = chains.last().unwrap();
            let fork = last.tip().unwrap().height - depth;
            let mut branch = last.fork(fork, seed).shape(Shape::Transactions(2));
            branch.mine(2 * *depth as usize);
            chains.push(branch);
        }
        let mut forked = Self {
            place,
            chains,
            expect: BTreeMap::new(),
        };
        for chain in 0..forked.chains.len() {
            forked.write(chain..=chain);
            let database = format!("undisturbed-{chain}");
            let database = forked.place.path(&database);
            forked.index(&database, chain);
            let records = records(&open(&database).unwrap());
            for record in records {
                let before = forked.expect.insert(record.hash.to_string(), record);
                assert!(before.is_none_or(|before| before == record));
            }
        }
        forked
    }

    /// How many chains there are.
    pub(crate) fn len(&self) -> usize {
        self.chains.len()
    }

    /// The height of the last block of a chain.
    pub(crate) fn height(&self, chain: usize) -> u32 {
        self.chains[chain].tip().unwrap().height
    }

    /// The height of the last block that a chain shares with the one before.
    pub(crate) fn fork_height(&self, chain: usize) -> u32 {
        let (before, chain) = (&self.chains[chain - 1], &self.chains[chain]);
        let both = before.blocks().iter().zip(chain.blocks());
        let shared = both.take_while(|(left, right)| left == right);
        shared.last().map_or(0, |(block, _)| block.height)
    }

    /// Writes these chains to the file of blocks.
    pub(crate) fn write(&self, chains: std::ops::RangeInclusive<usize>) {
        let blocks = self.chains[chains]
            .iter()
            .flat_map(Chain::blocks)
            .map(|block| block.bytes.as_slice());
        std::fs::write(self.place.path("blocks.dat"), frames(REGTEST_MAGIC, blocks)).unwrap();
    }

    /// `metashrew start` over a database, with more flags.
    pub(crate) fn start(&self, database: &Path, flags: &[&str]) -> Command {
        let mut command = self.place.metashrew(&["start", "--indexer", "guest.wasm"]);
        command
            .args(["--blocks", "blocks.dat", "--listen", "127.0.0.1:0"])
            .args(["--reorg-horizon", "1000", "--min-free-space", "0"])
            // So little that recent writes are written out all the time.
            .args(["--cache", "16MiB", "--db"])
            .arg(database)
            .args(flags);
        command
    }

    /// Indexes up to the end of a chain, and stops.
    pub(crate) fn index(&self, database: &Path, chain: usize) {
        let height = self.height(chain).to_string();
        succeed(&mut self.start(database, &["--exit-at", &height]));
    }

    /// Whether a record is that of the last block of a chain.
    pub(crate) fn is_end(&self, chain: usize, record: &BlockRecord) -> bool {
        self.chains[chain].tip().unwrap().hash.to_string() == record.hash.to_string()
    }

    /// Checks that a database is whole and equal to an undisturbed one up to its last
    /// block, which it returns: none, if there is no block or no database yet.
    pub(crate) fn check(&self, database: &Path, context: &str) -> Option<BlockRecord> {
        let store = match open(database) {
            Err(OpenError::NotFound { .. }) => return None,
            store => store.unwrap_or_else(|error| panic!("{context}: {error:?}")),
        };
        let verified = store
            .verify(|_, _| ())
            .unwrap_or_else(|error| panic!("{context}: {error:?}"));
        for record in records(&store) {
            let expect = self.expect.get(&record.hash.to_string());
            assert_eq!(expect, Some(&record), "{context}");
        }
        verified.tip
    }
}

fn open(database: &Path) -> Result<Store, OpenError> {
    Store::open_read_only(database, StoreOptions::default())
}
