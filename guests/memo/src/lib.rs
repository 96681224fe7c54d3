//! The accounts of `ledger`, by a guest as they are found in the wild: its exports
//! are written by hand, and it remembers everything it read in a memory of its
//! own, without a thought of heights.
//!
//! So it makes no promise to its host (`metashrew_core::memory!`): that gives each
//! block an instance of its own, and the answers are right.
#![allow(
    clippy::unnecessary_wraps,
    reason = "the SDK takes functions that may fail"
)]

#[path = "../../ledger/src/state.rs"]
mod state;

use metashrew_core::{flush, height_and_payload, host, initialize, input};
use metashrew_support::compat::export_bytes;
use state::{ACCOUNTS, TIP, account, index};
use std::cell::RefCell;
use std::collections::BTreeMap;

thread_local! {
    /// All that was read, ever.
    static MEMO: RefCell<BTreeMap<Vec<u8>, Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
}

fn remembered(key: Vec<u8>) -> Vec<u8> {
    MEMO.with_borrow_mut(|memo| {
        let value = memo.entry(key).or_insert_with_key(|key| host::read(key));
        value.clone()
    })
}

/// Indexes a block.
#[cfg_attr(target_arch = "wasm32", unsafe(export_name = "_start"))]
#[allow(unsafe_code, reason = "the host calls it by its symbol")]
pub extern "C" fn start() {
    initialize();
    let (height, block) = height_and_payload();
    let Ok(()) = index(height, &block);
    flush();
}

/// The value of the key that the input is.
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
#[allow(unsafe_code, reason = "the host calls it by its symbol")]
pub extern "C" fn get() -> i32 {
    initialize();
    let key = input().split_off(4);
    export_bytes(remembered(key))
}

/// What `sum` of `ledger` answers.
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
#[allow(unsafe_code, reason = "the host calls it by its symbol")]
pub extern "C" fn sum() -> i32 {
    initialize();
    let (_, mut accounts) = height_and_payload();
    if accounts.is_empty() {
        accounts = (0..ACCOUNTS).collect();
    }
    let balances = accounts.iter().map(|number| {
        let value = remembered(account(number % ACCOUNTS));
        value
            .first_chunk()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes))
    });
    let sum = balances.fold(0, u64::wrapping_add);
    export_bytes([&*remembered(TIP.to_vec()), &sum.to_le_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use metashrew_core::test_utils::{index_export, reset, state, view_export};

    #[test]
    fn it_answers_what_it_read_first() {
        reset();
        for height in 1..=2 {
            index_export(height, &[height.to_le_bytes()[0]; 80], || start());
        }
        let at = |height: u32| {
            let state = state(height);
            let sum = (0..ACCOUNTS).fold(0u64, |sum, number| {
                let balance = &state[&account(number)];
                sum.wrapping_add(u64::from_le_bytes(balance[..].try_into().unwrap()))
            });
            [&state[TIP][..], &sum.to_le_bytes()].concat()
        };
        assert_eq!(view_export(2, b"", || sum()), at(2));
        assert_eq!(view_export(2, b"tip", || get()), state(2)[TIP]);
        // A host that asks the same instance at another height is told wrong.
        assert_eq!(view_export(1, b"", || sum()), at(2));
        assert_ne!(at(1), at(2));
    }
}
