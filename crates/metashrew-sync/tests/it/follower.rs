//! An indexer that stays at the node's tip, on a thread of its own.

use std::sync::Arc;
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use crossbeam_channel::Receiver;
use metashrew_store::Store;
use metashrew_sync::{IndexEnd, IndexError, IndexOptions, Progress, Stop};
use metashrew_testing::chain::{Chain, Shape};
use metashrew_testing::guests;

use crate::support::{FakeNode, assert_holds, hash_of, indexer, options, wait_until};

pub(crate) fn chain(count: usize) -> Chain {
    let mut chain = Chain::new(12).shape(Shape::Transactions(3));
    chain.mine(count);
    chain
}

/// Options that stay at the tip, and ask the node often.
pub(crate) fn following() -> IndexOptions {
    IndexOptions {
        follow: true,
        poll_interval: Some(Duration::from_millis(1)),
        ..options()
    }
}

/// Options that never ask the node for new blocks of their own accord.
pub(crate) fn never_polling() -> IndexOptions {
    IndexOptions {
        poll_interval: Some(Duration::MAX),
        ..following()
    }
}

/// Keeps a test that fails from waiting for its indexer.
pub(crate) struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.request();
    }
}

/// An indexer on a thread of its own.
pub(crate) struct Follower<'scope> {
    pub(crate) store: Store,
    pub(crate) stop: StopOnDrop,
    pub(crate) progress: Arc<Progress>,
    pub(crate) thread: ScopedJoinHandle<'scope, Result<IndexEnd, IndexError>>,
}

impl<'scope> Follower<'scope> {
    pub(crate) fn start(
        scope: &'scope thread::Scope<'scope, '_>,
        node: &Arc<FakeNode>,
        options: IndexOptions,
        wakeups: Option<Receiver<()>>,
    ) -> Self {
        let store = Store::in_memory();
        let mut indexer = indexer(&guests::chained(), &store, node, options);
        if let Some(wakeups) = wakeups {
            indexer = indexer.with_wakeups(wakeups);
        }
        let stop = Stop::new();
        let (progress, told) = (indexer.progress(), stop.clone());
        Self {
            store,
            stop: StopOnDrop(stop),
            progress,
            thread: scope.spawn(move || indexer.run(&told)),
        }
    }

    /// Waits until the chain is indexed.
    pub(crate) fn wait_for(&self, chain: &Chain) {
        let tip = hash_of(chain.tip().unwrap());
        wait_until("the chain is indexed", || {
            self.store
                .snapshot()
                .tip()
                .is_some_and(|ours| ours.hash == tip)
        });
        assert_holds(&self.store, chain.blocks());
    }

    pub(crate) fn wait_for_state(&self, name: &str) {
        wait_until(name, || self.progress.status().state.name() == name);
    }

    pub(crate) fn end(self) -> Result<IndexEnd, IndexError> {
        self.stop.0.request();
        self.thread.join().unwrap()
    }
}
