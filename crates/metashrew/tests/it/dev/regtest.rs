//! `metashrew dev --regtest`: a node of the project's own.

use std::fs;
use std::net::TcpListener;

use metashrew_testing::bitcoind::Bitcoind;
use serde_json::json;

use super::process::Dev;
use super::project::{TRAPS, edit, guest, project};
use crate::harness::{Place, fail};

/// `metashrew dev --regtest` in a project, on the tests' node.
fn regtest(place: &Place, mine: &str) -> Dev {
    let mut command = place.metashrew(&["dev", "--regtest", "--mine", mine]);
    Dev::of(command.env("BITCOIND_EXE", Bitcoind::program()))
}

#[test]
fn a_regtest_node_is_started_followed_and_stopped() {
    let wasm = guest(1, "", None);
    let place = project(&wasm);
    let mut dev = regtest(&place, "3");
    dev.wait_for("regtest node started");
    dev.wait_for("sum at block 3");
    // As the project's script does, by what the directory says.
    let cookie = place.path(".regtest/regtest/.cookie");
    let mine = || {
        let conf = fs::read_to_string(place.path(".regtest/bitcoin.conf")).unwrap();
        let (_, port) = conf.split_once("rpcport=").unwrap();
        let port = port.lines().next().unwrap();
        let login = fs::read_to_string(&cookie).unwrap();
        let body = json!({ "method": "generatetodescriptor", "params": [1, "raw(51)"] });
        let url = format!("http://{login}@127.0.0.1:{port}/");
        let answer = ureq::post(&url).send(body.to_string()).unwrap();
        assert_eq!(answer.status(), 200);
    };
    mine();
    dev.wait_for("sum at block 4, changed");
    // A guest that fails at the next block goes on with the ones before.
    edit(&place, &guest(2, TRAPS, None));
    dev.wait_for("sum at block 4, changed");
    mine();
    dev.wait_for("failed at block 5");
    let good = guest(9, "", None);
    edit(&place, &good);
    dev.wait_for("sum at block 5, changed");
    assert_eq!(dev.interrupt(), Some(0));
    assert!(!cookie.exists(), "the node has ended in order");

    // However the process ends, the node does, too.
    let mut dev = regtest(&place, "1");
    dev.wait_for("sum at block 5");
    dev.child.kill().unwrap();
    dev.child.wait().unwrap();
    while cookie.exists() {
        std::thread::yield_now();
    }
}

#[test]
fn a_node_is_started_only_where_the_address_is_free() {
    let place = project(&guest(1, "", None));
    let program = place.path("bitcoind");
    fs::write(&program, "#!/bin/sh\necho > started\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, mode).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = place.metashrew(&["dev", "--regtest", "--listen", &address]);
    let error = fail(command.env("BITCOIND_EXE", &program), 1);
    assert!(
        error.contains("choose another address with --listen\n"),
        "{error}"
    );
    assert!(!place.path("started").exists());
    assert!(!place.path(".regtest").exists());
}
