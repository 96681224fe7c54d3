//! Reorganisations of a real node, of every depth and kind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use bitcoin::block::Header;
use bitcoin::consensus::encode::deserialize;
use metashrew_testing::bitcoind::{Bitcoind, Key};
use metashrew_testing::guests;
use metashrew_testing::proxy::Proxy;
use serde_json::{Value, json};

use crate::followed::{Desk, pay, wait_until};
use crate::harness::{Running, get, header_key};

/// Calls a view about blocks near the tip, by height and hash, until the end, and
/// checks each answer; counts the answers and the blocks that were gone.
fn ask_until(over: &AtomicBool, running: &Running, answered: &AtomicUsize) {
    while !over.load(Ordering::SeqCst) {
        let Some(tip) = running.served_height() else {
            continue;
        };
        let below = u32::try_from(answered.load(Ordering::SeqCst) % 60).unwrap();
        let height = tip.saturating_sub(below).max(1);
        let Some(hash) = running.hash_at(height) else {
            continue;
        };
        // The header under the block's own height must be that of the block asked for:
        // an answer from another chain would have another hash.
        let block = format!("{height}:{hash}");
        let params = json!(["get", header_key(height), block]);
        let answer = running.call("metashrew_view", &params);
        match answer["result"].as_str() {
            Some(bytes) => {
                let header: Header = deserialize(&hex::decode(bytes).unwrap()).unwrap();
                assert_eq!(header.block_hash().to_string(), hash, "block {height}");
                answered.fetch_add(1, Ordering::SeqCst);
            }
            None => assert_gone(&answer),
        }
    }
}

/// The block was undone between the two questions.
fn assert_gone(answer: &Value) {
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("block"), "{answer}");
}

#[test]
fn views_answer_for_one_chain_through_reorganisations() {
    let node = Bitcoind::start();
    node.mine(120);
    let desk = Desk::with(&guests::chained());
    let running = Running::spawn(&mut desk.follow("db", &node.rpc_url(), &["--rest"]));
    running.wait_for_tip(&node);
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| ask_until(&over, &running, &answered));
        }
        for depth in [1, 6, 50] {
            node.mine(3);
            running.wait_for_tip(&node);
            node.reorganise(node.height() - depth, depth as usize + 1);
            running.wait_for_tip(&node);
            let asked = answered.load(Ordering::SeqCst);
            wait_until("views were answered meanwhile", || {
                answered.load(Ordering::SeqCst) > asked + 20
            });
        }
        over.store(true, Ordering::SeqCst);
    });
    assert_eq!(running.indexing()["last_reorg"]["depth"], 50);
    running.end();
    assert_eq!(desk.records("db"), desk.fresh(&node, "fresh", &[]));
}

#[test]
fn branches_as_long_longer_and_the_first_one_again_are_followed() {
    let node = Bitcoind::start();
    node.mine(20);
    let desk = Desk::with(&guests::chained());
    let mut follow = desk.follow("db", &node.rpc_url(), &[]);
    let running = Running::spawn(&mut follow);
    running.wait_for_tip(&node);
    let (first, tip) = (node.hash_at(16), node.tip().to_string());
    // As long as the other: Core takes it, as the first one is declared invalid.
    let branch = node.reorganise(15, 5);
    let indexing = running.wait_for_state("waiting_for_node");
    let error = indexing["error"].as_str().unwrap();
    assert!(error.contains("has as much; ") && error.contains("--accept-less-work"));
    assert_eq!(running.hash_at(20), Some(tip));
    running.end();
    let running = Running::spawn(follow.arg("--accept-less-work"));
    running.wait_for_tip(&node);
    node.mine(1);
    running.wait_for_tip(&node);
    // The first one again.
    node.reconsider(&first);
    node.invalidate(&branch[0]);
    assert_eq!(node.hash_at(16), first);
    running.wait_for_tip(&node);
    node.mine(2);
    running.wait_for_tip(&node);
    running.end();
    assert_eq!(desk.records("db"), desk.fresh(&node, "fresh", &[]));
}

#[test]
fn a_reorganisation_during_the_initial_sync_is_followed() {
    let node = Arc::new(Bitcoind::start());
    node.mine(200);
    let proxy = Proxy::start(node.address());
    let done = Arc::new(AtomicUsize::new(0));
    for (after, fork) in [(40, 190), (120, 60)] {
        let (node, done) = (Arc::clone(&node), Arc::clone(&done));
        proxy.before_block(after, move || {
            node.reorganise(fork, 150);
            done.fetch_add(1, Ordering::SeqCst);
        });
    }
    let desk = Desk::with(&guests::chained());
    let url = node.rpc_url_at(proxy.address());
    let flags = ["--rest", "--reorg-horizon", "500"];
    let running = Running::spawn(&mut desk.follow("db", &url, &flags));
    wait_until("both have happened", || done.load(Ordering::SeqCst) == 2);
    running.wait_for_tip(&node);
    running.end();
    assert_eq!(desk.records("db"), desk.fresh(&node, "fresh", &[]));
}

#[test]
fn the_first_indexed_block_can_be_replaced_and_the_indexer_may_be_down() {
    let node = Bitcoind::start();
    node.mine(20);
    let desk = Desk::with(&guests::chained());
    let flags = ["--start-height", "15"];
    let mut follow = desk.follow("db", &node.rpc_url(), &flags);
    let running = Running::spawn(&mut follow);
    running.wait_for_tip(&node);
    node.reorganise(14, 8);
    running.wait_for_tip(&node);
    running.kill();
    node.reorganise(18, 1);
    node.mine(9);
    let running = Running::spawn(&mut follow);
    running.wait_for_tip(&node);
    running.end();
    assert_eq!(desk.records("db"), desk.fresh(&node, "fresh", &flags));
}

#[test]
fn a_new_index_waits_for_its_first_block() {
    let node = Bitcoind::start();
    node.mine(5);
    let desk = Desk::with(&guests::chained());
    let follow = |db, flags: &[&str]| {
        let running = Running::spawn(&mut desk.follow(db, &node.rpc_url(), flags));
        let indexing = running.wait_for_state("waiting_for_node");
        assert!(
            indexing["error"]
                .as_str()
                .unwrap()
                .contains("waiting for block")
        );
        running
    };
    let above = follow("above", &["--start-height", "8"]);
    let confirmed = follow("confirmed", &["--confirmations", "8"]);
    node.mine(5);
    above.wait_for_height(10);
    confirmed.wait_for_height(2);
    above.end();
    confirmed.end();
    assert_eq!(
        desk.records("above"),
        desk.fresh(&node, "fresh", &["--start-height", "8"])
    );
    assert!(desk.records("confirmed").keys().eq(&[0, 1, 2]));
}

#[test]
fn deeper_than_the_horizon_halts_until_it_is_allowed() {
    let node = Bitcoind::start();
    node.mine(30);
    let desk = Desk::with(&guests::chained());
    let flags = ["--reorg-horizon", "5"];
    let mut running = Running::spawn(&mut desk.follow("db", &node.rpc_url(), &flags));
    running.wait_for_tip(&node);
    let (before, first) = (node.tip().to_string(), node.hash_at(21));
    node.reorganise(20, 12);
    let line = running.wait_for("indexing has halted");
    assert!(line.contains("hint=\"a larger `--reorg-horizon`"), "{line}");
    let indexing = running.wait_for_state("halted");
    assert!(
        indexing["error"]
            .as_str()
            .unwrap()
            .contains("more than 5 blocks")
    );
    assert_eq!(get(running.address, "/ready").0, 503);
    // What was indexed is served as it was.
    assert_eq!(running.hash_at(30), Some(before.clone()));
    // The node comes back to it.
    let branch = node.hash_at(21);
    node.reconsider(&first);
    node.invalidate(&branch);
    assert_eq!(node.tip().to_string(), before);
    let indexing = running.wait_for_state("following");
    assert_eq!(
        (&indexing["error"], &indexing["hint"]),
        (&json!(null), &json!(null))
    );
    node.mine(1);
    running.wait_for_tip(&node);
    node.invalidate(&node.hash_at(21));
    node.reconsider(&branch);
    running.wait_for_state("halted");
    running.end();
    let running = Running::spawn(&mut desk.follow("db", &node.rpc_url(), &[]));
    running.wait_for_tip(&node);
    assert_eq!(get(running.address, "/ready").0, 200);
    running.end();
    assert_eq!(desk.records("db"), desk.fresh(&node, "fresh", &[]));
}

#[test]
fn a_transaction_mined_again_in_the_other_branch_is_counted_once() {
    let node = Bitcoind::start();
    let (from, to) = (Key::new(1), Key::new(2));
    let funded = node.mine_to(1, &from);
    node.mine(105);
    let desk = Desk::with_addresses();
    let running = Running::spawn(&mut desk.follow("db", &node.rpc_url(), &[]));
    let transaction = pay(&from, &node.coinbase(&funded[0]), &to, 4_000_000_000);
    node.send(&transaction);
    node.mine(3);
    running.wait_for_tip(&node);
    let script = hex::encode_prefixed(format!(r#"{{"script":"{:x}"}}"#, to.script()));
    let account = |running: &Running| -> Value {
        let answer = running.result("metashrew_view", &json!(["balance", script, "latest"]));
        serde_json::from_slice(&hex::decode(answer.as_str().unwrap()).unwrap()).unwrap()
    };
    let expect = |running: &Running| {
        let account = account(running);
        assert_eq!(account["balance"], 4_000_000_000_u64, "{account}");
        assert_eq!(account["received"], 4_000_000_000_u64, "{account}");
        assert_eq!((&account["utxos"], &account["txs"]), (&json!(1), &json!(1)));
    };
    expect(&running);
    let dead = node.hash_at(107);
    assert!(node.block(&dead).txdata.contains(&transaction));
    // Empty blocks first, so that it comes at another height.
    node.invalidate(&dead);
    for _ in 0..2 {
        node.mine_block_of(&[]);
    }
    node.mine(3);
    assert!(node.block(&node.hash_at(109)).txdata.contains(&transaction));
    running.wait_for_tip(&node);
    expect(&running);
    running.end();
    assert_eq!(desk.records("db"), desk.fresh(&node, "fresh", &[]));
}
