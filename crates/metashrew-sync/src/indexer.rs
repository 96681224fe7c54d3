//! The indexer: fetches ahead, runs the guest, commits behind, each on a thread
//! of its own; follows reorganisations.
//!
//! Only the thread that called [`Indexer::run`] commits and rolls back, so a
//! block that is abandoned half-way, however long it runs on, leaves no trace.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use metashrew_runtime::MetashrewRuntime;

use crate::error::IndexError;
use crate::execute::{Executed, Executor, Processed};
use crate::fetch::{Causes, FetchEnd, Fetched, Fetcher};
use crate::node::Node;
use crate::options::IndexOptions;
use crate::progress::{Progress, Span};
use crate::queue::Queue;
use crate::reorg::{self, Aligned};
use crate::stop::Stop;
use crate::watchdog::Watchdog;

/// How often the watchdog looks, and a stop is noticed at the latest.
const TICK: Duration = Duration::from_millis(50);

/// Why indexing ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexEnd {
    /// A stop was requested.
    Stopped,
    /// The block to exit at is committed.
    Exit,
    /// All blocks that the node has are committed.
    Tip,
}

/// Has a guest process a node's blocks, and commits what it writes.
pub struct Indexer {
    runtime: MetashrewRuntime,
    node: Arc<dyn Node>,
    options: IndexOptions,
    progress: Arc<Progress>,
}

impl Indexer {
    /// Blocks from `node` go through the guest of `runtime` into its store.
    pub fn new(runtime: MetashrewRuntime, node: Arc<dyn Node>, options: IndexOptions) -> Self {
        let progress = Progress::new();
        progress.set_height(runtime.store().snapshot().tip().map(|tip| tip.height));
        Self {
            runtime,
            node,
            options,
            progress: Arc::new(progress),
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Indexes from where the store is until the node has no more blocks, or the
    /// block to exit at is committed, or `stop` is requested. Takes the thread of
    /// the caller for so long. May be called again, for later blocks.
    ///
    /// However it ends, every block that was processed before is committed.
    /// A node that fails for a while is asked again until it answers.
    pub fn run(&self, stop: &Stop) -> Result<IndexEnd, IndexError> {
        let mut failures = 0;
        loop {
            if stop.is_requested() {
                return Ok(IndexEnd::Stopped);
            }
            let before = self.progress.report().blocks;
            match self.round(stop) {
                Ok(Some(end)) => return Ok(end),
                Ok(None) => tracing::debug!("the node's chain has changed"),
                Err(IndexError::Node(error)) if error.is_transient() => {
                    tracing::warn!("{}", Causes(&error));
                }
                Err(error) => return Err(error),
            }
            // A node that contradicts itself would have us go round in circles.
            failures = if self.progress.report().blocks > before {
                0
            } else {
                failures + 1
            };
            if failures > 1 && stop.wait(self.options.backoff.pause(failures - 1)) {
                return Ok(IndexEnd::Stopped);
            }
        }
    }

    /// Indexes until an end, or until the node's chain turns out to be another.
    fn round(&self, stop: &Stop) -> Result<Option<IndexEnd>, IndexError> {
        let store = self.runtime.store();
        let start = match reorg::align(store, self.node.as_ref(), &self.options, &self.progress)? {
            Aligned::At(start) => start,
            Aligned::Behind => {
                tracing::info!("the node's chain ends below the indexed one");
                return Ok(Some(IndexEnd::Tip));
            }
            Aligned::NoBlocks => return Ok(Some(IndexEnd::Tip)),
        };
        let queue = Arc::new(Queue::new(
            self.options.max_fetched_blocks,
            self.options.max_fetched_bytes,
        ));
        let fetcher = Fetcher::new(
            Arc::clone(&self.node),
            Arc::clone(&queue),
            Arc::clone(&self.progress),
            &self.options,
            start,
        );
        let (executed_sender, executed) = crossbeam_channel::unbounded();
        // One token is enough to say that something was committed.
        let (committed, committed_receiver) = crossbeam_channel::bounded(1);
        let executor = Executor {
            runtime: self.runtime.clone(),
            queue: Arc::clone(&queue),
            executed: executed_sender,
            committed: committed_receiver,
            progress: Arc::clone(&self.progress),
            stop: stop.clone(),
            options: self.options,
            uncommitted: VecDeque::new(),
        };
        let closing = Closing(Arc::clone(&queue));
        spawn("fetches blocks", "metashrew-fetch", move || fetcher.run())?;
        let executor = spawn("processes blocks", "metashrew-index", move || {
            executor.run();
        })?;
        let round = Round {
            indexer: self,
            queue: &queue,
            executed: &executed,
            committed,
            stop,
        };
        let result = round.run();
        drop(closing);
        let grace = if stop.is_requested() {
            Duration::ZERO
        } else {
            self.options.stop_grace
        };
        join(executor, &executed, grace);
        result
    }

    /// Commits blocks, all at once.
    fn commit(&self, blocks: &[Processed]) -> Result<(), IndexError> {
        let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else {
            return Ok(());
        };
        let batch: Vec<_> = blocks
            .iter()
            .map(|block| (block.block, Arc::clone(&block.writes)))
            .collect();
        let since = Instant::now();
        let result = self.runtime.store().commit_batch(&batch);
        self.progress.spend(Span::Committing, since);
        let (first, last) = (first.block.height, last.block.height);
        result.map_err(|source| IndexError::Commit {
            first,
            last,
            source,
        })?;
        self.progress.set_height(Some(last));
        self.progress.count_commit();
        for block in blocks {
            self.progress.count_block(block.bytes, block.writes.len());
        }
        Ok(())
    }
}

/// Closes the queue when the round is over, however it ends.
struct Closing(Arc<Queue<Fetched>>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The committing end of one run from fetching to committing.
struct Round<'a> {
    indexer: &'a Indexer,
    queue: &'a Queue<Fetched>,
    executed: &'a Receiver<Executed>,
    committed: Sender<()>,
    stop: &'a Stop,
}

impl Round<'_> {
    fn run(self) -> Result<Option<IndexEnd>, IndexError> {
        let mut watchdog = Watchdog::new(self.indexer.options.slow_block);
        loop {
            if self.stop.is_requested() {
                return self.finish();
            }
            watchdog.look(self.indexer.progress.running());
            match self.wait() {
                Ok(executed) => {
                    if let Some(end) = self.take(executed)? {
                        return end;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) if self.stop.is_requested() => {
                    return Ok(Some(IndexEnd::Stopped));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(IndexError::Thread {
                        task: "fetches or processes blocks",
                        source: None,
                    });
                }
            }
        }
    }

    /// Waits for something to commit, a request to stop, or the next tick.
    fn wait(&self) -> Result<Executed, RecvTimeoutError> {
        crossbeam_channel::select! {
            recv(self.executed) -> executed => executed.map_err(|_| RecvTimeoutError::Disconnected),
            recv(self.stop.requested()) -> _ => Err(RecvTimeoutError::Timeout),
            default(TICK) => Err(RecvTimeoutError::Timeout),
        }
    }

    /// Commits a block and all that were processed meanwhile; answers the end,
    /// if it is there.
    fn take(
        &self,
        executed: Executed,
    ) -> Result<Option<Result<Option<IndexEnd>, IndexError>>, IndexError> {
        let mut blocks = Vec::new();
        let mut end = None;
        for executed in std::iter::once(executed).chain(self.executed.try_iter()) {
            match executed {
                Executed::Block(block) => blocks.push(block),
                Executed::End(FetchEnd::Exit) => end = Some(Ok(Some(IndexEnd::Exit))),
                Executed::End(FetchEnd::Tip) => end = Some(Ok(Some(IndexEnd::Tip))),
                Executed::End(FetchEnd::Forked) => end = Some(Ok(None)),
                Executed::End(FetchEnd::Failed(error)) => end = Some(Err(error.into())),
                Executed::Failed(error) => end = Some(Err(error)),
            }
        }
        self.indexer.commit(&blocks)?;
        // The executor may be gone, or have been told and not looked yet.
        let _ = self.committed.try_send(());
        Ok(end)
    }

    /// After a request to stop: commits what was processed, and the block at
    /// hand too if it comes in time.
    fn finish(self) -> Result<Option<IndexEnd>, IndexError> {
        self.queue.close();
        let deadline = Instant::now() + self.indexer.options.stop_grace;
        loop {
            match self.executed.recv_deadline(deadline) {
                Ok(executed) => {
                    if let Some(Err(error)) = self.take(executed)? {
                        return Err(error);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(Some(IndexEnd::Stopped)),
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(running) = self.indexer.progress.running() {
                        let (height, hash) = (running.height, running.hash);
                        tracing::warn!(height, %hash, "stopping without the block at hand, which is not done yet");
                    }
                    return Ok(Some(IndexEnd::Stopped));
                }
            }
        }
    }
}

fn spawn(
    task: &'static str,
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, IndexError> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map_err(|source| IndexError::Thread {
        task,
        source: Some(source),
    })
}

/// Waits until the executor has let go of the store; one that is stuck in a block
/// for longer than the grace is left alone.
fn join(executor: JoinHandle<()>, executed: &Receiver<Executed>, grace: Duration) {
    let deadline = Instant::now() + grace;
    loop {
        match executed.recv_deadline(deadline) {
            // What comes after an end was never wanted.
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => return,
            Err(RecvTimeoutError::Disconnected) => {
                // A panic was told of when the channel was found disconnected.
                let _ = executor.join();
                return;
            }
        }
    }
}
