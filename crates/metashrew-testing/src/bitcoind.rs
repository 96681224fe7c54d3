//! Bitcoin Core itself, in regtest, on free ports of 127.0.0.1, with its data in a
//! folder of its own that goes when the value does.
//!
//! The program comes from `BITCOIND_EXE`, or from `scripts/setup-bitcoind.sh`, which
//! takes the one on PATH, or builds one where there is none. If that fails, starting
//! panics and says so: a test of a node does not pass for want of a node.

mod binary;
mod key;
mod process;
mod rpc;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::{Block, BlockHash, OutPoint, Transaction, TxOut, Txid};
use serde_json::{Value, json};
use tempfile::TempDir;

use process::Process;
use rpc::Client;

pub use key::Key;
pub use rpc::RpcError;

/// How a node is started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who may ask: this user and password, or whoever reads the cookie file.
    pub auth: Option<(String, String)>,
    /// Whether REST answers. Default: yes.
    pub rest: bool,
    /// Whether `hashblock` is published. Default: yes.
    pub zmq: bool,
    /// Whether the block files are masked. Default: yes, as in Core.
    pub xor: bool,
    /// Further arguments, such as `-prune=1`. Default: none.
    pub arguments: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            auth: Some(("user".to_owned(), "password".to_owned())),
            rest: true,
            zmq: true,
            xor: true,
            arguments: Vec::new(),
        }
    }
}

/// The ports of a node; the same ones over restarts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    rpc: u16,
    p2p: u16,
    zmq: u16,
}

/// A node that runs. Dropping it kills it.
///
/// Every method panics where the node refuses, with what it said.
#[derive(Debug)]
pub struct Bitcoind {
    settings: Settings,
    directory: TempDir,
    ports: Ports,
    process: Option<Process>,
    /// Branches made by [`reorganise`](Self::reorganise).
    forks: AtomicU64,
}

impl Bitcoind {
    /// The program, for those who start it themselves.
    pub fn program() -> PathBuf {
        binary::path()
    }

    /// Starts a node with the default settings, and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(Settings::default())
    }

    /// Starts a node, and waits until it answers.
    pub fn start_with(settings: Settings) -> Self {
        let directory = tempfile::tempdir().expect("a temporary folder");
        let (process, ports) = Process::start_on_free_ports(&settings, directory.path());
        Self {
            settings,
            directory,
            ports,
            process: Some(process),
            forks: AtomicU64::new(0),
        }
    }

    /// Where RPC and REST answer.
    pub fn address(&self) -> SocketAddr {
        loopback(self.ports.rpc)
    }

    /// The URL for RPC, with user and password if there are any.
    pub fn rpc_url(&self) -> String {
        self.rpc_url_at(self.address())
    }

    /// The URL for RPC through something else that listens at an address.
    pub fn rpc_url_at(&self, address: SocketAddr) -> String {
        match &self.settings.auth {
            Some((user, password)) => format!("http://{user}:{password}@{address}"),
            None => format!("http://{address}"),
        }
    }

    /// Where `hashblock` is published.
    pub fn zmq_endpoint(&self) -> String {
        format!("tcp://{}", loopback(self.ports.zmq))
    }

    /// The node's own folder.
    pub fn data_dir(&self) -> &Path {
        self.directory.path()
    }

    /// The folder of the block files.
    pub fn blocks_dir(&self) -> PathBuf {
        self.data_dir().join("regtest/blocks")
    }

    /// The cookie file; it is there while a node without user and password runs.
    pub fn cookie_file(&self) -> PathBuf {
        self.data_dir().join("regtest/.cookie")
    }

    /// Asks, and answers the result.
    pub fn rpc(&self, method: &str, params: &Value) -> Value {
        self.try_rpc(method, params)
            .unwrap_or_else(|error| panic!("{method} {params}: {error}"))
    }

    /// Asks, and answers the result or why there is none.
    pub fn try_rpc(&self, method: &str, params: &Value) -> Result<Value, RpcError> {
        self.client().call(method, params)
    }

    fn client(&self) -> Client {
        Client::new(self.address(), &self.settings, &self.cookie_file())
    }

    /// Mines blocks on the tip, with what the mempool holds, to a script that anyone
    /// can spend.
    pub fn mine(&self, count: usize) -> Vec<BlockHash> {
        hashes(&self.rpc("generatetodescriptor", &json!([count, "raw(51)"])))
    }

    /// Mines blocks on the tip whose coinbases the key can spend, 100 blocks later.
    pub fn mine_to(&self, count: usize, key: &Key) -> Vec<BlockHash> {
        let descriptor = format!("raw({:x})", key.script());
        hashes(&self.rpc("generatetodescriptor", &json!([count, descriptor])))
    }

    /// Mines one block of exactly these transactions, in this order.
    pub fn mine_block_of(&self, transactions: &[Transaction]) -> BlockHash {
        let transactions: Vec<_> = transactions.iter().map(serialize_hex).collect();
        let answer = self.rpc("generateblock", &json!(["raw(51)", transactions]));
        hash(answer.get("hash").unwrap_or(&Value::Null))
    }

    /// Hands a transaction to the mempool, whatever fee it pays.
    pub fn send(&self, transaction: &Transaction) -> Txid {
        let params = json!([serialize_hex(transaction), 0, "21000000"]);
        let txid = self.rpc("sendrawtransaction", &params);
        txid.as_str().unwrap_or_default().parse().expect("a txid")
    }

    /// The tip's height.
    pub fn height(&self) -> u32 {
        let height = self.rpc("getblockcount", &json!([]));
        u32::try_from(height.as_u64().expect("a number")).expect("a height")
    }

    /// The tip's hash.
    pub fn tip(&self) -> BlockHash {
        hash(&self.rpc("getbestblockhash", &json!([])))
    }

    /// The hash of the best chain's block at a height.
    pub fn hash_at(&self, height: u32) -> BlockHash {
        hash(&self.rpc("getblockhash", &json!([height])))
    }

    /// A block.
    pub fn block(&self, hash: &BlockHash) -> Block {
        let block = self.rpc("getblock", &json!([hash.to_string(), 0]));
        deserialize_hex(block.as_str().expect("hex")).expect("a block")
    }

    /// The first output of a block's coinbase.
    pub fn coinbase(&self, hash: &BlockHash) -> (OutPoint, TxOut) {
        let coinbase = self.block(hash).txdata.swap_remove(0);
        let txid = coinbase.compute_txid();
        let output = coinbase.output.into_iter().next().expect("an output");
        (OutPoint { txid, vout: 0 }, output)
    }

    /// Declares a block invalid: the best chain without it becomes the tip.
    pub fn invalidate(&self, hash: &BlockHash) {
        self.rpc("invalidateblock", &json!([hash.to_string()]));
    }

    /// Takes [`invalidate`](Self::invalidate) back.
    pub fn reconsider(&self, hash: &BlockHash) {
        self.rpc("reconsiderblock", &json!([hash.to_string()]));
    }

    /// Drops the blocks above a height and mines others in their place, and further
    /// ones on top; answers the new ones.
    pub fn reorganise(&self, height: u32, count: usize) -> Vec<BlockHash> {
        self.invalidate(&self.hash_at(height + 1));
        // No two branches may have the same blocks: each pays to a script of its own.
        let fork = self.forks.fetch_add(1, Ordering::Relaxed);
        let script = format!("raw(6a08{fork:016x})");
        hashes(&self.rpc("generatetodescriptor", &json!([count, script])))
    }

    /// Writes the chain state to disk: a node killed after this keeps its tip.
    pub fn flush(&self) {
        self.rpc("gettxoutsetinfo", &json!(["none"]));
    }

    /// Connects to another node; the longer chain wins.
    pub fn connect(&self, other: &Self) {
        let address = loopback(other.ports.p2p).to_string();
        self.rpc("addnode", &json!([address, "onetry"]));
    }

    /// Waits until the tip is that block.
    ///
    /// # Panics
    /// If it is not within a minute.
    pub fn wait_for_tip(&self, hash: &BlockHash) {
        self.rpc("waitforblock", &json!([hash.to_string(), 60_000]));
        assert_eq!(self.tip(), *hash, "the node's tip after a minute");
    }

    /// Whether the process runs.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Kills the process as a power cut would: what was not flushed is lost.
    pub fn kill(&mut self) {
        // Dropping it kills it.
        self.process = None;
    }

    /// Shuts the node down in order.
    pub fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            self.rpc("stop", &json!([]));
            process.wait();
        }
    }

    /// Starts the node again, on the same folder and ports.
    ///
    /// # Panics
    /// If it runs, or does not answer within a minute.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "the node runs");
        let process = Process::start(&self.settings, self.directory.path(), self.ports)
            .unwrap_or_else(|error| panic!("the node does not start again: {error}"));
        self.process = Some(process);
    }

    /// Starts the node again with other settings.
    pub fn restart_with(&mut self, settings: Settings) {
        self.settings = settings;
        self.restart();
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn hash(value: &Value) -> BlockHash {
    let text = value.as_str().unwrap_or_default();
    text.parse().expect("a block hash")
}

fn hashes(value: &Value) -> Vec<BlockHash> {
    value.as_array().into_iter().flatten().map(hash).collect()
}
