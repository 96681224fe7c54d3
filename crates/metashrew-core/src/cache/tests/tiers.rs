//! What each tier keeps, for whom, and for how long.

use super::*;
use metashrew_support::lru_cache::{ENTRY_OVERHEAD, PrefixAnalysisConfig};

#[test]
fn a_second_view_at_a_height_asks_the_host_for_nothing() {
    test_utils::reset();
    for height in 1..=3 {
        test_utils::index_block(height, b"x", write);
    }
    let before = misses();
    for height in [2, 3, 2, 2, 3] {
        test_utils::view(height, b"k", read);
    }
    assert_eq!(misses(), before + 2);
    let stats = lru_cache_stats();
    assert_eq!(stats.items, 2);
    let pair = "k".len() + "2:x".len() + ENTRY_OVERHEAD;
    assert_eq!(stats.memory_usage, lru_cache_memory_usage());
    assert!(stats.memory_usage >= 2 * pair, "{stats:?}");
}

/// A view written by hand, as wild guests have them.
fn by_hand() -> i32 {
    let key = input().split_off(4);
    metashrew_support::compat::export_bytes(get(Arc::new(key)).to_vec())
}

#[test]
fn views_written_by_hand_are_kept_apart_by_height_too() {
    test_utils::reset();
    for height in 1..=3 {
        test_utils::index_block(height, b"x", write);
    }
    let before = misses();
    for height in [3, 1, 3, 2, 1, 1] {
        let answer = test_utils::view_export(height, b"k", by_hand);
        assert_eq!(answer, format!("{height}:x").into_bytes());
    }
    assert_eq!(misses(), before + 3);
}

#[test]
fn what_a_view_written_by_hand_sets_shows_in_no_later_call() {
    test_utils::reset();
    test_utils::index_block(1, b"x", write);
    let scribble = || {
        input();
        set(bytes("k"), bytes("scribble"));
        flush();
        set(bytes("k"), bytes("again"));
        metashrew_support::compat::export_bytes(get(bytes("k")).to_vec())
    };
    assert_eq!(test_utils::view_export(1, b"", scribble), b"again");
    assert_eq!(test_utils::view_export(1, b"k", by_hand), b"1:x");
    assert_eq!(test_utils::view(1, b"k", read), b"1:x");
}

#[test]
fn a_view_that_does_not_look_at_its_input_is_answered_by_the_host() {
    test_utils::reset();
    for height in 1..=2 {
        test_utils::index_block(height, b"x", write);
    }
    let blind = || metashrew_support::compat::export_bytes(get(bytes("k")).to_vec());
    for height in [2, 1, 2] {
        let answer = test_utils::view_export(height, b"", blind);
        assert_eq!(answer, format!("{height}:x").into_bytes());
        test_utils::view_export(height, b"k", by_hand);
    }
}

#[test]
fn a_flush_in_a_view_is_no_write() {
    test_utils::reset();
    test_utils::index_block(1, b"x", write);
    let scribble = |height: u32, _: &[u8]| {
        write(height, b"scribble")?;
        flush();
        read(height, b"k")
    };
    assert_eq!(test_utils::view(1, b"", scribble), b"1:scribble");
    assert_eq!(test_utils::view(1, b"k", read), b"1:x");
}

#[test]
fn modes_follow_the_calls() {
    test_utils::reset();
    let seen = std::cell::Cell::new(None);
    let look = |_: u32, _: &[u8]| {
        seen.set(Some(get_cache_mode()));
        Ok::<_, Infallible>(())
    };
    test_utils::index_block(1, b"", look);
    assert_eq!(seen.take(), Some(CacheAllocationMode::Indexer));
    test_utils::view(1, b"", |height, input| look(height, input).map(|()| vec![]));
    assert_eq!(seen.take(), Some(CacheAllocationMode::View));
    set_cache_mode(CacheAllocationMode::Indexer);
    assert_eq!(get_cache_mode(), CacheAllocationMode::Indexer);
}

#[test]
fn the_guests_own_data_survives_heights_and_not_indexing() {
    test_utils::reset();
    let answer = |answer: Option<Bytes>| Ok::<_, Infallible>(answer.unwrap_or_default().to_vec());
    test_utils::view(1, b"", |_, _| {
        cache_set("name".to_owned(), bytes("value"));
        answer(None)
    });
    for height in [2, 1] {
        let found = test_utils::view(height, b"", |_, _| answer(cache_get("name")));
        assert_eq!(found, b"value");
    }
    assert_eq!(cache_remove("name"), Some(bytes("value")));
    assert_eq!(
        (cache_get("name"), cache_remove("name")),
        (None::<Bytes>, None)
    );
    test_utils::index_block(3, b"", |_, _| {
        cache_set("name".to_owned(), bytes("value"));
        assert_eq!(cache_get("name"), None);
        Ok::<_, Infallible>(())
    });
}

#[test]
fn the_host_sets_the_limit() {
    test_utils::reset();
    assert_eq!(get_actual_cache_memory_limit(), 1 << 30);
    assert!(!is_cache_below_minimum() && is_lru_cache_available());
    metashrew_core_limit(4096);
    assert_eq!(get_actual_cache_memory_limit(), 4096);
    assert!(is_cache_below_minimum());
    assert!(get_min_cache_memory_limit() > 4096);
    for number in 0..100u8 {
        test_utils::view(1, &[number], read);
        assert!(lru_cache_memory_usage() <= 4096 / 2);
    }
    assert!(lru_cache_stats().evictions > 50);
    // An i32 carries 32 bits.
    metashrew_core_limit(-1);
    assert_eq!(get_actual_cache_memory_limit(), u32::MAX as usize);
    set_cache_memory_limit(1 << 30);
}

fn metashrew_core_limit(bytes: i32) {
    crate::__metashrew_cache_limit(bytes);
}

#[test]
fn what_has_no_room_in_the_tiers_is_kept_for_the_call() {
    test_utils::reset();
    set_cache_memory_limit(100);
    test_utils::index_block(1, b"x", write);
    let before = misses();
    let twice = |height: u32, key: &[u8]| {
        read(height, key)?;
        read(height, key)
    };
    assert_eq!(test_utils::view(1, b"k", twice), b"1:x");
    assert_eq!(misses(), before + 1);
    assert_eq!(lru_cache_memory_usage(), 0);
    assert_eq!(test_utils::view(1, b"k", twice), b"1:x");
    assert_eq!(misses(), before + 2);
    set_cache_memory_limit(1 << 30);
}

#[test]
fn a_block_finds_what_the_last_one_left() {
    test_utils::reset();
    test_utils::index_block(1, b"x", |height, block| {
        get(bytes("other"));
        write(height, block)
    });
    let before = misses();
    let look = |_: u32, _: &[u8]| {
        assert_eq!(get(bytes("k")), bytes("1:x"));
        assert!(get(bytes("other")).is_empty());
        Ok::<_, Infallible>(())
    };
    test_utils::index_block(2, b"", look);
    assert_eq!(misses(), before);
    // Not the next block: nothing of before counts.
    test_utils::index_block(4, b"", look);
    assert_eq!(misses(), before + 2);
}

#[test]
fn writes_past_the_caches_are_seen_by_the_next_block() {
    test_utils::reset();
    let past = |height: u32, _: &[u8]| {
        let before = get(bytes("k")).to_vec();
        crate::host::flush([(
            &b"k"[..],
            &[&before[..], &height.to_le_bytes()].concat()[..],
        )]);
        Ok::<_, Infallible>(())
    };
    for height in 1..=3 {
        test_utils::index_block(height, b"", past);
    }
    assert_eq!(test_utils::state(3)[&b"k"[..]].len(), 12);
}

#[test]
fn a_view_for_another_height_than_its_inputs_keeps_nothing() {
    test_utils::reset();
    for height in 1..=2 {
        test_utils::index_block(height, b"x", write);
    }
    let ask = |height: u32, said: u32| {
        test_utils::view_export(height, b"", || {
            set_view_for_height(said);
            let value = get(bytes("k"));
            clear_view_cache();
            metashrew_support::compat::export_bytes(value.to_vec())
        })
    };
    assert_eq!(ask(1, 1), b"1:x");
    assert_eq!(ask(1, 2), b"1:x");
    assert_eq!(ask(2, 2), b"2:x");
    let before = misses();
    assert_eq!(ask(1, 1), b"1:x");
    assert_eq!(ask(2, 2), b"2:x");
    assert_eq!(misses(), before);
}

#[test]
fn look_ups_are_counted_by_beginning_if_asked_for() {
    test_utils::reset();
    let config = PrefixAnalysisConfig {
        min_prefix_length: 1,
        max_prefix_length: 8,
        min_keys_per_prefix: 1,
    };
    set_prefix_analysis_config(config.clone());
    assert_eq!(get_prefix_analysis_config(), config);
    test_utils::view(1, b"/a/1", read);
    assert_eq!(get_lru_debug_stats().total_prefixes, 0);
    enable_lru_debug_mode();
    assert!(is_lru_debug_mode_enabled());
    for height in [1, 2, 2] {
        test_utils::view(height, b"/a/1", read);
    }
    disable_lru_debug_mode();
    test_utils::view(2, b"/a/1", read);
    let stats = get_lru_debug_stats();
    assert_eq!(stats.cache_stats, lru_cache_stats());
    let [only] = &stats.prefix_stats[..] else {
        panic!("{stats:?}");
    };
    assert_eq!((only.hits, only.misses, only.unique_keys), (2, 1, 1));
    assert!(generate_lru_debug_report().contains("/a: 2 hits"));
    assert_eq!(parse_cache_key(b"/a/\xff"), "/a/ff");
    clear_prefix_hit_stats();
    assert_eq!(get_lru_debug_stats().total_prefixes, 0);
}
