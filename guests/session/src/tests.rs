//! Each view, over calls that follow one another in one memory.

use super::*;
use bitcoin_hashes::{Hash, sha256, sha256d};
use guest_fixtures::{early_blocks, full_block};
use metashrew_core::test_utils::{index_block, reset, view};
use serde_json::{Value, json};

type View = fn(u32, &[u8]) -> Result<Vec<u8>, std::convert::Infallible>;

fn ask(view_function: View, height: u32, question: &Value) -> Value {
    let answer = view(height, question.to_string().as_bytes(), view_function);
    serde_json::from_slice(&answer).unwrap()
}

fn index_all(first: u32, blocks: &[Vec<u8>]) {
    reset();
    for (height, block) in (first..).zip(blocks) {
        index_block(height, block, index);
    }
}

#[test]
fn a_fingerprint_is_computed_once_for_each_block_and_count() {
    let blocks = early_blocks();
    index_all(1, &blocks);
    let expect = |height: u32, rounds: u32, cached: bool| {
        let block = &blocks[height as usize - 1];
        let hash = sha256d::Hash::hash(&block[..80]).to_byte_array();
        let made = (0..rounds).fold(hash, |hash, _| sha256::Hash::hash(&hash).to_byte_array());
        json!({ "height": height, "rounds": rounds, "fingerprint": hex::encode(made), "cached": cached })
    };
    let check = |height: u32, rounds: u32, cached: bool| {
        assert_eq!(
            ask(fingerprint, height, &json!({ "rounds": rounds })),
            expect(height, rounds, cached)
        );
    };
    check(255, 1000, false);
    check(255, 1000, true);
    check(255, 10, false);
    check(9, 1000, false);
    check(255, 1000, true);
    check(9, 1000, true);
}

#[test]
fn values_are_read_once_at_each_height() {
    let blocks = early_blocks();
    index_all(1, &blocks);
    let check = |height: u32, wanted: u32, asked: u64| {
        let first = (height + 1).saturating_sub(wanted).max(1);
        let bytes: usize = (first..=height)
            .map(|height| blocks[height as usize - 1].len())
            .sum();
        let expect = json!({ "height": height, "blocks": height + 1 - first, "bytes": bytes, "asked": asked });
        assert_eq!(ask(recent, height, &json!({ "blocks": wanted })), expect);
    };
    // The blocks, and where the first one is.
    check(255, 10, 11);
    check(255, 10, 0);
    check(255, 12, 2);
    check(9, 100, 10);
    check(9, 100, 0);
    check(255, 12, 0);
}

#[test]
fn the_caches_tell_what_they_did() {
    index_all(1, &early_blocks());
    let before = ask(caches, 255, &json!({}));
    let count = |answer: &Value, name: &str| answer[name].as_u64().unwrap();
    ask(recent, 255, &json!({ "blocks": 5 }));
    ask(recent, 254, &json!({ "blocks": 5 }));
    ask(recent, 255, &json!({ "blocks": 5 }));
    ask(fingerprint, 255, &json!({ "rounds": 1 }));
    ask(fingerprint, 255, &json!({ "rounds": 1 }));
    let after = ask(caches, 255, &json!({}));
    let grown = |name: &str| count(&after, name) - count(&before, name);
    assert_eq!((grown("misses"), grown("hits")), (13, 9));
    assert_eq!(
        (count(&after, "items"), count(&after, "evictions")),
        (13, 0)
    );
    assert_eq!(count(&after, "limit"), 1 << 30);
    assert!(count(&after, "bytes") > 13 * 128);
}

#[test]
fn visits_are_counted_by_session() {
    index_all(1, &early_blocks());
    let check = |height: u32, session: &str, visits: u64, sessions: usize| {
        let answer = ask(visit, height, &json!({ "session": session }));
        let expect =
            json!({ "height": height, "session": session, "visits": visits, "sessions": sessions });
        assert_eq!(answer, expect);
    };
    check(255, "ann", 1, 1);
    check(255, "bob", 1, 2);
    check(255, "ann", 2, 2);
    check(9, "ann", 3, 2);
}

#[test]
fn sizes_are_loaded_over_several_calls() {
    let mut blocks = early_blocks();
    blocks.push(full_block(772_904));
    index_all(1, &blocks);
    let mut lengths: Vec<_> = blocks.iter().map(Vec::len).collect();
    let check = |blocks: u32, loaded: usize, lengths: &[usize]| {
        let mut sorted = lengths[..loaded].to_vec();
        sorted.sort_unstable();
        let expect = json!({
            "height": 256, "loaded": loaded, "of": 256, "complete": loaded == 256,
            "smallest": sorted.first(),
            "median": loaded.checked_sub(1).map(|last| sorted[last / 2]),
            "largest": sorted.last(),
        });
        assert_eq!(ask(sizes, 256, &json!({ "blocks": blocks })), expect);
    };
    check(0, 0, &lengths);
    check(10, 10, &lengths);
    check(100, 110, &lengths);
    check(1000, 256, &lengths);
    check(1000, 256, &lengths);
    // Another height has a chain of its own.
    let answer = ask(sizes, 9, &json!({ "blocks": 4 }));
    assert_eq!((&answer["loaded"], &answer["of"]), (&json!(4), &json!(9)));
    lengths.truncate(4);
    assert_eq!(answer["largest"], *lengths.iter().max().unwrap());
}

#[test]
fn bad_questions_get_errors() {
    reset();
    let check = |view: View, question: Value, expect: &str| {
        let answer = ask(view, 5, &question);
        let error = answer["error"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"));
        assert!(error.contains(expect), "{error}");
    };
    check(sizes, json!({}), "no block is indexed");
    check(fingerprint, json!({}), "no block at height 5 here");
    check(
        fingerprint,
        json!({ "rounds": 0 }),
        "it may be 1 to 10000000",
    );
    check(visit, json!({}), "missing field `session`");
    check(
        visit,
        json!({ "session": "x".repeat(257) }),
        "more than 256 bytes",
    );
    check(sizes, json!({ "blocks": 100_001 }), "it may be 0 to 100000");
    check(recent, json!({}), "no block is indexed");
    check(recent, json!({ "blocks": 0 }), "it may be 1 to 10000");
    check(caches, json!({ "all": 1 }), "unknown field `all`");
}
