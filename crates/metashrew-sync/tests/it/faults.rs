//! A machine that fails for a while delays indexing; one that goes on failing
//! ends it, at a committed block.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use metashrew_store::{
    Backend, BackendError, Batch, Durability, MemoryBackend, Scan, Space, Store, View,
};
use metashrew_sync::{IndexError, IndexOptions, Stop};
use metashrew_testing::chain::Chain;
use metashrew_testing::guests;

use crate::support::{FakeNode, assert_holds, close_options, indexer, options, records};

/// Fails as many reads of user keys, and as many writes, as it was told to.
#[derive(Debug, Default)]
struct Faulty {
    inner: MemoryBackend,
    reads: Arc<AtomicU32>,
    writes: AtomicU32,
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
        Err(BackendError::new("testing", "it should fail"))
    } else {
        Ok(())
    }
}

impl Backend for Faulty {
    fn view(&self) -> Result<Arc<dyn View>, BackendError> {
        Ok(Arc::new(FaultyView {
            inner: self.inner.view()?,
            reads: Arc::clone(&self.reads),
        }))
    }

    fn write(&self, batch: Batch, durability: Durability) -> Result<(), BackendError> {
        fail(&self.writes)?;
        self.inner.write(batch, durability)
    }
}

impl View for FaultyView {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, BackendError> {
        if space == Space::KeyToNewest {
            fail(&self.reads)?;
        }
        self.inner.get(space, key)
    }

    fn scan(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        self.inner.scan(space, start, end)
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
fn a_machine_that_goes_on_failing_ends_it_with_that_error() {
    let chain = chain();
    let node = FakeNode::new(&chain);
    let backend = Arc::new(Faulty::default());
    let store = holding_five(&backend, &node, close_options());

    backend.reads.store(u32::MAX, Ordering::SeqCst);
    let options = IndexOptions {
        host_retries: 2,
        ..options()
    };
    let error = indexer(&guests::chained(), &store, &node, options)
        .run(&Stop::new())
        .unwrap_err();
    assert!(
        matches!(
            error,
            IndexError::Host {
                height: 6,
                tries: 3,
                ..
            }
        ),
        "{error}"
    );

    backend.reads.store(0, Ordering::SeqCst);
    backend.writes.store(1, Ordering::SeqCst);
    let error = indexer(&guests::chained(), &store, &node, options)
        .run(&Stop::new())
        .unwrap_err();
    assert!(
        matches!(error, IndexError::Commit { first: 6, .. }),
        "{error}"
    );
    assert_eq!(records(&store).len(), 5);

    indexer(&guests::chained(), &store, &node, options)
        .run(&Stop::new())
        .unwrap();
    assert_holds(&store, chain.blocks());
}
