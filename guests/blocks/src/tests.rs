//! The guest against the `bitcoin` crate.

use super::*;
use bitcoin::OutPoint;
use guest_fixtures::{block_of, coinbase, decode, early_blocks, full_block, transaction};
use metashrew_core::test_utils::{index_block, reset, view};
use serde_json::{Value, json};
use std::collections::BTreeMap;

type View = fn(u32, &[u8]) -> Result<Vec<u8>, std::convert::Infallible>;

fn ask(view_function: View, height: u32, question: &Value) -> Value {
    let answer = view(height, question.to_string().as_bytes(), view_function);
    serde_json::from_slice(&answer).unwrap()
}

/// Indexes blocks from a height on: what `block` should answer for each.
fn index_all(first: u32, blocks: &[Vec<u8>]) -> Vec<Value> {
    reset();
    let mut values = BTreeMap::new();
    let mut expect = Vec::new();
    for (height, bytes) in (first..).zip(blocks) {
        index_block(height, bytes, index);
        let block = decode(bytes);
        expect.push(json!({
            "height": height,
            "hash": block.block_hash().to_string(),
            "previous": block.header.prev_blockhash.to_string(),
            "time": block.header.time,
            "txs": block.txdata.len(),
            "size": block.total_size(),
            "weight": block.weight().to_wu(),
            "fees": fees(&block, &mut values),
        }));
    }
    expect
}

fn fees(block: &bitcoin::Block, values: &mut BTreeMap<OutPoint, u64>) -> Option<u64> {
    let mut sum = Some(0);
    for transaction in &block.txdata {
        let outputs: u64 = transaction
            .output
            .iter()
            .map(|output| output.value.to_sat())
            .sum();
        if !transaction.is_coinbase() {
            let inputs = transaction
                .input
                .iter()
                .map(|input| values.get(&input.previous_output));
            let inputs: Option<u64> = inputs.sum();
            sum = sum.zip(inputs).map(|(sum, inputs)| sum + inputs - outputs);
        }
        let txid = transaction.compute_txid();
        for (vout, output) in (0..).zip(&transaction.output) {
            values.insert(OutPoint { txid, vout }, output.value.to_sat());
        }
    }
    sum
}

#[test]
fn early_blocks_are_answered_by_height_and_hash() {
    let expect = index_all(1, &early_blocks());
    for (height, expect) in (1..).zip(&expect) {
        assert_eq!(ask(block, 255, &json!({ "height": height })), *expect);
        assert_eq!(ask(block, 255, &json!({ "hash": expect["hash"] })), *expect);
        assert_eq!(ask(tip, height, &json!({})), *expect);
    }
    assert_eq!(expect[169]["fees"], 0);
}

#[test]
fn fees_are_unknown_where_an_input_is() {
    let expect = index_all(840_243, &[full_block(840_243)]);
    assert_eq!(expect[0]["fees"], Value::Null);
    assert_eq!(ask(tip, 840_243, &json!({})), expect[0]);
}

#[test]
fn fees_count_over_chunks_of_outputs_and_within_a_block() {
    let outputs: Vec<_> = (0..100u64).map(|n| (n + 10, &[0x51][..])).collect();
    let first = coinbase(1, &outputs);
    let from =
        |transaction: &bitcoin::Transaction, vout| OutPoint::new(transaction.compute_txid(), vout);
    let second = transaction(&[from(&first, 99), from(&first, 40)], &[(150, &[0x52])]);
    let third = transaction(&[from(&second, 0)], &[(149, &[0x6a])]);
    let blocks = [
        block_of(vec![first]),
        block_of(vec![coinbase(2, &[(17, &[0x51])]), second, third]),
    ];
    let expect = index_all(7, &blocks);
    // 109 + 50 in, 150 out; then 150 in, 149 out.
    assert_eq!(expect[1]["fees"], 10);
    assert_eq!(ask(tip, 8, &json!({})), expect[1]);
}

#[test]
fn ranges_are_cut_to_what_is_there_and_paged() {
    let expect = index_all(100, &early_blocks()[..20]);
    let check = |question: Value, blocks: std::ops::Range<usize>, next: Value| {
        let answer = ask(range, 119, &question);
        assert_eq!(
            answer,
            json!({ "height": 119, "blocks": expect[blocks], "next": next }),
            "{question}"
        );
    };
    check(json!({}), 0..20, Value::Null);
    check(json!({ "from": 105, "to": 107 }), 5..8, Value::Null);
    check(json!({ "from": 105, "limit": 3 }), 5..8, 108.into());
    check(
        json!({ "from": 117, "limit": 3, "to": 900 }),
        17..20,
        Value::Null,
    );
    check(json!({ "from": 0, "to": 101 }), 0..2, Value::Null);
    check(json!({ "from": 300 }), 0..0, Value::Null);
    check(json!({ "from": 110, "to": 105 }), 0..0, Value::Null);
    let answer = ask(range, 103, &json!({}));
    assert_eq!(answer["blocks"].as_array().unwrap().len(), 4);
}

#[test]
fn bad_questions_get_errors() {
    reset();
    let check = |view: View, question: Value, expect: &str| {
        let answer = ask(view, 255, &question);
        let error = answer["error"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"));
        assert!(error.contains(expect), "{error}");
    };
    check(range, json!({}), "no block is indexed");
    index_all(1, &early_blocks());
    check(block, json!({}), "give one of `height` and `hash`");
    check(
        block,
        json!({ "height": 1, "hash": "00".repeat(32) }),
        "give one of",
    );
    check(
        block,
        json!({ "height": 256 }),
        "no block at height 256 here",
    );
    check(block, json!({ "height": -1 }), "bad input");
    check(
        block,
        json!({ "hash": "00".repeat(32) }),
        "no block has that hash here",
    );
    check(block, json!({ "hash": "00" }), "a hash has 64 hex digits");
    check(tip, json!({ "height": 1 }), "unknown field");
    check(range, json!({ "limit": 1001 }), "it may be 1 to 1000");
}

#[test]
fn a_later_block_does_not_show_at_an_earlier_height() {
    let expect = index_all(1, &early_blocks());
    let later = expect[200]["hash"].clone();
    assert!(ask(block, 200, &json!({ "hash": later }))["error"].is_string());
    assert!(ask(block, 200, &json!({ "height": 201 }))["error"].is_string());
    assert_eq!(ask(block, 201, &json!({ "hash": later })), expect[200]);
}
