//! An expensive computation, done once: the block's hash, hashed again and
//! again.

use crate::state;
use bitcoin_hashes::{Hash, sha256};
use guest_wire::json;
use metashrew_core::{cache_get, cache_set};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::Arc;

/// Rounds of hashing: by default, and at most.
const ROUNDS: (u32, u32) = (100_000, 10_000_000);

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
        // Filed under the block's hash: no other block's fingerprint is ever taken
        // for this one's.
        let name = format!("fingerprint/{}/{rounds}", hex::encode(hash));
        let known = cache_get(&name);
        let cached = known.is_some();
        let fingerprint = known.unwrap_or_else(|| {
            let made = Arc::new(compute(hash, rounds).to_vec());
            cache_set(name, made.clone());
            made
        });
        Ok(FingerprintAnswer {
            height,
            rounds,
            fingerprint: hex::encode(&*fingerprint),
            cached,
        })
    })
}

fn compute(hash: [u8; 32], rounds: u32) -> [u8; 32] {
    (0..rounds).fold(hash, |hash, _| sha256::Hash::hash(&hash).to_byte_array())
}
