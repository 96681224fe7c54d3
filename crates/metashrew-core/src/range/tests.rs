//! Bounds, cursors and boundaries; the property tests are in `tests/reads.rs`.

use super::*;
use crate::test_utils;
use std::sync::Arc;

/// A host that has `keys`, whose values are the keys; the call under way wrote nothing yet.
fn host_with(keys: &[&str]) {
    test_utils::reset();
    for key in keys {
        write(key, key);
    }
    crate::flush();
    test_utils::restart();
}

fn write(key: &str, value: &str) {
    let bytes = |text: &str| Arc::new(text.as_bytes().to_vec());
    crate::set(bytes(key), bytes(value));
}

fn keys(page: &Page) -> Vec<String> {
    let keys = page
        .entries
        .iter()
        .map(|entry| String::from_utf8_lossy(&entry.key).into_owned());
    keys.collect()
}

#[test]
fn own_writes_between_those_of_a_host_that_stopped_are_in_order() {
    host_with(&["/a", "/c", "/e"]);
    for key in ["/b", "/d", "/f"] {
        write(key, "own");
    }
    write("/c", "");
    let range = Range::prefix("/").limit(3);
    let page = range.page().unwrap();
    assert_eq!(keys(&page), ["/a", "/b", "/d"]);
    let page = range.after(&page.next.unwrap()).page().unwrap();
    assert_eq!(
        (keys(&page), page.next),
        (vec!["/e".to_owned(), "/f".to_owned()], None)
    );
    let page = Range::prefix("/").reverse().limit(3).page().unwrap();
    assert_eq!(keys(&page), ["/f", "/e", "/d"]);
}

#[test]
fn there_is_a_next_page_exactly_if_it_has_an_entry() {
    host_with(&["/a", "/b", "/c"]);
    let next = |limit| {
        Range::prefix("/")
            .limit(limit)
            .page()
            .unwrap()
            .next
            .is_some()
    };
    assert_eq!(
        [next(1), next(2), next(3), next(4)],
        [true, true, false, false]
    );
    write("/c", "");
    assert_eq!([next(1), next(2), next(3)], [true, false, false]);
    write("/d", "own");
    assert_eq!([next(2), next(3)], [true, false]);
}

#[test]
fn a_cursor_is_good_in_its_own_range_only() {
    host_with(&["/a/1", "/a/2", "/b/1"]);
    let page = Range::prefix("/a/").limit(1).page().unwrap();
    let cursor = Cursor::from_bytes(page.next.unwrap().to_bytes());
    assert_eq!(
        Range::prefix("/b/").after(&cursor).page(),
        Err(RangeError::CursorOutside)
    );
    let foreign = Cursor::from_bytes("/b/");
    let range = Range::prefix("/a/").after(&foreign);
    assert_eq!(range.page(), Err(RangeError::CursorOutside));
    let told: Vec<_> = range.iter().collect();
    assert_eq!(told, [Err(RangeError::CursorOutside)]);
    let long = [&b"/a/"[..], &vec![0; 32_000]].concat();
    let range = Range::prefix("/a/").after(&Cursor::from_bytes(long));
    assert_eq!(range.page(), Err(RangeError::CursorOutside));
    // The key of a cursor may be gone.
    write("/a/1", "");
    assert_eq!(
        keys(&Range::prefix("/a/").after(&cursor).page().unwrap()),
        ["/a/2"]
    );
}

#[test]
fn bounds_are_checked_and_an_entry_that_no_page_can_hold_is_named() {
    host_with(&["/long"]);
    let limit = |asked| {
        Err(RangeError::Limit {
            asked,
            most: MAX_LIMIT,
        })
    };
    assert_eq!(Range::prefix("").limit(0).page(), limit(0));
    assert_eq!(
        Range::prefix("").limit(MAX_LIMIT + 1).page(),
        limit(MAX_LIMIT + 1)
    );
    assert_eq!(
        Range::prefix("").max_bytes(MAX_BYTES + 1).page(),
        Err(RangeError::MaxBytes {
            asked: MAX_BYTES + 1,
            most: MAX_BYTES
        })
    );
    let too_large = |bytes, max_bytes| {
        let key = b"/long".to_vec();
        Err(RangeError::EntryTooLarge {
            key,
            bytes,
            max_bytes,
        })
    };
    assert_eq!(Range::prefix("").max_bytes(17).page(), too_large(18, 17));
    assert!(Range::prefix("").max_bytes(18).page().is_ok());
    assert!(Range::prefix("").max_bytes(13).keys_only().page().is_ok());
    // The call's own are no different.
    write("/long", "longer");
    assert_eq!(Range::prefix("").max_bytes(18).page(), too_large(19, 18));
    assert_eq!(
        too_large(19, 18).map(drop).unwrap_err().to_string(),
        r#"the entry of the key "/long" counts 19 bytes, more than the 18 of a page"#
    );
}

#[test]
fn an_iteration_sees_what_is_written_in_front_of_it() {
    host_with(&["/a", "/b", "/c", "/d"]);
    let mut seen = Vec::new();
    for entry in Range::prefix("/") {
        let key = entry.unwrap().key;
        if key == b"/a" {
            write("/b", "");
            write("/bb", "own");
            write("/", "behind");
        }
        seen.push(String::from_utf8(key).unwrap());
    }
    assert_eq!(seen, ["/a", "/bb", "/c", "/d"]);
}

#[test]
fn a_queue_can_be_drained_from_its_front() {
    let numbers: Vec<_> = (0..2000)
        .map(|number| format!("/queue/{number:04}"))
        .collect();
    host_with(&numbers.iter().map(String::as_str).collect::<Vec<_>>());
    for number in &numbers {
        let first = Range::prefix("/queue/").limit(1).page().unwrap();
        assert_eq!(keys(&first), [number.as_str()]);
        write(number, "");
    }
    assert!(Range::prefix("/queue/").page().unwrap().entries.is_empty());
}

#[test]
fn a_value_larger_than_is_fetched_at_a_time_is_in_the_iteration() {
    test_utils::reset();
    let large = "x".repeat(3 << 20);
    write("/large", &large);
    write("/small", "x");
    crate::flush();
    test_utils::restart();
    let sizes = Range::prefix("/")
        .iter()
        .map(|entry| entry.unwrap().value.len());
    assert_eq!(sizes.collect::<Vec<_>>(), [large.len(), 1]);
}
