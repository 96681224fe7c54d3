//! A part of the pool: permits, idle instances, and what was counted there. Threads have a
//! shard each that they turn to first, so that they rarely meet.

use std::collections::{BTreeMap, HashMap};

use metashrew_store::Height;

use super::budget::{Shares, Usage};
use super::key::{Key, Pin, PinnedTo};
use super::stats::Tally;

/// What is pooled, waiting for a call.
#[derive(Debug)]
pub(super) struct Idle<T> {
    pub(super) thing: T,
    pub(super) key: Key,
    pub(super) pin: Pin,
    /// Bytes that it has of the budget.
    pub(super) bytes: usize,
    /// It was last asked about the newest block, as such: when a newer one comes, it is the
    /// first to go.
    pub(super) follows_tip: bool,
}

impl<T> Idle<T> {
    /// Whether it stands on a block that was the newest one, and is so no more.
    fn is_left_behind(&self, tip: Height) -> bool {
        self.follows_tip && matches!(self.pin.to, PinnedTo::Block { height, .. } if height < tip)
    }
}

/// When something was used: what is left behind comes before all else.
const USEFUL: u64 = 1 << 63;

/// One part of the pool.
#[derive(Debug)]
pub(super) struct Shard<T> {
    /// Permits that nobody has.
    pub(super) permits: usize,
    pub(super) tally: Tally,
    /// The one put back last, and when it was used. Mostly it is the next one wanted: then it
    /// need not be filed among the others.
    last: Option<(u64, Idle<T>)>,
    /// The others by when they were used, the one that goes first at the front.
    idle: BTreeMap<u64, Idle<T>>,
    /// When those of each key were used; no list is empty.
    by_key: HashMap<Key, Vec<u64>>,
}

impl<T> Shard<T> {
    pub(super) fn new(permits: usize, tally: Tally) -> Self {
        Self {
            permits,
            tally,
            last: None,
            idle: BTreeMap::new(),
            by_key: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.idle.len() + usize::from(self.last.is_some())
    }

    /// Adds the bytes that its idle instances have.
    pub(super) fn add_bytes(&self, usage: &mut Usage, shares: &Shares) {
        let last = self.last.iter().map(|(_, idle)| idle);
        for idle in self.idle.values().chain(last) {
            usage.add(idle.bytes, shares);
        }
    }

    /// The one of this key that was used last.
    pub(super) fn take(&mut self, key: &Key) -> Option<Idle<T>> {
        if let Some((_, idle)) = self.last.take_if(|(_, idle)| idle.key == *key) {
            return Some(idle);
        }
        let used = *self.by_key.get(key)?.last()?;
        self.remove(used)
    }

    /// Takes one back at the time `now`, in nanoseconds, while the chain ends at `tip`.
    pub(super) fn put(&mut self, idle: Idle<T>, now: u64, tip: Height) {
        if idle.is_left_behind(tip) {
            self.file(now, idle);
        } else if let Some((used, before)) = self.last.replace((now | USEFUL, idle)) {
            self.file(used, before);
        }
    }

    /// Has the last one stand among the others.
    fn file_last(&mut self) {
        if let Some((used, idle)) = self.last.take() {
            self.file(used, idle);
        }
    }

    fn file(&mut self, used: u64, idle: Idle<T>) {
        let mut used = used;
        while self.idle.contains_key(&used) {
            used += 1;
        }
        let of_key = self.by_key.entry(idle.key).or_default();
        let place = of_key.partition_point(|other| *other < used);
        of_key.insert(place, used);
        self.idle.insert(used, idle);
    }

    fn remove(&mut self, used: u64) -> Option<Idle<T>> {
        let idle = self.idle.remove(&used)?;
        if let Some(of_key) = self.by_key.get_mut(&idle.key) {
            of_key.retain(|other| *other != used);
            if of_key.is_empty() {
                self.by_key.remove(&idle.key);
            }
        }
        Some(idle)
    }

    /// When the one was used that goes first.
    pub(super) fn oldest(&self) -> Option<u64> {
        let first = self.idle.first_key_value().map(|(used, _)| *used);
        let last = self.last.as_ref().map(|(used, _)| *used);
        first.into_iter().chain(last).min()
    }

    /// The one that goes first.
    pub(super) fn take_oldest(&mut self) -> Option<Idle<T>> {
        self.file_last();
        self.remove(self.oldest()?)
    }

    /// Takes out all that are unwanted.
    pub(super) fn drain(&mut self, unwanted: impl Fn(&Pin) -> bool) -> Vec<Idle<T>> {
        self.file_last();
        let mut drained = self.idle.iter();
        let drained = drained.by_ref().filter(|(_, idle)| unwanted(&idle.pin));
        let drained: Vec<u64> = drained.map(|(used, _)| *used).collect();
        drained
            .into_iter()
            .filter_map(|used| self.remove(used))
            .collect()
    }

    /// The chain now ends at `tip`: what stood on its end before goes first.
    pub(super) fn see_tip(&mut self, tip: Height) {
        self.file_last();
        let useful = self.idle.range(USEFUL..);
        let behind: Vec<u64> = useful
            .filter(|(_, idle)| idle.is_left_behind(tip))
            .map(|(used, _)| *used)
            .collect();
        for used in behind {
            if let Some(idle) = self.remove(used) {
                self.file(used & !USEFUL, idle);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use metashrew_store::BlockHash;
    use proptest::prelude::*;

    use super::*;

    fn pin(height: Height) -> Pin {
        Pin {
            generation: 0,
            to: PinnedTo::Block {
                height,
                hash: BlockHash::from_bytes([0; 32]),
            },
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Put { height: Height, follows_tip: bool },
        Take(Height),
        TakeOldest,
        NewTip,
        Drain(Height),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let height = 0..6_u32;
        let step = prop_oneof![
            4 => (height.clone(), any::<bool>())
                .prop_map(|(height, follows_tip)| Step::Put { height, follows_tip }),
            3 => height.clone().prop_map(Step::Take),
            2 => Just(Step::TakeOldest),
            1 => Just(Step::NewTip),
            1 => height.prop_map(Step::Drain),
        ];
        proptest::collection::vec(step, 0..100)
    }

    proptest! {
        /// Against a list in the order of use, which is searched from end to end.
        #[test]
        fn a_shard_answers_like_a_list(steps in steps()) {
            let mut shard = Shard::new(0, Tally::default());
            let shares = Shares { all: 9, assured: 3, for_small: 0 };
            let mut list: Vec<(u64, Height, bool)> = Vec::new();
            let (mut number, mut tip) = (0_u64, 0);
            for step in steps {
                number += 1;
                let behind = |(_, height, follows): &(u64, Height, bool)| *follows && *height < tip;
                match step {
                    Step::Put { height, follows_tip } => {
                        let idle = Idle {
                            thing: number,
                            key: Key::Pinned(pin(height)),
                            pin: pin(height),
                            bytes: 3,
                            follows_tip,
                        };
                        shard.put(idle, number, tip);
                        list.push((number, height, follows_tip));
                    }
                    Step::Take(wanted) => {
                        let useful = list.iter().rposition(|entry| entry.1 == wanted && !behind(entry));
                        let any = list.iter().rposition(|entry| entry.1 == wanted);
                        let expected = useful.or(any).map(|index| list.remove(index).0);
                        let taken = shard.take(&Key::Pinned(pin(wanted)));
                        prop_assert_eq!(taken.map(|idle| idle.thing), expected);
                    }
                    Step::TakeOldest => {
                        let index = list.iter().position(behind).unwrap_or(0);
                        let expected = (!list.is_empty()).then(|| list.remove(index).0);
                        prop_assert_eq!(shard.take_oldest().map(|idle| idle.thing), expected);
                    }
                    Step::NewTip => {
                        tip += 1;
                        shard.see_tip(tip);
                    }
                    Step::Drain(below) => {
                        let is_below = |pin: &Pin| matches!(pin.to, PinnedTo::Block { height, .. } if height < below);
                        let mut drained: Vec<u64> = shard.drain(is_below).into_iter().map(|idle| idle.thing).collect();
                        drained.sort_unstable();
                        let expected: Vec<u64> = list.iter().filter(|entry| entry.1 < below).map(|entry| entry.0).collect();
                        list.retain(|entry| entry.1 >= below);
                        prop_assert_eq!(drained, expected);
                    }
                }
                prop_assert_eq!(shard.len(), list.len());
                let mut usage = Usage::default();
                shard.add_bytes(&mut usage, &shares);
                prop_assert_eq!(usage, Usage { small: 3 * list.len(), large: 0 });
                let keys: std::collections::HashSet<_> = list.iter().map(|entry| entry.1).collect();
                let last = shard.last.as_ref().map(|(_, idle)| idle.key);
                let filed = shard.by_key.keys().copied().chain(last);
                let filed: std::collections::HashSet<_> = filed.collect();
                prop_assert_eq!(filed.len(), keys.len());
            }
        }
    }
}
