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
    let header = expect.header;
    assert_eq!(block.version(), header.version.to_consensus());
    assert_eq!(block.previous(), header.prev_blockhash.to_byte_array());
    assert_eq!(block.merkle_root(), header.merkle_root.to_byte_array());
    assert_eq!(block.time(), header.time);
    assert_eq!(block.bits(), header.bits.to_consensus());
    assert_eq!(block.nonce(), header.nonce);
    assert_eq!(block.header()[..], bitcoin::consensus::serialize(&header));
    assert_eq!(block.weight() as u64, expect.weight().to_wu());
    assert_eq!(block.bytes().len(), expect.total_size());
    assert_eq!(block.transactions().len(), expect.txdata.len());
    for (tx, expect) in block.transactions().zip(&expect.txdata) {
        check_transaction(&tx, expect);
    }
}

fn check_transaction(tx: &Transaction<'_>, expect: &bitcoin::Transaction) {
    assert_eq!(tx.txid(), expect.compute_txid().to_byte_array());
    assert_eq!(tx.wtxid(), expect.compute_wtxid().to_byte_array());
    assert_eq!(tx.version(), expect.version.0);
    assert_eq!(tx.lock_time(), expect.lock_time.to_consensus_u32());
    assert_eq!(tx.is_coinbase(), expect.is_coinbase());
    assert_eq!(tx.size(), expect.total_size());
    assert_eq!(tx.base_size(), expect.base_size());
    assert_eq!(tx.weight() as u64, expect.weight().to_wu());
    assert_eq!(tx.vsize(), expect.vsize());
    assert_eq!(tx.bytes(), bitcoin::consensus::serialize(expect));
    assert_eq!(tx.inputs.len(), expect.input.len());
    for (input, expect) in tx.inputs.iter().zip(&expect.input) {
        assert_eq!(*input.txid, expect.previous_output.txid.to_byte_array());
        assert_eq!(input.vout, expect.previous_output.vout);
        assert_eq!(input.script, expect.script_sig.as_bytes());
        assert_eq!(input.sequence, expect.sequence.to_consensus_u32());
        assert_eq!(input.is_coinbase(), expect.previous_output.is_null());
        check_witness(&input.witness, &expect.witness);
    }
    let has_witness = expect.input.iter().any(|input| !input.witness.is_empty());
    assert_eq!(tx.has_witness(), has_witness || expect.input.is_empty());
    assert_eq!(tx.outputs.len(), expect.output.len());
    for (output, expect) in tx.outputs.iter().zip(&expect.output) {
        assert_eq!(output.value, expect.value.to_sat());
        assert_eq!(output.script, expect.script_pubkey.as_bytes());
        script::tests::check(output.script);
    }
    inscription::tests::check(tx, expect);
}

fn check_witness(witness: &Witness<'_>, expect: &bitcoin::Witness) {
    assert_eq!(witness.len(), expect.len());
    assert_eq!(witness.is_empty(), expect.is_empty());
    assert!(witness.iter().eq(expect.iter()));
    assert_eq!(witness.get(1), expect.nth(1));
    assert_eq!(witness.annex(), expect.taproot_annex());
    #[allow(deprecated, reason = "ord calls it too: it asks nobody what is spent")]
    let tapscript = expect.tapscript();
    assert_eq!(
        witness.tapscript(),
        tapscript.map(bitcoin::Script::as_bytes)
    );
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

#[test]
fn an_encoding_with_witnesses_but_none_in_it_is_an_error() {
    let mut bytes = vec![0; 80];
    bytes.extend([1, 2, 0, 0, 0, 0, 1, 1]);
    bytes.extend([0; 36]);
    bytes.extend([0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0]);
    assert_eq!(Block::parse(&bytes).unwrap_err(), ParseError::NoWitness);
}

#[test]
fn a_count_longer_than_it_needs_to_be_is_an_error() {
    let parse = |count: &[u8]| Block::parse(&[&[0; 80][..], count].concat()).map(|_| ());
    for count in [
        &[0xfd, 0xfc, 0][..],
        &[0xfe, 0xff, 0xff, 0, 0],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
    ] {
        assert_eq!(parse(count), Err(ParseError::NonMinimal), "{count:x?}");
    }
    for count in [
        &[0xfd, 0xfd, 0][..],
        &[0xfe, 0, 0, 1, 0],
        &[0xff, 0, 0, 0, 0, 1, 0, 0, 0],
    ] {
        let length = 80 + count.len();
        assert_eq!(
            parse(count),
            Err(ParseError::Short { length }),
            "{count:x?}"
        );
    }
}

/// Real blocks of few transactions, to change bytes of.
fn small_blocks() -> Vec<Vec<u8>> {
    let mut kept = Vec::new();
    for name in ["block-772904.bin", "block-840243.bin"] {
        let bytes = examples(name);
        let block: bitcoin::Block = deserialize(&bytes).unwrap();
        for transactions in block.txdata.chunks(3).step_by(40) {
            let block = bitcoin::Block {
                txdata: transactions.to_vec(),
                ..block.clone()
            };
            kept.push(bitcoin::consensus::serialize(&block));
        }
    }
    kept.retain(|bytes| bytes.len() < 3_000);
    kept
}

/// Nothing panics, and what is accepted is what the `bitcoin` crate accepts and reads
/// as it does.
fn check_like_bitcoin(bytes: &[u8]) -> bool {
    let ours = Block::parse(bytes);
    let theirs = deserialize::<bitcoin::Block>(bytes);
    assert_eq!(ours.is_ok(), theirs.is_ok(), "{ours:?} {theirs:?}");
    if ours.is_ok() {
        check(bytes);
    }
    ours.is_ok()
}

#[test]
fn blocks_with_one_changed_byte_read_as_the_bitcoin_crate_reads_them() {
    let (mut accepted, mut refused) = (0, 0);
    for bytes in small_blocks().into_iter().take(12) {
        for at in 80..bytes.len() {
            for value in [0, 1, 0xfd, 0xff, bytes[at] ^ 1] {
                let mut changed = bytes.clone();
                changed[at] = value;
                if check_like_bitcoin(&changed) {
                    accepted += 1;
                } else {
                    refused += 1;
                }
            }
        }
    }
    assert!(accepted > 1_000 && refused > 1_000, "{accepted} {refused}");
}

proptest::proptest! {
    #[test]
    fn damaged_blocks_read_as_the_bitcoin_crate_reads_them(
        which: proptest::sample::Index,
        changes in proptest::collection::vec(
            (proptest::num::usize::ANY, 0..3u8, proptest::num::u8::ANY),
            0..4,
        ),
    ) {
        static BLOCKS: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
        let blocks = BLOCKS.get_or_init(small_blocks);
        let mut bytes = which.get(blocks).clone();
        for (at, change, value) in changes {
            let at = at % bytes.len();
            match change {
                0 => bytes[at] = value,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, value),
            }
        }
        check_like_bitcoin(&bytes);
    }

    #[test]
    fn any_bytes_read_or_are_an_error(
        tail in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
    ) {
        check_like_bitcoin(&[&[0; 80][..], &[1], &tail].concat());
        check_like_bitcoin(&tail);
    }
}
