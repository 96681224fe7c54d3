//! Every view at every height, in one memory, against a recount.

use super::*;
use metashrew_core::test_utils::{index_block, reset, state, view};

type View = fn(u32, &[u8]) -> Result<Vec<u8>, std::convert::Infallible>;

const HEIGHTS: u32 = 5;

fn index_all() {
    reset();
    for height in 1..=HEIGHTS {
        index_block(height, &[height.to_le_bytes()[0]; 90], index);
    }
}

/// What `sum` has to answer, from the state itself.
fn recount(height: u32, accounts: &[u8]) -> Vec<u8> {
    let state = state(height);
    let balance = |number: &u8| state[&vec![b'a', b'/', number % 64]].clone();
    let sum = accounts.iter().fold(0u64, |sum, number| {
        sum.wrapping_add(u64::from_le_bytes(balance(number).try_into().unwrap()))
    });
    [&state[&b"tip"[..]][..], &sum.to_le_bytes()].concat()
}

#[test]
fn every_answer_is_that_of_its_height() {
    index_all();
    let all: Vec<u8> = (0..64).collect();
    for height in [5, 1, 5, 3, 2, 1, 4, 5, 5] {
        for sum in [sum as View, cached] {
            assert_eq!(view(height, b"", sum), recount(height, &all));
            assert_eq!(
                view(height, &[7, 7, 255], sum),
                recount(height, &[7, 7, 255])
            );
        }
        assert_eq!(view(height, b"tip", get), state(height)[&b"tip"[..]]);
        assert_eq!(view(height, b"nothing", get), b"");
    }
}

#[test]
fn a_second_call_asks_the_host_for_nothing() {
    index_all();
    let misses = || {
        let stats = view(3, b"", stats);
        u64::from_le_bytes(stats[8..16].try_into().unwrap())
    };
    let before = misses();
    view(3, b"", sum);
    assert_eq!(misses(), before + 65);
    view(2, b"", sum);
    assert_eq!(misses(), before + 130);
    for height in [3, 2, 3] {
        view(height, b"", sum);
        view(height, b"tip", get);
    }
    assert_eq!(misses(), before + 130);
}

#[test]
fn a_short_block_is_hashed_whole() {
    reset();
    index_block(0, b"short", index);
    assert_eq!(view(0, b"tip", get).len(), 36);
}
