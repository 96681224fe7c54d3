//! A node that lies, hangs, dies and comes back, and an indexer that is killed:
//! the end is that of a fresh sync.

use std::time::Duration;

use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::guests;
use metashrew_testing::proxy::{Fault, Proxy, Target};
use metashrew_testing::rng::Rng;
use serde_json::json;

use crate::followed::{Desk, wait_until};
use crate::harness::{Running, get};

const LIES: [Fault; 15] = [
    Fault::Close,
    Fault::Trickle(Duration::from_micros(50)),
    Fault::CutShort,
    Fault::Html,
    Fault::HtmlOk,
    Fault::Overloaded,
    Fault::Loading,
    Fault::OtherBlock,
    Fault::CorruptByte,
    Fault::OtherId,
    Fault::Stripped,
    Fault::MoreCoinbaseWitness,
    Fault::LongCount,
    Fault::NoWork,
    Fault::LessWork,
];

/// Follows a node of so many blocks through a proxy, by RPC and by REST, while `lie` has
/// its way with both; what is indexed in the end must be that of a fresh sync.
fn through_a_proxy(blocks: usize, lie: impl Fn(&Bitcoind, &Proxy, &Running)) {
    let node = Bitcoind::start();
    node.mine(blocks);
    let proxy = Proxy::start(node.address());
    let url = node.rpc_url_at(proxy.address());
    let desk = Desk::with(&guests::chained());
    for (source, flags) in [("rpc", &[][..]), ("rest", &["--rest"])] {
        let running = Running::spawn(&mut desk.follow(source, &url, flags));
        running.wait_for_tip(&node);
        lie(&node, &proxy, &running);
        running.end();
        assert_eq!(
            desk.records(source),
            desk.fresh(&node, &format!("fresh-{source}"), &[])
        );
    }
}

#[test]
fn no_lie_is_believed_and_each_is_outlived() {
    through_a_proxy(40, |node, proxy, running| {
        for target in [Target::Blocks, Target::All] {
            for lie in LIES {
                if target == Target::Blocks && lie.is_about_the_chain() {
                    continue;
                }
                let faults = proxy.faults();
                proxy.play_times(3, target, lie);
                node.mine(2);
                running.wait_for_tip(node);
                wait_until("it was told three times", || {
                    // A lie about blocks needs blocks that are asked for.
                    if target == Target::Blocks && proxy.faults() < faults + 3 {
                        node.mine(1);
                    }
                    proxy.faults() >= faults + 3
                });
                running.wait_for_tip(node);
            }
        }
    });
}

#[test]
fn bytes_that_the_chain_does_not_commit_to_are_not_indexed() {
    through_a_proxy(10, |node, proxy, running| {
        for (lie, told) in [
            (Fault::Stripped, "rpcserialversion=0"),
            (Fault::MoreCoinbaseWitness, "witnesses"),
            (Fault::LongCount, "malformed"),
        ] {
            let before = node.height();
            proxy.play(Target::Blocks, lie);
            node.mine(1);
            let indexing = running.wait_for_state("waiting_for_node");
            let error = indexing["error"].as_str().unwrap();
            assert!(error.contains(told), "{lie:?}: {error}");
            assert_eq!(running.served_height(), Some(before), "{lie:?}");
            proxy.pass();
            running.wait_for_tip(node);
        }
    });
}

#[test]
fn branches_without_work_or_with_less_are_not_followed() {
    through_a_proxy(10, |node, proxy, running| {
        for (lie, told) in [
            (Fault::NoWork, "does not meet its target"),
            (Fault::LessWork, "no more work"),
        ] {
            let tip = (Some(node.height()), Some(node.tip().to_string()));
            let faults = proxy.faults();
            proxy.play(Target::All, lie);
            let indexing = running.wait_for_state("waiting_for_node");
            let error = indexing["error"].as_str().unwrap();
            assert!(error.contains(told), "{lie:?}: {error}");
            wait_until("it is told on and on", || proxy.faults() > faults + 40);
            let served = running.served_height();
            assert_eq!((served, running.hash_at(served.unwrap())), tip, "{lie:?}");
            proxy.pass();
            node.mine(1);
            running.wait_for_tip(node);
            running.wait_for_state("following");
        }
        assert_eq!(running.indexing()["last_reorg"], json!(null));
    });
}

#[test]
fn a_node_out_of_reach_is_told_and_views_go_on() {
    let mut node = Bitcoind::start();
    node.mine(10);
    node.flush();
    let desk = Desk::with(&guests::chained());
    let running = Running::spawn(&mut desk.follow("db", &node.rpc_url(), &[]));
    running.wait_for_tip(&node);
    node.stop();
    let indexing = running.wait_for_state("waiting_for_node");
    assert!(indexing["error"].is_string(), "{indexing}");
    assert_eq!(running.result("metashrew_height", &json!([])), "10");
    assert_eq!(get(running.address, "/health").0, 200);
    node.restart();
    node.mine(2);
    running.wait_for_tip(&node);
    running.wait_for_state("following");
    running.end();
}

#[test]
fn an_indexer_started_before_its_node_waits_for_it() {
    let mut node = Bitcoind::start();
    node.mine(5);
    node.stop();
    let desk = Desk::with(&guests::chained());
    let running = Running::spawn(&mut desk.follow("db", &node.rpc_url(), &[]));
    running.wait_for_state("waiting_for_node");
    assert_eq!(get(running.address, "/ready").0, 503);
    node.restart();
    running.wait_for_tip(&node);
    wait_until("it is ready", || get(running.address, "/ready").0 == 200);
    running.end();
}

#[test]
fn a_node_that_lost_its_chain_undoes_nothing() {
    let mut node = Bitcoind::start();
    node.mine(30);
    let other = Bitcoind::start();
    other.connect(&node);
    other.wait_for_tip(&node.tip());
    let desk = Desk::with(&guests::chained());
    let mut running = Running::spawn(&mut desk.follow("db", &node.rpc_url(), &[]));
    running.wait_for_tip(&node);
    node.kill();
    running.wait_for_state("waiting_for_node");
    node.restart();
    assert!(node.height() < 30, "nothing was lost");
    running.wait_for("the node is behind");
    assert_eq!(running.served_height(), Some(30));
    node.connect(&other);
    node.wait_for_tip(&other.tip());
    node.mine(1);
    running.wait_for_tip(&node);
    assert_eq!(running.indexing()["last_reorg"], json!(null));
    running.end();
    assert_eq!(desk.records("db"), desk.fresh(&node, "fresh", &[]));
}

#[test]
fn killed_at_random_node_and_indexer_end_as_a_fresh_sync() {
    let mut node = Bitcoind::start();
    node.mine(100);
    let desk = Desk::with(&guests::rewriting(20));
    let mut rng = Rng::new(5);
    let url = node.rpc_url();
    // A node that lost everything goes another way from its first block on.
    let flags = ["--rest", "--reorg-horizon", "100000"];
    let mut follow = desk.follow("db", &url, &flags);
    let mut running = Some(Running::spawn(&mut follow));
    for _ in 0..30 {
        match rng.index(5) {
            0 | 1 => {
                if node.height() < 30 {
                    node.mine(30);
                }
                let depth = u32::try_from(rng.below(20)).unwrap() + 1;
                node.reorganise(node.height() - depth, depth as usize + 2);
            }
            2 => drop(node.mine(1 + rng.index(10))),
            3 => {
                // Half the time it loses blocks that were indexed.
                if rng.chance(500) {
                    node.flush();
                }
                node.kill();
                node.restart();
                // It must grow past what it lost, or it is waited for.
                node.mine(1);
            }
            _ => {
                if let Some(running) = running.take() {
                    running.kill();
                }
            }
        }
        if running.is_none() && rng.chance(700) {
            running = Some(Running::spawn(&mut follow));
        }
    }
    // Above all that was ever indexed, so that nothing is waited for.
    node.mine(1_000 - node.height() as usize);
    let running = running.unwrap_or_else(|| Running::spawn(&mut follow));
    running.wait_for_tip(&node);
    running.end();
    assert_eq!(desk.records("db"), desk.fresh(&node, "fresh", &[]));
}
