//! Blocks on their way from the node to the guest: planned in order, fetched in
//! any order, handed on in order; bounded in entries and in bytes.
//!
//! Bytes are set aside before a block is fetched, in the order of the chain, and
//! kept until it is handed on. So the bound holds while blocks are under way,
//! and the block that is due next never waits for room that later ones took.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::Receiver;
use metashrew_store::{BlockHash, BlockRef, Height};
use parking_lot::{Condvar, Mutex};

use crate::block::Header;
use crate::node::NodeError;
use crate::stop::Stop;

/// Bytes set aside for a block that is not there yet: no valid block of Bitcoin
/// has more. Where larger ones are met, the largest one met counts.
pub(crate) const RESERVED: usize = 4_000_000;

/// What comes out of the queue: blocks, and one end.
#[derive(Debug)]
pub(crate) enum Fetched {
    Block(FetchedBlock),
    End(FetchEnd),
}

/// A block that is whole and is what was asked for.
#[derive(Debug)]
pub(crate) struct FetchedBlock {
    /// Its chainwork is not known before it is seen on what it stands.
    pub(crate) block: BlockRef,
    pub(crate) bytes: Bytes,
    /// When the node was found to have it, if it was waited for.
    pub(crate) noticed: Option<Instant>,
    /// Its place in the queue, counted from the beginning.
    pub(crate) place: u64,
}

/// A block whose turn is still to come.
#[derive(Debug)]
pub(crate) struct Ahead {
    /// Its place in the queue, counted from the beginning.
    pub(crate) place: u64,
    pub(crate) height: Height,
    pub(crate) bytes: Bytes,
}

/// Why there are no more blocks.
#[derive(Debug)]
pub(crate) enum FetchEnd {
    /// The last block wanted.
    Exit,
    /// The node has no more.
    Tip,
    /// The node's chain is another, or a shorter one, than it was.
    Changed,
    /// The next block does not fit the one before.
    Unconnected(NodeError),
    Failed(NodeError),
}

/// A block to fetch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planned {
    pub(crate) height: Height,
    pub(crate) hash: BlockHash,
    /// See [`FetchedBlock::noticed`].
    pub(crate) noticed: Option<Instant>,
}

/// A block for one thread to fetch now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    /// Its place in the queue, counted from the beginning.
    pub(crate) place: u64,
    pub(crate) height: Height,
    pub(crate) hash: BlockHash,
    /// How often it was tried before.
    pub(crate) failures: u32,
}

/// Once closed, it takes and gives nothing more.
#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
    closed: Stop,
    max_entries: usize,
    max_bytes: usize,
}

#[derive(Debug)]
struct Inner {
    slots: VecDeque<Slot>,
    /// The place of the first slot.
    front: u64,
    /// Set aside for blocks under way, and taken by blocks that are there.
    bytes: usize,
    reserve: usize,
    /// What comes after the last slot.
    end: Option<FetchEnd>,
    /// Nothing is planned any more.
    ended: bool,
    closed: bool,
}

#[derive(Debug)]
struct Slot {
    planned: Planned,
    failures: u32,
    /// Its part of the bytes.
    held: usize,
    /// Whether a scout was given it.
    scouted: bool,
    state: SlotState,
}

#[derive(Debug)]
enum SlotState {
    /// Nobody fetches it, and nobody shall before that instant.
    Idle(Option<Instant>),
    /// A thread fetches it.
    UnderWay,
    There {
        header: Header,
        bytes: Bytes,
    },
}

impl Queue {
    pub(crate) fn new(max_entries: usize, max_bytes: usize) -> Self {
        let inner = Inner {
            slots: VecDeque::new(),
            front: 0,
            bytes: 0,
            reserve: RESERVED,
            end: None,
            ended: false,
            closed: false,
        };
        Self {
            inner: Mutex::new(inner),
            changed: Condvar::new(),
            closed: Stop::new(),
            max_entries: max_entries.max(1),
            max_bytes,
        }
    }

    /// Waits for room, then adds a block to fetch. Answers false if nothing more
    /// is wanted.
    pub(crate) fn plan(&self, planned: Planned) -> bool {
        let mut inner = self.inner.lock();
        while !inner.ended && inner.slots.len() >= self.max_entries {
            self.changed.wait(&mut inner);
        }
        if inner.ended {
            return false;
        }
        inner.slots.push_back(Slot {
            planned,
            failures: 0,
            held: 0,
            scouted: false,
            state: SlotState::Idle(None),
        });
        self.changed.notify_all();
        true
    }

    /// Says what comes after the last block planned.
    pub(crate) fn finish(&self, end: FetchEnd) {
        let mut inner = self.inner.lock();
        if !inner.ended {
            inner.ended = true;
            inner.end = Some(end);
            self.changed.notify_all();
        }
    }

    /// Waits for a block to fetch: the first in the order of the chain that
    /// nobody fetches, that is not to be left alone for a while, and for which
    /// there is room. None if closed.
    pub(crate) fn take(&self) -> Option<Job> {
        let mut inner = self.inner.lock();
        loop {
            if inner.closed {
                return None;
            }
            match inner.take(self.max_bytes, Instant::now()) {
                Ok(job) => return Some(job),
                Err(Some(next)) => drop(self.changed.wait_until(&mut inner, next)),
                Err(None) => self.changed.wait(&mut inner),
            }
        }
    }

    /// The block of a job is there.
    pub(crate) fn fill(&self, job: &Job, header: Header, bytes: Bytes) {
        let mut inner = self.inner.lock();
        let length = bytes.len();
        inner.reserve = inner.reserve.max(length);
        let Some(slot) = inner.slot(job.place) else {
            return;
        };
        slot.state = SlotState::There { header, bytes };
        let held = std::mem::replace(&mut slot.held, length);
        inner.bytes = inner.bytes - held + length;
        self.changed.notify_all();
    }

    /// The block of a job could not be had; it is to be tried again after a pause.
    pub(crate) fn put_back(&self, job: &Job, pause: Duration) {
        let mut inner = self.inner.lock();
        let Some(slot) = inner.slot(job.place) else {
            return;
        };
        slot.failures = slot.failures.saturating_add(1);
        slot.state = SlotState::Idle(Some(Instant::now() + pause));
        self.changed.notify_all();
    }

    /// Drops a job's block and all after it; instead of them comes the end.
    pub(crate) fn cut(&self, job: &Job, end: FetchEnd) {
        let mut inner = self.inner.lock();
        let Some(index) = inner.index(job.place) else {
            return;
        };
        let dropped: usize = inner.slots.drain(index..).map(|slot| slot.held).sum();
        inner.bytes -= dropped;
        inner.ended = true;
        inner.end = Some(end);
        self.changed.notify_all();
    }

    /// Waits for the next block in order, or the end. None if closed.
    pub(crate) fn pop(&self) -> Option<Fetched> {
        let mut inner = self.inner.lock();
        loop {
            if inner.closed {
                return None;
            }
            if let Some(block) = inner.pop() {
                self.changed.notify_all();
                return Some(Fetched::Block(block));
            }
            if inner.slots.is_empty()
                && let Some(end) = inner.end.take()
            {
                return Some(Fetched::End(end));
            }
            self.changed.wait(&mut inner);
        }
    }

    /// Waits for a block whose turn is still to come, among as many of the next ones as
    /// `lookahead` says: the first that was not given out before. It stays in the queue.
    /// None if closed, or once `lookahead` is none: see [`wake`](Self::wake).
    pub(crate) fn take_ahead(&self, lookahead: impl Fn() -> Option<usize>) -> Option<Ahead> {
        let mut inner = self.inner.lock();
        while !inner.closed {
            if let Some(ahead) = inner.take_ahead(lookahead()?) {
                return Some(ahead);
            }
            self.changed.wait(&mut inner);
        }
        None
    }

    /// Has those who wait look again.
    pub(crate) fn wake(&self) {
        let _inner = self.inner.lock();
        self.changed.notify_all();
    }

    /// Whether the next block is there.
    pub(crate) fn has_ready(&self) -> bool {
        let inner = self.inner.lock();
        let next = inner.slots.front().map(|slot| &slot.state);
        matches!(next, Some(SlotState::There { .. }))
    }

    /// Ends the queue at once; what is in it is dropped.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.ended = true;
        inner.end = None;
        inner.slots.clear();
        inner.bytes = 0;
        self.closed.request();
        self.changed.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.is_requested()
    }

    /// Waits until the queue is closed, or the time is over; answers whether it
    /// is closed.
    pub(crate) fn wait_closed(&self, timeout: Duration) -> bool {
        self.closed.wait(timeout)
    }

    /// Disconnected once the queue is closed.
    pub(crate) fn closed(&self) -> &Receiver<()> {
        self.closed.requested()
    }
}

impl Inner {
    /// The next job; or when there may be one, if time alone can tell.
    fn take(&mut self, max_bytes: usize, now: Instant) -> Result<Job, Option<Instant>> {
        let mut next: Option<Instant> = None;
        for (place, slot) in (self.front..).zip(&mut self.slots) {
            let SlotState::Idle(pause) = slot.state else {
                continue;
            };
            if let Some(until) = pause.filter(|until| *until > now) {
                next = Some(next.map_or(until, |next| next.min(until)));
                continue;
            }
            if slot.held == 0 {
                // A block larger than the whole queue may be alone in it.
                if self.bytes > 0 && self.bytes + self.reserve > max_bytes {
                    break;
                }
                slot.held = self.reserve;
                self.bytes += self.reserve;
            }
            slot.state = SlotState::UnderWay;
            return Ok(Job {
                place,
                height: slot.planned.height,
                hash: slot.planned.hash,
                failures: slot.failures,
            });
        }
        Err(next)
    }

    fn take_ahead(&mut self, lookahead: usize) -> Option<Ahead> {
        let slots = (self.front..).zip(&mut self.slots).take(lookahead);
        for (place, slot) in slots {
            if let SlotState::There { bytes, .. } = &slot.state
                && !slot.scouted
            {
                slot.scouted = true;
                return Some(Ahead {
                    place,
                    height: slot.planned.height,
                    bytes: bytes.clone(),
                });
            }
        }
        None
    }

    fn pop(&mut self) -> Option<FetchedBlock> {
        let SlotState::There { .. } = self.slots.front()?.state else {
            return None;
        };
        let slot = self.slots.pop_front()?;
        let place = self.front;
        self.front += 1;
        self.bytes -= slot.held;
        let SlotState::There { header, bytes } = slot.state else {
            return None;
        };
        Some(FetchedBlock {
            block: BlockRef {
                time: header.time,
                bits: header.bits,
                ..BlockRef::new(slot.planned.height, slot.planned.hash, header.parent)
            },
            bytes,
            noticed: slot.planned.noticed,
            place,
        })
    }

    fn index(&self, place: u64) -> Option<usize> {
        let index = usize::try_from(place.checked_sub(self.front)?).ok()?;
        (index < self.slots.len()).then_some(index)
    }

    fn slot(&mut self, place: u64) -> Option<&mut Slot> {
        let index = self.index(place)?;
        self.slots.get_mut(index)
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
