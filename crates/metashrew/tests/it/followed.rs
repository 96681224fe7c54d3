//! A node of Bitcoin Core, and indexers that follow it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use bitcoin::{Amount, BlockHash, OutPoint, Transaction, TxOut};
use metashrew_store::{BlockRecord, Height, Store, StoreOptions};
use metashrew_testing::bitcoind::{Bitcoind, Key};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Running, guest, metashrew, succeed};

/// A directory with a guest and databases.
pub(crate) struct Desk {
    directory: TempDir,
    indexer: PathBuf,
}

impl Desk {
    /// With a guest made for tests.
    pub(crate) fn with(wasm: &[u8]) -> Self {
        let directory = TempDir::new().unwrap();
        let indexer = directory.path().join("guest.wasm");
        std::fs::write(&indexer, wasm).unwrap();
        Self { directory, indexer }
    }

    /// With the example guest `addresses`.
    pub(crate) fn with_addresses() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
            indexer: guest("addresses"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// `metashrew start` into a database, with more flags.
    pub(crate) fn start(&self, db: &str, flags: &[&str]) -> Command {
        let mut command = metashrew();
        command
            .current_dir(self.directory.path())
            .args(["start", "--listen", "127.0.0.1:0", "--db", db])
            .arg("--indexer")
            .arg(&self.indexer)
            .args(flags);
        command
    }

    /// As [`start`](Self::start), from a node that is asked often.
    pub(crate) fn follow(&self, db: &str, url: &str, flags: &[&str]) -> Command {
        let mut command = self.start(db, &["--rpc-url", url, "--poll-interval-ms", "20"]);
        command.args(flags);
        command
    }

    /// Every block that a database holds.
    pub(crate) fn records(&self, db: &str) -> BTreeMap<Height, BlockRecord> {
        let store = Store::open_existing(&self.path(db), StoreOptions::default()).unwrap();
        let snapshot = store.snapshot();
        let (Some(first), Some(tip)) = (snapshot.first(), snapshot.tip()) else {
            return BTreeMap::new();
        };
        (first..=tip.height)
            .map(|height| (height, snapshot.block(height).unwrap().unwrap()))
            .collect()
    }

    /// What a fresh sync from a node gives.
    pub(crate) fn fresh(
        &self,
        node: &Bitcoind,
        db: &str,
        flags: &[&str],
    ) -> BTreeMap<Height, BlockRecord> {
        let height = node.height().to_string();
        let mut start = self.follow(db, &node.rpc_url(), &["--exit-at", &height]);
        succeed(start.args(flags));
        self.records(db)
    }
}

impl Running {
    /// The hash served at a height, as the node writes it.
    pub(crate) fn hash_at(&self, height: Height) -> Option<String> {
        let answer = self.try_call("metashrew_getblockhash", &json!([height]))?;
        let hash = answer["result"].as_str()?;
        Some(hash.trim_start_matches("0x").to_owned())
    }

    /// Waits until the node's chain is served.
    pub(crate) fn wait_for_tip(&self, node: &Bitcoind) {
        let (height, hash) = (node.height(), node.tip().to_string());
        let told = || format!("block {height} ({hash}) is served: {}", self.indexing());
        wait_until_or(told, || {
            self.hash_at(height).as_ref() == Some(&hash) && self.served_height() == Some(height)
        });
    }

    /// What `metashrew_stats` says of indexing.
    pub(crate) fn indexing(&self) -> Value {
        self.result("metashrew_stats", &json!([]))["indexing"].clone()
    }

    pub(crate) fn wait_for_state(&self, state: &str) -> Value {
        let mut indexing = Value::Null;
        wait_until(state, || {
            indexing = self.indexing();
            indexing["state"] == state
        });
        indexing
    }

    /// Ends it in order, so that its database can be opened.
    pub(crate) fn end(self) -> String {
        self.signal("TERM");
        let (code, stderr) = self.wait();
        assert_eq!(code, Some(0), "{stderr}");
        stderr
    }
}

/// Waits until something is so. It must come to be so sooner or later; the
/// deadline only turns a test that would hang into one that fails.
pub(crate) fn wait_until(what: &str, is_so: impl FnMut() -> bool) {
    wait_until_or(|| what.to_owned(), is_so);
}

fn wait_until_or(what: impl Fn() -> String, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(2);
    while !is_so() {
        assert!(Instant::now() < deadline, "not so: {}", what());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Pays that much of a coin to a key; the rest is the fee.
pub(crate) fn pay(from: &Key, coin: &(OutPoint, TxOut), to: &Key, satoshi: u64) -> Transaction {
    let output = TxOut {
        value: Amount::from_sat(satoshi),
        script_pubkey: to.script(),
    };
    from.spend(std::slice::from_ref(coin), vec![output])
}

/// Mines 500 blocks; in every tenth of the later ones something is spent.
pub(crate) fn mine_500(node: &Bitcoind) {
    let (from, to) = (Key::new(1), Key::new(2));
    let funded: Vec<BlockHash> = node.mine_to(40, &from);
    node.mine(100);
    for hash in &funded[..36] {
        node.send(&pay(&from, &node.coinbase(hash), &to, 4_000_000_000));
        node.mine(10);
    }
    assert_eq!(node.height(), 500);
}
