//! What the guest logged while blocks were indexed, by block, for as long as there is room.
//!
//! Only blocks that are run to be committed are here: no views, previews, pending blocks or
//! scouts. Nothing of it is stored: what ran before this process is not known.

mod lines;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use metashrew_store::{BlockHash, BlockRef, Height};
use parking_lot::Mutex;

use lines::Lines;
pub use lines::LogLine;

/// Memory that a block takes besides its lines, in bytes: its entry in both maps, rounded up.
const BLOCK_OVERHEAD: usize = 512;

/// How much of what guests log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// Bytes of memory for all blocks together; the blocks that ran first go first. 0 keeps nothing.
    /// Default: 16 MiB.
    pub memory: usize,
    /// Bytes of these for one block. Of one that logs more, the first lines and the last ones are
    /// kept, in half of it each. Default: 1 MiB.
    pub block_memory: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            memory: 16 << 20,
            block_memory: 1 << 20,
        }
    }
}

/// How the run of a block went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockRun {
    /// The guest is at it.
    Running,
    /// It came to its end.
    Processed,
    /// It trapped, aborted or broke the rules, or the machine failed.
    Failed,
}

impl BlockRun {
    /// A fixed word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Processed => "processed",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for BlockRun {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What the guest logged at one block, the last time that it ran over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockLogs {
    /// The block.
    pub block: BlockRef,
    /// How that run went, or goes.
    pub run: BlockRun,
    /// Lines that it logged, kept or not.
    pub logged: u64,
    /// Of these, how many are not kept, for want of room.
    pub dropped: u64,
    /// Lines from the one asked for on, as many as were asked for.
    pub lines: Vec<LogLine>,
    /// The number of the next line that is kept; none if there is none.
    pub next: Option<u64>,
}

/// Which of a block's lines are wanted. They are numbered from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRange {
    /// The first one; if negative, so many from the end.
    pub from: i64,
    /// So many at most.
    pub lines: usize,
    /// Bytes of text at most, but one line in any case.
    pub bytes: usize,
}

/// What is kept, in figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogCounts {
    /// Lines that guests logged since the start, while blocks were indexed.
    pub logged: u64,
    /// Of these, how many are kept no longer, or never were.
    pub dropped: u64,
    /// Blocks that are known.
    pub blocks: usize,
    /// Memory that they take, in bytes.
    pub bytes: usize,
    /// How much that may be.
    pub limit: usize,
}

/// What the guest logged, by block. Clones share it.
#[derive(Debug, Clone)]
pub struct GuestLogs {
    shared: Arc<Mutex<Shared>>,
    options: LogOptions,
}

#[derive(Debug, Default)]
struct Shared {
    /// By when they ran, the last one last.
    runs: BTreeMap<u64, Run>,
    by_hash: HashMap<BlockHash, u64>,
    next: u64,
    /// Memory of all runs.
    bytes: usize,
    logged: u64,
    dropped: u64,
    /// The lowest block that ran.
    lowest: Option<Height>,
    /// The highest block whose lines went for those of others.
    evicted: Option<Height>,
}

/// The last run over a block. A clone shares its lines as they are now.
#[derive(Debug, Clone)]
struct Run {
    block: BlockRef,
    /// The store's when it began: a rollback begins another.
    generation: u64,
    state: BlockRun,
    lines: Arc<Lines>,
}

impl Run {
    fn bytes(&self) -> usize {
        BLOCK_OVERHEAD + self.lines.capacity()
    }
}

/// What is known of a block's lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogsFound {
    /// What was logged.
    Kept(BlockLogs),
    /// The block ran since the start and logged nothing.
    Silent,
    /// It did not run since the start, or its lines went for those of later blocks.
    NotKept,
}

impl GuestLogs {
    pub(crate) fn new(options: LogOptions) -> Self {
        Self {
            shared: Arc::default(),
            options,
        }
    }

    /// The guest begins to run over a block: what it logged in an earlier run is forgotten.
    pub(crate) fn begin(&self, block: &BlockRef, generation: u64) -> Option<RunLog> {
        let LogOptions {
            memory,
            block_memory,
        } = self.options;
        let room = block_memory.min(memory.checked_sub(BLOCK_OVERHEAD)?);
        let mut shared = self.shared.lock();
        shared.forget_silent();
        if let Some(before) = shared.by_hash.get(&block.hash).copied()
            && let Some(before) = shared.remove(before)
        {
            shared.dropped += before.lines.kept();
        }
        let lowest = shared.lowest.unwrap_or(block.height);
        shared.lowest = Some(lowest.min(block.height));
        let number = shared.next;
        shared.next += 1;
        let run = Run {
            block: *block,
            generation,
            state: BlockRun::Running,
            lines: Arc::new(Lines::new(room)),
        };
        shared.bytes += run.bytes();
        shared.by_hash.insert(block.hash, number);
        shared.runs.insert(number, run);
        shared.make_room(memory, number);
        drop(shared);
        Some(RunLog {
            logs: self.clone(),
            number,
            ended: false,
        })
    }

    /// What is known of the lines of the block `hash`. `height` is where it is in the chain, if it
    /// is there.
    pub fn of(&self, hash: &BlockHash, height: Option<Height>, range: &LogRange) -> LogsFound {
        let shared = self.shared.lock();
        let run = shared.by_hash.get(hash).and_then(|at| shared.runs.get(at));
        let has_seen = || height.is_some_and(|height| shared.has_seen(height));
        match run.cloned() {
            Some(run) => {
                // The guest, which logs, waits for nobody who reads.
                drop(shared);
                LogsFound::Kept(run.read(range))
            }
            None if has_seen() => LogsFound::Silent,
            None => LogsFound::NotKept,
        }
    }

    /// The block with this hash, if something is known of its last run.
    pub fn block(&self, hash: &BlockHash) -> Option<BlockRef> {
        let shared = self.shared.lock();
        let run = shared.runs.get(shared.by_hash.get(hash)?)?;
        Some(run.block)
    }

    /// The block that ran last, or runs now.
    pub fn last(&self) -> Option<BlockRef> {
        let shared = self.shared.lock();
        shared.runs.values().next_back().map(|run| run.block)
    }

    /// The block at `height` that ran last on the chain of this `generation` of the store, above
    /// its last committed block.
    pub fn above_tip(&self, height: Height, generation: u64) -> Option<BlockRef> {
        let shared = self.shared.lock();
        let mut runs = shared.runs.values().rev();
        let run = runs.find(|run| run.block.height <= height)?;
        let is_of_it = run.block.height == height && run.generation == generation;
        is_of_it.then_some(run.block)
    }

    /// What is kept, in figures.
    pub fn counts(&self) -> LogCounts {
        let shared = self.shared.lock();
        LogCounts {
            logged: shared.logged,
            dropped: shared.dropped,
            blocks: shared.runs.len(),
            bytes: shared.bytes,
            limit: self.options.memory,
        }
    }
}

impl Shared {
    /// Whether the block of the chain at `height` ran since the start, and nothing of it went.
    fn has_seen(&self, height: Height) -> bool {
        let ran = self.lowest.is_some_and(|lowest| lowest <= height);
        ran && self.evicted.is_none_or(|evicted| evicted < height)
    }

    /// Lets the last run go if it logged nothing: that need not be noted.
    fn forget_silent(&mut self) {
        let last = self.runs.last_key_value();
        let silent =
            last.filter(|(_, run)| run.state == BlockRun::Processed && run.lines.logged() == 0);
        if let Some(number) = silent.map(|(number, _)| *number) {
            self.remove(number);
        }
    }

    fn remove(&mut self, number: u64) -> Option<Run> {
        let run = self.runs.remove(&number)?;
        self.bytes -= run.bytes();
        if self.by_hash.get(&run.block.hash) == Some(&number) {
            self.by_hash.remove(&run.block.hash);
        }
        Some(run)
    }

    /// Lets the runs go that are older than `kept`, the first ones first, until all takes no
    /// more than `limit`.
    fn make_room(&mut self, limit: usize, kept: u64) {
        while self.bytes > limit
            && let Some((&first, _)) = self.runs.first_key_value()
            && first != kept
            && let Some(run) = self.remove(first)
        {
            self.dropped += run.lines.kept();
            let evicted = self.evicted.unwrap_or(run.block.height);
            self.evicted = Some(evicted.max(run.block.height));
        }
    }
}

impl Run {
    fn read(&self, range: &LogRange) -> BlockLogs {
        let (lines, next) = self.lines.read(range);
        BlockLogs {
            block: self.block,
            run: self.state,
            logged: self.lines.logged(),
            dropped: self.lines.logged() - self.lines.kept(),
            lines,
            next,
        }
    }
}

/// Takes what the guest logs in one run over a block. If that does not end well, it ends as failed.
#[derive(Debug)]
pub(crate) struct RunLog {
    logs: GuestLogs,
    number: u64,
    ended: bool,
}

impl RunLog {
    /// The guest logs a text.
    pub(crate) fn add(&self, text: &[u8]) {
        let mut shared = self.logs.shared.lock();
        let shared = &mut *shared;
        let Some(run) = shared.runs.get_mut(&self.number) else {
            return;
        };
        let (had, lines) = (run.bytes(), run.lines.kept());
        // Whoever reads them has them as they were: these are a copy then.
        Arc::make_mut(&mut run.lines).add(text);
        shared.bytes = shared.bytes - had + run.bytes();
        shared.logged += 1;
        shared.dropped += lines + 1 - run.lines.kept();
        shared.make_room(self.logs.options.memory, self.number);
    }

    /// The run came to its end. One that logged nothing takes no room any more once it is not the
    /// last one.
    pub(crate) fn processed(mut self) {
        self.end(BlockRun::Processed);
    }

    fn end(&mut self, state: BlockRun) {
        self.ended = true;
        let mut shared = self.logs.shared.lock();
        if let Some(run) = shared.runs.get_mut(&self.number) {
            run.state = state;
        }
    }
}

impl Drop for RunLog {
    fn drop(&mut self) {
        if !self.ended {
            self.end(BlockRun::Failed);
        }
    }
}

#[cfg(test)]
mod tests;
