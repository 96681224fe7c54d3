//! The block files of Bitcoin Core itself, while it runs.

use std::sync::Arc;

use bitcoin::consensus::encode::serialize;
use metashrew_store::Store;
use metashrew_sync::{CoreSettings, IndexEnd, Indexer, Node, SourceCounts, Stop};
use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::guests;

use crate::core_node::{blocks, connect, ours, settings};
use crate::support::{assert_holds, options, runtime};

#[test]
fn new_blocks_are_found_in_the_files_at_once() {
    let bitcoind = Bitcoind::start();
    let node = connect(&CoreSettings {
        blocks_dir: Some(bitcoind.blocks_dir()),
        ..settings(&bitcoind)
    });
    for _ in 0..30 {
        let hash = ours(&bitcoind.mine(1)[0]);
        node.block(&hash).unwrap();
    }
    let expected = SourceCounts {
        files: 30,
        ..SourceCounts::default()
    };
    assert_eq!(node.source_counts(), expected);
}

#[test]
fn a_block_damaged_in_the_files_comes_from_the_node() {
    let bitcoind = Bitcoind::start();
    let hash = bitcoind.mine(3)[1];
    let block = serialize(&bitcoind.block(&hash));
    // A copy, as the node would hand out from its own what is damaged there.
    let copy = tempfile::tempdir().unwrap();
    for name in ["blk00000.dat", "xor.dat"] {
        std::fs::copy(bitcoind.blocks_dir().join(name), copy.path().join(name)).unwrap();
    }
    // The end of the second block of three, in its coinbase.
    let path = copy.path().join("blk00000.dat");
    let mut bytes = std::fs::read(&path).unwrap();
    let genesis = 8 + serialize(&bitcoind.block(&bitcoind.hash_at(0))).len();
    let offset = genesis + (8 + block.len()) + 8 + block.len() - 5;
    bytes[offset] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let node = connect(&CoreSettings {
        blocks_dir: Some(copy.path().to_owned()),
        ..settings(&bitcoind)
    });
    for _ in 0..3 {
        assert_eq!(node.block(&ours(&hash)).unwrap(), block);
    }
    let expected = SourceCounts {
        rpc: 3,
        ..SourceCounts::default()
    };
    assert_eq!(node.source_counts(), expected);

    let store = Store::in_memory();
    let node = connect(&CoreSettings {
        blocks_dir: Some(copy.path().to_owned()),
        ..settings(&bitcoind)
    });
    let runtime = runtime(&guests::chained(), &store);
    let end = Indexer::new(runtime, Arc::new(node), options()).run(&Stop::new());
    assert_eq!(end.unwrap(), IndexEnd::Tip);
    assert_holds(&store, &blocks(&bitcoind));
}
