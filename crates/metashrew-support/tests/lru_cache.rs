//! The caches against naive ones: a list in order of use, and three of them
//! under one limit.

use metashrew_support::lru_cache::{
    ByteLru, CacheAllocationMode, CacheKey, CacheStats, DEFAULT_LIMIT, ENTRY_OVERHEAD,
    HeightPartitionedKey, StateKey, Tiers,
};
use proptest::prelude::*;
use std::sync::Arc;

type Bytes = Arc<Vec<u8>>;

fn bytes(length: usize, fill: u8) -> Bytes {
    Arc::new(vec![fill; length])
}

/// A cache as simple as can be: entries in a list, the one used last at the end.
struct Naive<K> {
    entries: Vec<(K, usize, Bytes)>,
    limit: usize,
    evictions: u64,
}

impl<K> Default for Naive<K> {
    fn default() -> Self {
        Self {
            entries: vec![],
            limit: 0,
            evictions: 0,
        }
    }
}

impl<K: PartialEq> Naive<K> {
    fn get(&mut self, key: &K) -> Option<Bytes> {
        let at = self.entries.iter().position(|(known, ..)| known == key)?;
        let entry = self.entries.remove(at);
        let value = entry.2.clone();
        self.entries.push(entry);
        Some(value)
    }

    fn remove(&mut self, key: &K) -> Option<Bytes> {
        let at = self.entries.iter().position(|(known, ..)| known == key)?;
        Some(self.entries.remove(at).2)
    }

    fn insert(&mut self, key: K, key_bytes: usize, value: Bytes) -> bool {
        self.remove(&key);
        let size = key_bytes + value.len() + ENTRY_OVERHEAD;
        if size > self.limit {
            return false;
        }
        self.entries.push((key, key_bytes, value));
        self.shrink();
        true
    }

    fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.memory() > self.limit {
            self.entries.remove(0);
            self.evictions += 1;
        }
    }

    fn memory(&self) -> usize {
        let sizes = self.entries.iter();
        sizes
            .map(|(_, key, value)| key + value.len() + ENTRY_OVERHEAD)
            .sum()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Get(u8),
    Insert(u8, usize),
    Remove(u8),
    SetLimit(usize),
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..20u8).prop_map(Step::Get),
        8 => (0..20u8, 0..400usize).prop_map(|(key, length)| Step::Insert(key, length)),
        2 => (0..20u8).prop_map(Step::Remove),
        1 => (0..3000usize).prop_map(Step::SetLimit),
        1 => Just(Step::Clear),
    ]
}

/// Keys of several lengths.
fn key(number: u8) -> Bytes {
    bytes(usize::from(number) + 1, number)
}

proptest! {
    #[test]
    fn one_cache_is_a_list_in_order_of_use(
        limit in 0..2000usize,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut cache = ByteLru::new(limit);
        let mut naive = Naive { limit, ..Naive::default() };
        for (fill, step) in (0..=255).cycle().zip(steps) {
            match step {
                Step::Get(number) => {
                    let key = CacheKey(key(number));
                    prop_assert_eq!(cache.get(&key).cloned(), naive.get(&key));
                }
                Step::Insert(number, length) => {
                    let (key, value) = (CacheKey(key(number)), bytes(length, fill));
                    let kept = naive.insert(key.clone(), key.0.len(), value.clone());
                    prop_assert_eq!(cache.insert(key, value), kept);
                }
                Step::Remove(number) => {
                    let key = CacheKey(key(number));
                    prop_assert_eq!(cache.remove(&key), naive.remove(&key));
                }
                Step::SetLimit(limit) => {
                    cache.set_limit(limit);
                    naive.set_limit(limit);
                }
                Step::Clear => {
                    cache.clear();
                    naive.entries.clear();
                }
            }
            prop_assert!(cache.memory_usage() <= cache.limit());
            prop_assert_eq!(cache.memory_usage(), naive.memory());
            prop_assert_eq!(cache.evictions(), naive.evictions);
            prop_assert_eq!(cache.len(), naive.entries.len());
            prop_assert_eq!(cache.is_empty(), naive.entries.is_empty());
            let newest_first = naive.entries.iter().rev().map(|(key, _, value)| (key, value));
            prop_assert!(cache.iter().eq(newest_first));
        }
    }
}

#[derive(Debug, Clone)]
enum Which {
    Main,
    Height(u32),
    Api,
}

#[derive(Debug, Clone)]
enum TierStep {
    On(Which, Step),
    Mode(CacheAllocationMode),
}

fn tier_step() -> impl Strategy<Value = TierStep> {
    let which = prop_oneof![
        Just(Which::Main),
        (0..3u32).prop_map(Which::Height),
        Just(Which::Api)
    ];
    let mode = prop_oneof![
        Just(CacheAllocationMode::Indexer),
        Just(CacheAllocationMode::View)
    ];
    prop_oneof![
        20 => (which, step()).prop_map(|(which, step)| TierStep::On(which, step)),
        1 => mode.prop_map(TierStep::Mode),
    ]
}

/// Three naive caches under one limit.
#[derive(Default)]
struct NaiveTiers {
    main: Naive<u8>,
    by_height: Naive<(u32, u8)>,
    api: Naive<u8>,
    stats: CacheStats,
}

impl NaiveTiers {
    fn share_out(&mut self, mode: CacheAllocationMode, limit: usize) {
        let (main, by_height, api) = match mode {
            CacheAllocationMode::Indexer => (limit, 0, 0),
            CacheAllocationMode::View => (0, limit - limit / 2, limit / 2),
        };
        self.main.set_limit(main);
        self.by_height.set_limit(by_height);
        self.api.set_limit(api);
    }

    fn count(&mut self, value: Option<Bytes>) -> Option<Bytes> {
        match value {
            Some(_) => self.stats.hits += 1,
            None => self.stats.misses += 1,
        }
        value
    }

    fn stats(&self) -> CacheStats {
        let (main, by_height, api) = (&self.main, &self.by_height, &self.api);
        CacheStats {
            items: main.entries.len() + by_height.entries.len() + api.entries.len(),
            memory_usage: main.memory() + by_height.memory() + api.memory(),
            evictions: main.evictions + by_height.evictions + api.evictions,
            ..self.stats
        }
    }
}

/// Does a step on both; answers a look-up's two results.
fn do_both(
    tiers: &mut Tiers,
    naive: &mut NaiveTiers,
    which: &Which,
    step: Step,
    fill: u8,
) -> Option<(Option<Bytes>, Option<Bytes>)> {
    let main = |number: u8| StateKey::Main(CacheKey(key(number)));
    let at = |height: u32, number: u8| {
        StateKey::Height(HeightPartitionedKey::from((height, key(number))))
    };
    let name = |number: u8| "n".repeat(usize::from(number) + 1);
    match (step, which) {
        (Step::Get(number), Which::Main) => {
            let expect = naive.main.get(&number);
            return Some((tiers.get(&main(number)), naive.count(expect)));
        }
        (Step::Get(number), &Which::Height(height)) => {
            let expect = naive.by_height.get(&(height, number));
            let found = tiers.get(&at(height, number));
            return Some((found, naive.count(expect)));
        }
        (Step::Get(number), Which::Api) => {
            let expect = naive.api.get(&number);
            return Some((tiers.api_get(&name(number)), naive.count(expect)));
        }
        (Step::Insert(number, length), which) => {
            let (size, value) = (usize::from(number) + 1, bytes(length, fill));
            let kept = match which {
                Which::Main => [
                    tiers.insert(main(number), value.clone()),
                    naive.main.insert(number, size, value),
                ],
                &Which::Height(height) => [
                    tiers.insert(at(height, number), value.clone()),
                    naive.by_height.insert((height, number), size, value),
                ],
                Which::Api => [
                    tiers.api_insert(name(number), value.clone()),
                    naive.api.insert(number, size, value),
                ],
            };
            assert_eq!(kept[0], kept[1]);
        }
        (Step::Remove(number), Which::Main) => {
            tiers.remove(&main(number));
            naive.main.remove(&number);
        }
        (Step::Remove(number), &Which::Height(height)) => {
            tiers.remove(&at(height, number));
            naive.by_height.remove(&(height, number));
        }
        (Step::Remove(number), Which::Api) => {
            return Some((tiers.api_remove(&name(number)), naive.api.remove(&number)));
        }
        (Step::SetLimit(limit), _) => {
            tiers.set_limit(limit);
            naive.share_out(tiers.mode(), limit);
        }
        (Step::Clear, Which::Main) => {
            tiers.clear_main();
            naive.main.entries.clear();
        }
        (Step::Clear, Which::Height(_)) => {
            tiers.clear_heights();
            naive.by_height.entries.clear();
        }
        (Step::Clear, Which::Api) => {
            let limit = tiers.limit();
            tiers.clear();
            *naive = NaiveTiers::default();
            naive.share_out(tiers.mode(), limit);
        }
    }
    None
}

proptest! {
    #[test]
    fn the_tiers_are_three_caches_that_share_a_limit(
        steps in prop::collection::vec(tier_step(), 1..200),
    ) {
        let mut tiers = Tiers::default();
        prop_assert_eq!((tiers.mode(), tiers.limit()), (CacheAllocationMode::View, DEFAULT_LIMIT));
        tiers.set_limit(3000);
        let mut naive = NaiveTiers::default();
        naive.share_out(tiers.mode(), 3000);
        for (fill, step) in (0..=255).cycle().zip(steps) {
            match step {
                TierStep::On(which, step) => {
                    if let Some((found, expect)) = do_both(&mut tiers, &mut naive, &which, step, fill) {
                        prop_assert_eq!(found, expect);
                    }
                }
                TierStep::Mode(mode) => {
                    tiers.set_mode(mode);
                    naive.share_out(mode, tiers.limit());
                    prop_assert_eq!(tiers.mode(), mode);
                }
            }
            prop_assert_eq!(tiers.stats(), naive.stats());
            prop_assert!(tiers.memory_usage() <= tiers.limit());
        }
    }
}

#[test]
fn a_value_above_the_limit_is_not_cached_and_drives_nothing_out() {
    let mut cache = ByteLru::new(ENTRY_OVERHEAD + 100);
    assert!(cache.insert(CacheKey(bytes(1, 0)), bytes(99, 1)));
    assert!(!cache.insert(CacheKey(bytes(1, 9)), bytes(100, 2)));
    assert_eq!((cache.len(), cache.evictions()), (1, 0));
    // Of the same key, the older value is no longer true.
    assert!(!cache.insert(CacheKey(bytes(1, 0)), bytes(100, 3)));
    assert_eq!((cache.len(), cache.memory_usage()), (0, 0));
}

#[test]
fn what_is_reserved_counts_and_not_what_is_used() {
    let mut cache = ByteLru::new(1 << 20);
    let value = Vec::with_capacity(5000);
    let reserved = value.capacity();
    cache.insert(CacheKey(bytes(3, 0)), Arc::new(value));
    assert_eq!(cache.memory_usage(), 3 + reserved + ENTRY_OVERHEAD);
}
