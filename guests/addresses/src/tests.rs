//! The guest against a recount over the `bitcoin` crate.

mod recount;
mod scripts;

use super::*;
use guest_fixtures::{block_of, coinbase, decode, early_blocks, full_block, transaction};
use metashrew_core::test_utils::{index_block, reset, state, view, written};
use recount::Recount;
use serde_json::{Value, json};

fn ask(view_function: View, height: u32, question: &Value) -> Value {
    let answer = view(height, question.to_string().as_bytes(), view_function);
    serde_json::from_slice(&answer).unwrap()
}

type View = fn(u32, &[u8]) -> Result<Vec<u8>, std::convert::Infallible>;

/// Follows `next` to the end of a list, giving it back as `parameter`.
fn pages(view: View, height: u32, question: &Value, list: &str, parameter: &str) -> Vec<Value> {
    let mut entries = Vec::new();
    let mut question = question.clone();
    loop {
        let answer = ask(view, height, &question);
        assert_eq!(answer["height"], height);
        entries.extend(answer[list].as_array().unwrap().iter().cloned());
        match &answer["next"] {
            Value::Null => return entries,
            next => question[parameter] = next.clone(),
        }
    }
}

/// All that the views say of every script the recount knows is what it counted.
fn check(recount: &Recount, height: u32, limit: u32) {
    for (script, expect) in recount.scripts() {
        let question = json!({ "script": hex::encode(script), "limit": limit });
        assert_eq!(
            ask(balance, height, &question),
            expect.balance(height),
            "{question}"
        );
        let found = pages(utxos, height, &question, "utxos", "cursor");
        assert_eq!(sorted(found), sorted(recount.utxos(script)), "{question}");
        let expect = expect.history();
        assert_eq!(
            pages(history, height, &question, "history", "offset"),
            expect,
            "{question}"
        );
        let mut newest_first = question.clone();
        newest_first["order"] = "desc".into();
        let mut found = pages(history, height, &newest_first, "history", "offset");
        found.reverse();
        assert_eq!(found, expect, "{newest_first}");
    }
}

fn sorted(mut values: Vec<Value>) -> Vec<Value> {
    values.sort_by_key(ToString::to_string);
    values
}

/// Indexes blocks from a height on, with a recount at every height.
fn index_all(first: u32, blocks: &[Vec<u8>]) -> Vec<(u32, Recount)> {
    reset();
    let mut recount = Recount::default();
    let mut recounts = Vec::new();
    for (height, block) in (first..).zip(blocks) {
        index_block(height, block, index);
        recount.add(height, &decode(block));
        recounts.push((height, recount.clone()));
    }
    recounts
}

#[test]
fn early_blocks_are_counted_right_at_every_height() {
    let recounts = index_all(1, &early_blocks());
    for (height, recount) in recounts
        .iter()
        .filter(|(height, _)| [1, 9, 170, 181, 255].contains(height))
    {
        check(recount, *height, 7);
    }
}

#[test]
fn the_first_payment_shows_at_the_addresses() {
    index_all(1, &early_blocks());
    // Satoshi paid Hal Finney 10 of the 50 bitcoin of block 9, in block 170.
    let script = "410411db93e1dcdb8a016b49840f8c53bc1eb68a382e97b1482ecad7b148a6909a5cb2e0eaddfb84ccf9744464f82e160bfa9b8b64f9d4c03f999b8643f656b412a3ac";
    let question = json!({ "script": script });
    let expect = |height: u32, balance: u64, received: u64, utxos: u32, txs: u32| {
        let spent = received - balance;
        json!({
            "height": height, "balance": balance, "received": received,
            "spent": spent, "utxos": utxos, "txs": txs,
        })
    };
    assert_eq!(ask(balance, 8, &question), expect(8, 0, 0, 0, 0));
    assert_eq!(
        ask(balance, 9, &question),
        expect(9, 50_0000_0000, 50_0000_0000, 1, 1)
    );
    assert_eq!(
        ask(balance, 170, &question),
        expect(170, 40_0000_0000, 90_0000_0000, 1, 2)
    );
    let answer = ask(history, 170, &question);
    assert_eq!(answer["total"], 2);
    assert_eq!(
        answer["history"][1],
        json!({
            "txid": "f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16",
            "height": 170, "position": 1, "change": -10_0000_0000i64,
        })
    );
}

#[test]
fn full_blocks_are_counted_right_from_the_middle_of_the_chain() {
    let first = full_block(772_904);
    let second = full_block(840_243);
    let recounts = index_all(772_904, &[first, second]);
    for (height, recount) in &recounts {
        check(recount, *height, 1_000);
    }
    // A record for each script and each transaction, and few others.
    let keys = written(772_905);
    let count = |letter: u8| keys.keys().filter(|key| key[0] == letter).count();
    let records = count(b's') + count(b'o');
    assert!(
        records + records / 10 > keys.len(),
        "{} keys, {records} records",
        keys.len()
    );
}

#[test]
fn a_transaction_counts_once_in_a_history() {
    let script: &[u8] = &[0x51];
    let funding = coinbase(
        1,
        &[(30, script), (20, script), (0, script), (9, &[0x6a, 1])],
    );
    let txid = funding.compute_txid();
    let spend = |vout| bitcoin::OutPoint::new(txid, vout);
    let churn = transaction(&[spend(0), spend(1)], &[(45, script), (1, &[0x52])]);
    let recounts = index_all(5, &[block_of(vec![funding, churn])]);
    check(&recounts[0].1, 5, 1);
    let answer = ask(balance, 5, &json!({ "script": "51" }));
    let expect = json!({"height":5,"balance":45,"received":95,"spent":50,"utxos":2,"txs":2});
    assert_eq!(answer, expect);
    let answer = ask(history, 5, &json!({ "script": "51" }));
    assert_eq!(answer["history"][0]["change"], 50);
    assert_eq!(answer["history"][1]["change"], -5);
    assert_eq!(ask(balance, 5, &json!({ "script": "6a01" }))["txs"], 0);
}

#[test]
fn a_repeated_coinbase_takes_the_place_of_the_first() {
    let script: &[u8] = &[0x51];
    let blocks: Vec<_> = [7, 8, 7]
        .map(|tag| block_of(vec![coinbase(tag, &[(50, script)])]))
        .into();
    let recounts = index_all(1, &blocks);
    check(&recounts[2].1, 3, 10);
    let answer = ask(balance, 3, &json!({ "script": "51" }));
    let expect = json!({"height":3,"balance":100,"received":150,"spent":50,"utxos":2,"txs":3});
    assert_eq!(answer, expect);
}

/// Random chains over few scripts, so that lists grow over many pages, outputs
/// of every age are spent, and transactions have outputs over several chunks.
#[test]
fn random_chains_are_counted_right() {
    for seed in 1..=8u64 {
        println!("seed {seed}");
        let recounts = index_all(100, &random_chain(seed));
        for (height, recount) in recounts.iter().step_by(7) {
            check(recount, *height, 5);
        }
    }
}

fn random_chain(seed: u64) -> Vec<Vec<u8>> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let scripts: [&[u8]; 5] = [&[0x51], &[0x52], &[0x53], &[0x6a], &[]];
    let mut unspent = Vec::new();
    let mut blocks = Vec::new();
    for height in 0..40u32 {
        let mut transactions = Vec::new();
        for position in 0..=random(6) {
            let outputs = if random(10) == 0 {
                40 + random(60)
            } else {
                random(4) + 1
            };
            let outputs: Vec<_> = (0..outputs)
                .map(|n| (n as u64 * 3, scripts[random(5)]))
                .collect();
            let transaction = if position == 0 {
                coinbase(height, &outputs)
            } else {
                let count = (random(8) + 1).min(unspent.len());
                let mut inputs: Vec<_> = (0..count)
                    .map(|_| unspent.swap_remove(random(unspent.len())))
                    .collect();
                // What no block ever created is passed over.
                inputs.push(bitcoin::OutPoint::new(
                    coinbase(height + 10_000, &[]).compute_txid(),
                    3,
                ));
                transaction(&inputs, &outputs)
            };
            let txid = transaction.compute_txid();
            let spendable = (0..)
                .zip(&outputs)
                .filter(|(_, (_, script))| *script != [0x6a]);
            unspent.extend(spendable.map(|(vout, _)| bitcoin::OutPoint::new(txid, vout)));
            transactions.push(transaction);
        }
        blocks.push(block_of(transactions));
    }
    blocks
}

#[test]
fn a_broken_block_is_an_error() {
    assert!(index(1, &[0; 80]).is_err());
}

#[test]
fn bad_questions_get_errors() {
    reset();
    let check = |view: View, question: Value, expect: &str| {
        let answer = ask(view, 1, &question);
        let error = answer["error"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"));
        assert!(error.contains(expect), "{error}");
    };
    check(
        balance,
        json!({}),
        "give one of `address`, `script` and `scripthash`",
    );
    check(
        balance,
        json!({ "script": "51", "address": "x" }),
        "give one of",
    );
    check(balance, json!({ "script": "5" }), "`script` is not hex");
    check(
        balance,
        json!({ "scripthash": "51" }),
        "`scripthash` is not 64 hex digits",
    );
    check(balance, json!({ "adress": "x" }), "unknown field `adress`");
    check(
        balance,
        json!({ "address": "nonsense" }),
        "`nonsense` is not an address",
    );
    check(
        history,
        json!({ "script": "51", "limit": 0 }),
        "`limit` is 0; it may be 1 to 1000",
    );
    check(
        utxos,
        json!({ "script": "51", "limit": 10_001 }),
        "it may be 1 to 10000",
    );
    check(
        history,
        json!({ "script": "51", "order": "up" }),
        "unknown variant `up`",
    );
}

#[test]
fn a_script_nobody_used_has_nothing() {
    reset();
    index_block(1, &early_blocks()[0], index);
    let question = json!({ "script": "51" });
    let expect = json!({"height":1,"balance":0,"received":0,"spent":0,"utxos":0,"txs":0});
    assert_eq!(ask(balance, 1, &question), expect);
    assert_eq!(
        ask(utxos, 1, &question),
        json!({"height":1,"utxos":[],"next":null})
    );
    let answer = ask(history, 1, &json!({ "script": "51", "offset": 9 }));
    assert_eq!(
        answer,
        json!({"height":1,"total":0,"history":[],"next":null})
    );
}

#[test]
fn keys_are_short_whatever_the_script() {
    reset();
    let script = vec![0x51; 9_999];
    index_block(3, &block_of(vec![coinbase(1, &[(5, &script)])]), index);
    assert!(state(3).keys().all(|key| key.len() <= 37));
    let question = json!({ "script": hex::encode(&script) });
    assert_eq!(ask(balance, 3, &question)["balance"], 5);
}
