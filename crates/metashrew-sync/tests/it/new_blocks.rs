//! Word of new blocks over ZMQ.

use std::time::Duration;

use crossbeam_channel::Receiver;
use metashrew_sync::{SubscribeError, subscribe};
use metashrew_testing::bitcoind::Bitcoind;

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// Mines until there is word of a block, and not only of the connection: a publisher
/// knows of a new subscriber a moment after the subscriber does.
fn mine_until_heard(bitcoind: &Bitcoind, signals: &Receiver<()>) {
    let mut heard = 0;
    for _ in 0..600 {
        bitcoind.mine(1);
        if signals.recv_timeout(Duration::from_millis(100)).is_ok() {
            heard += 1;
        }
        if heard == 2 {
            return;
        }
    }
    panic!("no word of 600 blocks");
}

#[test]
fn every_new_tip_is_heard_and_the_node_found_again() {
    let mut bitcoind = Bitcoind::start();
    let new_blocks = subscribe(&bitcoind.zmq_endpoint()).unwrap();
    let signals = new_blocks.signals();
    mine_until_heard(&bitcoind, signals);
    for _ in 0..5 {
        bitcoind.mine(1);
        signals.recv_timeout(PATIENCE).unwrap();
    }
    bitcoind.reorganise(bitcoind.height() - 2, 4);
    signals.recv_timeout(PATIENCE).unwrap();

    bitcoind.kill();
    bitcoind.restart();
    mine_until_heard(&bitcoind, signals);
}

#[test]
fn a_node_may_come_later_and_nobody_waits_for_it() {
    let mut bitcoind = Bitcoind::start();
    bitcoind.stop();
    let new_blocks = subscribe(&bitcoind.zmq_endpoint()).unwrap();
    assert!(new_blocks.signals().try_recv().is_err());
    bitcoind.restart();
    mine_until_heard(&bitcoind, new_blocks.signals());

    let signals = new_blocks.signals().clone();
    drop(new_blocks);
    while signals.recv().is_ok() {}
    assert!(signals.recv().is_err(), "disconnected");
}

#[test]
fn what_is_no_endpoint_is_refused() {
    for endpoint in [
        "",
        "127.0.0.1:28332",
        "tcp://127.0.0.1",
        "http://127.0.0.1:1",
        "ipc:///tmp/x",
    ] {
        let error = subscribe(endpoint).unwrap_err();
        assert!(
            matches!(error, SubscribeError::Endpoint { .. }),
            "{endpoint}"
        );
    }
}
