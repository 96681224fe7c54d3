//! Chains made to order, as the `bitcoin` crate and `raw` read them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic fails the test"
)]

use bitcoin::consensus::{deserialize, serialize};
use bitcoin::hashes::Hash;
use metashrew_support::raw::ScriptKind;
use metashrew_test::{Block, Chain, Inscription, Lock, OutPoint, Tx, TxIn};
use proptest::prelude::*;
use std::collections::HashMap;

/// Checks that blocks follow the rules that an indexer sees.
fn check(blocks: &[Block]) {
    let mut values = HashMap::new();
    let mut parent: Option<[u8; 32]> = None;
    for block in blocks {
        let decoded: bitcoin::Block = deserialize(&block.bytes).unwrap();
        assert_eq!(serialize(&decoded), block.bytes);
        assert_eq!(decoded.block_hash().to_byte_array(), block.hash);
        assert!(decoded.check_merkle_root());
        assert!(decoded.check_witness_commitment());
        let height = i64::from(block.height);
        let start = bitcoin::script::Builder::new()
            .push_int(height)
            .into_bytes();
        assert!(
            decoded.txdata[0].input[0]
                .script_sig
                .as_bytes()
                .starts_with(&start)
        );
        let target = decoded.header.target();
        assert!(decoded.header.validate_pow(target).is_ok());
        if let Some(parent) = parent {
            assert_eq!(decoded.header.prev_blockhash.to_byte_array(), parent);
        }
        parent = Some(block.hash);
        for transaction in &decoded.txdata {
            let spent: Option<u64> = if transaction.is_coinbase() {
                None
            } else {
                let inputs = transaction.input.iter();
                inputs
                    .map(|input| values.remove(&input.previous_output))
                    .sum()
            };
            let paid: u64 = transaction
                .output
                .iter()
                .map(|output| output.value.to_sat())
                .sum();
            if !transaction.is_coinbase() {
                assert_eq!(spent, Some(paid), "{transaction:?}");
            }
            let txid = transaction.compute_txid();
            for (vout, output) in (0..).zip(&transaction.output) {
                values.insert(bitcoin::OutPoint { txid, vout }, output.value.to_sat());
            }
        }
    }
}

#[test]
fn blocks_follow_the_rules_that_an_indexer_sees() {
    for height in [
        0, 1, 16, 17, 127, 128, 255, 256, 32_767, 32_768, 840_000, 8_388_608,
    ] {
        let mut chain = Chain::starting_at(height);
        chain.coinbase(Chain::purse(), 1_000_000).mine();
        let alice = Lock::p2wpkh("alice");
        for lock in [
            Lock::p2pk("bob"),
            Lock::p2pkh("bob"),
            Lock::p2sh("bob"),
            Lock::p2wsh("bob"),
            Lock::p2tr("bob"),
            Lock::from(&[0x51]),
        ] {
            chain.pay(&lock, 1_000);
            chain.send(&lock, &alice, 700);
        }
        chain.inscribe(&alice, Inscription::text("hello"));
        chain.op_return(b"data");
        chain.mine_blocks(3);
        check(chain.blocks());
        assert_eq!(chain.balance(&alice), 6 * 700 + 546);
        assert_eq!(chain.balance(&Lock::p2tr("bob")), 300);
        assert_eq!(chain.at(height + 1), chain.blocks().get(1));
        assert_eq!(chain.tip().unwrap().height, height + 3);
    }
}

#[test]
fn a_chain_is_written_as_files_of_regtest_blocks() {
    let mut chain = Chain::new();
    chain.mine_blocks(3);
    let genesis = bitcoin::constants::genesis_block(bitcoin::Network::Regtest);
    let first: bitcoin::Block = deserialize(&chain.blocks()[0].bytes).unwrap();
    assert_eq!(first.header.prev_blockhash, genesis.block_hash());
    let framed = chain.framed();
    let mut rest = &framed[..];
    for block in chain.blocks() {
        let (frame, behind) = rest.split_first_chunk::<8>().unwrap();
        assert_eq!(frame[..4], bitcoin::Network::Regtest.magic().to_bytes());
        let length = u32::from_le_bytes(frame[4..].try_into().unwrap()) as usize;
        assert_eq!(&behind[..length], block.bytes);
        rest = &behind[length..];
    }
    assert!(rest.is_empty());
}

#[test]
fn locks_have_their_forms() {
    let kind = |lock: &Lock| format!("{:?}", ScriptKind::of(lock.script()));
    for (lock, expect) in [
        (Lock::p2pk("a"), "P2pk"),
        (Lock::p2pkh("a"), "P2pkh"),
        (Lock::p2sh("a"), "P2sh"),
        (Lock::p2wpkh("a"), "P2wpkh"),
        (Lock::p2wsh("a"), "P2wsh"),
        (Lock::p2tr("a"), "P2tr"),
        (Lock::tapscript(vec![0x51]), "P2tr"),
        (Lock::op_return(b"a"), "OpReturn"),
    ] {
        let found = kind(&lock);
        assert!(found.starts_with(&format!("{expect} {{")), "{found}");
    }
}

#[test]
fn what_unlocks_a_lock_fits_it() {
    // The key that is shown is the one that was paid to.
    let input = |lock: &Lock| {
        let input = TxIn::new(
            OutPoint {
                txid: [1; 32],
                vout: 0,
            },
            lock,
        );
        let tx: bitcoin::Transaction = deserialize(&Tx::new().input(input).encode()).unwrap();
        tx.input[0].clone()
    };
    let script = |lock: &Lock| bitcoin::ScriptBuf::from_bytes(lock.script().to_vec());
    let key = |bytes: &[u8]| bitcoin::WPubkeyHash::hash(bytes);
    let p2wpkh = Lock::p2wpkh("alice");
    let spend = input(&p2wpkh);
    assert_eq!(
        script(&p2wpkh),
        bitcoin::ScriptBuf::new_p2wpkh(&key(&spend.witness[1]))
    );
    let p2sh = Lock::p2sh("alice");
    let redeem = bitcoin::ScriptBuf::from_bytes(input(&p2sh).script_sig.as_bytes()[1..].to_vec());
    assert_eq!(script(&p2sh), redeem.to_p2sh());
    let by_script = Lock::p2wsh("alice");
    let inner = input(&by_script).witness.last().unwrap().to_vec();
    let inner = bitcoin::ScriptBuf::from_bytes(inner);
    assert_eq!(script(&by_script), inner.to_p2wsh());
    assert_eq!(input(&Lock::p2tr("alice")).witness[0].len(), 64);
}

#[test]
fn inscriptions_are_read_as_they_were_made() {
    let mut chain = Chain::new();
    chain.mine();
    let parent = chain.inscribe(Lock::p2tr("alice"), Inscription::text("parent"));
    let long: Vec<u8> = (0..2_000u32)
        .map(|number| number.to_le_bytes()[0])
        .collect();
    let child = Inscription::new("image/png", long.clone())
        .parent(parent)
        .pointer(70_000)
        .metadata(&long);
    let id = chain.inscribe(Lock::p2tr("alice"), child);
    let block = chain.mine().clone();
    let raw = block.raw();
    let found: Vec<_> = raw
        .transactions()
        .flat_map(|tx| tx.envelopes().map(move |envelope| (tx.txid(), envelope)))
        .collect();
    assert_eq!(found.len(), 2);
    let (txid, envelope) = found[1];
    assert_eq!(txid, id.txid);
    assert_eq!(envelope.content_type(), Some(&b"image/png"[..]));
    assert_eq!(envelope.parents().collect::<Vec<_>>(), [parent]);
    assert_eq!(envelope.pointer(), Some(70_000));
    assert_eq!(envelope.metadata(), Some(long.clone()));
    assert_eq!(envelope.body().unwrap().collect::<Vec<_>>().concat(), long);
    assert!(!envelope.has_unrecognized_even_field() && !envelope.has_incomplete_field());
}

#[test]
fn a_reorg_gives_back_what_was_spent_and_makes_other_blocks() {
    let mut chain = Chain::new();
    chain.mine();
    let (alice, bob) = (Lock::p2wpkh("alice"), Lock::p2wpkh("bob"));
    chain.pay(&alice, 5_000);
    chain.mine();
    let before = chain.clone();
    chain.send(&alice, &bob, 5_000);
    chain.mine_blocks(2);
    assert_eq!((chain.balance(&alice), chain.balance(&bob)), (0, 5_000));
    let abandoned = chain.reorg(2);
    assert_eq!(
        abandoned
            .iter()
            .map(|block| block.height)
            .collect::<Vec<_>>(),
        [3, 4]
    );
    assert_eq!(chain.blocks(), before.blocks());
    assert_eq!((chain.balance(&alice), chain.balance(&bob)), (5_000, 0));
    assert_eq!(
        chain.unspent(&Chain::purse()),
        before.unspent(&Chain::purse())
    );
    chain.send(&alice, &bob, 5_000);
    chain.mine_blocks(2);
    check(chain.blocks());
    assert_ne!(chain.at(3).unwrap().hash, abandoned[0].hash);
}

#[test]
#[should_panic(expected = "has 0 satoshi to spend, of 7 wanted")]
fn paying_more_than_there_is_says_so() {
    Chain::new().pay(Lock::p2tr("alice"), 7);
}

#[test]
#[should_panic(expected = "a transaction without inputs cannot be in a chain")]
fn a_transaction_without_inputs_is_refused() {
    Chain::new().add(metashrew_test::Tx::new().pay(Lock::p2tr("alice"), 7));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_same_calls_make_the_same_bytes(steps in prop::collection::vec((0..7u8, 1..9u64), 0..40)) {
        let make = || {
            let mut chain = Chain::starting_at(100);
            chain.mine();
            for (step, number) in &steps {
                let lock = Lock::p2tr(&format!("{number}"));
                match step {
                    0 => {
                        chain.pay(&lock, number * 1_000);
                    }
                    1 => {
                        chain.op_return(number.to_le_bytes());
                    }
                    2 => {
                        chain.inscribe(&lock, Inscription::text(&number.to_string()));
                    }
                    3 => {
                        chain.coinbase(&lock, *number);
                    }
                    4 if chain.balance(&lock) > 0 => {
                        chain.send(&lock, Lock::p2pkh("other"), chain.balance(&lock));
                    }
                    5 if chain.blocks().len() > 3 => {
                        chain.reorg(2);
                    }
                    _ => {
                        chain.mine();
                    }
                }
            }
            chain.mine_blocks(2);
            chain
        };
        let chain = make();
        check(chain.blocks());
        let again = make();
        prop_assert_eq!(chain.blocks(), again.blocks());
    }
}
