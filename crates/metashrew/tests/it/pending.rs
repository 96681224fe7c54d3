//! Views about the block that the node would mine next.

use metashrew_testing::bitcoind::{Bitcoind, Key};
use metashrew_testing::proxy::{Front, Reaction};
use serde_json::{Value, json};

use crate::followed::{Desk, pay, wait_until};
use crate::harness::{Running, metashrew, succeed};

/// The balance of a key at a block, if there is an answer.
fn balance(running: &Running, key: &Key, block: &str) -> Option<u64> {
    let input = format!(r#"{{"script":"{:x}"}}"#, key.script());
    let params = json!(["balance", hex::encode_prefixed(input), block]);
    let answer = running.call("metashrew_view", &params);
    let account = hex::decode(answer["result"].as_str()?).unwrap();
    let account: Value = serde_json::from_slice(&account).unwrap();
    account["balance"].as_u64()
}

#[test]
fn views_answer_as_if_the_mempool_were_mined() {
    let node = Bitcoind::start();
    let keys = [1, 2, 3].map(Key::new);
    let funded = node.mine_to(2, &keys[0]);
    node.mine(101);
    let desk = Desk::with_addresses();
    let flags = ["--pending-interval-ms", "20"];
    let running = Running::spawn(&mut desk.follow("db", &node.rpc_url(), &flags));
    running.wait_for_tip(&node);
    for (hash, to) in funded.iter().zip(&keys[1..]) {
        node.send(&pay(&keys[0], &node.coinbase(hash), to, 4_000_000_000));
        wait_until("the payment is pending", || {
            balance(&running, to, "pending") == Some(4_000_000_000)
        });
        assert_eq!(balance(&running, to, "latest"), Some(0));
    }
    // The command asks about it too.
    let input = format!(r#"{{"script":"{:x}"}}"#, keys[1].script());
    let url = running.address.to_string();
    let view = [
        "view", "balance", &input, "--height", "pending", "--url", &url,
    ];
    let account: Value = serde_json::from_str(&succeed(metashrew().args(view))).unwrap();
    assert_eq!(account["balance"], 4_000_000_000_u64);
    node.mine(1);
    running.wait_for_tip(&node);
    for key in &keys[1..] {
        assert_eq!(balance(&running, key, "latest"), Some(4_000_000_000));
    }
    wait_until("a new block is pending", || {
        balance(&running, &keys[1], "pending") == Some(4_000_000_000)
    });
    running.end();
}

#[test]
fn without_an_interval_nothing_is_pending() {
    let node = Bitcoind::start();
    node.mine(3);
    let desk = Desk::with_addresses();
    let flags = ["--pending-interval-ms", "0"];
    let running = Running::spawn(&mut desk.follow("db", &node.rpc_url(), &flags));
    running.wait_for_tip(&node);
    running.wait_for_state("following");
    assert_eq!(balance(&running, &Key::new(1), "pending"), None);
    running.end();
}

#[test]
fn node_and_guest_are_asked_when_a_call_needs_it_and_once_for_all() {
    let node = Bitcoind::start();
    let key = Key::new(1);
    node.mine(3);
    let front = Front::start(node.address(), |_, _| Reaction::Pass);
    let templates = || {
        let asked = front.take_asked();
        let is_template = |(_, body): &&(String, String)| body.contains("getblocktemplate");
        asked.iter().filter(is_template).count()
    };
    let desk = Desk::with_addresses();
    let flags = ["--pending-interval-ms", "3600000"];
    let url = node.rpc_url_at(front.address());
    let running = Running::spawn(&mut desk.follow("db", &url, &flags));
    for _ in 0..3 {
        node.mine(1);
        running.wait_for_tip(&node);
        running.wait_for_state("following");
        assert_eq!(balance(&running, &key, "latest"), Some(0));
    }
    assert_eq!(templates(), 0);
    // Until the last block is offered one on top.
    wait_until("something is pending", || {
        balance(&running, &key, "pending").is_some()
    });
    assert_eq!(templates(), 1);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert_eq!(balance(&running, &key, "pending"), Some(0)));
        }
    });
    assert_eq!(templates(), 0);
    running.end();
}
