//! A guest that never ends a block: reported, and no obstacle to a stop. In a
//! process of its own, since that guest goes on running.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic fails the test"
)]

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bitcoin::hashes::Hash;
use bytes::Bytes;
use metashrew_runtime::MetashrewRuntime;
use metashrew_store::{BlockHash, Height, Store};
use metashrew_sync::{IndexEnd, IndexOptions, Indexer, Node, NodeBlock, NodeError, Stop};
use metashrew_testing::chain::{Chain, Mined};
use metashrew_testing::guests;
use parking_lot::Mutex;

struct Blocks(Vec<Mined>);

impl Blocks {
    fn hash(mined: &Mined) -> BlockHash {
        BlockHash::from_bytes(mined.hash.to_byte_array())
    }
}

impl Node for Blocks {
    fn tip(&self) -> Result<Option<NodeBlock>, NodeError> {
        Ok(self.0.last().map(|mined| NodeBlock {
            height: mined.height,
            hash: Self::hash(mined),
        }))
    }

    fn first(&self) -> Result<Option<Height>, NodeError> {
        Ok(self.0.first().map(|mined| mined.height))
    }

    fn hash_at(&self, height: Height) -> Result<Option<BlockHash>, NodeError> {
        Ok(self
            .0
            .iter()
            .find(|mined| mined.height == height)
            .map(Self::hash))
    }

    fn block(&self, hash: &BlockHash) -> Result<Bytes, NodeError> {
        let mined = self.0.iter().find(|mined| Self::hash(mined) == *hash);
        Ok(Bytes::copy_from_slice(
            &mined.ok_or(NodeError::NoBlock { hash: *hash })?.bytes,
        ))
    }
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

#[test]
fn an_endless_block_is_reported_and_a_stop_does_not_wait_for_it() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();

    let mut chain = Chain::new(1);
    chain.mine(12);
    let store = Store::in_memory();
    let runtime = MetashrewRuntime::new(&guests::spins_at(9), store.clone()).unwrap();
    let options = IndexOptions {
        start_height: Some(1),
        slow_block: Duration::from_millis(20),
        stop_grace: Duration::from_millis(20),
        ..IndexOptions::default()
    };
    let hash = chain.at(9).unwrap().hash;
    let indexer = Indexer::new(runtime, Arc::new(Blocks(chain.blocks().to_vec())), options);
    let progress = indexer.progress();
    let stop = Stop::new();
    let end = thread::scope(|scope| {
        let run = scope.spawn(|| indexer.run(&stop));
        // Waits for the third report, however long the machine takes for it.
        while log.text().matches("has been processing block 9").count() < 3 {
            assert!(!run.is_finished(), "it ended: {:?}", progress.status());
            thread::yield_now();
        }
        assert_eq!(
            progress.report().running.map(|running| running.height),
            Some(9)
        );
        stop.request();
        run.join().unwrap().unwrap()
    });
    assert_eq!(end, IndexEnd::Stopped);
    assert_eq!(store.snapshot().tip().map(|tip| tip.height), Some(8));
    assert!(log.text().contains(&hash.to_string()), "{}", log.text());
    assert!(
        log.text().contains("stopping without the block at hand"),
        "{}",
        log.text()
    );
}
