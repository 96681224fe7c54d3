//! Tests of the cache, over the host in memory.
#![allow(
    clippy::unnecessary_wraps,
    reason = "a guest's functions return results"
)]

use super::*;
use crate::imports::__set_input;
use crate::test_utils;
use metashrew_support::lru_cache::CacheAllocationMode;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::convert::Infallible;

fn bytes(text: &str) -> Bytes {
    Arc::new(text.as_bytes().to_vec())
}

/// The guest's own export looks at an input of height 7.
fn start_over() {
    test_utils::reset();
    __set_input(7u32.to_le_bytes().to_vec());
    input();
}

fn misses() -> u64 {
    lru_cache_stats().misses
}

#[test]
fn what_was_set_is_read_before_and_after_the_flush() {
    start_over();
    assert!(get(bytes("k")).is_empty());
    set(bytes("k"), bytes("v"));
    assert_eq!(get(bytes("k")), bytes("v"));
    assert!(test_utils::state(7).is_empty());
    flush();
    assert_eq!(get(bytes("k")), bytes("v"));
    forget();
    assert_eq!(get(bytes("k")), bytes("v"));
    assert_eq!(
        test_utils::written(7),
        BTreeMap::from([(b"k".to_vec(), b"v".to_vec())])
    );
}

#[test]
fn a_key_is_flushed_once_with_its_last_value() {
    start_over();
    set(bytes("a"), bytes("1"));
    set(bytes("b"), bytes("2"));
    set(bytes("a"), bytes("3"));
    flush();
    assert_eq!(test_utils::state(7)[&b"a"[..]], b"3");
    forget();
    flush();
    assert_eq!(test_utils::state(7).len(), 2);
}

#[test]
fn an_empty_value_reads_as_absent() {
    start_over();
    set(bytes("k"), bytes("v"));
    flush();
    set(bytes("k"), Arc::default());
    flush();
    forget();
    assert!(get(bytes("k")).is_empty());
    assert_eq!(test_utils::written(7)[&b"k"[..]], b"");
    assert!(test_utils::state(7).is_empty());
}

#[test]
fn the_host_is_asked_once_for_a_key() {
    start_over();
    assert!(get(bytes("k")).is_empty());
    crate::host::flush([("k", "v")]);
    assert!(get(bytes("k")).is_empty());
    forget();
    assert_eq!(get(bytes("k")), bytes("v"));
}

#[test]
fn resetting_forgets_the_writes_but_not_the_values() {
    start_over();
    set(bytes("k"), bytes("v"));
    reset();
    assert_eq!(get(bytes("k")), bytes("v"));
    flush();
    assert!(test_utils::state(7).is_empty());
}

#[test]
fn a_handed_out_cache_never_changes() {
    start_over();
    set(bytes("a"), bytes("1"));
    let before = get_cache();
    let again = get_cache();
    set(bytes("a"), bytes("2"));
    set(bytes("b"), bytes("3"));
    assert_eq!(before.get(&bytes("a")), Some(&bytes("1")));
    assert_eq!((before.len(), again.len()), (1, 1));
    assert_eq!(get_cache().len(), 2);
    assert_eq!(get(bytes("a")), bytes("2"));
    forget();
    assert!(get_cache().is_empty());
}

#[test]
fn the_same_cache_is_handed_out_again() {
    start_over();
    set(bytes("a"), bytes("1"));
    let first = get_cache();
    // Another write, another read of the same, and another call in which nothing differs.
    set(bytes("a"), bytes("1"));
    assert!(std::ptr::eq(first, get_cache()));
    test_utils::index_export(7, b"block", || {
        set(bytes("a"), bytes("1"));
        assert!(std::ptr::eq(first, get_cache()));
        assert_eq!(cached(), *first);
        get(bytes("b"));
        assert!(!std::ptr::eq(first, get_cache()));
        flush();
    });
}

#[test]
fn the_cache_is_that_of_the_call_that_looks_at_its_input() {
    start_over();
    test_utils::index_export(7, b"block", || {
        set(bytes("a"), bytes("1"));
        flush();
    });
    test_utils::view_export(7, b"", || {
        input();
        get(bytes("a"));
        metashrew_support::compat::export_bytes(Vec::new())
    });
    test_utils::view_export(7, b"", || {
        assert!(get_cache().is_empty());
        input();
        assert_eq!(get_cache().get(&bytes("a")), Some(&bytes("1")));
        metashrew_support::compat::export_bytes(Vec::new())
    });
}

#[test]
fn input_is_height_and_payload() {
    start_over();
    __set_input([&9u32.to_le_bytes()[..], b"block"].concat());
    assert_eq!(input(), b"\x09\0\0\0block");
    assert_eq!(crate::height_and_payload(), (9, b"block".to_vec()));
}

/// Answers with the value of the key that the input names.
fn read(_height: u32, key: &[u8]) -> Result<Vec<u8>, Infallible> {
    Ok(get(Arc::new(key.to_vec())).to_vec())
}

fn write(height: u32, block: &[u8]) -> Result<(), Infallible> {
    let value = format!("{height}:{}", String::from_utf8_lossy(block));
    set(bytes("k"), Arc::new(value.into_bytes()));
    Ok(())
}

#[test]
fn a_value_of_one_height_answers_no_other() {
    test_utils::reset();
    for height in 1..=3 {
        test_utils::index_block(height, b"x", write);
    }
    for height in [3, 1, 2, 3, 3, 0, 1] {
        let expect = if height == 0 {
            String::new()
        } else {
            format!("{height}:x")
        };
        assert_eq!(test_utils::view(height, b"k", read), expect.as_bytes());
    }
}

#[test]
fn what_a_view_sets_shows_in_no_later_call() {
    test_utils::reset();
    test_utils::index_block(1, b"x", write);
    let scribble = |height: u32, _: &[u8]| {
        write(height, b"scribble")?;
        read(height, b"k")
    };
    assert_eq!(test_utils::view(1, b"", scribble), b"1:scribble");
    assert_eq!(test_utils::view(1, b"k", read), b"1:x");
    test_utils::index_block(2, b"y", |_, _| Ok::<_, Infallible>(()));
    assert!(test_utils::written(2).is_empty());
}

mod calls;
mod properties;
mod tiers;
