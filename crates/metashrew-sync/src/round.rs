//! One run along a chain: blocks are planned, fetched, processed, each on threads
//! of their own, and committed here, until there is an end or another chain.

use std::convert::Infallible;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use metashrew_runtime::BlockRunner;
use metashrew_store::Overlay;

use crate::commit::Committed;
use crate::error::IndexError;
use crate::execute::{Executed, Executor};
use crate::fetch::{Blocks, Fetcher, Start};
use crate::indexer::{IndexEnd, Indexer, Turn};
use crate::network::Network;
use crate::plan::Planner;
use crate::queue::{FetchEnd, Queue};
use crate::scouts::Scouts;
use crate::seal::Sealer;
use crate::stop::Stop;
use crate::targets::Targets;
use crate::timing::BlockTiming;
use crate::wakeups::Wakeups;

/// How soon a stop is noticed at the latest.
const TICK: Duration = Duration::from_millis(50);
/// Blocks are committed together until their writes take so much. More would save next to
/// nothing, and whoever waits for a commit would wait for all of them.
const COMMIT_BYTES: usize = 16 << 20;

/// The committing end.
pub(crate) struct Round<'a> {
    indexer: &'a Indexer,
    stop: &'a Stop,
    queue: Arc<Queue>,
    executor: JoinHandle<()>,
    executed: Receiver<Executed>,
    committed: Sender<()>,
    /// Disconnected once no scout lives.
    scouts: Receiver<Infallible>,
    closing: Closing,
}

/// Closes the queue when the round is over, however it ends.
struct Closing(Arc<Queue>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<'a> Round<'a> {
    pub(crate) fn start(
        indexer: &'a Indexer,
        (network, start): (Option<Network>, Start),
        wakeups: Wakeups,
        stop: &'a Stop,
    ) -> Result<Self, IndexError> {
        let options = indexer.options;
        let snapshot = indexer.runtime.store().snapshot();
        let targets = Targets::indexed(network, start.height, &snapshot)?;
        drop(snapshot);
        let queue = Arc::new(Queue::new(
            options.max_fetched_blocks,
            options.max_fetched_bytes,
        ));
        // From here on, whatever fails ends the threads started before.
        let closing = Closing(Arc::clone(&queue));
        let planner = Planner {
            node: Arc::clone(&indexer.node),
            queue: Arc::clone(&queue),
            progress: Arc::clone(&indexer.progress),
            options,
            wakeups,
            next: start,
            seen_in: None,
            woken: None,
            has_planned: false,
        };
        spawn("asks for the chain", "metashrew-plan", move || {
            planner.run();
        })?;
        for _ in 0..options.fetch_threads.max(1) {
            let fetcher = Fetcher {
                node: Arc::clone(&indexer.node),
                network,
                queue: Arc::clone(&queue),
                progress: Arc::clone(&indexer.progress),
                backoff: options.backoff,
            };
            spawn("fetches blocks", "metashrew-fetch", move || fetcher.run())?;
        }
        let uncommitted = Overlay::default();
        let (executed_sender, executed) =
            Sealer::spawn(&uncommitted, &indexer.runtime.store().snapshot())?;
        // One token is enough to say that something was committed.
        let (committed, committed_receiver) = crossbeam_channel::bounded(1);
        let (alive, scouts) = crossbeam_channel::bounded(0);
        let executor = Executor {
            scouts: Scouts::new(indexer, &queue, alive),
            runner: runner(indexer, stop),
            runtime: indexer.runtime.clone(),
            blocks: Blocks::new(
                Arc::clone(&queue),
                Arc::clone(&indexer.node),
                &start,
                targets,
            ),
            queue: Arc::clone(&queue),
            executed: executed_sender,
            committed: committed_receiver,
            progress: Arc::clone(&indexer.progress),
            stop: stop.clone(),
            options,
            uncommitted,
            timing: BlockTiming::default(),
        };
        let executor = spawn("processes blocks", "metashrew-index", move || {
            executor.run();
        })?;
        Ok(Self {
            indexer,
            stop,
            queue,
            executor,
            executed,
            committed,
            scouts,
            closing,
        })
    }

    pub(crate) fn run(self) -> Result<Turn, IndexError> {
        let result = self.commit_all();
        let grace = if self.stop.is_requested() {
            Duration::ZERO
        } else {
            self.indexer.options.stop_grace
        };
        drop(self.closing);
        // Lets an executor go that waits to hear of a commit.
        drop(self.committed);
        if join(self.executor, &self.executed, grace) {
            // They see that the queue is closed, and hold on to a state until they do.
            let _ = self.scouts.recv_timeout(self.indexer.options.stop_grace);
        }
        self.indexer.progress.forget_round();
        result
    }

    fn commit_all(&self) -> Result<Turn, IndexError> {
        loop {
            if self.stop.is_requested() {
                return self.finish();
            }
            match self.wait() {
                Ok(executed) => {
                    if let Some(end) = self.take(executed)? {
                        return end;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) if self.stop.is_requested() => {
                    return Ok(Turn::End(IndexEnd::Stopped));
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

    /// Commits a block and those that were processed meanwhile, up to a bound; answers the
    /// end, if it is there.
    fn take(&self, executed: Executed) -> Result<Option<Result<Turn, IndexError>>, IndexError> {
        let mut blocks = Vec::new();
        let mut bytes = 0;
        let mut end = None;
        for executed in std::iter::once(executed).chain(self.executed.try_iter()) {
            match executed {
                Executed::Block(block) => {
                    bytes += block.writes.bytes();
                    blocks.push(block);
                }
                Executed::End(fetched) => end = Some(turn(fetched)),
                Executed::Failed(error) => end = Some(Err(error)),
            }
            if bytes >= COMMIT_BYTES {
                break;
            }
        }
        match self.indexer.commit(&blocks, self.stop)? {
            Committed::All => {}
            Committed::Moved => return Ok(Some(Ok(Turn::Changed))),
            Committed::Stopped => return Ok(Some(Ok(Turn::End(IndexEnd::Stopped)))),
        }
        // The executor may be gone, or have been told and not looked yet.
        let _ = self.committed.try_send(());
        Ok(end)
    }

    /// After a request to stop: commits what was processed, and the block at
    /// hand too if it comes in time.
    fn finish(&self) -> Result<Turn, IndexError> {
        self.queue.close();
        let stopped = Ok(Turn::End(IndexEnd::Stopped));
        let deadline = Instant::now() + self.indexer.options.stop_grace;
        loop {
            match self.executed.recv_deadline(deadline) {
                Ok(executed) => match self.take(executed)? {
                    Some(Err(error)) => return Err(error),
                    Some(Ok(Turn::End(IndexEnd::Stopped))) => return stopped,
                    _ => {}
                },
                Err(RecvTimeoutError::Disconnected) => return stopped,
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(running) = self.indexer.progress.running() {
                        let (height, hash) = (running.height, running.hash);
                        tracing::warn!(height, %hash, "stopping without the block at hand, which is not done yet");
                    }
                    return stopped;
                }
            }
        }
    }
}

/// Runs blocks until a stop, as far as they can be interrupted.
fn runner(indexer: &Indexer, stop: &Stop) -> BlockRunner {
    let stop = stop.clone();
    let runner = indexer.runtime.block_runner();
    runner.stopped_by(move || stop.is_requested())
}

fn turn(end: FetchEnd) -> Result<Turn, IndexError> {
    Ok(match end {
        FetchEnd::Exit => Turn::End(IndexEnd::Exit),
        FetchEnd::Tip => Turn::End(IndexEnd::Tip),
        FetchEnd::Changed => Turn::Changed,
        FetchEnd::Unconnected(error) => Turn::Unconnected(error),
        FetchEnd::Failed(error) => return Err(error.into()),
    })
}

pub(crate) fn spawn(
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
/// for longer than the grace is left alone, and the answer is false.
fn join(executor: JoinHandle<()>, executed: &Receiver<Executed>, grace: Duration) -> bool {
    let deadline = Instant::now() + grace;
    loop {
        match executed.recv_deadline(deadline) {
            // What comes after an end was never wanted.
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => return false,
            Err(RecvTimeoutError::Disconnected) => {
                // A panic was told of when the channel was found disconnected.
                let _ = executor.join();
                return true;
            }
        }
    }
}
