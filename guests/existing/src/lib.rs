//! A guest in the shape of those in the wild, in their ways and not in ours: it uses
//! the public names that they use, and a test compares its state key by key with a
//! recount (`existing::` in crates/metashrew/tests/it).

pub mod message;
pub mod tables;
pub mod view;

use anyhow::Result;
use bitcoin::hashes::Hash;
use bitcoin::{Block, Transaction};
#[allow(unused_imports)]
use metashrew_core::{
    index_pointer::{AtomicPointer, IndexPointer},
    println,
    stdio::{stdout, Write},
};
use metashrew_support::index_pointer::KeyValuePointer;
use metashrew_support::utils::consensus_encode;
use prost::Message;
use std::sync::Arc;
use tables::*;

#[cfg(target_arch = "wasm32")]
#[no_mangle]
pub fn _start() {
    use metashrew_core::{flush, initialize, input};
    use metashrew_support::block::AuxpowBlock;
    use metashrew_support::utils::{consume_sized_int, consume_to_end};
    initialize();
    let mut data = std::io::Cursor::new(input());
    let height = consume_sized_int::<u32>(&mut data).unwrap();
    let bytes = consume_to_end(&mut data).unwrap();
    let block = AuxpowBlock::parse(&mut std::io::Cursor::new(bytes))
        .unwrap()
        .to_consensus();
    index_block(&block, height).unwrap();
    flush();
}

pub fn index_block(block: &Block, height: u32) -> Result<()> {
    let hash = block.block_hash().to_byte_array().to_vec();
    HEIGHT_TO_BLOCKHASH
        .select_value(height)
        .set(Arc::new(hash.clone()));
    BLOCKHASH_TO_HEIGHT.select(&hash).set_value(height);
    let mut summary = message::Summary {
        transactions: block.txdata.len() as u32,
        ..Default::default()
    };
    for tx in &block.txdata {
        HEIGHT_TO_TXIDS
            .select_value(height)
            .append(Arc::new(tx.compute_txid().to_byte_array().to_vec()));
        let mut atomic = AtomicPointer::default();
        atomic.checkpoint();
        summary.spent += spend(&mut atomic, tx)?;
        create(&mut atomic, tx, height)?;
        atomic.checkpoint();
        mark(&mut atomic, tx);
        // As an indexer of a protocol does with a message that turns out to be invalid.
        if tx.output.len() % 2 == 0 {
            atomic.rollback();
            summary.rolled_back += 1;
        } else {
            atomic.commit();
        }
        atomic.commit();
        assert_eq!(atomic.checkpoint_depth(), 1);
        atomic.commit();
    }
    keep_sizes(block, height);
    println!("block {}: {} transactions", height, block.txdata.len());
    SUMMARIES
        .select_value(height)
        .set(Arc::new(summary.encode_to_vec()));
    Ok(())
}

/// Takes what the transaction spends off its owners: how many outputs were known.
fn spend(atomic: &mut AtomicPointer, tx: &Transaction) -> Result<u32> {
    let mut known = 0;
    for input in &tx.input {
        let outpoint = consensus_encode(&input.previous_output)?;
        let mut owner = atomic.derive(&OUTPOINT_TO_SCRIPT.select(&outpoint));
        let script = owner.get();
        if script.len() <= 1 {
            continue;
        }
        known += 1;
        let position = atomic
            .derive(&OUTPOINT_TO_POSITION.select(&outpoint))
            .get_value::<u32>();
        let value = atomic
            .derive(&OUTPOINT_TO_VALUE.select(&outpoint))
            .get_value::<u64>();
        atomic
            .derive(&OUTPOINTS_OF_SCRIPT.select(&script))
            .delete_value(position);
        let mut balance = atomic.derive(&BALANCE_OF_SCRIPT.select(&script));
        balance.set_value(balance.get_value::<u128>() - u128::from(value));
        owner.nullify();
    }
    Ok(known)
}

fn create(atomic: &mut AtomicPointer, tx: &Transaction, height: u32) -> Result<()> {
    let txid = tx.compute_txid();
    for (vout, output) in tx.output.iter().enumerate() {
        let script = output.script_pubkey.to_bytes();
        if output.script_pubkey.is_op_return() || script.len() <= 1 {
            continue;
        }
        let outpoint = consensus_encode(&bitcoin::OutPoint::new(txid, vout as u32))?;
        let outpoints = atomic.derive(&OUTPOINTS_OF_SCRIPT.select(&script));
        atomic
            .derive(&OUTPOINT_TO_POSITION.select(&outpoint))
            .set_value(outpoints.length());
        outpoints.append_ll(Arc::new(outpoint.clone()));
        atomic
            .derive(&OUTPOINT_TO_VALUE.select(&outpoint))
            .set_value(output.value.to_sat());
        let mut balance = atomic.derive(&BALANCE_OF_SCRIPT.select(&script));
        balance.set_value(balance.get_value::<u128>() + u128::from(output.value.to_sat()));
        atomic
            .derive(&OUTPOINT_TO_SCRIPT.select(&outpoint))
            .set(Arc::new(script.clone()));
        atomic
            .derive(&SCRIPT_SEEN.select(&script))
            .prefix("/first")
            .set_value(height);
    }
    Ok(())
}

/// What an invalid message would have to take back.
fn mark(atomic: &mut AtomicPointer, tx: &Transaction) {
    let marks = atomic.derive(&IndexPointer::from_keyword("/marks"));
    let mut item = marks.extend();
    item.set_or_nullify(Arc::new(
        tx.lock_time.to_consensus_u32().to_le_bytes().to_vec(),
    ));
    atomic
        .derive(&MARK_OF_TXID.select(&tx.compute_txid().to_byte_array().to_vec()))
        .set_value(marks.length());
}

/// A list that grows at its end, shrinks there every seventh block, and has holes.
fn keep_sizes(block: &Block, height: u32) {
    SIZES.append_value(block.total_size() as u64);
    if height % 7 == 0 {
        let popped = SIZES.pop_value::<u64>();
        assert_eq!(popped, block.total_size() as u64);
        SIZES.append(Arc::new(vec![7; 8]));
    }
    if height % 11 == 0 {
        SIZES.pop();
    }
    if height % 13 == 0 {
        SIZES.drop_index(SIZES.length() / 2);
    }
    SIZES.keyword("/last").set_value(height as u16);
}
