//! The caches of one guest, and what a call may find in them.
//!
//! A read goes through the *immediate* cache, the call's own, which holds what it
//! wrote; then the least recently used values of the *tiers*; then the host. A
//! value belongs to a state: that after a height in a view, that before one in
//! `_start`. So a view's reads are filed under its height, and what a block read
//! is of use to the next block only, once it was told what the block wrote.
//!
//! Two chains may have a block each at one height. Nothing here tells them apart:
//! the host lets the instances of a chain go when it rolls back, and gives
//! previews and pending blocks instances of their own.

use super::Bytes;
use super::range::OwnKeys;
use super::unflushed::Unflushed;
use crate::buffers;
use crate::host;
use foldhash::fast::FixedState;
use metashrew_support::lru_cache::{
    CacheAllocationMode, CacheKey, HeightPartitionedKey, PrefixCounts, Tiers,
};
use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `_start`.
    Index,
    /// A view.
    View,
    /// The guest's own exports call [`input`](crate::input) and do not say.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The SDK began it and will end it.
    Declared,
    /// It ends when the guest hands over an answer, or when the height changes.
    Open,
    Ended,
}

struct Call {
    kind: Kind,
    phase: Phase,
    /// The height of its input; without one, nothing it reads is kept.
    height: Option<u32>,
    /// How many answers were handed over before it.
    answers: u32,
}

/// Where a call's reads are kept.
enum Place {
    Main,
    Height(u32),
    Nowhere,
}

#[derive(Default)]
pub(super) struct Memory {
    pub(super) tiers: Tiers,
    /// Whether look-ups are counted by the beginnings of their keys.
    pub(super) counts_prefixes: bool,
    pub(super) prefixes: PrefixCounts,
    call: Call,
    /// What the call wrote, and read if the tiers did not take it.
    pub(super) own: HashMap<Bytes, Bytes, FixedState>,
    pub(super) own_keys: OwnKeys,
    unflushed: Unflushed,
    /// What the host was handed in this call.
    flushed: Vec<(Bytes, Bytes)>,
    /// Whether the host was handed more than that.
    bypassed: bool,
    /// The block whose state after it the main cache holds, with `flushed` on top.
    indexed: Option<u32>,
    /// What [`get_cache`](crate::get_cache) showed last, if nothing changed since.
    shown: Option<&'static HashMap<Bytes, Bytes>>,
}

impl Default for Call {
    fn default() -> Self {
        Self {
            kind: Kind::Unknown,
            phase: Phase::Ended,
            height: None,
            answers: 0,
        }
    }
}

impl Memory {
    pub(super) fn begin_declared(&mut self, kind: Kind, height: Option<u32>) {
        self.begin(kind, height);
        self.call.phase = Phase::Declared;
    }

    /// The guest looked at its input: another call, unless it is the same.
    pub(super) fn enter(&mut self, height: Option<u32>) {
        let same = self.call.height == height;
        let goes_on = match self.call.phase {
            Phase::Declared => same,
            Phase::Open => same && self.call.answers == buffers::answers(),
            Phase::Ended => false,
        };
        if !goes_on {
            self.begin(Kind::Unknown, height);
        }
    }

    /// The host has the writes of a whole block.
    pub(super) fn indexed(&mut self) {
        self.indexed = self.call.height;
    }

    pub(super) fn end(&mut self) {
        self.call.phase = Phase::Ended;
    }

    pub(super) fn begin_view(&mut self, height: Option<u32>) {
        self.begin(Kind::View, height);
    }

    /// What is read from here on belongs to no known state.
    pub(super) fn leave(&mut self) {
        self.begin(Kind::Unknown, None);
    }

    fn begin(&mut self, kind: Kind, height: Option<u32>) {
        let keeps_main = match kind {
            Kind::Index => self.indexed.is_some_and(|indexed| {
                height.is_some_and(|height| indexed.checked_add(1) == Some(height))
            }),
            Kind::Unknown => {
                self.call.kind == kind && height.is_some() && self.call.height == height
            }
            Kind::View => false,
        };
        self.settle();
        if !keeps_main {
            self.tiers.clear_main();
        }
        self.indexed = None;
        match kind {
            Kind::Index => self.tiers.set_mode(CacheAllocationMode::Indexer),
            // The guest's own exports keep the mode that they set themselves.
            Kind::Unknown if self.call.kind == kind => (),
            Kind::Unknown | Kind::View => self.tiers.set_mode(CacheAllocationMode::View),
        }
        self.call = Call {
            kind,
            phase: Phase::Open,
            height,
            answers: buffers::answers(),
        };
    }

    /// Takes a call's writes out of the immediate cache. What is kept for others
    /// is what the host has after it.
    fn settle(&mut self) {
        self.publish();
        if mem::take(&mut self.bypassed) {
            self.tiers.clear_main();
            self.tiers.clear_heights();
        }
        self.unflushed.take();
        if !self.own.is_empty() {
            self.own = HashMap::default();
        }
        self.own_keys = OwnKeys::default();
        self.shown = None;
    }

    /// Brings the tiers up to what was flushed.
    pub(super) fn publish(&mut self) {
        for (key, value) in mem::take(&mut self.flushed) {
            if self.call.kind == Kind::View {
                continue;
            }
            if let Some(height) = self.call.height {
                let key = key.clone();
                self.tiers
                    .remove_at_height(&HeightPartitionedKey { height, key });
            }
            if self.call.kind == Kind::Index {
                self.tiers.insert(CacheKey(key), value);
            } else {
                self.tiers.remove(&CacheKey(key));
            }
        }
    }

    pub(super) fn get(&mut self, key: Bytes) -> Bytes {
        self.resume();
        if let Some(value) = self.lookup(&key) {
            return value;
        }
        let value = Arc::new(host::read(&key));
        self.remember(key, &value);
        value
    }

    /// What is known of a key, by the immediate cache and the tiers.
    pub(super) fn lookup(&mut self, key: &Bytes) -> Option<Bytes> {
        let known = self.find(key);
        if self.counts_prefixes {
            self.prefixes.count(key, known.is_some());
        }
        known
    }

    fn find(&mut self, key: &Bytes) -> Option<Bytes> {
        if !self.own.is_empty()
            && let Some(value) = self.own.get(key)
        {
            self.tiers.count(true);
            return Some(value.clone());
        }
        let key = key.clone();
        match self.place() {
            Place::Main => self.tiers.get(&CacheKey(key)),
            Place::Height(height) => self
                .tiers
                .get_at_height(&HeightPartitionedKey { height, key }),
            Place::Nowhere => {
                self.tiers.count(false);
                None
            }
        }
    }

    /// Keeps what the host answered.
    pub(super) fn remember(&mut self, key: Bytes, value: &Bytes) {
        let kept = match self.place() {
            Place::Main => self.tiers.insert(CacheKey(key.clone()), value.clone()),
            Place::Height(height) => {
                let key = key.clone();
                let key = HeightPartitionedKey { height, key };
                self.tiers.insert_at_height(key, value.clone())
            }
            Place::Nowhere => return,
        };
        self.was_read(key, value, kept);
    }

    fn was_read(&mut self, key: Bytes, value: &Bytes, kept: bool) {
        self.shown = None;
        // Where the SDK sees the call end, the call can keep for itself what the
        // tiers have no room for.
        if !kept && self.call.phase == Phase::Declared {
            self.own.insert(key, value.clone());
        }
    }

    pub(super) fn set(&mut self, key: Bytes, value: Bytes) {
        self.resume();
        self.shown = None;
        self.unflushed.insert(&key);
        self.own_keys.insert(&key);
        self.own.insert(key, value);
    }

    pub(super) fn flush(&mut self) {
        let keys = self.unflushed.take().into_iter();
        let pairs: Vec<_> = keys
            .filter_map(|key| {
                let value = self.own.get(&key)?.clone();
                Some((key, value))
            })
            .collect();
        host::hand_over(pairs.iter().map(as_slices));
        if self.flushed.is_empty() {
            self.flushed = pairs;
        } else {
            self.flushed.extend(pairs);
        }
    }

    pub(super) fn reset(&mut self) {
        self.unflushed.take();
    }

    pub(super) fn clear(&mut self) {
        let mut tiers = mem::take(&mut self.tiers);
        let mut prefixes = mem::take(&mut self.prefixes);
        tiers.clear();
        prefixes.clear();
        *self = Self {
            tiers,
            prefixes,
            counts_prefixes: self.counts_prefixes,
            ..Self::default()
        };
    }

    pub(super) fn bypassed(&mut self) {
        self.bypassed |= self.call.kind != Kind::View;
    }

    pub(super) fn shown(&mut self) -> &'static HashMap<Bytes, Bytes> {
        if let Some(shown) = self.shown {
            return shown;
        }
        let pair = |(key, value): (&Bytes, &Bytes)| (key.clone(), value.clone());
        let mut map: HashMap<Bytes, Bytes> = match self.place() {
            Place::Main => self.tiers.main_entries().map(pair).collect(),
            Place::Height(height) => self.tiers.entries_at_height(height).map(pair).collect(),
            Place::Nowhere => HashMap::default(),
        };
        map.extend(self.own.iter().map(pair));
        let map: &'static _ = Box::leak(Box::new(map));
        self.shown = Some(map);
        map
    }

    fn place(&self) -> Place {
        match (self.call.height, self.tiers.mode()) {
            (None, _) => Place::Nowhere,
            (Some(_), CacheAllocationMode::Indexer) => Place::Main,
            (Some(height), CacheAllocationMode::View) => Place::Height(height),
        }
    }

    /// An answer handed over ends the guest's own call: what follows, before a
    /// look at the input, is of a call at a height yet unknown.
    pub(super) fn resume(&mut self) {
        let ended = match self.call.phase {
            Phase::Declared => false,
            Phase::Open => self.call.answers != buffers::answers(),
            Phase::Ended => true,
        };
        if ended {
            self.begin(Kind::Unknown, None);
        }
    }
}

fn as_slices((key, value): &(Bytes, Bytes)) -> (&[u8], &[u8]) {
    (key, value)
}
