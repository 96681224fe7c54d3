//! Whatever the blocks come from, the index is the same, byte for byte.

use metashrew_testing::bitcoind::{Bitcoind, Key, Settings};
use metashrew_testing::guests;

use crate::followed::{Desk, mine_500, pay};
use crate::harness::{Running, fail, succeed};

/// Big enough for several block files.
const DATA: usize = 80_000;

#[test]
fn every_source_gives_the_same_index() {
    let node = Bitcoind::start();
    mine_500(&node);
    let desk = Desk::with_addresses();
    let blocks_dir = node.blocks_dir();
    let blocks_dir = blocks_dir.to_str().unwrap();
    let expected = desk.fresh(&node, "rpc", &[]);
    assert_eq!(expected.len(), 501);
    let tip = expected.last_key_value().unwrap().1;
    assert_eq!(tip.hash.to_string(), node.tip().to_string());

    assert_eq!(desk.fresh(&node, "rest", &["--rest"]), expected);
    let flags = ["--blocks-dir", blocks_dir, "--network", "regtest"];
    assert_eq!(desk.fresh(&node, "live", &flags), expected);
    let flags = ["--rest", "--blocks-dir", blocks_dir];
    assert_eq!(desk.fresh(&node, "both", &flags), expected);
    let flags = ["--magic", "fabfb5da", "--blocks-dir", blocks_dir];
    assert_eq!(desk.fresh(&node, "magic", &flags), expected);
    succeed(&mut desk.start("files", &["--blocks", blocks_dir, "--exit-at", "500"]));
    assert_eq!(desk.records("files"), expected);
}

#[test]
fn block_files_without_a_mask_are_read_too() {
    let node = Bitcoind::start_with(Settings {
        xor: false,
        ..Settings::default()
    });
    let key = Key::new(1);
    let funded = node.mine_to(8, &key);
    node.mine(100);
    for hash in &funded {
        let mut transaction = pay(&key, &node.coinbase(hash), &Key::new(2), 4_000_000_000);
        let mut data = bitcoin::script::PushBytesBuf::new();
        data.extend_from_slice(&vec![7; DATA]).unwrap();
        transaction.output.push(bitcoin::TxOut {
            value: bitcoin::Amount::ZERO,
            script_pubkey: bitcoin::ScriptBuf::new_op_return(data),
        });
        let outputs = transaction.output;
        node.mine_block_of(&[key.spend(&[node.coinbase(hash)], outputs)]);
    }
    let desk = Desk::with_addresses();
    let blocks_dir = node.blocks_dir();
    let blocks_dir = blocks_dir.to_str().unwrap();
    let expected = desk.fresh(&node, "rpc", &[]);
    assert_eq!(
        desk.fresh(&node, "live", &["--blocks-dir", blocks_dir]),
        expected
    );
    succeed(&mut desk.start("files", &["--blocks", blocks_dir, "--exit-at", "116"]));
    assert_eq!(desk.records("files"), expected);
}

#[test]
fn every_way_to_log_in_works() {
    let node = Bitcoind::start_with(Settings {
        auth: None,
        ..Settings::default()
    });
    node.mine(3);
    let desk = Desk::with(&guests::chained());
    let cookie = node.cookie_file();
    let url = format!("http://{}", node.address());
    let flags = ["--exit-at", "3", "--cookie-file", cookie.to_str().unwrap()];
    succeed(&mut desk.follow("cookie", &url, &flags));
    // What is in the cookie file is a user and a password.
    let login = std::fs::read_to_string(&cookie).unwrap();
    succeed(&mut desk.follow("auth", &url, &["--exit-at", "3", "--auth", &login]));
    let with_login = format!("http://{login}@{}", node.address());
    let mut old_name = desk.start("url", &["--daemon-rpc-url", &with_login, "--exit-at", "3"]);
    succeed(&mut old_name);
    assert_eq!(desk.records("auth"), desk.records("url"));
}

#[test]
fn a_node_of_another_network_is_refused() {
    let node = Bitcoind::start();
    node.mine(3);
    let desk = Desk::with(&guests::chained());
    let flags = ["--network", "main", "--exit-at", "3"];
    let stderr = fail(&mut desk.follow("db", &node.rpc_url(), &flags), 1);
    assert!(stderr.contains("is on another network"), "{stderr}");
    assert!(!stderr.contains("password"), "{stderr}");
    assert!(desk.records("db").is_empty());
}

#[test]
fn new_blocks_come_by_zmq_without_any_poll() {
    let node = Bitcoind::start();
    node.mine(3);
    let desk = Desk::with(&guests::chained());
    let zmq = node.zmq_endpoint();
    let mut start = desk.start("db", &["--rpc-url", &node.rpc_url()]);
    start.args(["--zmq", &zmq, "--poll-interval-ms", "86400000"]);
    let running = Running::spawn(&mut start);
    running.wait_for_tip(&node);
    for count in [1, 1, 5] {
        node.mine(count);
        running.wait_for_tip(&node);
    }
    node.reorganise(6, 5);
    running.wait_for_tip(&node);
    running.end();
    assert_eq!(desk.records("db"), desk.fresh(&node, "fresh", &[]));
}
