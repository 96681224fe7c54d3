//! What has left the shards: counted until it is dropped, and its memory with it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::{Mutex, MutexGuard};

use super::{Pool, Pooled};
use crate::view::key::Pin;
use crate::view::shard::Shard;
use crate::view::stats::DropReason;

/// So many instances at most are dropped by the call that finds them dead; more are left to
/// a thread of their own.
const DROPPED_AT_ONCE: usize = 2;

/// What is out of the shards and not dropped yet.
#[derive(Debug)]
pub(super) struct Leaving<T> {
    count: AtomicUsize,
    bytes: AtomicUsize,
    /// Of these, what nobody has begun to drop.
    dead: Mutex<Vec<T>>,
}

impl<T> Default for Leaving<T> {
    fn default() -> Self {
        Self {
            count: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            dead: Mutex::default(),
        }
    }
}

impl<T: Pooled> Leaving<T> {
    /// Whether anything is not dropped yet.
    pub(super) fn is_any(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }

    /// Bytes that will be free once all is dropped.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::SeqCst)
    }

    pub(super) fn add(&self, thing: &T) {
        self.bytes
            .fetch_add(thing.account().bytes(), Ordering::SeqCst);
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn next(&self) -> Option<T> {
        self.dead.lock().pop()
    }

    pub(super) fn drop(&self, thing: T) {
        // Before they are given back: counted twice, they would seem to be there for another
        // call, which would have idle instances go for nothing.
        let bytes = thing.account().bytes();
        self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        drop(thing);
        self.count.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<T: Pooled> Pool<T> {
    pub(super) fn drain(&self, reason: DropReason, unwanted: impl Fn(&Pin) -> bool) {
        let drain = |mut shard: MutexGuard<'_, Shard<T>>| {
            let drained = shard.drain(&unwanted);
            // Under the lock: who looks for memory finds it here or there, and a session that
            // finds no instance finds why.
            for idle in &drained {
                self.leaving.add(&idle.thing);
                idle.thing.gone(reason);
            }
            drained
        };
        let drained = self.all().flat_map(drain).map(|idle| idle.thing);
        self.drop_all(drained.collect(), reason);
    }

    /// Drops what a call held.
    pub(in crate::view) fn discard(&self, thing: T, reason: DropReason) {
        self.leaving.add(&thing);
        thing.gone(reason);
        self.drop_all(vec![thing], reason);
    }

    /// Drops what is gone and counted among the leaving ones already: at once, or, if it is much, on a
    /// thread of its own.
    fn drop_all(&self, dropped: Vec<T>, reason: DropReason) {
        if dropped.is_empty() {
            return;
        }
        self.count(|tally| dropped.iter().for_each(|_| tally.dropped.count(reason)));
        if dropped.len() <= DROPPED_AT_ONCE {
            for thing in dropped {
                self.leaving.drop(thing);
            }
            return;
        }
        self.leaving.dead.lock().extend(dropped);
        let pool = self.this.upgrade();
        let reaper = thread::Builder::new().name("view-reaper".to_owned());
        let begun = reaper.spawn(move || {
            if let Some(pool) = pool {
                pool.bury();
            }
        });
        if begun.is_err() {
            self.bury();
        }
    }

    /// Drops all that is dead.
    pub(super) fn bury(&self) {
        while let Some(dead) = self.leaving.next() {
            self.leaving.drop(dead);
        }
    }
}
