//! The guest's own floor: the same blocks once more, with each read answered from memory, no
//! commit, and nothing beside.
//!
//! Each block is run twice: once over the database for what it reads, which is recorded, and
//! once over that record alone, which is the run that counts. Both must write the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use cpu_time::ThreadTime;
use metashrew_runtime::{BlockRunner, Event, MetashrewRuntime, Observer, Refusal};
use metashrew_store::{BlockRecord, Overlay, State, Store, WriteError, WriteSet};
use metashrew_sync::{Node, Stop};

/// What the guest's own code took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Floor {
    /// For all blocks: processor time of the thread, where the system tells it.
    pub(super) time: Duration,
}

/// Runs the blocks from `first` to `last`, which are in the runtime's store, at the guest's
/// floor; `tell` hears how many are done. None if a stop was requested.
///
/// # Errors
/// If a block cannot be had, fails, or writes something else when its reads are answered from
/// their record.
pub(super) fn measure(
    runtime: &MetashrewRuntime,
    node: &dyn Node,
    (first, last): (u32, u32),
    stop: &Stop,
    tell: impl Fn(u32),
) -> Result<Option<Floor>> {
    let snapshot = runtime.store().snapshot();
    let empty = Store::in_memory();
    let (mut runner, mut time) = (runtime.block_runner(), Duration::ZERO);
    for height in first..=last {
        if stop.is_requested() {
            return Ok(None);
        }
        tell(height - first);
        let missing = || format!("block {height} cannot be run again");
        let record = snapshot.block(height)?.with_context(missing)?;
        let bytes = node.block(&record.hash).with_context(missing)?;
        let below = snapshot.below(height).with_context(missing)?.state;
        let (reads, writes) =
            runtime.observe_block(below, height, bytes.clone(), Recorder::default());
        let writes = writes.with_context(missing)?;
        let state = remembered(&empty, height, reads.reads);
        if height == first {
            // The first run pays for what later ones find made.
            run(
                &mut runtime.block_runner(),
                &record,
                state.clone(),
                bytes.clone(),
            )?;
        }
        let (spent, again) = run(&mut runner, &record, state, bytes)?;
        time += spent;
        ensure!(
            writes.sorted().eq(again.sorted()),
            "the guest wrote something else when it ran over block {height} again: what it writes depends on more than the block and what it reads"
        );
    }
    Ok(Some(Floor { time }))
}

fn run(
    runner: &mut BlockRunner,
    record: &BlockRecord,
    state: State,
    bytes: Bytes,
) -> Result<(Duration, WriteSet)> {
    let since = Clock::now();
    let writes = runner.process(state, &record.block_ref(), bytes);
    let spent = since.elapsed();
    let height = record.height;
    let writes = writes.with_context(|| format!("block {height} fails when it is run again"))?;
    Ok((spent, writes))
}

/// A state below the block at `height` that holds what the block reads, and nothing else.
fn remembered(empty: &Store, height: u32, reads: WriteSet) -> State {
    let Some(below) = height.checked_sub(1) else {
        // Nothing is below block 0.
        return empty.snapshot().latest();
    };
    reads.seal();
    let overlay = Overlay::default();
    overlay.push(below, Arc::new(reads));
    overlay.index();
    overlay.state(&empty.snapshot())
}

/// Keeps what a block reads. A block that reads more than a block may write is refused.
#[derive(Debug, Default)]
struct Recorder {
    reads: WriteSet,
}

impl Observer for Recorder {
    fn event(&mut self, event: Event<'_>) -> Result<(), Refusal> {
        let (Event::Read { key, value } | Event::Found { key, value, .. }) = event else {
            return Ok(());
        };
        // An absent key and an empty value are the same to a guest.
        if value.is_empty() || self.reads.get(key).is_some() {
            return Ok(());
        }
        Ok(self
            .reads
            .insert(key, value)
            .map_err(Box::<WriteError>::new)?)
    }
}

/// The thread's own time, if that can be had: what others do on the core is not the guest's.
enum Clock {
    Thread(ThreadTime),
    Wall(Instant),
}

impl Clock {
    fn now() -> Self {
        ThreadTime::try_now().map_or_else(|_| Self::Wall(Instant::now()), Self::Thread)
    }

    fn elapsed(&self) -> Duration {
        match self {
            Self::Thread(since) => since.try_elapsed().unwrap_or_default(),
            Self::Wall(since) => since.elapsed(),
        }
    }
}
