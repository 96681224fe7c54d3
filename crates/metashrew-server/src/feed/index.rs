//! Who waits for what: subscribers that have been told everything, by what would concern them.
//!
//! What a block costs here follows from the keys that it wrote and from who is touched, and not
//! from how many wait.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use bytes::Bytes;
use metashrew_store::Height;
use tokio::sync::oneshot;

use super::cursor::Cursor;
use super::view::Reads;

/// What concerns a subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Interest {
    /// Every block.
    Every,
    /// Blocks that write a key with this prefix.
    Prefix(Bytes),
    /// Blocks that write a key that was read.
    Reads(Reads),
}

/// One that waits.
#[derive(Debug)]
struct Parked {
    /// Is told the position before the first change that concerns it.
    wake: oneshot::Sender<Cursor>,
    /// The highest block that what it was told rests on. If that one is undone, it has to know.
    rests_on: Option<Height>,
    watch: WatchId,
}

/// Names those of one interest.
pub(super) type WatchId = u64;

#[derive(Debug)]
struct Watch {
    interest: Interest,
    members: BTreeSet<u64>,
}

/// All that wait.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// How many places and watches there ever were.
    count: u64,
    parked: BTreeMap<u64, Parked>,
    watches: BTreeMap<WatchId, Watch>,
    by_interest: HashMap<Interest, WatchId>,
    by_prefix: HashMap<Bytes, WatchId>,
    /// How many prefixes have this length.
    lengths: BTreeMap<usize, usize>,
    /// Those that read a key.
    by_key: HashMap<Box<[u8]>, BTreeSet<WatchId>>,
    /// Ranges that were read, by where they begin; none ends at the end of all keys.
    ranges: BTreeMap<RangeStart, Option<Box<[u8]>>>,
}

type RangeStart = (Box<[u8]>, WatchId);

/// How far a block's keys have been looked at.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    last: Option<Vec<u8>>,
    /// The first range that was not looked at.
    next_range: Option<RangeStart>,
    touched: BTreeSet<WatchId>,
}

impl Index {
    pub(super) fn is_empty(&self) -> bool {
        self.parked.is_empty()
    }

    /// Whether anybody waits for certain keys.
    pub(super) fn wants_keys(&self) -> bool {
        let every = self.by_interest.contains_key(&Interest::Every);
        self.watches.len() > usize::from(every)
    }

    /// Adds one; its number, and what it is woken by.
    pub(super) fn park(
        &mut self,
        interest: &Interest,
        rests_on: Option<Height>,
    ) -> (u64, oneshot::Receiver<Cursor>) {
        let (wake, woken) = oneshot::channel();
        let watch = self.watch(interest);
        let number = self.number();
        let parked = Parked {
            wake,
            rests_on,
            watch,
        };
        self.parked.insert(number, parked);
        if let Some(watch) = self.watches.get_mut(&watch) {
            watch.members.insert(number);
        }
        (number, woken)
    }

    /// Takes one away that need not be woken.
    pub(super) fn leave(&mut self, number: u64) {
        self.take(number);
    }

    /// It was told something that rests on this block. Whether it still waits.
    pub(super) fn rest_on(&mut self, number: u64, height: Option<Height>) -> bool {
        let parked = self.parked.get_mut(&number);
        parked.map(|parked| parked.rests_on = height).is_some()
    }

    fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    fn watch(&mut self, interest: &Interest) -> WatchId {
        if let Some(watch) = self.by_interest.get(interest) {
            return *watch;
        }
        let watch = self.number();
        self.by_interest.insert(interest.clone(), watch);
        match interest {
            Interest::Every => {}
            Interest::Prefix(prefix) => {
                self.by_prefix.insert(prefix.clone(), watch);
                *self.lengths.entry(prefix.len()).or_default() += 1;
            }
            Interest::Reads(reads) => {
                for key in reads.get().keys() {
                    self.by_key.entry(key.into()).or_default().insert(watch);
                }
                for (start, end) in reads.get().ranges() {
                    self.ranges
                        .insert((start.into(), watch), end.map(Into::into));
                }
            }
        }
        let members = BTreeSet::new();
        let interest = interest.clone();
        self.watches.insert(watch, Watch { interest, members });
        watch
    }

    fn unwatch(&mut self, watch: WatchId) {
        let Some(Watch { interest, .. }) = self.watches.remove(&watch) else {
            return;
        };
        self.by_interest.remove(&interest);
        match interest {
            Interest::Every => {}
            Interest::Prefix(prefix) => {
                self.by_prefix.remove(&prefix);
                if let Some(prefixes) = self.lengths.get_mut(&prefix.len()) {
                    *prefixes -= 1;
                    if *prefixes == 0 {
                        self.lengths.remove(&prefix.len());
                    }
                }
            }
            Interest::Reads(reads) => {
                for key in reads.get().keys() {
                    if let Some(watches) = self.by_key.get_mut(key) {
                        watches.remove(&watch);
                        if watches.is_empty() {
                            self.by_key.remove(key);
                        }
                    }
                }
                for (start, _) in reads.get().ranges() {
                    self.ranges.remove(&(start.into(), watch));
                }
            }
        }
    }

    fn take(&mut self, number: u64) -> Option<Parked> {
        let parked = self.parked.remove(&number)?;
        if let Some(watch) = self.watches.get_mut(&parked.watch) {
            watch.members.remove(&number);
            if watch.members.is_empty() {
                self.unwatch(parked.watch);
            }
        }
        Some(parked)
    }

    /// Notes whom a key of a block touches. Keys come in order.
    pub(super) fn touch(&self, key: &[u8], sweep: &mut Sweep) {
        // What the key has in common with the one before was looked up then.
        let known = sweep.last.as_ref().map(|last| shared_prefix(last, key));
        for length in self.lengths.range(..=key.len()).map(|(length, _)| *length) {
            if known.is_none_or(|known| length > known)
                && let Some(watch) = key.get(..length).and_then(|it| self.by_prefix.get(it))
            {
                sweep.touched.insert(*watch);
            }
        }
        if sweep.last.is_none() {
            let first = self.ranges.first_key_value();
            sweep.next_range = first.map(|(start, _)| start.clone());
        }
        let last = sweep.last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(key);
        if let Some(watches) = self.by_key.get(key) {
            sweep.touched.extend(watches);
        }
        self.touch_ranges(key, sweep);
    }

    /// Each range is looked at once: one that begins at or before `key` either has it, or ends
    /// before it, and then has none of the keys that follow.
    fn touch_ranges(&self, key: &[u8], sweep: &mut Sweep) {
        let next = &mut sweep.next_range;
        while let Some(start) = next.take_if(|(start, _)| **start <= *key) {
            // One may have left since it was looked up.
            if let Some(end) = self.ranges.get(&start)
                && end.as_ref().is_none_or(|end| key < &**end)
            {
                sweep.touched.insert(start.1);
            }
            let behind = (Bound::Excluded(start), Bound::Unbounded);
            let found = self.ranges.range(behind).next();
            *next = found.map(|(start, _)| start.clone());
        }
    }

    /// Wakes those that are touched, and those that every block concerns.
    pub(super) fn wake_touched(&mut self, sweep: Sweep, before: Cursor) {
        let every = self.by_interest.get(&Interest::Every).copied();
        for watch in sweep.touched.into_iter().chain(every) {
            let watch = self.watches.get_mut(&watch);
            let members = watch.map(|watch| std::mem::take(&mut watch.members));
            self.wake(members.unwrap_or_default(), before);
        }
    }

    /// Wakes those that were told something that rests on a block above `height`.
    pub(super) fn wake_above(&mut self, height: Option<Height>, before: Cursor) {
        let parked = self.parked.iter();
        let numbers: BTreeSet<_> = parked
            .filter(|(_, parked)| parked.rests_on > height)
            .map(|(number, _)| *number)
            .collect();
        self.wake(numbers, before);
    }

    pub(super) fn wake_all(&mut self, before: Cursor) {
        let numbers = self.parked.keys().copied().collect();
        self.wake(numbers, before);
    }

    fn wake(&mut self, numbers: BTreeSet<u64>, before: Cursor) {
        for number in numbers {
            if let Some(parked) = self.take(number) {
                // One that goes just now is gone.
                let _ = parked.wake.send(before);
            }
        }
    }
}

fn shared_prefix(left: &[u8], right: &[u8]) -> usize {
    let both = left.iter().zip(right);
    both.take_while(|(left, right)| left == right).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(0_u8..3, 0..4)
    }

    proptest! {
        /// Those are woken whose prefix a key has, and no others; who leaves leaves nothing.
        #[test]
        fn the_touched_are_woken(
            prefixes in proptest::collection::vec(proptest::option::of(key()), 1..8),
            keys in proptest::collection::btree_set(key(), 0..8),
            leaving in proptest::collection::vec(any::<bool>(), 8),
        ) {
            let mut index = Index::default();
            let mut waiting: Vec<_> = prefixes
                .iter()
                .map(|prefix| {
                    let prefix = prefix.clone().map(Bytes::from);
                    index.park(&prefix.map_or(Interest::Every, Interest::Prefix), None)
                })
                .collect();
            let mut sweep = Sweep::default();
            for key in &keys {
                index.touch(key, &mut sweep);
            }
            for ((number, _), _) in waiting.iter().zip(&leaving).filter(|(_, leaves)| **leaves) {
                index.leave(*number);
            }
            index.wake_touched(sweep, Cursor::First);
            for ((prefix, (_, woken)), leaves) in prefixes.iter().zip(&mut waiting).zip(&leaving) {
                let is_touched = prefix
                    .as_ref()
                    .is_none_or(|prefix| keys.iter().any(|key| key.starts_with(prefix)));
                let expect = (is_touched && !leaves).then_some(Cursor::First);
                prop_assert_eq!(woken.try_recv().ok(), expect, "{:?}", prefix);
            }
            index.wake_all(Cursor::First);
            prop_assert!(index.is_empty() && index.watches.is_empty());
            prop_assert!(index.by_interest.is_empty() && index.by_prefix.is_empty());
            prop_assert!(index.lengths.is_empty() && index.by_key.is_empty());
            prop_assert!(index.ranges.is_empty());
        }
    }

    #[test]
    fn an_undone_block_wakes_those_that_rest_on_it() {
        let mut index = Index::default();
        let mut waiting =
            [None, Some(7), Some(8), Some(9)].map(|height| index.park(&Interest::Every, height).1);
        index.wake_above(Some(7), Cursor::First);
        let woken = waiting.each_mut().map(|woken| woken.try_recv().is_ok());
        assert_eq!(woken, [false, false, true, true]);
    }
}
