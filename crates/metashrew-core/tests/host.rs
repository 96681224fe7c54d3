//! The host of native tests keeps what a block flushed only if the block ended well,
//! within the limits that hosts have.

use metashrew_core::test_utils::{self, index_block, roll_back, state, view};
use std::convert::Infallible;
use std::panic::catch_unwind;

/// Indexes a block that flushes these pairs; whether it ended well.
fn index(
    height: u32,
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
    then: fn() -> Result<(), &'static str>,
) -> bool {
    catch_unwind(|| {
        index_block(height, b"", |_, _| {
            metashrew_core::host::flush(pairs);
            then()
        });
    })
    .is_ok()
}

fn pair(key: &[u8], value: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    vec![(key.to_vec(), value.to_vec())]
}

fn get(height: u32, key: &[u8]) -> Vec<u8> {
    view(height, key, |_, key| {
        Ok::<_, Infallible>(metashrew_core::host::read(key))
    })
}

#[test]
fn a_block_that_fails_leaves_no_trace() {
    test_utils::reset();
    assert!(index(1, pair(b"k", b"1"), || Ok(())));
    assert!(!index(2, pair(b"k", b"2"), || Err("no")));
    assert!(!index(2, pair(b"k", b"2"), || panic!("no")));
    assert_eq!(get(2, b"k"), b"1");
    assert!(index(2, pair(b"k", b"3"), || Ok(())));
    assert_eq!((get(1, b"k"), get(2, b"k")), (b"1".to_vec(), b"3".to_vec()));
}

#[test]
fn keys_have_a_limit() {
    test_utils::reset();
    assert!(index(1, pair(&vec![7; 32_000], b"1"), || Ok(())));
    assert!(!index(2, pair(&vec![7; 32_001], b"1"), || Ok(())));
    assert_eq!(state(2).len(), 1);
}

#[test]
fn a_rollback_takes_back_what_the_blocks_above_wrote() {
    test_utils::reset();
    for height in 5..8u32 {
        assert!(index(height, pair(b"k", &height.to_le_bytes()), || Ok(())));
    }
    assert!(index(8, pair(b"k", b""), || Ok(())));
    assert!(state(8).is_empty());
    roll_back(Some(6));
    assert_eq!(get(8, b"k"), 6u32.to_le_bytes());
    roll_back(None);
    assert_eq!(get(8, b"k"), b"");
}

#[test]
fn a_look_at_a_height_sees_the_state_after_it() {
    test_utils::reset();
    assert!(index(1, pair(b"k", b"1"), || Ok(())));
    assert!(index(2, pair(b"k", b"2"), || Ok(())));
    let look = || metashrew_core::get(b"k".to_vec().into()).to_vec();
    assert_eq!(test_utils::at(1, look), b"1");
    assert_eq!(test_utils::at(2, look), b"2");
    assert_eq!(test_utils::at(0, look), b"");
}

#[test]
fn another_thread_can_take_over_the_state() {
    test_utils::reset();
    assert!(index(1, pair(b"k", b"1"), || Ok(())));
    let saved = test_utils::save();
    assert!(index(2, pair(b"k", b"2"), || Ok(())));
    let there = std::thread::spawn(move || {
        assert!(state(9).is_empty());
        test_utils::restore(saved);
        get(9, b"k")
    });
    assert_eq!(there.join().unwrap(), b"1");
    assert_eq!(get(9, b"k"), b"2");
}
