//! Chains whose versions have the bit of merged mining: with the proofs it stands for,
//! and without, as miners of Bitcoin set it.

use std::fs;
use std::sync::Arc;

use bitcoin::block::Version;
use bitcoin::consensus::encode::serialize;
use bitcoin::constants::genesis_block;
use bitcoin::{Block, Network};
use metashrew_store::{Height, Store};
use metashrew_sync::{
    BlockFault, BlockFiles, IndexEnd, IndexError, Indexer, Node, NodeError, Stop,
};
use metashrew_testing::chain::{Chain, Mined, Shape};
use metashrew_testing::frames::frames;
use metashrew_testing::guests;

use tempfile::TempDir;

use crate::support::{assert_holds, hash_of, options, runtime};

/// What Dogecoin's block files begin with.
const MAGIC: [u8; 4] = [0xc0; 4];

/// Blocks of that version; `encode` makes their bytes.
fn remade(start: Height, version: i32, encode: impl Fn(&Block) -> Vec<u8>) -> Vec<Mined> {
    let mut chain = Chain::new(4).start(start).shape(Shape::Transactions(3));
    chain.mine(20);
    let mut parent = chain.blocks()[0].parent;
    let remake = |mined: &Mined| {
        let mut block = mined.block();
        block.header.version = Version::from_consensus(version);
        block.header.prev_blockhash = parent;
        let remade = Mined {
            hash: block.block_hash(),
            parent,
            bytes: Arc::new(encode(&block)),
            ..*mined
        };
        parent = remade.hash;
        remade
    };
    chain.blocks().iter().map(remake).collect()
}

/// A block with a proof of another chain's work, of a length of its own.
fn merged(block: &Block) -> Vec<u8> {
    let other = genesis_block(Network::Bitcoin);
    let steps = u8::try_from(block.header.time / 600 % 30).unwrap();
    let branch = |steps: u8| {
        let hashes = vec![steps; 32 * usize::from(steps)];
        [&[steps][..], &hashes, &5_i32.to_le_bytes()].concat()
    };
    [
        serialize(&block.header),
        serialize(&other.txdata[0]),
        serialize(&other.block_hash()),
        branch(steps),
        branch(steps / 3),
        serialize(&other.header),
        serialize(&block.txdata),
    ]
    .concat()
}

/// Indexes the blocks from a file of frames, which hands them out as they are.
fn index(store: &Store, blocks: &[Mined]) -> Result<IndexEnd, IndexError> {
    let (_directory, files) = open(blocks);
    for mined in blocks {
        assert_eq!(files.block(&hash_of(mined)).unwrap(), *mined.bytes);
    }
    index_files(store, files)
}

fn open(blocks: &[Mined]) -> (TempDir, BlockFiles) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("blk00000.dat");
    let framed = frames(MAGIC, blocks.iter().map(|mined| &mined.bytes[..]));
    fs::write(&path, framed).unwrap();
    let files = BlockFiles::open(&path, None).unwrap();
    assert_eq!(files.first().unwrap(), Some(blocks[0].height));
    (directory, files)
}

fn index_files(store: &Store, files: BlockFiles) -> Result<IndexEnd, IndexError> {
    let runtime = runtime(&guests::chained(), store);
    Indexer::new(runtime, Arc::new(files), options()).run(&Stop::new())
}

#[test]
fn merged_mined_chains_are_indexed_from_their_own_heights() {
    // Dogecoin's version, and another chain's.
    for version in [0x62_0104, 0x14_0102] {
        let blocks = remade(400_000, version, merged);
        let store = Store::in_memory();
        assert_eq!(index(&store, &blocks).unwrap(), IndexEnd::Tip);
        assert_holds(&store, &blocks);
    }
}

#[test]
fn plain_chains_with_the_same_bit_are_indexed() {
    for version in [0x2000_0100, 0x3fff_e104, 0x62_0104] {
        let blocks = remade(700_000, version, serialize::<Block>);
        let store = Store::in_memory();
        assert_eq!(index(&store, &blocks).unwrap(), IndexEnd::Tip);
        assert_holds(&store, &blocks);
    }
}

#[test]
fn a_merged_mined_block_with_other_transactions_is_refused() {
    let mut blocks = remade(400_000, 0x62_0104, merged);
    let mut bytes = blocks[12].bytes.to_vec();
    let lock_time = bytes.len() - 1;
    bytes[lock_time] ^= 1;
    blocks[12].bytes = Arc::new(bytes);
    let store = Store::in_memory();
    let (_directory, files) = open(&blocks);
    let error = index_files(&store, files).unwrap_err();
    assert!(
        matches!(
            &error,
            IndexError::Node(NodeError::Damaged {
                source: BlockFault::MerkleRoot,
                ..
            })
        ),
        "{error}"
    );
    assert_holds(&store, &blocks[..12]);
}
