//! Bitcoin Core itself as the source, over every way to its blocks.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bitcoin::consensus::encode::serialize;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, TxOut};
use metashrew_store::{BlockHash, Height, Store};
use metashrew_sync::{
    Auth, BlockFiles, CoreNode, CoreSettings, FilesError, IndexEnd, IndexError, IndexOptions,
    Indexer, Network, Node, NodeError, SettingsError, SourceCounts, Stop,
};
use metashrew_testing::bitcoind::{Bitcoind, Key, Settings};
use metashrew_testing::chain::Mined;
use metashrew_testing::frames::{REGTEST_MAGIC, frames};
use metashrew_testing::guests;
use metashrew_testing::proxy::{Front, Reaction};
use serde_json::json;

use crate::support::{assert_holds, options, runtime};

/// The product's hash for Core's.
pub(crate) fn ours(hash: &bitcoin::BlockHash) -> BlockHash {
    BlockHash::from_bytes(hash.to_byte_array())
}

/// The settings for a node, by RPC alone.
pub(crate) fn settings(bitcoind: &Bitcoind) -> CoreSettings {
    CoreSettings {
        network: Some(Network::Regtest),
        ..CoreSettings::new(bitcoind.rpc_url())
    }
}

pub(crate) fn connect(settings: &CoreSettings) -> CoreNode {
    let node = CoreNode::new(settings).unwrap();
    node.wait_for_files();
    node
}

/// The best chain as the node's own answers decode to it.
pub(crate) fn blocks(bitcoind: &Bitcoind) -> Vec<Mined> {
    let block = |height| {
        let hash = bitcoind.hash_at(height);
        let block = bitcoind.block(&hash);
        Mined {
            height,
            hash,
            parent: block.header.prev_blockhash,
            bytes: Arc::new(serialize(&block)),
        }
    };
    (0..=bitcoind.height()).map(block).collect()
}

/// A chain with segwit spends, some of them in a dead branch as well.
pub(crate) fn with_spends(settings: Settings) -> Bitcoind {
    let bitcoind = Bitcoind::start_with(settings);
    let (key, other) = (Key::new(1), Key::new(2));
    let funded = bitcoind.mine_to(6, &key);
    bitcoind.mine(100);
    for (number, hash) in funded.iter().enumerate() {
        let coin = bitcoind.coinbase(hash);
        let outputs = (0..=number).map(|_| TxOut {
            value: Amount::from_sat(400_000_000),
            script_pubkey: other.script(),
        });
        bitcoind.send(&key.spend(&[coin], outputs.collect()));
        bitcoind.mine(1);
    }
    bitcoind.reorganise(bitcoind.height() - 3, 6);
    bitcoind
}

/// Asserts that the source has exactly the node's chain.
fn assert_same(node: &dyn Node, blocks: &[Mined]) {
    let last = blocks.last().unwrap();
    let tip = node.tip().unwrap().unwrap();
    assert_eq!((tip.height, tip.hash), (last.height, ours(&last.hash)));
    assert_eq!(node.first().unwrap(), Some(0));
    for mined in blocks {
        let hash = node.hash_at(mined.height).unwrap().unwrap();
        assert_eq!(hash, ours(&mined.hash));
        assert_eq!(node.block(&hash).unwrap(), *mined.bytes);
    }
    assert_eq!(node.hash_at(last.height + 1).unwrap(), None);
    let unknown = BlockHash::from_bytes([7; 32]);
    let error = node.block(&unknown).unwrap_err();
    assert!(
        matches!(error, NodeError::NoBlock { hash } if hash == unknown),
        "{error}"
    );
}

#[test]
fn every_source_gives_the_same_bytes() {
    for xor in [true, false] {
        let bitcoind = with_spends(Settings {
            xor,
            ..Settings::default()
        });
        let blocks = blocks(&bitcoind);
        let count = blocks.len() as u64;

        let rpc = connect(&settings(&bitcoind));
        assert_same(&rpc, &blocks);
        let expected = SourceCounts {
            rpc: count,
            ..SourceCounts::default()
        };
        assert_eq!(rpc.source_counts(), expected);

        let rest = connect(&CoreSettings {
            rest: true,
            ..settings(&bitcoind)
        });
        assert_same(&rest, &blocks);
        let expected = SourceCounts {
            rest: count,
            ..SourceCounts::default()
        };
        assert_eq!(rest.source_counts(), expected);

        let files = connect(&CoreSettings {
            blocks_dir: Some(bitcoind.blocks_dir()),
            ..settings(&bitcoind)
        });
        assert_same(&files, &blocks);
        let expected = SourceCounts {
            files: count,
            ..SourceCounts::default()
        };
        assert_eq!(files.source_counts(), expected);

        // The same files without a node, and framed ones.
        assert_same(
            &BlockFiles::open(&bitcoind.blocks_dir(), None).unwrap(),
            &blocks,
        );
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("blocks.dat");
        let framed = frames(REGTEST_MAGIC, blocks.iter().map(|mined| &mined.bytes[..]));
        std::fs::write(&path, framed).unwrap();
        assert_same(&BlockFiles::open(&path, None).unwrap(), &blocks);
    }
}

#[test]
fn every_source_is_indexed_to_the_same_state() {
    let bitcoind = with_spends(Settings::default());
    let blocks = blocks(&bitcoind);
    for (rest, blocks_dir) in [
        (false, None),
        (true, None),
        (true, Some(bitcoind.blocks_dir())),
    ] {
        let store = Store::in_memory();
        let node = connect(&CoreSettings {
            rest,
            blocks_dir,
            ..settings(&bitcoind)
        });
        let runtime = runtime(&guests::chained(), &store);
        let indexer = Indexer::new(runtime, Arc::new(node), options());
        assert_eq!(indexer.run(&Stop::new()).unwrap(), IndexEnd::Tip);
        assert_holds(&store, &blocks);
    }
}

#[test]
fn hashes_follow_the_best_chain() {
    let bitcoind = Bitcoind::start();
    bitcoind.mine(2_300);
    for rest in [false, true] {
        let node = connect(&CoreSettings {
            rest,
            ..settings(&bitcoind)
        });
        for round in 0..2 {
            let tip = bitcoind.height();
            let expected: Vec<_> = (0..=tip)
                .map(|height| ours(&bitcoind.hash_at(height)))
                .collect();
            let check = |from: Height, count: usize| {
                let from_index = expected.len().min(from as usize);
                let to = expected.len().min(from as usize + count);
                assert_eq!(
                    node.hashes(from, count).unwrap(),
                    expected[from_index..to],
                    "{count} from {from}, round {round}, REST {rest}"
                );
            };
            check(0, 10_000);
            check(0, 1);
            check(5, 0);
            check(1_000, 2_000 - 1_000);
            check(tip - 3, 2);
            check(tip - 3, 64);
            check(tip, 64);
            check(tip + 1, 64);
            check(Height::MAX, 64);
            bitcoind.reorganise(tip - 7, 9);
        }
    }
}

#[test]
fn a_node_that_prunes_says_from_where_it_has_blocks() {
    let bitcoind = Bitcoind::start_with(Settings {
        arguments: vec!["-prune=1".to_owned(), "-fastprune".to_owned()],
        ..Settings::default()
    });
    bitcoind.mine(1_200);
    let blocks = blocks(&bitcoind);
    let node = connect(&CoreSettings {
        rest: true,
        blocks_dir: Some(bitcoind.blocks_dir()),
        ..settings(&bitcoind)
    });
    assert_eq!(node.first().unwrap(), Some(0));
    bitcoind.rpc("pruneblockchain", &json!([800]));
    let first = node.first().unwrap().unwrap();
    assert!((2..=801).contains(&first), "{first}");
    let error = node.block(&ours(&blocks[1].hash)).unwrap_err();
    assert!(matches!(error, NodeError::Pruned { .. }), "{error}");
    assert!(error.to_string().contains("pruned"), "{error}");
    for mined in &blocks[first as usize..] {
        assert_eq!(node.block(&ours(&mined.hash)).unwrap(), *mined.bytes);
    }
    // Where pruning stands is no place for an index to begin at, unless it is named.
    let node = Arc::new(node);
    let store = Store::in_memory();
    let index = |start_height| {
        let runtime = runtime(&guests::chained(), &store);
        let options = IndexOptions {
            start_height,
            ..options()
        };
        Indexer::new(runtime, Arc::clone(&node) as Arc<dyn Node>, options).run(&Stop::new())
    };
    let error = index(None).unwrap_err();
    let is_gap =
        matches!(&error, IndexError::Gap { height: 0, first: lowest, .. } if *lowest == first);
    assert!(is_gap, "{error}");
    let error = error.to_string();
    assert!(error.contains("block 0") && error.contains(&first.to_string()));
    assert!(store.snapshot().tip().is_none());
    assert_eq!(index(Some(first)).unwrap(), IndexEnd::Tip);
    assert_holds(&store, &blocks[first as usize..]);
}

#[test]
fn headers_come_by_rpc_and_rest() {
    let bitcoind = Bitcoind::start();
    bitcoind.mine(30);
    let blocks = blocks(&bitcoind);
    for rest in [false, true] {
        let node = connect(&CoreSettings {
            rest,
            network: None,
            ..settings(&bitcoind)
        });
        assert_eq!(node.network().unwrap(), Some(Network::Regtest));
        let check = |from: Height, count: usize| {
            let headers = node.headers(from, count).unwrap();
            let expected = blocks.iter().skip(from as usize).take(count);
            let expected: Vec<[u8; 80]> = expected
                .map(|mined| *mined.bytes.first_chunk().unwrap())
                .collect();
            assert_eq!(headers, expected, "{count} from {from}");
        };
        check(0, 10);
        check(7, 1);
        check(25, 2_000);
        check(30, 5);
        check(31, 5);
    }
}

#[test]
fn a_restarted_node_is_asked_with_its_new_cookie() {
    let mut bitcoind = Bitcoind::start_with(Settings {
        auth: None,
        ..Settings::default()
    });
    let hash = ours(&bitcoind.mine(1)[0]);
    let node = connect(&CoreSettings {
        auth: Auth::CookieFile(bitcoind.cookie_file()),
        ..settings(&bitcoind)
    });
    assert_eq!(node.tip().unwrap().unwrap().height, 1);
    bitcoind.stop();
    let error = node.tip().unwrap_err();
    assert!(error.is_transient(), "{error}");
    bitcoind.restart();
    assert_eq!(node.tip().unwrap().unwrap().hash, hash);
    assert!(node.block(&hash).is_ok());

    let nowhere = connect(&CoreSettings {
        auth: Auth::CookieFile(PathBuf::from("/nowhere/.cookie")),
        ..settings(&bitcoind)
    });
    let error = nowhere.tip().unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[test]
fn another_network_is_waited_out_once_it_was_the_right_one() {
    let bitcoind = Bitcoind::start();
    let step = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&step);
    let front = Front::start(bitcoind.address(), move |_, body| {
        let asks = body.contains("\"getblockhash\",\"params\":[0]");
        match now.load(Ordering::Relaxed) {
            1 => Reaction::Close,
            2 if asks => {
                let genesis = Network::Signet.genesis().unwrap();
                let result = format!(r#"{{"result":"{genesis}","error":null,"id":0}}"#);
                Reaction::Answer(200, result)
            }
            _ => Reaction::Pass,
        }
    });
    let node = connect(&CoreSettings {
        rpc_url: bitcoind.rpc_url_at(front.address()),
        ..settings(&bitcoind)
    });
    node.tip().unwrap();
    step.store(1, Ordering::Relaxed);
    node.tip().unwrap_err();
    step.store(2, Ordering::Relaxed);
    let error = node.tip().unwrap_err();
    assert!(matches!(error, NodeError::BadAnswer { .. }), "{error}");
    step.store(0, Ordering::Relaxed);
    node.tip().unwrap();
}

#[test]
fn another_network_is_refused_by_name() {
    let bitcoind = Bitcoind::start();
    let node = connect(&CoreSettings {
        network: Some(Network::Signet),
        ..settings(&bitcoind)
    });
    let error = node.tip().unwrap_err();
    assert!(!error.is_transient());
    let NodeError::Unusable(cause) = &error else {
        panic!("{error}");
    };
    let text = cause.to_string();
    for named in [Network::Signet, Network::Regtest] {
        assert!(text.contains(&named.to_string()), "{text}");
        assert!(
            text.contains(&named.genesis().unwrap().to_string()),
            "{text}"
        );
    }
    assert!(node.block(&Network::Regtest.genesis().unwrap()).is_err());

    let error = CoreNode::new(&CoreSettings {
        network: Some(Network::Main),
        blocks_dir: Some(bitcoind.blocks_dir()),
        ..settings(&bitcoind)
    });
    assert!(matches!(
        error.err().unwrap(),
        SettingsError::Files(FilesError::OtherNetwork { .. })
    ));
    // Whatever the network is, if none is named.
    let any = CoreSettings {
        network: None,
        blocks_dir: Some(bitcoind.blocks_dir()),
        ..settings(&bitcoind)
    };
    assert_eq!(connect(&any).tip().unwrap().unwrap().height, 0);
}

#[test]
fn a_node_without_rest_is_asked_by_rpc_until_it_has_some() {
    let mut bitcoind = Bitcoind::start_with(Settings {
        rest: false,
        ..Settings::default()
    });
    let hash = ours(&bitcoind.mine(1)[0]);
    let node = connect(&CoreSettings {
        rest: true,
        ..settings(&bitcoind)
    });
    assert_eq!(node.hash_at(1).unwrap(), Some(hash));
    assert_eq!(node.hashes(0, 10).unwrap().len(), 2);
    node.block(&hash).unwrap();
    assert_eq!(
        (node.source_counts().rest, node.source_counts().rpc),
        (0, 1)
    );

    bitcoind.stop();
    assert!(node.block(&hash).is_err());
    bitcoind.restart_with(Settings::default());
    node.block(&hash).unwrap();
    assert_eq!(
        (node.source_counts().rest, node.source_counts().rpc),
        (1, 1)
    );
}

#[test]
fn the_template_is_the_next_block() {
    let bitcoind = Bitcoind::start();
    let key = Key::new(1);
    let funded = bitcoind.mine_to(1, &key)[0];
    bitcoind.mine(100);
    let coin = bitcoind.coinbase(&funded);
    let output = TxOut {
        value: Amount::from_sat(4_999_990_000),
        script_pubkey: key.script(),
    };
    let transaction = key.spend(&[coin], vec![output]);
    bitcoind.send(&transaction);
    let node = connect(&settings(&bitcoind));
    let template = node.block_template().unwrap();
    assert_eq!(template.parent, ours(&bitcoind.tip()));
    assert_eq!((template.height, template.bits), (102, 0x207f_ffff));
    assert_eq!(template.coinbase_value, 5_000_010_000);
    assert_eq!(template.transactions, [serialize(&transaction)]);
    let commitment = template.witness_commitment.unwrap();
    assert!(commitment.starts_with(&[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed]));
    assert!(template.version > 0 && template.time > 1_600_000_000);
}
