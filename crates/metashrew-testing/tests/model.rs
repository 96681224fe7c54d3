//! The recount agrees with itself and with sums taken another way.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic fails the test"
)]

use std::collections::HashMap;

use bitcoin::OutPoint;
use metashrew_testing::chain::{Chain, Shape};
use metashrew_testing::model::Recount;

fn chain() -> Chain {
    let mut chain = Chain::new(21).start(50).shape(Shape::Transactions(25));
    chain.mine(30);
    chain
}

fn recount(chain: &Chain, skip: usize) -> Recount {
    let blocks = chain
        .blocks()
        .iter()
        .skip(skip)
        .map(|mined| mined.bytes.as_slice());
    Recount::of(50 + u32::try_from(skip).unwrap(), blocks)
}

#[test]
fn balances_add_up_at_every_height() {
    let chain = chain();
    let recount = recount(&chain, 0);
    let mut unspent: HashMap<OutPoint, u64> = HashMap::new();
    for mined in chain.blocks() {
        for transaction in mined.block().txdata {
            for input in &transaction.input {
                unspent.remove(&input.previous_output);
            }
            let txid = transaction.compute_txid();
            for (vout, output) in (0..).zip(&transaction.output) {
                unspent.insert(OutPoint { txid, vout }, output.value.to_sat());
            }
        }
        let mut total = 0;
        for script in recount.scripts() {
            let account = recount.account(script, mined.height);
            let outputs = recount.unspent(script, mined.height);
            assert_eq!(
                account.balance,
                outputs.iter().map(|output| output.satoshi).sum::<u64>()
            );
            assert!(account.txs >= u64::from(account.received > 0));
            for output in outputs {
                assert!(output.height <= mined.height);
                assert_eq!(unspent.get(&output.outpoint), Some(&output.satoshi));
            }
            total += account.balance;
        }
        assert_eq!(total, unspent.values().sum::<u64>());
    }
}

#[test]
fn some_scripts_are_paid_and_spent_from_often() {
    let recount = recount(&chain(), 0);
    let busiest = recount
        .scripts()
        .map(|script| recount.account(script, 79).txs)
        .max();
    assert!(
        busiest > Some(20),
        "the busiest script has {busiest:?} transactions"
    );
}

#[test]
fn block_facts_are_those_of_the_block() {
    let chain = chain();
    let whole = recount(&chain, 0);
    for mined in chain.blocks() {
        let block = mined.block();
        let facts = whole.block(mined.height).unwrap();
        assert_eq!((facts.hash, facts.time), (mined.hash, block.header.time));
        assert_eq!(
            (facts.txs, facts.size),
            (block.txdata.len() as u64, mined.bytes.len() as u64)
        );
        // The generator's coinbase takes 50 BTC and the fees; the first one is
        // split in equal parts.
        let claimed: u64 = block.txdata[0]
            .output
            .iter()
            .map(|output| output.value.to_sat())
            .sum();
        if mined.height > 50 {
            assert_eq!(facts.fees, Some(claimed - 5_000_000_000));
        } else {
            assert_eq!(facts.fees, Some(0));
        }
    }
    assert_eq!(whole.block(80), None);
}

#[test]
fn unknown_inputs_count_for_nothing() {
    let chain = chain();
    let (whole, late) = (recount(&chain, 0), recount(&chain, 10));
    assert_eq!(late.block(60).unwrap().fees, None);
    let mut differing = 0;
    for script in late.scripts() {
        let (known, partial) = (whole.account(script, 79), late.account(script, 79));
        assert!(partial.received <= known.received && partial.spent <= known.spent);
        differing += u32::from(known != partial);
    }
    assert!(differing > 0);
}

#[test]
fn accounts_are_told_as_json() {
    let recount = recount(&chain(), 0);
    let script = recount.scripts().next().unwrap();
    let account = recount.account(script, 49);
    assert_eq!(
        account.json(),
        r#"{"height":49,"balance":0,"received":0,"spent":0,"utxos":0,"txs":0}"#
    );
}
