//! From the moment a node has a new block to the first view that sees it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use metashrew_runtime::MetashrewRuntime;
use metashrew_store::{BlockId, Height, Store, StoreOptions};
use metashrew_sync::{IndexOptions, Indexer, Node, Stop, subscribe};
use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::guests;

use crate::node_chain::NodeChain;
use crate::{Guest, connect};

/// Blocks measured.
const BLOCKS: u32 = 30;

/// Blocks before them that are not.
const WARM_UP: u32 = 3;

/// A pause between two views, so that they take no core from what they wait for.
const VIEW_EVERY: Duration = Duration::from_micros(100);

/// How the pauses between blocks are spread: evenly over a second, the interval of
/// polling, so that blocks come at every moment of it; in an order that has no trend.
const STRIDE: u32 = 7;

/// What the blocks hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blocks {
    Coinbase,
    Full,
}

struct Measured {
    times: Vec<Duration>,
    /// The means of the two, of one block.
    executing: Duration,
    committing: Duration,
}

pub(crate) fn table(addresses: &Guest) {
    let chained = Guest {
        name: "a test guest of three keys",
        wasm: guests::chained(),
        blocks: BLOCKS,
    };
    println!(
        "\n| new block | guest | the node is asked | median | worst of {BLOCKS} | the guest's part | the commit's |"
    );
    println!("|---|---|---|---:|---:|---:|---:|");
    row(&chained, "height", Blocks::Coinbase, true);
    row(addresses, "balance", Blocks::Full, true);
    row(&chained, "height", Blocks::Coinbase, false);
    row(addresses, "balance", Blocks::Full, false);
}

fn row(guest: &Guest, view: &str, blocks: Blocks, zmq: bool) {
    let Measured {
        mut times,
        executing,
        committing,
    } = measure(guest, view, blocks, zmq);
    times.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let last = times.len() - 1;
    println!(
        "| {} | {} | {} | {:.1} ms | {:.1} ms | {:.1} ms | {:.1} ms |",
        match blocks {
            Blocks::Coinbase => "a coinbase alone",
            Blocks::Full => "a full one",
        },
        guest.name,
        if zmq {
            "at ZMQ `hashblock`"
        } else {
            "every second"
        },
        ms(times[last / 2]),
        ms(times[last]),
        ms(executing),
        ms(committing),
    );
}

fn measure(guest: &Guest, view: &str, blocks: Blocks, zmq: bool) -> Measured {
    let bitcoind = Bitcoind::start();
    let mut chain = NodeChain::fund(&bitcoind);
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&directory.path().join("db"), StoreOptions::default())
        .expect("a new database opens");
    let runtime = MetashrewRuntime::new(&guest.wasm, store).expect("the guest loads");
    let options = IndexOptions {
        follow: true,
        ..IndexOptions::default()
    };
    let node: Arc<dyn Node> = connect(&bitcoind, true, false);
    let mut indexer = Indexer::new(runtime.clone(), node, options);
    let new_blocks = zmq.then(|| subscribe(&bitcoind.zmq_endpoint()).expect("an endpoint"));
    if let Some(new_blocks) = &new_blocks {
        indexer = indexer.with_wakeups(new_blocks.signals().clone());
    }
    let stop = Stop::new();
    thread::scope(|scope| {
        let indexing = scope.spawn(|| indexer.run(&stop));
        let mut times = Vec::new();
        let base = bitcoind.height();
        wait_for_view(&runtime, view, base);
        let before = indexer.progress().report();
        for number in 0..WARM_UP + BLOCKS {
            thread::sleep(Duration::from_secs(1) * (number * STRIDE % BLOCKS) / BLOCKS);
            match blocks {
                Blocks::Coinbase => drop(bitcoind.mine(1)),
                Blocks::Full => drop(chain.mine(&bitcoind)),
            }
            let mined = Instant::now();
            wait_for_view(&runtime, view, base + number + 1);
            if number >= WARM_UP {
                times.push(mined.elapsed());
            }
        }
        stop.request();
        let end = indexing.join().expect("it does not panic");
        end.expect("every block is indexed");
        let after = indexer.progress().report();
        let each = |before, after| Duration::saturating_sub(after, before) / (WARM_UP + BLOCKS);
        Measured {
            times,
            executing: each(before.executing, after.executing),
            committing: each(before.committing, after.committing),
        }
    })
}

/// Calls the view until it answers from a block at that height.
fn wait_for_view(runtime: &MetashrewRuntime, view: &str, height: Height) {
    // Before the first block there is nothing to ask about.
    while !runtime
        .view_sync(view, br#"{"script":"51"}"#, &BlockId::Latest)
        .is_ok_and(|answer| answer.block.height >= height)
    {
        thread::sleep(VIEW_EVERY);
    }
}
