//! The caches of one guest, and what a call may find in them.
//!
//! A read goes through what is the call's *own*: what it wrote, and what it read and
//! the tiers had no room for. Then come the least recently used values of the *tiers*,
//! then the host. A value belongs to a state: that after a height in a view, that
//! before one in `_start`. So a view's reads are filed under its height, and what a
//! block read is of use to the next block only, once it was told what the block wrote.
//!
//! Two chains may have a block each at one height. Nothing here tells them apart:
//! the host lets the instances of a chain go when it rolls back, and gives
//! previews and pending blocks instances of their own.

use super::Bytes;
use super::range::OwnKeys;
use crate::buffers;
use crate::call::{Input, Kind};
use crate::host;
use foldhash::fast::FixedState;
use metashrew_support::lru_cache::{
    CacheAllocationMode, CacheKey, HeightPartitionedKey, PrefixCounts, StateKey, Tiers,
};
use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

#[derive(Default)]
struct Call {
    /// What it is for; `None` if nobody said so.
    kind: Option<Kind>,
    /// Whether somebody says where the next one begins, so that this one can keep
    /// for itself what it read.
    bounded: bool,
    ended: bool,
    /// What it found when it looked at its input, if it did.
    input: Option<Input>,
    /// How many answers the guest had handed over when it last did; `None` after it
    /// said that its view ends.
    answers: Option<u32>,
}

/// A value that the call wrote, or read where the tiers did not take it.
pub(super) struct Own {
    pub(super) value: Bytes,
    /// Whether it waits to be flushed.
    waits: bool,
}

/// A key whose value is not here, and where it would be.
pub(super) enum Missed {
    /// Among the values that are kept for others.
    Tiers(StateKey),
    /// The call reads a state of which nothing is kept.
    Nowhere(Bytes),
}

impl Missed {
    pub(super) fn key(&self) -> &Bytes {
        match self {
            Self::Tiers(StateKey::Main(key)) => &key.0,
            Self::Tiers(StateKey::Height(key)) => &key.key,
            Self::Nowhere(key) => key,
        }
    }
}

#[derive(Default)]
pub(super) struct Memory {
    pub(super) tiers: Tiers,
    /// Whether look-ups are counted by the beginnings of their keys.
    pub(super) counts_prefixes: bool,
    pub(super) prefixes: PrefixCounts,
    call: Call,
    pub(super) own: HashMap<Bytes, Own, FixedState>,
    pub(super) own_keys: OwnKeys,
    /// The keys of `own` that wait, in the order of their first write.
    waiting: Vec<Bytes>,
    /// What the host was handed in this call and the tiers were not told.
    flushed: Vec<(Bytes, Bytes)>,
    /// Whether the tiers may hold what the host has no more.
    distrusted: bool,
    /// The calls, by kind and height, that find the main cache right.
    main_serves: Option<(Option<Kind>, u32)>,
    /// What [`get_cache`](crate::get_cache) showed last.
    shown: Option<&'static HashMap<Bytes, Bytes>>,
    /// Whether that may be something else by now.
    changed: bool,
}

impl Call {
    fn height(&self) -> Option<u32> {
        self.input?.height
    }

    /// The height whose state the call reads, if there is no doubt. After an answer
    /// the next call may have begun, where nobody says so.
    fn reads_at(&self) -> Option<u32> {
        let certain = self.bounded || self.answers == Some(buffers::answers());
        self.height().filter(|_| certain)
    }
}

impl Memory {
    /// Begins a call: what the last one wrote and did not flush is gone.
    pub(super) fn begin(&mut self, kind: Option<Kind>, bounded: bool) {
        self.settle();
        let last = mem::take(&mut self.call);
        self.main_serves = last.height().and_then(|height| match last.kind {
            Some(Kind::Index) => Some((last.kind, height.checked_add(1)?)),
            Some(Kind::View) => None,
            None => Some((None, height)),
        });
        match kind {
            Some(Kind::Index) => self.tiers.set_mode(CacheAllocationMode::Indexer),
            // Exports of which nobody says what they are keep the mode that they set.
            None if last.kind.is_none() => (),
            Some(Kind::View) | None => self.tiers.set_mode(CacheAllocationMode::View),
        }
        self.call.kind = kind;
        self.call.bounded = bounded;
    }

    pub(super) fn call_is_bounded(&self) -> bool {
        self.call.bounded && !self.call.ended
    }

    /// Whether an input is not that of the call under way.
    pub(super) fn is_another(&self, input: Input) -> bool {
        self.call.ended || self.call.input.is_some_and(|known| known != input)
    }

    /// The call under way has this input.
    pub(super) fn enter(&mut self, input: Input) {
        self.changed = true;
        if self.call.input.is_none() {
            self.call.input = Some(input);
            let call = input.height.map(|height| (self.call.kind, height));
            if call.is_none() || call != self.main_serves {
                self.tiers.clear_main();
            }
        }
        self.call.answers = Some(buffers::answers());
    }

    pub(super) fn end(&mut self) {
        self.call.ended = true;
    }

    /// The guest says that its view ends.
    pub(super) fn end_view(&mut self) {
        if self.call.kind != Some(Kind::Index) {
            self.settle();
            self.call.answers = None;
        }
    }

    /// What the tiers hold may not be what the host has when this call ended.
    pub(super) fn distrust(&mut self) {
        self.distrusted = true;
    }

    /// The host was handed writes of which the caches know nothing.
    pub(super) fn bypassed(&mut self) {
        self.distrusted |= self.call.kind != Some(Kind::View);
    }

    /// What follows the end of a call belongs to none that is known.
    pub(super) fn resume(&mut self) {
        if self.call.ended {
            self.begin(None, false);
        }
    }

    /// Takes out what is the call's own. What stays for others is what the host has
    /// after it.
    fn settle(&mut self) {
        self.publish();
        if mem::take(&mut self.distrusted) {
            self.tiers.clear_main();
            self.tiers.clear_heights();
        }
        self.forget_own();
    }

    fn forget_own(&mut self) {
        if !self.own.is_empty() {
            self.own = HashMap::default();
        }
        self.own_keys = OwnKeys::default();
        self.waiting.clear();
        self.changed = true;
    }

    /// Brings the tiers up to what was flushed.
    pub(super) fn publish(&mut self) {
        for (key, value) in mem::take(&mut self.flushed) {
            if self.call.kind == Some(Kind::View) {
                continue;
            }
            if let Some(height) = self.call.height() {
                self.tiers.remove(&at_height(height, key.clone()));
            }
            let key = StateKey::Main(CacheKey(key));
            if self.call.kind.is_some() {
                self.tiers.insert(key, value);
            } else {
                self.tiers.remove(&key);
            }
        }
    }

    pub(super) fn get(&mut self, key: Bytes) -> Bytes {
        self.resume();
        self.lookup(key).unwrap_or_else(|missed| {
            let value = Arc::new(host::read(missed.key()));
            self.remember(missed, &value);
            value
        })
    }

    /// A value that the host need not be asked for. Counts as a hit or a miss.
    pub(super) fn lookup(&mut self, key: Bytes) -> Result<Bytes, Missed> {
        if let Some(own) = self.own.get(&key) {
            let value = own.value.clone();
            self.tiers.count(true);
            self.count_prefix(&key, true);
            return Ok(value);
        }
        let missed = match (self.call.reads_at(), self.tiers.mode()) {
            (None, _) => Missed::Nowhere(key),
            (Some(_), CacheAllocationMode::Indexer) => Missed::Tiers(StateKey::Main(CacheKey(key))),
            (Some(height), CacheAllocationMode::View) => Missed::Tiers(at_height(height, key)),
        };
        let known = if let Missed::Tiers(key) = &missed {
            self.tiers.get(key)
        } else {
            self.tiers.count(false);
            None
        };
        self.count_prefix(missed.key(), known.is_some());
        known.ok_or(missed)
    }

    fn count_prefix(&mut self, key: &Bytes, hit: bool) {
        if self.counts_prefixes {
            self.prefixes.count(key, hit);
        }
    }

    /// Keeps what the host answered, where there is a place for it.
    pub(super) fn remember(&mut self, missed: Missed, value: &Bytes) {
        self.changed = true;
        let key = missed.key().clone();
        let kept = match missed {
            Missed::Tiers(key) => self.tiers.insert(key, value.clone()),
            Missed::Nowhere(_) => false,
        };
        if !kept && self.call.bounded {
            let own = Own {
                value: value.clone(),
                waits: false,
            };
            self.own.insert(key, own);
        }
    }

    pub(super) fn set(&mut self, key: Bytes, value: Bytes) {
        self.resume();
        self.changed = true;
        let own = Own { value, waits: true };
        self.own_keys.insert(&key);
        let last = self.own.insert(key.clone(), own);
        if !last.is_some_and(|last| last.waits) {
            self.waiting.push(key);
        }
    }

    pub(super) fn flush(&mut self) {
        self.resume();
        let pairs = self.take_waiting();
        host::hand_over(pairs.iter().map(as_slices));
        if self.flushed.is_empty() {
            self.flushed = pairs;
        } else {
            self.flushed.extend(pairs);
        }
    }

    pub(super) fn reset(&mut self) {
        self.take_waiting();
    }

    fn take_waiting(&mut self) -> Vec<(Bytes, Bytes)> {
        let keys = mem::take(&mut self.waiting).into_iter();
        let pair = |key: Bytes| {
            let own = self.own.get_mut(&key)?;
            own.waits = false;
            Some((key, own.value.clone()))
        };
        keys.filter_map(pair).collect()
    }

    pub(super) fn clear(&mut self) {
        self.tiers.clear();
        self.prefixes.clear();
        self.forget_own();
        // Else the tiers would go on with what the host had before.
        self.distrusted |= !mem::take(&mut self.flushed).is_empty();
    }

    pub(super) fn shown(&mut self) -> &'static HashMap<Bytes, Bytes> {
        if let Some(shown) = self.shown.filter(|_| !self.changed) {
            return shown;
        }
        let cached = self.cached();
        self.changed = false;
        // Whoever has it may keep it for ever, so each one stays in memory. The same is shown
        // again where it is right again.
        let shown = self.shown.filter(|shown| **shown == cached);
        let shown = shown.unwrap_or_else(|| Box::leak(Box::new(cached)));
        self.shown = Some(shown);
        shown
    }

    pub(super) fn cached(&self) -> HashMap<Bytes, Bytes> {
        let pair = |(key, value): (&Bytes, &Bytes)| (key.clone(), value.clone());
        let mut map: HashMap<Bytes, Bytes> = match (self.call.reads_at(), self.tiers.mode()) {
            (None, _) => HashMap::default(),
            (Some(_), CacheAllocationMode::Indexer) => {
                self.tiers.main_entries().map(pair).collect()
            }
            (Some(height), CacheAllocationMode::View) => {
                self.tiers.entries_at_height(height).map(pair).collect()
            }
        };
        map.extend(self.own.iter().map(|(key, own)| pair((key, &own.value))));
        map
    }
}

fn at_height(height: u32, key: Bytes) -> StateKey {
    StateKey::Height(HeightPartitionedKey { height, key })
}

fn as_slices((key, value): &(Bytes, Bytes)) -> (&[u8], &[u8]) {
    (key, value)
}
