//! How fast blocks come from each source and how long the guest waits for them, and
//! how long a new block takes from the node to a view.
#![allow(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench prints its tables"
)]

#[path = "sources/latency.rs"]
mod latency;
#[path = "sources/node_chain.rs"]
mod node_chain;
#[path = "sources/sync.rs"]
mod sync;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use metashrew_sync::{BlockFiles, CoreNode, CoreSettings, Network, SourceCounts};
use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::chain::{Chain, Shape};
use metashrew_testing::frames::{REGTEST_MAGIC, frames};
use metashrew_testing::guests;
use tempfile::TempDir;

use node_chain::NodeChain;

/// As in the command: what is measured is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RUNS: usize = 3;

/// Full blocks of each chain.
const BLOCKS: u32 = 120;

/// As many of them as a guest gets that has something to do with them.
const FEWER_BLOCKS: u32 = 50;

/// A guest, and what it is called.
struct Guest {
    name: &'static str,
    wasm: Vec<u8>,
    /// Blocks it is measured with.
    blocks: u32,
}

fn main() {
    // `cargo bench --bench sources -- WORD` prints the tables whose names begin with WORD.
    let wanted = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let wanted = |table: &str| {
        wanted
            .as_ref()
            .is_none_or(|word| table.starts_with(&**word))
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let built = |name| Guest {
        name,
        wasm: std::fs::read(root.join(format!("guests/wasm/{name}.wasm")))
            .expect("the guest is there"),
        blocks: FEWER_BLOCKS,
    };
    let nothing = Guest {
        name: "nothing",
        wasm: guests::empty_flush(),
        blocks: BLOCKS,
    };
    let rows = [nothing, built("blocks"), built("addresses")];
    if wanted("node") {
        of_the_node(&rows);
    }
    if wanted("generated") {
        of_the_generator(&rows);
    }
    if wanted("latency") {
        latency::table(&built("addresses"));
    }
}

/// One and the same chain of full blocks, from every source.
fn of_the_node(guests: &[Guest]) {
    let bitcoind = Bitcoind::start();
    let mut chain = NodeChain::fund(&bitcoind);
    let first = bitcoind.height() + 1;
    let mut blocks: Vec<_> = (0..first)
        .map(|height| node_chain::bytes(&bitcoind, &bitcoind.hash_at(height)))
        .collect();
    for _ in 0..BLOCKS {
        let hash = chain.mine(&bitcoind);
        blocks.push(node_chain::bytes(&bitcoind, &hash));
    }
    bitcoind.flush();
    let directory = tempfile::tempdir().expect("a directory");
    let file = framed(&directory, &blocks);
    println!("\n{} a real node accepts:\n", describe(&blocks));
    sync::heading();
    for guest in guests {
        for (name, rest, files) in [
            ("JSON-RPC", false, false),
            ("REST", true, false),
            ("the node's block files", true, true),
        ] {
            // A node of its own for every run: one that is asked for a block again
            // looks twice at what its files say.
            let run = || {
                let node = connect(&bitcoind, rest, files);
                let run = sync::run(guest, first, &node);
                assert_source(node.source_counts(), rest, files);
                run
            };
            sync::row(name, guest, run);
        }
        let node = Arc::new(BlockFiles::open(&file, None).expect("the file is read"));
        sync::row("framed file", guest, || sync::run(guest, first, &node));
    }
}

/// Full blocks of the generator, from a file.
fn of_the_generator(guests: &[Guest]) {
    let mut chain = Chain::new(1).start(1).shape(Shape::Full);
    // The first one is small.
    let blocks: Vec<_> = chain
        .mine(BLOCKS as usize + 1)
        .iter()
        .map(|block| block.bytes.to_vec())
        .collect();
    let directory = tempfile::tempdir().expect("a directory");
    let file = framed(&directory, &blocks);
    let node = Arc::new(BlockFiles::open(&file, Some(1)).expect("the file is read"));
    println!("\n{} the generator makes:\n", describe(&blocks));
    sync::heading();
    for guest in guests {
        sync::row("framed file", guest, || sync::run(guest, 2, &node));
    }
}

/// What there is to measure, for a heading: the last of these blocks.
fn describe(blocks: &[Vec<u8>]) -> String {
    let full = &blocks[blocks.len() - BLOCKS as usize..];
    let bytes: usize = full.iter().map(Vec::len).sum();
    let megabytes = bytes as f64 / f64::from(BLOCKS) / 1e6;
    format!("Full blocks of {megabytes:.2} MB that")
}

fn framed(directory: &TempDir, blocks: &[Vec<u8>]) -> PathBuf {
    let file = directory.path().join("blocks.dat");
    std::fs::write(&file, frames(REGTEST_MAGIC, blocks)).expect("it can be written");
    file
}

/// The node as `metashrew start` reaches it.
fn connect(bitcoind: &Bitcoind, rest: bool, files: bool) -> Arc<CoreNode> {
    let settings = CoreSettings {
        rest,
        blocks_dir: files.then(|| bitcoind.blocks_dir()),
        network: Some(Network::Regtest),
        ..CoreSettings::new(bitcoind.rpc_url())
    };
    let node = CoreNode::new(&settings).expect("the settings are right");
    node.wait_for_files();
    Arc::new(node)
}

/// A row is about one source: no block may have come from another.
fn assert_source(counts: SourceCounts, rest: bool, files: bool) {
    let SourceCounts {
        files: from_files,
        rest: by_rest,
        rpc: by_rpc,
    } = counts;
    let (wanted, others) = match (files, rest) {
        (true, _) => (from_files, by_rest + by_rpc),
        (false, true) => (by_rest, from_files + by_rpc),
        (false, false) => (by_rpc, from_files + by_rest),
    };
    assert!(wanted > 0 && others == 0, "{counts:?}");
}
