//! What a running indexer says of itself, and blocks held back on purpose.

use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::guests;
use serde_json::Value;

use crate::followed::{Desk, wait_until};
use crate::harness::{Running, fail, get, metashrew, succeed};

fn status(running: &Running) -> String {
    let url = format!("http://{}", running.address);
    succeed(metashrew().args(["status", "--url", &url]))
}

#[test]
fn a_running_indexer_tells_how_it_is() {
    let node = Bitcoind::start();
    node.mine(12);
    let desk = Desk::with(&guests::chained());
    let running = Running::spawn(&mut desk.follow("db", &node.rpc_url(), &["--rest"]));
    running.wait_for_tip(&node);
    running.wait_for_state("following");
    node.reorganise(10, 3);
    running.wait_for_tip(&node);
    running.wait_for_state("following");
    let text = status(&running);
    for line in [
        "state: following",
        "ready: yes",
        "block: 13",
        &format!("block hash: 0x{}", node.tip()),
        "node's tip: 13",
        "last reorganisation: 2 blocks above 10",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    let sources = text.lines().last().unwrap();
    assert!(
        sources.starts_with("blocks from: files 0, rest 1"),
        "{text}"
    );
    assert!(sources.ends_with(", rpc 0"), "{text}");
    let url = format!("http://{}/", running.address);
    let json = succeed(metashrew().args(["status", "--json", "--url", &url]));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["ready"]["ready"], true);
    assert_eq!(json["stats"]["tip"]["height"], 13);
    running.end();
    let stderr = fail(metashrew().args(["status", "--url", &url]), 1);
    assert!(stderr.contains("does not answer"), "{stderr}");
}

#[test]
fn a_guest_that_fails_halts_indexing_and_a_better_one_goes_on() {
    let node = Bitcoind::start();
    node.mine(20);
    let desk = Desk::with(&guests::aborts_at(15));
    let running = Running::spawn(&mut desk.follow("db", &node.rpc_url(), &[]));
    running.wait_for_state("halted");
    let text = status(&running);
    assert!(
        text.contains("state: halted\nready: no: halted\nblock: 14\n"),
        "{text}"
    );
    assert!(text.contains("out of tea"), "{text}");
    assert!(text.contains("failed block: 15\n"), "{text}");
    assert_eq!(get(running.address, "/ready").0, 503);
    assert_eq!(get(running.address, "/health").0, 200);
    running.end();
    std::fs::write(desk.path("guest.wasm"), guests::chained()).unwrap();
    let running =
        Running::spawn(&mut desk.follow("db", &node.rpc_url(), &["--accept-guest-change"]));
    running.wait_for_tip(&node);
    running.end();
    assert_eq!(desk.records("db"), desk.fresh(&node, "fresh", &[]));
}

#[test]
fn blocks_wait_for_their_confirmations() {
    let node = Bitcoind::start();
    node.mine(10);
    let desk = Desk::with(&guests::chained());
    let flags = ["--confirmations", "6"];
    let running = Running::spawn(&mut desk.follow("db", &node.rpc_url(), &flags));
    running.wait_for_height(4);
    running.wait_for_state("following");
    assert_eq!(
        get(running.address, "/ready").0,
        200,
        "held back on purpose"
    );
    node.mine(1);
    running.wait_for_height(5);
    // Nothing of a shallow reorganisation is ever indexed.
    node.reorganise(7, 6);
    running.wait_for_height(7);
    wait_until("its tip is known", || running.indexing()["node_tip"] == 13);
    assert_eq!(running.served_height(), Some(7));
    assert_eq!(running.indexing()["last_reorg"], Value::Null);
    running.end();
    // It ends once the block has as many on top.
    let mut start = desk.follow("exit", &node.rpc_url(), &flags);
    succeed(start.args(["--exit-at", "7"]));
    assert_eq!(desk.records("exit"), desk.records("db"));
}
