//! Chains of blocks made to order.

mod funds;

use crate::assemble::{Assembled, Encoded, Frame, assemble};
use crate::coins::Coins;
use crate::{Lock, Tx, TxOut};
use metashrew_support::raw;
use std::io;
use std::path::Path;

/// The magic bytes of regtest.
const REGTEST_MAGIC: [u8; 4] = [0xfa, 0xbf, 0xb5, 0xda];

/// The hash of regtest's block 0, in the byte order of hashing.
const REGTEST_GENESIS: [u8; 32] = [
    0x06, 0x22, 0x6e, 0x46, 0x11, 0x1a, 0x0b, 0x59, 0xca, 0xaf, 0x12, 0x60, 0x43, 0xeb, 0x5b, 0xbf,
    0x28, 0xc3, 0x4f, 0x3a, 0x5e, 0x33, 0x2a, 0x1f, 0xc7, 0xb2, 0xb7, 0x3c, 0xf1, 0x88, 0x91, 0x0f,
];

/// A block of a [`Chain`].
///
/// ```
/// # use metashrew_test::*;
/// # let alice = Lock::p2wpkh("alice");
/// # let mut chain = Chain::new();
/// # chain.mine();
/// let block = chain.tip().unwrap();
/// assert_eq!((block.height, block.hash), (1, block.raw().hash()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its height.
    pub height: u32,
    /// Its hash, in the byte order of hashing.
    pub hash: [u8; 32],
    /// The block, consensus-encoded: what a guest gets.
    pub bytes: Vec<u8>,
}

impl Block {
    /// The block, read in place.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let mut chain = Chain::new();
    /// # chain.mine();
    /// assert_eq!(chain.mine().raw().transactions().len(), 1);
    /// ```
    ///
    /// # Panics
    /// If it is none, which those of a [`Chain`] are not.
    pub fn raw(&self) -> raw::Block<'_> {
        raw::Block::parse(&self.bytes).expect("the bytes are a block")
    }
}

/// A chain that grows block by block: the same calls, the same bytes.
///
/// Blocks connect; merkle roots, witness commitments, the heights in coinbases and
/// the work (at the difficulty of regtest) are right. There are no fees. A coinbase
/// may be spent from the next block on.
///
/// Transactions wait for the next block. What they spend by themselves comes from
/// the *purse*, which each coinbase pays, unless it is told to pay others.
///
/// ```
/// use metashrew_test::{Chain, Inscription, Lock};
///
/// let mut chain = Chain::new();
/// let (alice, bob) = (Lock::p2wpkh("alice"), Lock::p2tr("bob"));
/// chain.mine(); // The purse has something to spend.
///
/// chain.pay(&alice, 100_000);
/// let id = chain.inscribe(&bob, Inscription::text("hello"));
/// chain.op_return(b"data");
/// let block = chain.mine();
/// assert_eq!((block.height, block.raw().transactions().len()), (2, 5));
/// assert_eq!(chain.balance(&alice), 100_000);
///
/// chain.send(&alice, &bob, 40_000);
/// chain.mine();
/// assert_eq!(chain.balance(&alice), 60_000);
///
/// chain.reorg(2);
/// assert_eq!(chain.balance(&alice), 0);
/// assert_eq!(id.index, 0);
/// ```
#[derive(Debug, Clone)]
pub struct Chain {
    first: u32,
    /// The block before the first one.
    parent: [u8; 32],
    blocks: Vec<Block>,
    /// Each block's transactions.
    mined: Vec<Vec<Tx>>,
    /// The next block's transactions.
    waiting: Vec<Tx>,
    /// What the next block's coinbase pays; the purse, if nobody.
    coinbase: Vec<TxOut>,
    /// Counts branches, so that their blocks differ.
    branch: u64,
    /// What can be spent by the transactions that wait.
    coins: Coins,
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

impl Chain {
    /// A chain whose first block has height 1, and stands on regtest's genesis block.
    ///
    /// ```
    /// # use metashrew_test::Chain;
    /// assert_eq!(Chain::new().mine().height, 1);
    /// ```
    pub fn new() -> Self {
        Self::starting_at(1)
    }

    /// A chain whose first block has a height.
    ///
    /// ```
    /// # use metashrew_test::Chain;
    /// assert_eq!(Chain::starting_at(840_000).mine().height, 840_000);
    /// ```
    pub fn starting_at(height: u32) -> Self {
        Self {
            first: height,
            parent: match height {
                0 => [0; 32],
                1 => REGTEST_GENESIS,
                _ => [0x11; 32],
            },
            blocks: Vec::new(),
            mined: Vec::new(),
            waiting: Vec::new(),
            coinbase: Vec::new(),
            branch: 0,
            coins: Coins::default(),
        }
    }

    /// Whom coinbases pay, unless told otherwise.
    ///
    /// ```
    /// # use metashrew_test::Chain;
    /// let mut chain = Chain::new();
    /// chain.mine();
    /// assert_eq!(chain.balance(&Chain::purse()), 5_000_000_000);
    /// ```
    pub fn purse() -> Lock {
        Lock::p2wpkh("purse")
    }

    /// Has the next block's coinbase pay, in place of the purse. Several calls make
    /// several outputs.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let mut chain = Chain::new();
    /// # chain.mine();
    /// chain.coinbase(&alice, 7).coinbase(&alice, 8).mine();
    /// assert_eq!(chain.balance(&alice), 15);
    /// ```
    pub fn coinbase(&mut self, to: impl Into<Lock>, satoshi: u64) -> &mut Self {
        self.coinbase.push(TxOut {
            value: satoshi,
            lock: to.into(),
        });
        self
    }

    /// Adds a transaction to the next block: its id. It may spend what this chain does
    /// not know.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let mut chain = Chain::new();
    /// # chain.mine();
    /// let unknown = OutPoint { txid: [7; 32], vout: 0 };
    /// let txid = chain.add(Tx::new().spend(unknown, &alice).pay(&alice, 7));
    /// let block = chain.mine().raw();
    /// assert_eq!(block.transactions().nth(1).unwrap().txid(), txid);
    /// ```
    ///
    /// # Panics
    /// If it has no input: no chain has such a transaction, and its encoding means another one.
    #[track_caller]
    pub fn add(&mut self, transaction: Tx) -> [u8; 32] {
        assert!(
            !transaction.inputs.is_empty(),
            "a transaction without inputs cannot be in a chain: give it one by `Tx::spend`, or pay by `Chain::pay`"
        );
        let txid = self.coins.apply(&transaction);
        self.waiting.push(transaction);
        txid
    }

    /// Mines the next block: a coinbase, and all transactions that wait.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let mut chain = Chain::new();
    /// # chain.mine();
    /// chain.pay(&alice, 1_000);
    /// let block = chain.mine();
    /// assert_eq!((block.height, block.raw().transactions().len()), (2, 2));
    /// ```
    pub fn mine(&mut self) -> &Block {
        let height = self.next_height();
        let mut coinbase = std::mem::take(&mut self.coinbase);
        if coinbase.is_empty() {
            coinbase.push(TxOut {
                value: subsidy(height),
                lock: Self::purse(),
            });
        }
        let frame = Frame {
            height,
            parent: self.tip().map_or(self.parent, |tip| tip.hash),
            extra_nonce: self.branch.to_le_bytes(),
            coinbase,
            with_work: true,
        };
        let mut transactions = std::mem::take(&mut self.waiting);
        let encoded: Vec<Encoded> = transactions.iter().map(Encoded::from).collect();
        let Assembled {
            hash,
            coinbase,
            bytes,
        } = assemble(&frame, &encoded);
        self.coins.apply(&coinbase);
        transactions.insert(0, coinbase);
        self.mined.push(transactions);
        self.blocks.push(Block {
            height,
            hash,
            bytes,
        });
        self.tip().expect("a block was pushed")
    }

    /// Mines several blocks, the first of which has the transactions that wait.
    ///
    /// ```
    /// # use metashrew_test::Chain;
    /// let mut chain = Chain::new();
    /// assert_eq!(chain.mine_blocks(3).len(), 3);
    /// ```
    pub fn mine_blocks(&mut self, count: usize) -> &[Block] {
        let before = self.blocks.len();
        for _ in 0..count {
            self.mine();
        }
        self.blocks.get(before..).unwrap_or_default()
    }

    /// Abandons the newest blocks, as many as `depth` says, and what waits. The blocks
    /// mined from here on differ from those abandoned.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let mut chain = Chain::new();
    /// # chain.mine();
    /// let abandoned = chain.reorg(1);
    /// chain.mine();
    /// assert_ne!(chain.at(1), abandoned.first());
    /// ```
    ///
    /// # Panics
    /// If there are not that many blocks.
    pub fn reorg(&mut self, depth: usize) -> Vec<Block> {
        let kept = self.blocks.len().checked_sub(depth);
        let kept = kept.unwrap_or_else(|| {
            panic!(
                "a reorg of {depth} blocks, of {} there are",
                self.blocks.len()
            )
        });
        self.branch += 1;
        self.waiting.clear();
        self.coinbase.clear();
        self.mined.truncate(kept);
        self.coins = Coins::default();
        for transaction in self.mined.iter().flat_map(|block| {
            // A coinbase's outputs come after the block's own transactions, as in `mine`.
            block.iter().skip(1).chain(block.first())
        }) {
            self.coins.apply(transaction);
        }
        self.blocks.split_off(kept)
    }

    /// The blocks as Bitcoin Core keeps those of regtest in files: magic, length, block.
    /// `metashrew start --network regtest --blocks FILE` reads it.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let mut chain = Chain::new();
    /// # chain.mine();
    /// let framed = chain.framed();
    /// assert_eq!(framed[..4], [0xfa, 0xbf, 0xb5, 0xda]); // Regtest's magic.
    /// assert_eq!(framed[8..], chain.at(1).unwrap().bytes);
    /// ```
    pub fn framed(&self) -> Vec<u8> {
        let frame = |block: &Block| {
            let length = u32::try_from(block.bytes.len()).expect("blocks are below 4 GiB");
            [&REGTEST_MAGIC[..], &length.to_le_bytes(), &block.bytes].concat()
        };
        self.blocks.iter().flat_map(frame).collect()
    }

    /// Writes [`framed`](Self::framed) to a file.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let mut chain = Chain::new();
    /// # chain.mine();
    /// # let path = std::env::temp_dir().join(format!("chain-{}.blocks", std::process::id()));
    /// chain.write(&path)?;
    /// assert_eq!(std::fs::read(&path)?, chain.framed());
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> io::Result<()> {
        std::fs::write(path, self.framed())
    }

    /// The blocks, lowest first.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let mut chain = Chain::new();
    /// # chain.mine();
    /// assert_eq!(chain.blocks().len(), 1);
    /// ```
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The block at a height, if it was mined.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let mut chain = Chain::new();
    /// # chain.mine();
    /// assert_eq!(chain.at(1), chain.tip());
    /// assert_eq!(chain.at(2), None);
    /// ```
    pub fn at(&self, height: u32) -> Option<&Block> {
        let place = usize::try_from(height.checked_sub(self.first)?).ok()?;
        self.blocks.get(place)
    }

    /// The newest block.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let mut chain = Chain::new();
    /// # chain.mine();
    /// assert_eq!(chain.tip().map(|block| block.height), Some(1));
    /// ```
    pub fn tip(&self) -> Option<&Block> {
        self.blocks.last()
    }

    /// The height that the next block gets.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let mut chain = Chain::new();
    /// # chain.mine();
    /// assert_eq!(chain.next_height(), 2);
    /// ```
    pub fn next_height(&self) -> u32 {
        self.tip().map_or(self.first, |tip| tip.height + 1)
    }
}

/// What a block may create, in satoshi.
fn subsidy(height: u32) -> u64 {
    5_000_000_000u64.checked_shr(height / 210_000).unwrap_or(0)
}
