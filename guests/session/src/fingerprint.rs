//! An expensive computation, done once: the block's hash, hashed again and
//! again.

use crate::memory::Memory;
use crate::state;
use bitcoin_hashes::{Hash, sha256};
use guest_wire::json;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::convert::Infallible;

/// Rounds of hashing: by default, and at most.
const ROUNDS: (u32, u32) = (100_000, 10_000_000);
/// Fingerprints remembered.
const REMEMBERED: usize = 4096;

/// What a fingerprint is made from: the block's hash and the rounds.
type Key = ([u8; 32], u32);

thread_local! {
    static MEMORY: RefCell<Memory<Key, [u8; 32]>> = const { RefCell::new(Memory::new(REMEMBERED)) };
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    rounds: Option<u32>,
}

#[derive(Serialize)]
struct FingerprintAnswer {
    height: u32,
    rounds: u32,
    fingerprint: String,
    cached: bool,
}

/// The SHA-256 of the SHA-256 … of the block's hash, and whether it was
/// remembered.
pub(crate) fn fingerprint(height: u32, input: &[u8]) -> Result<Vec<u8>, Infallible> {
    json::answer(input, |question: Question| {
        let rounds = question.rounds.unwrap_or(ROUNDS.0);
        if !(1..=ROUNDS.1).contains(&rounds) {
            return Err(format!("`rounds` is {rounds}; it may be 1 to {}", ROUNDS.1));
        }
        let hash = state::block(height)?.hash;
        let (fingerprint, cached) = MEMORY.with_borrow_mut(|memory| {
            let (made, known) = memory.get_or_insert_with((hash, rounds), || compute(hash, rounds));
            (hex::encode(made), known)
        });
        Ok(FingerprintAnswer {
            height,
            rounds,
            fingerprint,
            cached,
        })
    })
}

fn compute(hash: [u8; 32], rounds: u32) -> [u8; 32] {
    (0..rounds).fold(hash, |hash, _| sha256::Hash::hash(&hash).to_byte_array())
}
