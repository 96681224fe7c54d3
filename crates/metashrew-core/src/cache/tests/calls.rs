//! Where a call begins and what it leaves to the next: nothing that it set, and
//! nothing that it set is lost before.

use super::*;
use metashrew_support::compat::{export_bytes, read_buffer, to_passback_ptr};

/// The native host makes no announcements, like a host that knows of none.
fn silently() {
    test_utils::reset();
    test_utils::host::with(|host| host.silent = true);
}

fn both_kinds_of_host() -> [fn(); 2] {
    [silently, test_utils::reset]
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let owned = |(key, value): &(&str, &str)| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
    pairs.iter().map(owned).collect()
}

/// Answers by a pointer of the guest's own, as some do.
fn leaked(answer: &[u8]) -> i32 {
    let answer = metashrew_support::compat::to_arraybuffer_layout(answer);
    to_passback_ptr(Box::leak(Box::new(answer)))
}

#[test]
fn writes_after_an_answer_and_before_it_are_both_flushed() {
    for host in both_kinds_of_host() {
        host();
        test_utils::index_export(7, b"", || {
            input();
            set(bytes("a"), bytes("1"));
            export_bytes(vec![]);
            set(bytes("b"), bytes("2"));
            assert_eq!(get(bytes("a")), bytes("1"));
            flush();
        });
        assert_eq!(test_utils::written(7), pairs(&[("a", "1"), ("b", "2")]));
    }
}

#[test]
fn a_look_at_the_input_after_an_answer_loses_no_write() {
    for host in both_kinds_of_host() {
        host();
        test_utils::index_export(7, b"block", || {
            input();
            set(bytes("a"), bytes("1"));
            export_bytes(vec![]);
            input();
            set(bytes("b"), bytes("2"));
            flush();
        });
        assert_eq!(test_utils::written(7), pairs(&[("a", "1"), ("b", "2")]));
    }
}

#[test]
fn writes_before_the_first_look_at_the_input_are_flushed() {
    for host in both_kinds_of_host() {
        host();
        for height in [7, 8] {
            test_utils::index_export(height, b"", || {
                set(bytes("a"), bytes("1"));
                input();
                assert_eq!(get(bytes("a")), bytes("1"));
                flush();
            });
        }
        assert_eq!(test_utils::written(7), pairs(&[("a", "1")]));
    }
}

#[test]
fn both_flushes_of_a_block_count_and_it_reads_its_own_writes() {
    for host in both_kinds_of_host() {
        host();
        test_utils::index_export(7, b"", || {
            input();
            set(bytes("a"), bytes("1"));
            flush();
            export_bytes(vec![]);
            assert_eq!(get(bytes("a")), bytes("1"));
            set(bytes("a"), bytes("2"));
            set(bytes("b"), bytes("3"));
            flush();
        });
        assert_eq!(test_utils::written(7), pairs(&[("a", "2"), ("b", "3")]));
        let read = || export_bytes(get(bytes("a")).to_vec());
        let looked = || {
            input();
            read()
        };
        assert_eq!(test_utils::view_export(7, b"", looked), b"2");
        assert_eq!(test_utils::view_export(6, b"", looked), b"");
    }
}

#[test]
fn a_test_that_sets_before_its_block_sees_that_in_it() {
    test_utils::reset();
    set(bytes("k"), bytes("v"));
    __set_input(9u32.to_le_bytes().to_vec());
    input();
    assert_eq!(get(bytes("k")), bytes("v"));
    flush();
    assert_eq!(test_utils::written(9), pairs(&[("k", "v")]));
}

#[test]
fn a_view_that_answers_by_a_pointer_of_its_own_leaves_nothing_to_the_next() {
    // Where nobody announces calls, another input tells them apart.
    for (host, second_input) in [(silently as fn(), &b"other"[..]), (test_utils::reset, b"")] {
        host();
        test_utils::index_block(1, b"x", write);
        let scribble = || {
            input();
            set(bytes("k"), bytes("scribble"));
            set(bytes("new"), bytes("scribble"));
            leaked(&get(bytes("k")))
        };
        assert_eq!(test_utils::view_export(1, b"", scribble), b"scribble");
        let look = || {
            input();
            leaked(&[&get(bytes("k"))[..], b"|", &get(bytes("new"))].concat())
        };
        assert_eq!(test_utils::view_export(1, second_input, look), b"1:x|");
    }
}

#[test]
fn a_blind_view_is_told_from_the_one_before() {
    test_utils::reset();
    for height in 1..=2 {
        test_utils::index_block(height, b"x", write);
    }
    let looking = || {
        input();
        set(bytes("new"), bytes("scribble"));
        leaked(&get(bytes("k")))
    };
    let blind = || leaked(&[&get(bytes("k"))[..], b"|", &get(bytes("new"))].concat());
    for height in [2, 1, 2] {
        let expect = format!("{height}:x");
        assert_eq!(
            test_utils::view_export(height, b"", looking),
            expect.as_bytes()
        );
        let other = 3 - height;
        let expect = format!("{other}:x|");
        assert_eq!(
            test_utils::view_export(other, b"", blind),
            expect.as_bytes()
        );
    }
}

#[test]
fn what_was_reset_or_cleared_is_not_flushed_and_the_rest_is() {
    for host in both_kinds_of_host() {
        host();
        test_utils::index_export(7, b"", || {
            input();
            set(bytes("a"), bytes("1"));
            reset();
            export_bytes(vec![]);
            assert_eq!(get(bytes("a")), bytes("1"));
            set(bytes("b"), bytes("2"));
            flush();
            set(bytes("c"), bytes("3"));
            forget();
            assert_eq!(get(bytes("b")), bytes(""), "the state before the block");
            set(bytes("d"), bytes("4"));
            flush();
        });
        assert_eq!(test_utils::written(7), pairs(&[("b", "2"), ("d", "4")]));
        // What was read after `clear` is that of before the block.
        let look = |key: &'static str| {
            move || {
                input();
                export_bytes(get(bytes(key)).to_vec())
            }
        };
        assert_eq!(test_utils::view_export(7, b"", look("b")), b"2");
        test_utils::index_export(8, b"", || {
            input();
            assert_eq!(get(bytes("b")), bytes("2"));
            flush();
        });
    }
}

#[test]
fn a_block_that_panicked_leaves_nothing_to_the_next() {
    for host in both_kinds_of_host() {
        host();
        test_utils::index_block(1, b"x", write);
        let failed = std::panic::catch_unwind(|| {
            test_utils::index_export(2, b"", || {
                input();
                set(bytes("k"), bytes("left over"));
                set(bytes("new"), bytes("left over"));
                panic!("as a guest does");
            });
        });
        assert!(failed.is_err());
        test_utils::index_export(2, b"", || {
            input();
            assert_eq!(get(bytes("k")), bytes("1:x"));
            assert_eq!(get(bytes("new")), bytes(""));
            flush();
        });
        assert!(test_utils::written(2).is_empty());
    }
}

#[test]
#[allow(unsafe_code, reason = "answers are read through their pointers")]
fn every_answer_of_a_call_stays_in_memory_until_the_call_ended() {
    test_utils::reset();
    test_utils::view_export(1, b"", || {
        input();
        let first = export_bytes(b"first".to_vec());
        let second = export_bytes(vec![7; 1000]);
        // SAFETY: both are answers of the call under way.
        let read = |pointer| unsafe { read_buffer(pointer) };
        assert_eq!(read(first).as_deref(), Some(&b"first"[..]));
        assert_eq!(read(second), Some(vec![7; 1000]));
        second
    });
}

#[test]
fn a_block_by_hand_finds_what_the_last_one_left_if_calls_are_announced() {
    test_utils::reset();
    let block = |misses: u64| {
        move || {
            input();
            let before = lru_cache_stats().misses;
            set(bytes("written"), bytes("v"));
            get(bytes("read"));
            flush();
            set(bytes("never flushed"), bytes("v"));
            get(bytes("written"));
            assert_eq!(lru_cache_stats().misses, before + misses);
        }
    };
    test_utils::index_export(1, b"", block(1));
    test_utils::index_export(2, b"", block(0));
    test_utils::index_export(3, b"", || {
        input();
        assert_eq!(get_cache_mode(), CacheAllocationMode::Indexer);
        let before = misses();
        assert_eq!(get(bytes("written")), bytes("v"));
        assert_eq!(misses(), before);
        assert_eq!(get(bytes("never flushed")), bytes(""));
        flush();
    });
    // Not the next block.
    test_utils::index_export(5, b"", block(1));
}

#[test]
fn set_view_for_height_and_clear_view_cache_lose_no_write_of_a_block() {
    test_utils::reset();
    test_utils::index_export(7, b"", || {
        set(bytes("a"), bytes("1"));
        set_view_for_height(3);
        set(bytes("b"), bytes("2"));
        clear_view_cache();
        flush();
    });
    assert_eq!(test_utils::written(7), pairs(&[("a", "1"), ("b", "2")]));
}
