//! A machine that fails delays indexing, however long it does; a damaged database
//! ends it, at a committed block.

use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use metashrew_store::{
    Backend, BackendError, Batch, BatchNumber, MemoryBackend, Read, Scan, Space, Store, View,
};
use metashrew_sync::{IndexEnd, IndexError, IndexOptions, IndexState, Stop, WaitsFor, WriteKind};
use metashrew_testing::chain::Chain;
use metashrew_testing::guests;

use crate::support::{
    FakeNode, assert_holds, close_options, indexer, options, records, wait_until,
};

/// Fails as many reads of user keys, and as many writes, as it was told to.
#[derive(Debug, Default)]
struct Faulty {
    inner: MemoryBackend,
    reads: Arc<AtomicU32>,
    writes: AtomicU32,
    /// Whether a write that fails gets through all the same.
    gets_through: AtomicBool,
    /// Whether what fails is damaged, not out of order for a while.
    damaged: AtomicBool,
    /// Held by who wants writes not to return.
    gate: Mutex<()>,
}

#[derive(Debug)]
struct FaultyView {
    inner: Arc<dyn View>,
    reads: Arc<AtomicU32>,
}

fn fail(left: &AtomicU32) -> Result<(), BackendError> {
    let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
        left.checked_sub(1)
    });
    if taken.is_ok() {
        let no_space = io::Error::from(io::ErrorKind::StorageFull);
        Err(BackendError::new("testing", no_space))
    } else {
        Ok(())
    }
}

impl Backend for Faulty {
    fn view(&self) -> Arc<dyn View> {
        Arc::new(FaultyView {
            inner: self.inner.view(),
            reads: Arc::clone(&self.reads),
        })
    }

    fn write(&self, batch: Batch) -> Result<BatchNumber, BackendError> {
        drop(self.gate.lock());
        if self.damaged.load(Ordering::SeqCst) {
            return Err(BackendError::new("testing", "nonsense was read"));
        }
        let failed = fail(&self.writes);
        if failed.is_ok() || self.gets_through.load(Ordering::SeqCst) {
            self.inner.write(batch)?;
        }
        failed.map(|()| self.inner.durable())
    }

    fn durable(&self) -> BatchNumber {
        self.inner.durable()
    }

    fn sync(&self, batch: BatchNumber) -> Read<'_, ()> {
        self.inner.sync(batch)
    }
}

impl View for FaultyView {
    fn batch(&self) -> BatchNumber {
        self.inner.batch()
    }

    fn get<'a>(&'a self, space: Space, key: &'a [u8]) -> Read<'a, Option<Bytes>> {
        if space == Space::KeyToNewest
            && let Err(error) = fail(&self.reads)
        {
            return Read::Ready(Err(error));
        }
        self.inner.get(space, key)
    }

    fn scan(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        self.inner.scan(space, start, end)
    }

    fn scan_back(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        self.inner.scan_back(space, start, end)
    }
}

fn chain() -> Chain {
    let mut chain = Chain::new(8);
    chain.mine(20);
    chain
}

/// A store over the backend, which has indexed the first five blocks.
fn holding_five(backend: &Arc<Faulty>, node: &Arc<FakeNode>, options: IndexOptions) -> Store {
    let store = Store::with_backend(Arc::clone(backend) as Arc<dyn Backend>).unwrap();
    let options = IndexOptions {
        exit_at: Some(5),
        ..options
    };
    indexer(&guests::chained(), &store, node, options)
        .run(&Stop::new())
        .unwrap();
    store
}

#[test]
fn a_block_is_tried_again_when_the_machine_failed() {
    let chain = chain();
    let node = FakeNode::new(&chain);
    let backend = Arc::new(Faulty::default());
    let store = holding_five(&backend, &node, options());

    let indexer = indexer(&guests::chained(), &store, &node, options());
    backend.reads.store(3, Ordering::SeqCst);
    indexer.run(&Stop::new()).unwrap();
    assert_eq!(backend.reads.load(Ordering::SeqCst), 0);
    assert_holds(&store, chain.blocks());
}

#[test]
fn writes_are_tried_again_until_they_succeed() {
    let chain = chain();
    for (options, gets_through) in [
        (options(), false),
        (options(), true),
        (close_options(), false),
        (close_options(), true),
    ] {
        let node = FakeNode::new(&chain);
        let backend = Arc::new(Faulty::default());
        let store = holding_five(&backend, &node, options);
        backend.gets_through.store(gets_through, Ordering::SeqCst);
        // More often than a panic of the host is tried again.
        backend.writes.store(10, Ordering::SeqCst);
        let indexer = indexer(&guests::chained(), &store, &node, options);
        let progress = indexer.progress();
        assert_eq!(indexer.run(&Stop::new()).unwrap(), IndexEnd::Tip);
        assert_holds(&store, chain.blocks());
        let left = backend.writes.load(Ordering::SeqCst);
        // One that got through is not tried again.
        assert!(left == 0 || gets_through);
        assert_eq!(progress.report().machine_failures, u64::from(10 - left));
        assert_eq!(progress.report().failures, 0, "the node is not at fault");
    }
}

#[test]
fn reads_and_rollbacks_are_tried_again_until_they_succeed() {
    let chain = chain();
    let node = FakeNode::new(&chain);
    let backend = Arc::new(Faulty::default());
    let store = holding_five(&backend, &node, options());
    let mut other = chain.fork(3, 5);
    other.mine(20);
    node.switch(&other);
    backend.reads.store(20, Ordering::SeqCst);
    backend.writes.store(20, Ordering::SeqCst);
    let indexer = indexer(&guests::chained(), &store, &node, options());
    assert_eq!(indexer.run(&Stop::new()).unwrap(), IndexEnd::Tip);
    assert_holds(&store, other.blocks());
    assert_eq!(indexer.progress().report().rollbacks, 1);
    assert_eq!(indexer.progress().report().undone_blocks, 2);
}

#[test]
fn a_machine_that_goes_on_failing_is_told_of_and_holds_up_no_stop() {
    let chain = chain();
    for reads in [false, true] {
        let node = FakeNode::new(&chain);
        let backend = Arc::new(Faulty::default());
        let store = holding_five(&backend, &node, options());
        let fails = if reads {
            &*backend.reads
        } else {
            &backend.writes
        };
        fails.store(u32::MAX, Ordering::SeqCst);
        let indexer = indexer(&guests::chained(), &store, &node, options());
        let (progress, stop) = (indexer.progress(), Stop::new());
        thread::scope(|scope| {
            let run = scope.spawn(|| indexer.run(&stop));
            wait_until("it waits", || {
                let state = progress.status().state;
                matches!(state, IndexState::Waiting { failures, .. } if failures > 8)
            });
            let IndexState::Waiting {
                waits_for, error, ..
            } = progress.status().state
            else {
                panic!("it does not wait");
            };
            assert_eq!(waits_for, WaitsFor::Disk, "{error}");
            assert!(error.contains("block"), "{error}");
            stop.request();
            assert_eq!(run.join().unwrap().unwrap(), IndexEnd::Stopped);
        });
        assert_eq!(records(&store).len(), 5);
        fails.store(0, Ordering::SeqCst);
        indexer.run(&Stop::new()).unwrap();
        assert_holds(&store, chain.blocks());
    }
}

#[test]
fn a_write_that_does_not_return_is_noticed() {
    let chain = chain();
    let slow = options().slow_block.min(Duration::from_millis(1));
    let options = IndexOptions {
        slow_block: slow,
        ..options()
    };
    for (kind, blocks) in [
        (WriteKind::Commit, "the commit of block"),
        (WriteKind::Rollback, "the rollback of blocks 4 to 5 has not"),
    ] {
        let node = FakeNode::new(&chain);
        let backend = Arc::new(Faulty::default());
        let store = holding_five(&backend, &node, options);
        let mut other = chain.fork(3, 5);
        other.mine(20);
        if kind == WriteKind::Rollback {
            node.switch(&other);
        }
        let indexer = indexer(&guests::chained(), &store, &node, options);
        let (progress, stop) = (indexer.progress(), Stop::new());
        thread::scope(|scope| {
            let held = backend.gate.lock().unwrap();
            let run = scope.spawn(|| indexer.run(&stop));
            wait_until("it waits", || {
                matches!(progress.status().state, IndexState::Waiting { .. })
            });
            let IndexState::Waiting {
                waits_for,
                error,
                failures,
                since,
            } = progress.status().state
            else {
                panic!("it does not wait");
            };
            assert_eq!((waits_for, failures), (WaitsFor::Machine, 0));
            assert!(error.contains(blocks), "{error}");
            assert!(since <= SystemTime::now());
            let writing = progress.report().writing.unwrap();
            assert_eq!(writing.kind, kind);
            assert!(progress.stuck(slow).is_some());
            assert!(progress.stuck(Duration::MAX).is_none());
            // Once it returns, indexing goes on as if nothing had been.
            drop(held);
            assert_eq!(run.join().unwrap().unwrap(), IndexEnd::Tip);
        });
        assert_eq!(progress.status().state, IndexState::Done);
        assert_eq!(progress.report().writing, None);
        assert_eq!(progress.report().machine_failures, 0);
        let held = if kind == WriteKind::Rollback {
            &other
        } else {
            &chain
        };
        assert_holds(&store, held.blocks());
    }
}

#[test]
fn damage_ends_it_at_once() {
    let chain = chain();
    let node = FakeNode::new(&chain);
    let backend = Arc::new(Faulty::default());
    let store = holding_five(&backend, &node, close_options());
    backend.damaged.store(true, Ordering::SeqCst);
    let error = indexer(&guests::chained(), &store, &node, options())
        .run(&Stop::new())
        .unwrap_err();
    assert!(
        matches!(error, IndexError::Commit { first: 6, .. }),
        "{error}"
    );
    assert_eq!(records(&store).len(), 5);
}

#[test]
fn indexing_pauses_while_the_disk_is_nearly_full() {
    let chain = chain();
    let node = FakeNode::new(&chain);
    let store = Store::in_memory();
    let free = Arc::new(AtomicU64::new(999));
    let told = Arc::clone(&free);
    let options = IndexOptions {
        min_free_space: 1_000,
        ..options()
    };
    let indexer = indexer(&guests::chained(), &store, &node, options)
        .with_free_space(move || Some(told.load(Ordering::SeqCst)));
    let progress = indexer.progress();
    thread::scope(|scope| {
        let run = scope.spawn(|| indexer.run(&Stop::new()));
        wait_until("it waits", || {
            let state = progress.status().state;
            matches!(
                state,
                IndexState::Waiting { waits_for: WaitsFor::Disk, failures, .. } if failures > 3
            )
        });
        assert_eq!(records(&store), []);
        free.store(2_000, Ordering::SeqCst);
        assert_eq!(run.join().unwrap().unwrap(), IndexEnd::Tip);
    });
    assert_holds(&store, chain.blocks());
}
