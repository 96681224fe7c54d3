//! What a node and what stands before it may answer: each fault is told for what it
//! is, passes when it passes, and no block comes that was not asked for.

use std::sync::Arc;
use std::time::Duration;

use metashrew_store::{BlockHash, Store};
use metashrew_sync::{
    Auth, CoreNode, CoreSettings, FailureKind, IndexEnd, Indexer, Node, NodeError, Stop,
};
use metashrew_testing::bitcoind::{Bitcoind, Settings};
use metashrew_testing::guests;
use metashrew_testing::proxy::{Fault, Proxy, Target};

use crate::core_node::{blocks, ours, settings, with_spends};
use crate::dialects::text;
use crate::support::{assert_holds, options, runtime};

/// The node behind the proxy. An answer takes a second at most, so that one that
/// never comes is told in time.
fn through(bitcoind: &Bitcoind, proxy: &Proxy, rest: bool) -> CoreNode {
    CoreNode::new(&CoreSettings {
        rpc_url: bitcoind.rpc_url_at(proxy.address()),
        rest,
        answer_timeout: Duration::from_secs(1),
        ..settings(bitcoind)
    })
    .unwrap()
}

/// What the error says of each fault, and what kind it is.
const SAID: [(Fault, &str, FailureKind); 9] = [
    (Fault::Close, "no whole answer", FailureKind::Unreachable),
    (Fault::Hang, "no whole answer", FailureKind::Unreachable),
    (Fault::CutShort, "no whole answer", FailureKind::Unreachable),
    (Fault::Html, "HTTP status 502", FailureKind::BadAnswer),
    (Fault::HtmlOk, "no JSON-RPC", FailureKind::BadAnswer),
    (
        Fault::Overloaded,
        "Work queue depth exceeded",
        FailureKind::Overloaded,
    ),
    (Fault::Loading, "Loading block index", FailureKind::Starting),
    (Fault::OtherId, "another question", FailureKind::BadAnswer),
    (Fault::OtherBlock, "is another one", FailureKind::BadAnswer),
];

#[test]
fn every_fault_is_told_and_passes() {
    let bitcoind = Bitcoind::start();
    let hash = ours(&bitcoind.mine(3)[2]);
    let proxy = Proxy::start(bitcoind.address());
    let node = through(&bitcoind, &proxy, false);
    let block = node.block(&hash).unwrap();
    for (fault, said, kind) in SAID {
        proxy.play(Target::All, fault);
        let mut errors = vec![node.block(&hash).map(drop)];
        if fault != Fault::OtherBlock {
            errors.push(node.tip().map(drop));
            errors.push(node.hash_at(1).map(drop));
            errors.push(node.hashes(1, 10).map(drop));
            errors.push(node.block_template().map(drop));
        }
        for error in errors {
            let error = error.expect_err(said);
            assert!(error.is_transient(), "{fault:?}: {error}");
            assert_eq!(error.kind(), kind, "{fault:?}: {error}");
            let text = text(&error);
            assert!(text.contains(said), "{fault:?}: {text}");
        }
        proxy.pass();
        assert_eq!(node.block(&hash).unwrap(), block);
        assert_eq!(node.hashes(0, 10).unwrap().len(), 4);
    }
}

#[test]
fn what_rest_gets_wrong_rpc_gets_right() {
    let bitcoind = Bitcoind::start();
    let hash = ours(&bitcoind.mine(3)[2]);
    let proxy = Proxy::start(bitcoind.address());
    let node = through(&bitcoind, &proxy, true);
    let block = node.block(&hash).unwrap();
    let faults = [
        Fault::Html,
        Fault::HtmlOk,
        Fault::Overloaded,
        Fault::Loading,
        Fault::OtherBlock,
    ];
    for (count, fault) in (1..).zip(faults) {
        proxy.play_times(1, Target::Blocks, fault);
        assert_eq!(node.block(&hash).unwrap(), block, "{fault:?}");
        assert_eq!(node.source_counts().rpc, count, "{fault:?}");
    }
    // What closes the one may answer the other.
    proxy.play_times(1, Target::All, Fault::Close);
    assert_eq!(node.block(&hash).unwrap(), block);
    proxy.play_times(2, Target::All, Fault::Close);
    assert!(node.block(&hash).unwrap_err().is_transient());
    assert_eq!(node.block(&hash).unwrap(), block);
}

#[test]
fn a_slow_answer_is_an_answer() {
    let bitcoind = Bitcoind::start();
    let hash = ours(&bitcoind.mine(1)[0]);
    let proxy = Proxy::start(bitcoind.address());
    let node = CoreNode::new(&CoreSettings {
        rpc_url: bitcoind.rpc_url_at(proxy.address()),
        ..settings(&bitcoind)
    })
    .unwrap();
    proxy.play(Target::All, Fault::Trickle(Duration::from_micros(100)));
    assert!(node.block(&hash).is_ok());
}

#[test]
fn a_login_that_is_refused_is_told() {
    let bitcoind = Bitcoind::start();
    let login = |auth| {
        let node = CoreNode::new(&CoreSettings {
            auth,
            rpc_url: format!("http://{}", bitcoind.address()),
            ..settings(&bitcoind)
        });
        node.unwrap().tip()
    };
    assert!(login(Auth::from_user_pass("user:password").unwrap()).is_ok());
    for auth in [Auth::None, Auth::from_user_pass("user:wrong").unwrap()] {
        let error = login(auth).unwrap_err();
        assert!(error.is_transient());
        assert_eq!(error.kind(), FailureKind::Unauthorized);
        let text = text(&error);
        assert!(text.contains("401") && !text.contains("wrong"), "{text}");
    }
    let forbidden = Bitcoind::start_with(Settings {
        arguments: vec![
            "-rpcwhitelist=user:getblockhash,getblockcount".to_owned(),
            "-rpcwhitelistdefault=1".to_owned(),
        ],
        ..Settings::default()
    });
    let node = CoreNode::new(&settings(&forbidden)).unwrap();
    let genesis = node.hash_at(0).unwrap().unwrap();
    assert_eq!(node.hashes(0, 3).unwrap(), [genesis]);
    for (error, method) in [
        (node.tip().map(drop), "getblockchaininfo"),
        (node.block(&genesis).map(drop), "getblock"),
        (node.block_template().map(drop), "getblocktemplate"),
    ] {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Forbidden);
        let text = text(&error);
        assert!(
            text.contains("403") && text.contains(&format!("`{method}`")),
            "{text}"
        );
    }
}

#[test]
fn a_node_that_is_not_there_is_told() {
    let mut bitcoind = Bitcoind::start();
    let node = CoreNode::new(&settings(&bitcoind)).unwrap();
    node.tip().unwrap();
    bitcoind.kill();
    for _ in 0..3 {
        let error = node.tip().unwrap_err();
        assert!(matches!(error, NodeError::Unavailable(_)), "{error}");
    }
    let text = text(&node.tip().unwrap_err());
    assert!(text.contains(&bitcoind.address().to_string()), "{text}");
    bitcoind.restart();
    node.tip().unwrap();
}

#[test]
fn a_node_that_was_out_of_reach_is_checked_again() {
    let bitcoind = Bitcoind::start();
    let proxy = Proxy::start(bitcoind.address());
    let node = through(&bitcoind, &proxy, false);
    let asked = || {
        let before = proxy.requests();
        node.tip().unwrap();
        proxy.requests() - before
    };
    // The first time for its genesis block as well.
    assert_eq!([asked(), asked()], [2, 1]);
    proxy.play_times(1, Target::All, Fault::Overloaded);
    assert!(node.tip().is_err());
    assert_eq!(asked(), 1);
    proxy.play_times(1, Target::All, Fault::Close);
    assert!(node.tip().is_err());
    assert_eq!([asked(), asked()], [2, 1]);
}

#[test]
fn no_fault_reaches_the_index() {
    let bitcoind = with_spends(Settings::default());
    let blocks = blocks(&bitcoind);
    let proxy = Proxy::start(bitcoind.address());
    for rest in [false, true] {
        let store = Store::in_memory();
        let faults = [
            Fault::Close,
            Fault::CutShort,
            Fault::Html,
            Fault::Overloaded,
            Fault::OtherBlock,
            Fault::CorruptByte,
        ];
        for (round, fault) in faults.into_iter().enumerate() {
            proxy.play_times(3, Target::Blocks, fault);
            let node = through(&bitcoind, &proxy, rest);
            let options = metashrew_sync::IndexOptions {
                exit_at: Some(15 * u32::try_from(round + 1).unwrap()),
                ..options()
            };
            let runtime = runtime(&guests::chained(), &store);
            let end = Indexer::new(runtime, Arc::new(node), options).run(&Stop::new());
            assert_eq!(end.unwrap(), IndexEnd::Exit, "{fault:?}");
        }
        assert!(proxy.faults() >= 3 * faults.len());
        assert_holds(&store, &blocks[..=15 * faults.len()]);
    }
}

#[test]
fn a_chain_that_changes_between_two_questions_is_followed() {
    let bitcoind = Arc::new(Bitcoind::start());
    bitcoind.mine(60);
    let proxy = Proxy::start(bitcoind.address());
    for (after, depth) in [(10, 50), (5, 3)] {
        let reorganised = Arc::clone(&bitcoind);
        proxy.before_block(after, move || {
            reorganised.reorganise(reorganised.height() - depth, depth as usize + 2);
        });
        let store = Store::in_memory();
        let node = Arc::new(through(&bitcoind, &proxy, false));
        // The change may come when the end was in sight: then there is more to index.
        loop {
            let runtime = runtime(&guests::chained(), &store);
            let indexer = Indexer::new(runtime, Arc::clone(&node) as Arc<dyn Node>, options());
            assert_eq!(indexer.run(&Stop::new()).unwrap(), IndexEnd::Tip);
            let tip = store.snapshot().tip().unwrap().hash;
            if proxy.actions_left() == 0 && tip == ours(&bitcoind.tip()) {
                break;
            }
        }
        assert_holds(&store, &blocks(&bitcoind));
    }
    let unknown = BlockHash::from_bytes([9; 32]);
    let node = through(&bitcoind, &proxy, true);
    assert!(matches!(
        node.block(&unknown),
        Err(NodeError::NoBlock { .. })
    ));
}
