//! Runs the guest over one block after the other, on the state that the blocks
//! before leave, whether those are committed yet or not.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};
use metashrew_runtime::{BlockError, BlockRunner, HostFault, MetashrewRuntime};
use metashrew_store::{BlockRef, Overlay, State, WriteSet};

use crate::error::IndexError;
use crate::fetch::Blocks;
use crate::machine::WaitsFor;
use crate::options::IndexOptions;
use crate::progress::{Asked, Progress, Running, Span};
use crate::queue::{FetchEnd, Fetched, FetchedBlock, Queue};
use crate::scouts::Scouts;
use crate::stop::Stop;
use crate::timing::BlockTiming;

/// What comes out of the executor: blocks to commit, and one end, unless a stop
/// was requested or the queue of blocks was closed.
pub(crate) enum Executed {
    Block(Processed),
    End(FetchEnd),
    Failed(IndexError),
}

/// A block that the guest has processed.
pub(crate) struct Processed {
    pub(crate) block: BlockRef,
    pub(crate) writes: Arc<WriteSet>,
    /// Bytes of the block.
    pub(crate) bytes: usize,
    pub(crate) timing: BlockTiming,
    /// See [`FetchedBlock::noticed`].
    pub(crate) noticed: Option<Instant>,
}

pub(crate) struct Executor {
    pub(crate) runtime: MetashrewRuntime,
    /// Has the guest's memory, if that is kept from one block to the next.
    pub(crate) runner: BlockRunner,
    pub(crate) blocks: Blocks,
    pub(crate) queue: Arc<Queue>,
    pub(crate) executed: Sender<Executed>,
    /// Says that something was committed.
    pub(crate) committed: Receiver<()>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) stop: Stop,
    pub(crate) options: IndexOptions,
    pub(crate) scouts: Scouts,
    /// The blocks above the store's tip.
    pub(crate) uncommitted: Overlay,
    /// The times of the block at hand.
    pub(crate) timing: BlockTiming,
}

impl Executor {
    /// Processes blocks until there is an end, a stop is requested, or the queue
    /// is closed.
    pub(crate) fn run(mut self) {
        while !self.stop.is_requested() {
            let waiting = Instant::now();
            let fetched = self.blocks.next();
            self.timing = BlockTiming {
                waiting: self.progress.spend(Span::Waiting, waiting),
                ..BlockTiming::default()
            };
            let result = match fetched {
                None => return,
                Some(Fetched::End(end)) => Executed::End(end),
                Some(Fetched::Block(fetched)) => match self.process(&fetched) {
                    None => return,
                    Some(Ok(processed)) => Executed::Block(processed),
                    Some(Err(error)) => Executed::Failed(error),
                },
            };
            let ended = !matches!(result, Executed::Block(_));
            if self.executed.send(result).is_err() || ended {
                return;
            }
        }
    }

    /// None if nobody wants the block any more.
    fn process(&mut self, fetched: &FetchedBlock) -> Option<Result<Processed, IndexError>> {
        let (height, hash) = (fetched.block.height, fetched.block.hash);
        let mut tries = 0_u32;
        let reads = self.runtime.block_reads();
        loop {
            let result = self.try_once(fetched)?;
            tries = tries.saturating_add(1);
            let source = match result {
                Ok(writes) => {
                    self.progress.answered(Asked::Execution);
                    let reads = self.runtime.block_reads() - reads;
                    self.scouts.executed(reads);
                    let writes = Arc::new(writes);
                    let timing = BlockTiming {
                        height,
                        bytes: fetched.bytes.len() as u64,
                        keys: writes.len() as u64,
                        reads,
                        ..self.timing
                    };
                    self.uncommitted.push(height, Arc::clone(&writes));
                    return Some(Ok(Processed {
                        block: fetched.block,
                        writes,
                        bytes: fetched.bytes.len(),
                        timing,
                        noticed: fetched.noticed,
                    }));
                }
                Err(BlockError::Guest(source)) => {
                    return Some(Err(IndexError::Guest {
                        height,
                        hash,
                        source,
                    }));
                }
                Err(BlockError::Host(source)) => source,
            };
            if matches!(source, HostFault::TimedOut { .. }) && self.stop.is_requested() {
                return None;
            }
            let bounded = matches!(source, HostFault::Panic(_));
            let error = IndexError::Host {
                height,
                hash,
                tries,
                source,
            };
            let waits_for = error.waits_for();
            let gives_up = waits_for.is_none() && !(bounded && tries <= self.options.host_retries);
            if gives_up {
                return Some(Err(error));
            }
            let pause = self.options.backoff.pause(tries);
            let waits_for = waits_for.unwrap_or(WaitsFor::Machine);
            self.progress
                .machine_failed(Asked::Execution, waits_for, &error, Some(pause));
            if self.queue.wait_closed(pause) {
                return None;
            }
        }
    }

    /// Runs the guest over the block, on the state as it then is: nothing is held on
    /// to between two tries. None if nothing more will be committed.
    fn try_once(&mut self, fetched: &FetchedBlock) -> Option<Result<WriteSet, BlockError>> {
        let state = self.state()?;
        let since = Instant::now();
        self.progress.set_running(Some(Running {
            height: fetched.block.height,
            hash: fetched.block.hash,
            since,
        }));
        let bytes = fetched.bytes.clone();
        self.scouts.begin(fetched.place, &state);
        let result = self.runner.process(state, &fetched.block, bytes);
        self.scouts.end();
        self.progress.set_running(None);
        self.timing.executing += self.progress.spend(Span::Executing, since);
        Some(result)
    }

    /// The state to run the next block on, once there is room for its writes.
    /// None if nothing more will be committed.
    fn state(&mut self) -> Option<State> {
        let stalled = Instant::now();
        loop {
            let snapshot = self.runtime.store().snapshot();
            self.uncommitted.prune(snapshot.tip().map(|tip| tip.height));
            if self.has_room() {
                self.timing.stalled += self.progress.spend(Span::Stalled, stalled);
                return Some(self.uncommitted.state(&snapshot));
            }
            drop(snapshot);
            self.committed.recv().ok()?;
        }
    }

    fn has_room(&self) -> bool {
        let blocks = self.uncommitted.len();
        blocks == 0
            || (blocks < self.options.max_uncommitted_blocks
                && self.uncommitted.bytes() < self.options.max_uncommitted_bytes)
    }
}
