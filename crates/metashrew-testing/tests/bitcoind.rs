//! The node does what its tests ask of it, and the proxy lies as told.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic fails the test"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use bitcoin::consensus::encode::serialize;
use bitcoin::{Amount, TxOut};
use metashrew_testing::bitcoind::{Bitcoind, Key, Settings};
use metashrew_testing::proxy::{Fault, Proxy, Target};
use serde_json::json;

#[test]
fn coins_are_mined_and_spent() {
    let node = Bitcoind::start();
    let key = Key::new(1);
    let funded = node.mine_to(2, &key);
    node.mine(100);
    assert_eq!(node.height(), 102);

    let coins: Vec<_> = funded.iter().map(|hash| node.coinbase(hash)).collect();
    let pay = |coins: &[_], satoshi| {
        let output = TxOut {
            value: Amount::from_sat(satoshi),
            script_pubkey: Key::new(2).script(),
        };
        key.spend(coins, vec![output])
    };
    let both = pay(&coins, 9_999_990_000);
    node.send(&both);
    let mined = node.mine(1)[0];
    assert_eq!(node.block(&mined).txdata[1], both);

    // Out of its block, and into one of the other branch.
    let branch = node.reorganise(102, 2);
    assert_eq!((node.height(), node.tip()), (104, branch[1]));
    assert_eq!(node.block(&branch[0]).txdata[1], both);
    node.reconsider(&mined);
    assert_eq!(node.tip(), branch[1], "the longer branch stays");

    node.invalidate(&branch[0]);
    assert_eq!(node.tip(), mined);
    node.invalidate(&mined);
    let chosen = pay(&coins[..1], 4_000_000_000);
    let block = node.mine_block_of(std::slice::from_ref(&chosen));
    assert_eq!(node.block(&block).txdata[1], chosen);
}

#[test]
fn a_killed_node_loses_what_it_did_not_flush() {
    let mut node = Bitcoind::start_with(Settings {
        auth: None,
        xor: false,
        ..Settings::default()
    });
    node.mine(5);
    node.flush();
    node.mine(2);
    let cookie = std::fs::read(node.cookie_file()).unwrap();
    node.kill();
    assert!(!node.is_running());
    assert!(node.try_rpc("getblockcount", &json!([])).is_err());
    node.restart();
    assert_ne!(std::fs::read(node.cookie_file()).unwrap(), cookie);
    assert!(node.height() >= 5);
    node.stop();
    node.restart();
    assert!(node.height() >= 5);
    let key = std::fs::read(node.blocks_dir().join("xor.dat")).unwrap();
    assert_eq!(key, [0; 8]);
}

#[test]
fn the_longer_of_two_chains_wins() {
    let (first, second) = (Bitcoind::start(), Bitcoind::start());
    first.mine(3);
    second.mine_to(4, &Key::new(3));
    first.connect(&second);
    first.wait_for_tip(&second.tip());
    assert_eq!(first.height(), 4);
}

/// The answer's first line, and its body.
fn get(address: SocketAddr, path: &str) -> (String, Vec<u8>) {
    let mut connection = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    connection.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    // A connection that is cut may be reset.
    let _ = connection.read_to_end(&mut answer);
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n");
    let body = answer.split_off(head.map_or(answer.len(), |at| at + 4));
    let head = String::from_utf8(answer).unwrap();
    (head.lines().next().unwrap_or_default().to_owned(), body)
}

#[test]
fn the_proxy_lies_as_told() {
    let node = Bitcoind::start();
    let hashes = node.mine(3);
    let block = serialize(&node.block(&hashes[1]));
    let parent = serialize(&node.block(&hashes[0]));
    let proxy = Proxy::start(node.address());
    let path = format!("/rest/block/{}.bin", hashes[1]);
    let ask = || get(proxy.address(), &path);
    let status = || ask().0.split(' ').nth(1).unwrap_or_default().to_owned();

    assert_eq!(ask().1, block);
    let faulty = |fault| {
        proxy.play(Target::Blocks, fault);
        ask().1
    };
    assert_eq!(faulty(Fault::OtherBlock), parent);
    let corrupt = faulty(Fault::CorruptByte);
    let wrong = corrupt.iter().zip(&block).filter(|(a, b)| a != b).count();
    assert_eq!((corrupt.len(), wrong), (block.len(), 1));
    assert!(faulty(Fault::CutShort).len() < block.len());
    assert!(faulty(Fault::Html).starts_with(b"<html>"));
    assert_eq!(status(), "502");
    assert_eq!(faulty(Fault::Overloaded), b"Work queue depth exceeded");
    assert_eq!(status(), "503");
    assert!(faulty(Fault::Close).is_empty());
    // Other requests are passed on.
    assert!(
        get(proxy.address(), "/rest/chaininfo.json")
            .1
            .starts_with(b"{")
    );

    proxy.play_times(1, Target::All, Fault::HtmlOk);
    assert_eq!((status(), ask().1), ("200".to_owned(), block.clone()));

    let second = Bitcoind::start();
    proxy.point_to(second.address());
    assert_eq!(status(), "404");
    proxy.point_to(node.address());

    let (sender, done) = std::sync::mpsc::channel();
    proxy.before_block(1, move || sender.send(()).unwrap());
    ask();
    assert!(done.try_recv().is_err());
    ask();
    done.recv().unwrap();
    assert_eq!(proxy.actions_left(), 0);

    // What hangs ends when something else is to happen.
    proxy.play(Target::All, Fault::Hang);
    std::thread::scope(|scope| {
        let hanging = scope.spawn(ask);
        while proxy.faults() < 10 {
            std::thread::yield_now();
        }
        proxy.pass();
        assert!(hanging.join().unwrap().1.is_empty());
    });
}
