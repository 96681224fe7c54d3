//! Scouts of a round: threads that run the guest over blocks whose turn is still to come,
//! so that the executor finds what they read in the store's caches.
//!
//! A scout takes a block from the queue without taking it away, runs the guest on the state
//! as it is at that moment, and keeps nothing (see `metashrew_runtime::MetashrewRuntime::scout`).
//! No two take the same block, and none is at a block that the executor has begun. They end
//! with the round: as soon as the queue is closed, which a stop and another chain do. The
//! executor waits for none of them; all they share with it are two locks, held for as long
//! as it takes to copy some pointers.

mod cpu;
mod policy;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::Sender;
use metashrew_runtime::{MetashrewRuntime, ScoutControl};
use metashrew_store::State;
use parking_lot::Mutex;

use crate::indexer::Indexer;
use crate::options::ScoutCount;
use crate::progress::Progress;
use crate::queue::{Ahead, Queue};
use policy::{Policy, Sample};

pub(crate) use cpu::Meter;

/// Bytes that a value which was read takes in the read cache, about: only how far scouts
/// run ahead follows from it.
const TYPICAL_FACT_BYTES: u64 = 400;

/// The part of the read cache that blocks ahead may fill.
const CACHE_PART: u64 = 2;

/// What the scouts of a round share with the executor.
struct Board {
    queue: Arc<Queue>,
    runtime: MetashrewRuntime,
    progress: Arc<Progress>,
    /// Scouts with this number and above end.
    wanted: AtomicUsize,
    /// How many of the next blocks they may be at.
    lookahead: AtomicUsize,
    work: Mutex<Work>,
}

#[derive(Default)]
struct Work {
    /// The state that the executor runs a block on.
    state: Option<State>,
    /// The place in the queue of the block that the executor began last.
    begun: Option<u64>,
    /// The places that scouts are at, and what ends each.
    running: Vec<(u64, Arc<AtomicBool>)>,
}

/// The executor's end.
pub(crate) struct Scouts {
    board: Arc<Board>,
    threads: Vec<Option<JoinHandle<()>>>,
    /// None if their number is fixed.
    policy: Option<Policy>,
    /// How much a block reads, of late.
    reads: u64,
    meter: Meter,
    alive: Sender<Infallible>,
}

impl Scouts {
    /// Every scout holds on to `alive` for as long as it lives.
    pub(crate) fn new(indexer: &Indexer, queue: &Arc<Queue>, alive: Sender<Infallible>) -> Self {
        let (runtime, count) = (&indexer.runtime, indexer.options.scouts);
        let most = runtime.scout_options().instances;
        let board = Board {
            queue: Arc::clone(queue),
            runtime: runtime.clone(),
            progress: Arc::clone(&indexer.progress),
            wanted: AtomicUsize::new(0),
            lookahead: AtomicUsize::new(0),
            work: Mutex::default(),
        };
        let mut scouts = Self {
            board: Arc::new(board),
            threads: Vec::new(),
            policy: (count == ScoutCount::Auto && most > 0).then(|| Policy::new(most)),
            reads: 0,
            meter: Meter::default(),
            alive,
        };
        if let ScoutCount::Exactly(count) = count {
            scouts.set(count.min(most));
        }
        scouts
    }

    /// The executor begins the block at that place on `state`: a scout that is at it, or
    /// at one before, ends.
    pub(crate) fn begin(&mut self, place: u64, state: &State) {
        if self.policy.is_some() {
            self.meter.begin();
        }
        if self.count() == 0 {
            return;
        }
        let state = Some(state.clone());
        let before = {
            let mut work = self.board.work.lock();
            work.begun = Some(place);
            for (at, cancel) in &work.running {
                if *at <= place {
                    cancel.store(true, Ordering::Relaxed);
                }
            }
            std::mem::replace(&mut work.state, state)
        };
        // The engine may have work to do when a view goes.
        drop(before);
    }

    /// The executor is through with the block, and holds on to no state.
    pub(crate) fn end(&mut self) {
        if self.policy.is_some() {
            self.meter.end();
        }
        let state = self.board.work.lock().state.take();
        drop(state);
    }

    /// A block was executed, which made so many reads in so much time: decides whether
    /// scouts go on.
    pub(crate) fn executed(&mut self, reads: metashrew_runtime::BlockReads) {
        self.reads = (self.reads * 7 + reads.count) / 8;
        if let Some(policy) = &mut self.policy {
            let sample = Sample {
                reads: reads.count,
                read_time: reads.time,
                has_more: self.board.queue.has_ready(),
                ..self.meter.sample()
            };
            let wanted = policy.add(&sample);
            if wanted != self.count() {
                self.set(wanted);
            }
        }
        self.board
            .lookahead
            .store(self.lookahead(), Ordering::Relaxed);
    }

    fn count(&self) -> usize {
        self.board.wanted.load(Ordering::Relaxed)
    }

    /// Far enough that every scout has a block while others are done with theirs; not so
    /// far that what they found is gone from the cache before it is asked for.
    fn lookahead(&self) -> usize {
        let capacity = self.board.runtime.store().cache_stats().capacity_bytes;
        let most = self.count() * 2;
        let a_block = self.reads * TYPICAL_FACT_BYTES;
        if capacity == 0 || a_block == 0 {
            return most;
        }
        let fits = capacity / CACHE_PART / a_block;
        usize::try_from(fits)
            .unwrap_or(usize::MAX)
            .clamp(1, most.max(1))
    }

    /// Starts or ends scouts until there are so many.
    fn set(&mut self, count: usize) {
        let before = self.board.wanted.swap(count, Ordering::Relaxed);
        self.board
            .lookahead
            .store(self.lookahead(), Ordering::Relaxed);
        self.board.progress.set_scouts(count);
        tracing::debug!(before, count, "scouts that read ahead");
        if count < before {
            if count == 0 {
                self.board.cancel_all();
            }
            self.board.queue.wake();
            return;
        }
        self.threads
            .resize_with(count.max(self.threads.len()), || None);
        for (number, thread) in self.threads.iter_mut().enumerate().take(count) {
            if thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
                continue;
            }
            let scout = Scout {
                board: Arc::clone(&self.board),
                number,
                _alive: self.alive.clone(),
            };
            let spawned = thread::Builder::new()
                .name(format!("metashrew-scout-{number}"))
                .spawn(move || scout.run());
            match spawned {
                Ok(started) => *thread = Some(started),
                Err(error) => tracing::debug!("a scout cannot be started: {error}"),
            }
        }
    }
}

impl Drop for Scouts {
    fn drop(&mut self) {
        self.board.wanted.store(0, Ordering::Relaxed);
        self.board.cancel_all();
        self.board.queue.wake();
        self.board.progress.set_scouts(0);
        self.end();
    }
}

impl Board {
    fn cancel_all(&self) {
        for (_, cancel) in &self.work.lock().running {
            cancel.store(true, Ordering::Relaxed);
        }
    }

    fn wants(&self, scout: usize) -> bool {
        scout < self.wanted.load(Ordering::Relaxed)
    }

    /// Notes that a scout is at the block at that place; false if the executor was quicker,
    /// or the scout was sent home since it took the block.
    fn begin(&self, scout: usize, place: u64, cancel: &Arc<AtomicBool>) -> bool {
        let mut work = self.work.lock();
        // Looked at under the lock: whoever sends all home ends what they run after that.
        let may_begin = self.wants(scout) && work.begun.is_none_or(|begun| place > begun);
        if may_begin {
            work.running.push((place, Arc::clone(cancel)));
        }
        may_begin
    }

    /// The state that the executor runs its block on; or the committed one, where that is
    /// as new, or the executor is between two blocks.
    fn state(&self) -> State {
        let committed = self.runtime.store().snapshot().latest();
        let executed = self.work.lock().state.clone();
        match executed {
            Some(executed) if executed.height() > committed.height() => executed,
            _ => committed,
        }
    }

    fn end(&self, place: u64) {
        self.work.lock().running.retain(|(at, _)| *at != place);
    }
}

/// One scout.
struct Scout {
    board: Arc<Board>,
    number: usize,
    _alive: Sender<Infallible>,
}

impl Scout {
    fn run(self) {
        cpu::lower_priority();
        let board = &self.board;
        let lookahead = || {
            board
                .wants(self.number)
                .then(|| board.lookahead.load(Ordering::Relaxed))
        };
        while let Some(ahead) = board.queue.take_ahead(lookahead) {
            self.scout(ahead);
        }
    }

    fn scout(&self, ahead: Ahead) {
        let board = &self.board;
        let cancel = Arc::new(AtomicBool::new(false));
        if !board.begin(self.number, ahead.place, &cancel) {
            return;
        }
        let control: Arc<dyn ScoutControl> = Arc::new(Control {
            board: Arc::clone(board),
            cancel,
        });
        let scouted = board.runtime.scout(ahead.height, ahead.bytes, &control);
        board.end(ahead.place);
        board.progress.count_scouted(scouted);
        tracing::trace!(height = ahead.height, ?scouted, "a block was scouted");
    }
}

/// What a scout at a block goes by.
struct Control {
    board: Arc<Board>,
    cancel: Arc<AtomicBool>,
}

impl ScoutControl for Control {
    fn state(&self) -> State {
        self.board.state()
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed) || self.board.queue.is_closed()
    }
}
