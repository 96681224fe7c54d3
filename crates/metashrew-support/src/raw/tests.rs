//! What `raw` reads equals what the `bitcoin` crate reads.

use super::*;
use bitcoin::consensus::deserialize;

fn examples(name: &str) -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/");
    std::fs::read(format!("{path}{name}")).unwrap()
}

fn check(bytes: &[u8]) {
    let block = Block::parse(bytes).unwrap();
    let expect: bitcoin::Block = deserialize(bytes).unwrap();
    assert_eq!(block.hash(), expect.block_hash().to_byte_array());
    assert_eq!(
        block.previous(),
        expect.header.prev_blockhash.to_byte_array()
    );
    assert_eq!(block.time(), expect.header.time);
    assert_eq!(block.weight() as u64, expect.weight().to_wu());
    assert_eq!(block.bytes().len(), expect.total_size());
    assert_eq!(block.transactions().len(), expect.txdata.len());
    for (tx, expect) in block.transactions().zip(&expect.txdata) {
        assert_eq!(tx.txid(), expect.compute_txid().to_byte_array());
        assert_eq!(tx.size(), expect.total_size());
        assert_eq!(tx.base_size(), expect.base_size());
        assert_eq!(tx.bytes(), bitcoin::consensus::serialize(expect));
        assert_eq!(tx.inputs.len(), expect.input.len());
        for (input, expect) in tx.inputs.iter().zip(&expect.input) {
            assert_eq!(*input.txid, expect.previous_output.txid.to_byte_array());
            assert_eq!(input.vout, expect.previous_output.vout);
            assert_eq!(input.script, expect.script_sig.as_bytes());
            assert_eq!(input.is_coinbase(), expect.previous_output.is_null());
        }
        assert_eq!(tx.outputs.len(), expect.output.len());
        for (output, expect) in tx.outputs.iter().zip(&expect.output) {
            assert_eq!(output.value, expect.value.to_sat());
            assert_eq!(output.script, expect.script_pubkey.as_bytes());
        }
    }
}

#[test]
fn full_blocks_read_as_the_bitcoin_crate_reads_them() {
    check(&examples("block-772904.bin"));
    check(&examples("block-840243.bin"));
}

#[test]
fn a_block_cut_anywhere_is_an_error() {
    let bytes = bitcoin::consensus::serialize(&bitcoin::constants::genesis_block(
        bitcoin::Network::Bitcoin,
    ));
    check(&bytes);
    for length in 0..bytes.len() {
        let expect = ParseError::Short { length };
        assert_eq!(Block::parse(&bytes[..length]).unwrap_err(), expect);
    }
}

#[test]
fn bytes_behind_the_block_are_an_error() {
    let mut bytes = bitcoin::consensus::serialize(&bitcoin::constants::genesis_block(
        bitcoin::Network::Regtest,
    ));
    bytes.extend([0; 3]);
    assert_eq!(
        Block::parse(&bytes).unwrap_err(),
        ParseError::Trailing { bytes: 3 }
    );
}

#[test]
fn an_unknown_witness_flag_is_an_error() {
    let mut bytes = vec![0; 80];
    bytes.extend([1, 1, 0, 0, 0, 0, 2]);
    assert_eq!(
        Block::parse(&bytes).unwrap_err(),
        ParseError::WitnessFlag { flag: 2 }
    );
}

#[test]
fn a_false_count_allocates_nothing_of_that_size() {
    let mut bytes = vec![0; 80];
    bytes.extend([0xff; 9]);
    assert_eq!(
        Block::parse(&bytes).unwrap_err(),
        ParseError::Short { length: 89 }
    );
}

#[test]
fn unspendable_outputs_are_told_apart() {
    let check = |script: &[u8], expect: bool| {
        assert_eq!(Output { value: 1, script }.is_unspendable(), expect);
    };
    check(&[], false);
    check(&[0x6a], true);
    check(&[0x51, 0x6a], false);
    check(&[0x51; 10_000], false);
    check(&[0x51; 10_001], true);
}
